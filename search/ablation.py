"""What of an architecture is needed: each layer dropped, each number of samples halved."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from archon.base import Architecture, parse
from archon.errors import ConfigError
from archon.types import Json

__all__ = ["ablations"]

HALVED = ("samples", "votes", "rounds", "waves")


def ablations(architecture: Architecture) -> Iterator[tuple[str, Architecture]]:
    """Yield each smaller architecture that is legal, with what was done to it.

    Dropped is a stage, or one of the layers that stand in parallel in it; halved is a number of
    samples, votes, rounds or waves. Only what costs less than the whole is yielded.
    """
    data = architecture.dump()
    most = architecture.bound().calls
    seen = {architecture.digest()}
    for said, smaller in _smaller(data):
        try:
            made = parse(smaller).check()
        except ConfigError:
            continue  # the rest cannot stand without it
        digest = made.digest()
        if digest in seen or made.bound().calls > most:
            continue
        seen.add(digest)
        yield said, made


def _smaller(data: dict[str, Json]) -> Iterator[tuple[str, dict[str, Json]]]:
    stages = data.get("stages")
    if not isinstance(stages, list):
        return  # a graph of nodes has no stages to drop
    for place, stage in enumerate(stages):
        if len(stages) > 1:
            yield f"without {_named(stage)}", _with(data, [*stages[:place], *stages[place + 1 :]])
        if isinstance(stage, list) and len(stage) > 1:
            for branch in range(len(stage)):
                rest = [*stage[:branch], *stage[branch + 1 :]]
                kept = rest[0] if len(rest) == 1 and not isinstance(rest[0], list) else rest
                yield (
                    f"without {_named(stage[branch])} {branch + 1}",
                    _with(data, [*stages[:place], kept, *stages[place + 1 :]]),
                )
    for path, value in _numbers(stages):
        changed = copy.deepcopy(stages)
        inner: Json = changed
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value // 2
        yield f"{path[-1]} {value // 2} instead of {value}", _with(data, changed)


def _with(data: dict[str, Json], stages: Json) -> dict[str, Json]:
    used = set(_texts(stages))
    models = {name: model for name, model in data.get("models", {}).items() if name in used}
    return {"models": models, "stages": stages} if models else {"stages": stages}


def _named(stage: Json) -> str:
    if isinstance(stage, list):
        return " and ".join(dict.fromkeys(map(_named, stage)))
    return next(iter(stage)) if isinstance(stage, dict) else str(stage)


def _numbers(
    value: Json, path: tuple[object, ...] = ()
) -> Iterator[tuple[tuple[object, ...], int]]:
    """Yield the path and value of every number that can be halved."""
    if isinstance(value, list):
        for place, part in enumerate(value):
            yield from _numbers(part, (*path, place))
    elif isinstance(value, dict):
        for key, part in value.items():
            if key in HALVED and isinstance(part, int) and part > 1:
                yield (*path, key), part
            else:
                yield from _numbers(part, (*path, key))


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _texts(part)
