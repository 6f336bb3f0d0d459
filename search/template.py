"""Data with holes: what a search file's space is after reading, and how a trial fills it.

A hole stands where a value may stand. In a list, a hole that gives a list is spliced into it, and
one that is absent leaves nothing; a list that holes alone have emptied is left out of the list
around it. In a mapping an absent hole leaves its key out, so that the setting's default holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from archon.search.expressions import ABSENT, Expression
from archon.search.holes import Column
from archon.search.trial import Infeasible, Take, Trial, flag, pick
from archon.types import Json

__all__ = [
    "Body", "Choice", "Each", "Filling", "Item", "Mapped", "Maybe", "Node", "Number", "Ref",
    "Repeat", "Single", "Subset", "When",
]  # fmt: skip


class Node:
    """A part of a template that is not plain data."""


class Single(Node):
    """A hole that is one decision: one column, or one for each repetition around it."""

    column: Column
    repeated: dict[str, Column]

    def at(self, prefix: str) -> Column:
        """Return the column of one repetition; made once, since walks ask again and again."""
        if not prefix:
            return self.column
        if prefix not in self.repeated:
            column = self.column
            self.repeated[prefix] = Column(
                prefix + column.name, column.kind, column.levels, column.low, column.high,
                column.log,
            )  # fmt: skip
        return self.repeated[prefix]


@dataclass(eq=False)
class Body:
    """A template, and the holes that can be named inside it.

    Attributes:
        node: what it is filled to.
        holes: those of this body, not of bodies inside it, by the name that `!ref` uses.
        made: what it was filled to before, by the values of all that is open in it.
    """

    node: Any = None
    holes: dict[str, Node] = field(default_factory=dict)
    made: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    @cached_property
    def refs(self) -> tuple[str, ...] | None:
        """The names it refers to, if these and `!ref item` are all that is open in it."""
        names: set[str] = set()
        return tuple(names) if _decides_nothing(self.node, names) else None


@dataclass(eq=False)
class Mapped(Node):
    """A mapping or a list with holes inside.

    Attributes:
        parts: keys (indices of a list) with their values.
        source: the mapping or list of the file, which knows its lines.
    """

    parts: list[tuple[Any, Any]]
    source: Any


@dataclass(eq=False)
class Number(Single):
    """`!int` and `!float`."""

    column: Column
    repeated: dict[str, Column] = field(default_factory=dict)


@dataclass(eq=False)
class Choice(Single):
    """`!choice`: options, in the order of the column's levels, which are their labels."""

    column: Column
    options: list[Body]
    repeated: dict[str, Column] = field(default_factory=dict)


@dataclass(eq=False)
class Subset(Node):
    """`!subset`: items by label."""

    name: str
    labels: list[str]
    items: list[Json]
    sizes: list[int]
    take: Take


@dataclass(eq=False)
class Maybe(Node):
    """`!maybe`."""

    name: str
    body: Body


@dataclass(eq=False)
class Repeat(Node):
    """`!repeat`: the body `times` over, each time with decisions of its own."""

    name: str
    times: Any
    most: int
    body: Body


@dataclass(eq=False)
class Each(Node):
    """`!each`: the body once for every item of `of`, each time with decisions of its own."""

    name: str
    of: Any
    labels: list[str]
    body: Body


@dataclass(eq=False)
class Item(Node):
    """`!ref item`: the item of the nearest `!each` around it."""


@dataclass(eq=False)
class Ref(Node):
    """`!ref`: the value of a hole that stands elsewhere."""

    name: str


@dataclass(eq=False)
class When(Node):
    """Something that is there only where a condition holds."""

    condition: Expression
    body: Body


@dataclass(eq=False)
class _Scope:
    """A body that is being filled.

    Attributes:
        prefix: in front of the names of its decisions.
        item: what `!ref item` stands for.
    """

    body: Body
    above: _Scope | None
    prefix: str
    item: Any = None

    def owner(self, name: str) -> _Scope:
        scope = self
        while name not in scope.body.holes:
            assert scope.above is not None, name  # reading has seen to it
            scope = scope.above
        return scope


