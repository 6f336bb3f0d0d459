"""Reads a space from YAML: strict, with the line of every mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archon.config import Tagged
from archon.errors import ConfigError, did_you_mean
from archon.search.expressions import Expression
from archon.search.fragments import Where
from archon.search.hole_reading import TAGS, HoleReading
from archon.search.places import Step
from archon.search.template import Body, Mapped, Node
from archon.types import Json

__all__ = ["KEYS", "TAGS", "Template", "read_template"]

KEYS = ("name", "description", "models", "groups", "holes", "require", "stages", "nodes")


@dataclass(frozen=True, eq=False)
class Template:
    """A space as read.

    Attributes:
        body: fills to the mapping with `stages` or `nodes`.
        models: short names with settings, which may have holes.
        requires: conditions that every architecture of the space fulfils.
        groups: named lists, such as models by rank.
        names: the holes that have a name, and what they are.
        section: the names under `holes`.
        used: the names that something refers to.
    """

    body: Body
    models: dict[str, Any]
    requires: tuple[Expression, ...]
    groups: dict[str, list[Json]]
    names: dict[str, Node]
    section: tuple[str, ...]
    used: frozenset[str]
    where: Where


def read_template(
    data: Json, where: Where, groups: Mapping[str, Sequence[Json]] | None = None
) -> Template:
    """Read the `space` of a search file.

    Args:
        data: an architecture with holes, as `archon.config.Source` read it.
        where: gives the line of a part of it.
        groups: in place of the groups in the file, such as the same models in another order.

    Raises:
        ConfigError: with file and line, what is wrong and what would be right.
    """
    return _Reader(where, given_groups=groups or {}).read(data)


@dataclass
class _Reader(HoleReading):
    given_groups: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    section: tuple[str, ...] = ()

    def read(self, data: Json) -> Template:
        if not isinstance(data, dict):
            self.fail("a space is an architecture with holes: `models` and `stages`", data)
        self.known(data, KEYS, "a space")
        if ("stages" in data) == ("nodes" in data):
            self.fail("give either `stages` or `nodes`", data, "nodes")
        root = Body()
        self.bodies = [root]
        self.read_groups(data)
        self.named_holes(data)
        models = self.read_models(data)
        root.node = self.structure(data)
        requires = self.read_requires(data)
        self.resolve()
        used = frozenset(use.name for use in self.uses)
        for name in self.section:
            if name not in used:
                near = "it is used nowhere; refer to it by `!ref` or in a condition"
                self.fail(f"the hole {name!r}: {near}", data["holes"], name)
        return Template(
            root, models, requires, self.groups, self.names, self.section, used, self.where
        )

    def section_of(self, data: dict[Any, Json], key: str, what: str) -> dict[Any, Json]:
        found = data.get(key)
        if found is not None and not isinstance(found, dict):
            self.fail(f"`{key}` maps names to {what}", data, key)
        return found or {}

    def read_groups(self, data: Json) -> None:
        found = self.section_of(data, "groups", "lists")
        for name, items in found.items():
            items = list(self.given_groups.get(name, items if isinstance(items, list) else ()))
            if not items:
                self.fail(f"the group {name!r} is a list with at least one item", found, name)
            self.no_holes(items, "a group")
            self.groups[str(name)] = items
        for name in self.given_groups:
            if name not in self.groups:
                raise ConfigError(f"there is no group {name!r}{did_you_mean(name, self.groups)}")

    def named_holes(self, data: Json) -> None:
        found = self.section_of(data, "holes", "holes")
        self.section = tuple(map(str, found))
        self.taken.update(self.section)
        for name, value in found.items():
            if not isinstance(value, Tagged) or value.tag == "!ref":
                self.fail(f"{name!r} is a hole, such as `!int {{low: 1, high: 5}}`", found, name)
            self.check_name(str(name), found, name)
            self.hole(value, given=str(name))

    def read_models(self, data: Json) -> dict[str, Any]:
        models = self.section_of(data, "models", "models")
        read = {}
        for name, settings in models.items():
            with Step(self.path, str(name)):
                read[name] = self.node(settings, models, name)
        return read

    def structure(self, data: Json) -> Any:
        key = "stages" if "stages" in data else "nodes"
        items = data[key]
        if not isinstance(items, list) or not items:
            self.fail(f"`{key}` is a list with at least one layer", data, key)
        return Mapped([(key, self.node(items, data, key))], data)

    def read_requires(self, data: Json) -> tuple[Expression, ...]:
        lines = data.get("require", [])
        single = isinstance(lines, str)
        if not (single or (isinstance(lines, list) and all(isinstance(x, str) for x in lines))):
            self.fail("`require` is a condition or a list of them", data, "require")
        read = []
        for index, line in enumerate([lines] if single else lines):
            where = self.where(data, "require") if single else self.where(lines, index)
            read.append(self.condition(line, where))
        return tuple(read)

    def resolve(self) -> None:
        for use in self.uses:
            if any(use.name in body.holes for body in use.bodies):
                continue
            if use.name in self.names:
                raise ConfigError(
                    f"{use.name!r} stands inside something that may not be there, so that it"
                    " cannot be named from outside; define it under `holes`",
                    where=use.where,
                )
            near = did_you_mean(use.name, self.names) if self.names else "; no hole has a name"
            raise ConfigError(f"there is no hole {use.name!r}{near}", where=use.where)
        self.refuse_cycles()
        for settle in self.later:
            settle()

    def refuse_cycles(self) -> None:
        done: set[str] = set()

        def visit(name: str, trail: tuple[str, ...]) -> None:
            if name in trail:
                circle = " > ".join((*trail[trail.index(name) :], name))
                where = next(use.where for use in self.uses if use.name == name)
                raise ConfigError(
                    f"the holes refer to each other in a circle: {circle}", where=where
                )
            if name not in done:
                for other in sorted(self.edges.get(name, ())):
                    visit(other, (*trail, name))
                done.add(name)

        for name in self.edges:
            visit(name, ())
