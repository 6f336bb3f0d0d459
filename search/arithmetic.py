"""Counts assignments without listing them.

What nothing else depends on is multiplied and added up; only holes that are referred to, or that
conditions look at, are gone through one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from archon.search.expressions import ABSENT
from archon.search.space import TemplateSpace
from archon.search.template import (
    Body,
    Choice,
    Each,
    Filling,
    Mapped,
    Maybe,
    Node,
    Number,
    Ref,
    Repeat,
    Subset,
    When,
)
from archon.search.trial import Infeasible, Walking

__all__ = ["Endless", "assignments"]

MOST_LEAVES = 20_000
"""Combinations of the holes that depend on each other; with more of them there is no count."""


class Endless(Exception):
    """The space has a continuous hole."""


def assignments(space: TemplateSpace) -> int | None:
    """Return how many assignments a space has; None where too many holes depend on each other.

    Raises:
        Endless: when a hole is continuous.
    """
    if any(column.kind == "real" for column in space.columns):
        raise Endless
    closed = _Closed(space)
    total = 0
    path: list[int] = []
    for _ in range(MOST_LEAVES):
        trial = Walking(path)
        filling = _Counting(space, trial, closed)
        try:
            space.fill_with(filling)
        except Infeasible:
            pass
        else:
            total += filling.weight
        following = trial.next_path()
        if following is None:
            return total
        path = following
    return None


class _Closed:
    """Which parts of a template depend on nothing outside them, nor anything on them."""

    def __init__(self, space: TemplateSpace) -> None:
        template = space.template
        used = {hole for name, hole in template.names.items() if name in template.used}
        self.open = {id(hole) for hole in used}
        self.models = {
            name for name, settings in template.models.items() if isinstance(settings, Node)
        }
        self._known: dict[int, bool] = {}

    def __call__(self, node: Any) -> bool:
        """Whether a part is closed."""
        if not isinstance(node, (Node, Body)):
            return not (self.models and self.models.intersection(_texts(node)))
        if id(node) not in self._known:
            self._known[id(node)] = (
                id(node) not in self.open
                and not isinstance(node, (Ref, When))
                and all(map(self, _inside(node)))
            )
        return self._known[id(node)]


def _inside(node: Node | Body) -> Iterator[Any]:
    match node:
        case Body():
            yield node.node
        case Mapped(parts=parts):
            yield from (part for _, part in parts)
        case Choice(options=options):
            yield from options
        case Subset(items=items):
            yield items
        case Maybe(body=body):
            yield body
        case Repeat(times=times, body=body):
            yield from (times, body)
        case Each(of=of, body=body):
            yield from (of, body)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


class _Counting(Filling):
    """Fills a template, but for closed parts, of which it takes the number.

    Attributes:
        weight: assignments that this walk stands for.
    """

    def __init__(self, space: TemplateSpace, trial: Walking, closed: _Closed) -> None:
        super().__init__(space.template.body, space.template.requires, trial)
        self.closed = closed
        self.weight = 1
        self.remembers = False  # what is left out here must not be taken for what is made

    def value(self, node: Any, scope: Any) -> Any:
        """Return a node's value; of a closed one, nothing."""
        if isinstance(node, Node) and node is not self.root.body.node and self.closed(node):
            self.weight *= number(node)
            return ABSENT
        return super().value(node, scope)


def number(node: Any) -> int:
    """Return how many assignments a closed part has."""
    match node:
        case Body():
            return number(node.node)
        case Mapped(parts=parts):
            return math.prod(number(part) for _, part in parts)
        case Number(column=column):
            return len(column.levels)
        case Choice(options=options):
            return sum(number(option) for option in options)
        case Subset():
            return _subsets(node, 1)
        case Maybe(body=body):
            return 1 + number(body)
        case Repeat(times=times, body=body):
            ways = number(body)
            return sum(math.prod([ways] * count) for count in _counts(times))
        case Each(of=Subset() as of, body=body):
            return _subsets(of, number(body))
        case Each(body=body):
            return math.prod(number(body) for _ in node.labels)
    return 1


def _subsets(node: Subset, each: int) -> int:
    """Return the number of subsets, if each item in one can be filled in so many ways."""
    ways: Callable[[int, int], int] = math.perm if node.take == "ordered" else math.comb
    total = len(node.labels)
    first = node.take == "first"
    return sum(
        (1 if first else ways(total, size)) * math.prod([each] * size) for size in node.sizes
    )


def _counts(times: Any) -> Sequence[int]:
    return [int(n) for n in _levels(times)]


def _levels(times: Any) -> Sequence[Any]:
    return times.column.levels if isinstance(times, (Number, Choice)) else [times]