_EMPTIED: Any = object()


class Filling:
    """Fills a template by the decisions of one trial.

    Args:
        root: the template.
        requires: conditions on the holes of the root; each is looked at as soon as all of its
            holes are decided.
        trial: decides.
        located: whether `origins` is wanted.

    Attributes:
        origins: by id of a new container, the one of the file that it was made from, and for each
            of its keys the key there.

    Raises:
        Infeasible: when a requirement is broken.
    """

    def __init__(
        self, root: Body, requires: Sequence[Expression], trial: Trial, *, located: bool = False
    ) -> None:
        self.located = located
        self.remembers = not located
        self.root = _Scope(root, None, "")
        self.trial = trial
        self.waiting = list(requires)
        self.done: dict[str, tuple[Any, Any]] = {}
        self.origins: dict[int, tuple[Any, dict[Any, Any]]] = {}

    def fill(self, node: Any = None) -> Any:
        """Return the root, or another part of it, as plain data."""
        return self.value(self.root.body.node if node is None else node, self.root)

    def finish(self) -> None:
        """Look at the requirements that wait for holes which were never reached."""
        waiting, self.waiting = self.waiting, []
        for condition in waiting:
            self._require(condition)

    def value(self, node: Any, scope: _Scope) -> Any:
        """Return what a node stands for: plain data, or `ABSENT`."""
        if not isinstance(node, Node):
            return node
        if isinstance(node, Mapped):
            return self._mapped(node, scope)
        if isinstance(node, Item):
            return scope.item
        if isinstance(node, Ref):
            return self._named(node.name, scope)[0]
        return self._hole(node, scope)[0]

    def _mapped(self, node: Mapped, scope: _Scope) -> Any:
        if isinstance(node.source, list):
            return self._listed(node, scope)
        made = {}
        for key, part in node.parts:
            value = self.value(part, scope) if isinstance(part, Node) else part
            if value is not ABSENT and value is not _EMPTIED:
                made[key] = value
        if self.located:
            self.origins[id(made)] = (node.source, {})
        return made

    def _listed(self, node: Mapped, scope: _Scope) -> Any:
        made: list[Any] = []
        places: dict[int, Any] = {}
        for index, part in node.parts:
            if not isinstance(part, Node):
                places[len(made)] = index
                made.append(part)
                continue
            value = self.value(part, scope)
            if value is ABSENT or value is _EMPTIED:
                continue
            spliced = isinstance(value, list) and not isinstance(part, Mapped)
            for one in value if spliced else [value]:
                places[len(made)] = index
                made.append(one)
        if not made:
            return _EMPTIED
        if self.located:
            self.origins[id(made)] = (node.source, places)
        return made

    def _named(self, name: str, scope: _Scope) -> tuple[Any, Any]:
        owner = scope.owner(name)
        return self._hole(owner.body.holes[name], owner)

    def _hole(self, node: Any, scope: _Scope) -> tuple[Any, Any]:
        """Return a hole's value as data, and as conditions see it."""
        key = f"{scope.prefix}{id(node)}"
        if key not in self.done:
            self.done[key] = self._decide(node, scope)
            if self.waiting and scope is self.root:
                self._look()
        return self.done[key]

    def _decide(self, node: Any, scope: _Scope) -> tuple[Any, Any]:
        match node:
            case Number():
                value = self.trial.ask(node.at(scope.prefix))
                return value, value
            case Choice(options=options):
                column = node.at(scope.prefix)
                label = self.trial.ask(column)
                return self._inside(options[int(self.trial.codes[column.name])], scope), label
            case Subset():
                places = pick(
                    self.trial, scope.prefix + node.name, node.labels, node.sizes, node.take
                )
                return [node.items[i] for i in places], [node.labels[i] for i in places]
            case Maybe(name=name, body=body):
                if self.trial.ask(flag(scope.prefix + name)):
                    return self._inside(body, scope), True
                return ABSENT, False
            case When(condition=condition, body=body):
                if condition.holds(self._seen(condition, scope)):
                    inner = _Scope(body, scope, scope.prefix, scope.item)
                    return self._seen_of(body.node, inner)
                return ABSENT, ABSENT
            case Repeat():
                return self._repeated(node, scope)
            case Each():
                return self._each(node, scope)
        raise AssertionError(node)

    def _inside(self, body: Body, scope: _Scope, prefix: str = "", item: Any = None) -> Any:
        inner = _Scope(body, scope, prefix or scope.prefix, scope.item if item is None else item)
        return self.value(body.node, inner)

    def _seen_of(self, node: Any, scope: _Scope) -> tuple[Any, Any]:
        if isinstance(node, Ref):
            return self._named(node.name, scope)
        if isinstance(node, Node) and not isinstance(node, (Mapped, Item)):
            return self._hole(node, scope)
        value = self.value(node, scope)
        return value, value

    def _repeated(self, node: Repeat, scope: _Scope) -> tuple[Any, Any]:
        count = self._seen_of(node.times, scope)[0]
        count = 0 if count is ABSENT else count
        made: list[Any] = []
        for number in range(1, count + 1):
            prefix = f"{scope.prefix}{node.name}[{number}]."
            _extend(made, self._inside(node.body, scope, prefix))
        return made, count

    def _each(self, node: Each, scope: _Scope) -> tuple[Any, Any]:
        items, labels = self._seen_of(node.of, scope)
        if items is ABSENT or items is _EMPTIED:
            return ABSENT, ABSENT
        labels = labels if isinstance(node.of, (Ref, Subset)) else node.labels
        known = self._known(node.body, scope, labels)
        if known is not None and known in node.body.made:
            return node.body.made[known], labels
        made: list[Any] = []
        for item, label in zip(items, labels, strict=True):
            prefix = f"{scope.prefix}{node.name}[{label}]."
            _extend(made, self._inside(node.body, scope, prefix, item))
        if known is not None:
            node.body.made[known] = made
        return made, list(labels)

    def _known(self, body: Body, scope: _Scope, labels: Sequence[str]) -> Any:
        """Return what the filling of a body is known by: walks fill it again and again.

        None where it has decisions of its own, or where what it refers to is no plain value.
        """
        if body.refs is None or not self.remembers:
            return None
        values = [self._named(name, _Scope(body, scope, scope.prefix))[0] for name in body.refs]
        if not all(value is None or isinstance(value, (str, int, float)) for value in values):
            return None
        return (*labels, *((type(value), value) for value in values))

    def _seen(self, condition: Expression, scope: _Scope) -> dict[str, Any]:
        return {name: self._named(name, scope)[1] for name in condition.names}

    def _look(self) -> None:
        """Look at the requirements whose holes are all decided now."""
        for condition in list(self.waiting):
            holes = (self.root.body.holes[name] for name in condition.names)
            if all(f"{id(hole)}" in self.done for hole in holes):
                self.waiting.remove(condition)
                self._require(condition)

    def _require(self, condition: Expression) -> None:
        values = {
            name: self.done.get(f"{id(self.root.body.holes[name])}", (ABSENT, ABSENT))[1]
            for name in condition.names
        }
        if condition.holds(values) is False:
            raise Infeasible


def _decides_nothing(node: Any, names: set[str]) -> bool:
    """Whether a node has no hole of its own; adds the names that it refers to."""
    if isinstance(node, Ref):
        names.add(node.name)
        return True
    if isinstance(node, Mapped):
        return all(_decides_nothing(part, names) for _, part in node.parts)
    return isinstance(node, Item) or not isinstance(node, Node)


def _extend(made: list[Any], value: Any) -> None:
    if isinstance(value, list):
        made.extend(value)
    elif value is not ABSENT and value is not _EMPTIED:
        made.append(value)
