"""What all reading of templates shares: places, names, and data that may have holes inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from archon.config import Tagged
from archon.errors import ConfigError, did_you_mean
from archon.search.expressions import Expression
from archon.search.places import Entering, Inside, Step, tagged_in
from archon.search.template import Body, Mapped, Node, When
from archon.types import Json

__all__ = ["FIXED", "Reading", "Use", "Where"]

Where = Callable[[object, object], str]
"""Gives `file:line` of a container, or of one key or index in it; empty if unknown."""

FIXED = ("id", "after", "name", "description")
"""Keys of an entry that say what it is; nothing is chosen there."""


@dataclass
class Use:
    """A place that names a hole."""

    name: str
    bodies: tuple[Body, ...]
    where: str


@dataclass
class Reading(ABC):
    """Reads data with holes inside.

    Attributes:
        where: gives the line of a part of the file.
        groups: the lists that have a name.
        names: the holes that have a name.
        taken: the names that are no longer free, derived ones too.
        bodies: those around the place that is being read, the root first.
        uses: every place that names a hole.
        edges: for a hole with a name, the names that it uses.
        inside: the holes with a name around the place.
        path: what the place is called.
        depth: how many `!each` stand around it.
        later: what can be said only when all names are known.
    """

    where: Where
    groups: dict[str, list[Json]] = field(default_factory=dict)
    names: dict[str, Node] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    bodies: list[Body] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    edges: dict[str, set[str]] = field(default_factory=dict)
    inside: list[str] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    depth: int = 0
    later: list[Callable[[], None]] = field(default_factory=list)

    @abstractmethod
    def hole(self, tagged: Tagged, given: str = "") -> Node:
        """Read a hole; `given` is its name where its place gives one."""

    def fail(self, message: str, container: object, key: object = None) -> NoReturn:
        """Raise ConfigError with the line of a container, or of one key or index in it."""
        place = container.where if isinstance(container, Tagged) else self.where(container, key)
        raise ConfigError(message, where=place)

    def known(self, data: Mapping[Any, Json], keys: Sequence[str], what: str) -> None:
        """Refuse keys that are none of these."""
        for key in data:
            if key not in keys:
                self.fail(f"unknown key {key!r} in {what}{did_you_mean(str(key), keys)}", data, key)

    def no_holes(self, value: Json, what: str) -> None:
        """Refuse a hole inside of a value."""
        for tagged in tagged_in(value):
            self.fail(f"{tagged.tag} cannot stand in {what}: nothing is chosen there", tagged)

    def condition(self, text: Json, where: str) -> Expression:
        """Read a condition, and note the holes that it names."""
        if isinstance(text, bool) or not isinstance(text, str):
            raise ConfigError(f"a condition is a text, got {text!r}", where=where)
        expression = Expression(text, where)
        for name in sorted(expression.names):
            self.use(name, where)
        return expression

    def use(self, name: str, where: str) -> None:
        """Note that a hole is named here."""
        self.uses.append(Use(name, tuple(self.bodies), where))
        for holder in self.inside:
            self.edges.setdefault(holder, set()).add(name)

    def node(self, value: Json, container: object, key: object, *, entry: bool = False) -> Any:
        """Read a value; `entry` says that it stands in a list, where a layer may have `when`."""
        if isinstance(value, Tagged):
            return self.hole(value)
        if isinstance(value, list):
            return self.listed(value)
        if isinstance(value, dict):
            return self.entry(value) if entry else self.mapping(value)
        return value

    def listed(self, value: list[Json]) -> Any:
        """Read a list."""
        parts = []
        for index, item in enumerate(value):
            step = f"stage-{index + 1}" if not self.path else ""
            with Step(self.path, step):
                parts.append((index, self.node(item, value, index, entry=True)))
        return _mapped(parts, value)

    def mapping(self, value: dict[Any, Json], skip: Sequence[str] = ()) -> Any:
        """Read a mapping, without the keys to skip."""
        if "stages" in value or "nodes" in value:
            self.fixed(value)
        parts = []
        for key, item in value.items():
            if key in skip:
                continue
            with Step(self.path, "" if key in ("stages", "nodes", "architecture") else str(key)):
                parts.append((key, self.node(item, value, key)))
        return _mapped(parts, value, whole=not skip)

    def fixed(self, value: dict[Any, Json]) -> None:
        """Refuse holes where an entry says what it is."""
        for key in FIXED:
            for tagged in tagged_in(value.get(key)):
                self.fail(f"{tagged.tag} cannot stand in {key!r}: nothing is chosen there", tagged)

    def entry(self, value: dict[Any, Json]) -> Any:
        """Read what stands in a list: a layer, with its `id`, `after` and `when`."""
        self.fixed(value)
        kinds = [str(key) for key in value if key not in (*FIXED, "when")]
        with Entering(self.path, str(value.get("id") or ""), kinds):
            if "when" not in value:
                return self.mapping(value)
            condition = self.condition(value["when"], self.where(value, "when"))
            with Inside(self.bodies) as body:
                body.node = self.mapping(value, skip=("when",))
            return When(condition, body)


def _mapped(parts: list[tuple[Any, Any]], source: Any, *, whole: bool = True) -> Any:
    """Return the mapping or list itself where it has no hole inside."""
    if whole and not any(isinstance(part, Node) for _, part in parts):
        return source
    return Mapped(parts, source)
