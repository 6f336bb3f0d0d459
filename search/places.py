"""Where a reader of templates is: its path, the bodies around it, and what options are called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from archon.config import Tagged
from archon.search.template import Body
from archon.types import Json

__all__ = ["Entering", "Inside", "Step", "label", "shown", "tagged_in"]


class Step:
    """One more part on a path, for as long as it is entered."""

    def __init__(self, path: list[str], step: str, *, clear: bool = False) -> None:
        self.path, self.step, self.clear = path, step, clear

    def __enter__(self) -> None:
        self.before = list(self.path)
        if self.clear:
            self.path.clear()
        if self.step:
            self.path.append(self.step)

    def __exit__(self, *_: object) -> None:
        self.path[:] = self.before


class Entering(Step):
    """The path of an entry: its id, or its layer, without the stage's number."""

    def __init__(self, path: list[str], id_: str, kinds: Sequence[str]) -> None:
        super().__init__(path, id_)
        self.kinds = kinds

    def __enter__(self) -> None:
        super().__enter__()
        if self.kinds and self.path and re.fullmatch(r"stage-\d+", self.path[0]):
            self.path.pop(0)


class Inside:
    """A body of its own: names in it are not seen outside."""

    def __init__(self, bodies: list[Body]) -> None:
        self.bodies, self.body = bodies, Body()

    def __enter__(self) -> Body:
        self.bodies.append(self.body)
        return self.body

    def __exit__(self, *_: object) -> None:
        self.bodies.pop()


def tagged_in(value: Json) -> Iterator[Tagged]:
    """Yield what has a tag, at any depth but not inside another."""
    if isinstance(value, Tagged):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tagged_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tagged_in(item)


def shown(value: object) -> str:
    """Return a value for a message: of a hole, its tag."""
    return value.tag if isinstance(value, Tagged) else repr(value)


def label(value: Json) -> Json:
    """Return what an option is called where the file gives it no name.

    >>> label({"fuse": {"model": "strong"}}), label([]), label(["vote", "best"])
    ('fuse', 'none', 'vote+best')
    """
    match value:
        case Tagged(tag=tag, value=inner):
            return inner if tag == "!ref" else f"{tag[1:]} {label(inner)}"
        case None | []:
            return "none"
        case list():
            return "+".join(str(label(item)) for item in value)
        case dict():
            kinds = [str(key) for key in value if key not in ("id", "after", "when")]
            if isinstance(value.get("model"), str):
                return value["model"]
            return str(value.get("id") or (kinds[0] if kinds else "none"))
    return value
