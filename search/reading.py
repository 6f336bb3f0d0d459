"""Reads a space from YAML: strict, with the line of every mistake."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, get_args

from archon.base.places import unique
from archon.config import Tagged
from archon.errors import ConfigError, did_you_mean
from archon.search.expressions import Expression
from archon.search.holes import Column, choice_column, grid
from archon.search.places import Entering, Inside, Step, label, shown, tagged_in
from archon.search.template import (
    Body,
    Choice,
    Each,
    Item,
    Mapped,
    Maybe,
    Node,
    Number,
    Ref,
    Repeat,
    Subset,
    When,
)
from archon.search.trial import Take
from archon.types import Json

__all__ = ["TAGS", "Template", "Where", "read_template"]

Where = Callable[[object, object], str]

TAGS = ("!choice", "!each", "!float", "!int", "!maybe", "!ref", "!repeat", "!subset")
KEYS = ("name", "description", "models", "groups", "holes", "require", "stages", "nodes")
FIXED = ("id", "after", "name", "description")
"""Keys of an entry that say what it is; nothing is chosen there."""
MOST_REPEATS = 64
ITEM = "item"
"""What `!ref` calls the item of an `!each`; no hole can have this name."""
_NAME = re.compile(r"[A-Za-z_]\w*")


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
    return _Reader(where, groups or {}).read(data)


@dataclass
class _Use:
    """A place that names a hole."""

    name: str
    bodies: tuple[Body, ...]
    where: str


@dataclass
class _Reader:
    where: Where
    given_groups: Mapping[str, Sequence[Json]]
    groups: dict[str, list[Json]] = field(default_factory=dict)
    names: dict[str, Node] = field(default_factory=dict)
    section: tuple[str, ...] = ()
    taken: set[str] = field(default_factory=set)
    bodies: list[Body] = field(default_factory=list)
    uses: list[_Use] = field(default_factory=list)
    edges: dict[str, set[str]] = field(default_factory=dict)
    inside: list[str] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    depth: int = 0
    later: list[Callable[[], None]] = field(default_factory=list)

    def fail(self, message: str, container: object, key: object = None) -> NoReturn:
        place = container.where if isinstance(container, Tagged) else self.where(container, key)
        raise ConfigError(message, where=place)

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

    def known(self, data: Mapping[Any, Json], keys: Sequence[str], what: str) -> None:
        for key in data:
            if key not in keys:
                self.fail(f"unknown key {key!r} in {what}{did_you_mean(str(key), keys)}", data, key)

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

    def no_holes(self, value: Json, what: str) -> None:
        for tagged in tagged_in(value):
            self.fail(f"{tagged.tag} cannot stand in {what}: nothing is chosen there", tagged)

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

    def condition(self, text: Json, where: str) -> Expression:
        if isinstance(text, bool) or not isinstance(text, str):
            raise ConfigError(f"a condition is a text, got {text!r}", where=where)
        expression = Expression(text, where)
        for name in sorted(expression.names):
            self.use(name, where)
        return expression

    def use(self, name: str, where: str) -> None:
        self.uses.append(_Use(name, tuple(self.bodies), where))
        for holder in self.inside:
            self.edges.setdefault(holder, set()).add(name)

    # Data: mappings and lists, which stay what they are where no hole is inside.

    def node(self, value: Json, container: object, key: object, *, entry: bool = False) -> Any:
        if isinstance(value, Tagged):
            return self.hole(value)
        if isinstance(value, list):
            return self.listed(value)
        if isinstance(value, dict):
            return self.entry(value) if entry else self.mapping(value)
        return value

    def listed(self, value: list[Json]) -> Any:
        parts = []
        for index, item in enumerate(value):
            step = f"stage-{index + 1}" if not self.path else ""
            with Step(self.path, step):
                parts.append((index, self.node(item, value, index, entry=True)))
        return _mapped(parts, value)

    def mapping(self, value: dict[Any, Json], skip: Sequence[str] = ()) -> Any:
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

    # Holes.

    def hole(self, tagged: Tagged, given: str = "") -> Node:
        settings = tagged.value if isinstance(tagged.value, dict) else {}
        if tagged.tag == "!ref":
            return self.reference(tagged)
        full = tagged.tag == "!each" or "of" in settings or tagged.tag in ("!int", "!float")
        named = self.named(tagged, settings if full else {}, given)
        condition = None
        with Step(self.inside, named if named in self.taken else ""):
            if full and "when" in settings:
                where = self.where(settings, "when")
                condition = self.condition(settings["when"], where)
            made = self.made(tagged, settings if full else None, named)
        if condition is not None:
            made = When(condition, Body(made))
        if given or (full and "name" in settings):
            self.bodies[-1].holes[named] = made
            self.names[named] = made
        return made

    def named(self, tagged: Tagged, settings: dict[Any, Json], given: str) -> str:
        if given:
            if "name" in settings:
                self.fail("under `holes` the key is the name", settings, "name")
            return given
        if "name" in settings:
            name = settings["name"]
            self.check_name(name, settings, "name")
            if name in self.taken:
                self.fail(f"the name {name!r} is given twice", settings, "name")
        else:
            name = ".".join(filter(None, self.path)) or self.default(tagged)
            if re.fullmatch(r"stage-\d+", name) and tagged.tag != "!choice":
                name = self.default(tagged)
            name = unique(name, self.taken)
        self.taken.add(name)
        return str(name)

    def default(self, tagged: Tagged) -> str:
        """Return what a hole is called whose place says nothing."""
        value = tagged.value
        of = value.get("of", value) if isinstance(value, dict) else value
        if tagged.tag == "!maybe":
            return str(label(of))
        if tagged.tag == "!subset" and isinstance(of, str):
            return of
        if tagged.tag == "!each":
            inner = of.value if isinstance(of, Tagged) else of
            inner = inner.get("name", inner.get("of")) if isinstance(inner, dict) else inner
            return f"each-{inner}" if isinstance(inner, str) else "each"
        return tagged.tag[1:]

    def check_name(self, name: Json, container: object, key: object) -> None:
        good = isinstance(name, str) and _NAME.fullmatch(name) and name != ITEM
        if not good or keyword.iskeyword(str(name)):
            self.fail(
                f"a hole's name is letters, digits and underscores, got {name!r}", container, key
            )

    def reference(self, tagged: Tagged) -> Node:
        name = tagged.value
        if not isinstance(name, str) or not name:
            self.fail("!ref takes the name of a hole: `!ref samples`", tagged)
        if name == ITEM:
            if not self.depth:
                self.fail("`!ref item` stands inside the `do` of an !each", tagged)
            return Item()
        self.use(name, tagged.where)
        return Ref(name)

    def made(self, tagged: Tagged, settings: dict[Any, Json] | None, name: str) -> Node:
        makers: dict[str, Callable[[Tagged, dict[Any, Json] | None, str], Node]] = {
            "!choice": self.choice,
            "!int": self.number,
            "!float": self.number,
            "!subset": self.subset,
            "!maybe": self.maybe,
            "!repeat": self.repeat,
            "!each": self.for_each,
        }
        try:
            return makers[tagged.tag](tagged, settings, name)
        except ConfigError as error:
            raise error.at(tagged.where) from None

    def number(self, tagged: Tagged, settings: dict[Any, Json] | None, name: str) -> Node:
        integer = tagged.tag == "!int"
        if isinstance(tagged.value, list) and len(tagged.value) == 2:
            settings = dict(zip(("low", "high"), tagged.value, strict=True))
        elif not settings:
            self.fail(f"{tagged.tag} takes `{{low: …, high: …}}` or `[low, high]`", tagged)
        else:
            self.known(settings, ("low", "high", "step", "log", "name", "when"), tagged.tag)
        log = settings.get("log", False)
        if not isinstance(log, bool):
            self.fail(f"log is true or false, got {log!r}", settings, "log")
        low, high, step = (
            self.amount(settings, key, tagged, integer) for key in ("low", "high", "step")
        )
        return Number(grid(name, low, high, step, log=log, integer=integer))

    def amount(self, settings: dict[Any, Json], key: str, at: Tagged, integer: bool) -> Any:
        value = settings.get(key)
        if value is None and key == "step":
            return None
        if value is None:
            self.fail(f"{at.tag} needs {key!r}", at)
        good = isinstance(value, int) or (isinstance(value, float) and not integer)
        if isinstance(value, bool) or not good:
            kind = "a whole number" if integer else "a number"
            shown = value.tag if isinstance(value, Tagged) else repr(value)
            raise ConfigError(f"{key} of {at.tag} is {kind}, got {shown}", where=at.where)
        return value

    def choice(self, tagged: Tagged, settings: dict[Any, Json] | None, name: str) -> Node:
        of = tagged.value
        if settings is not None:
            self.known(settings, ("of", "name", "when"), "!choice")
            of = settings["of"]
        elif isinstance(of, dict):
            self.fail("!choice takes a list, a group, or `{of: options}`", tagged)
        options = self.options(of, tagged)
        named = isinstance(of, dict)
        levels = [text if named or not _scalar(value) else value for text, value in options]
        if len({repr(level) for level in levels}) < len(levels):
            self.fail("an option stands there twice", tagged)
        bodies = []
        for _, option in options:
            with Inside(self.bodies) as body:
                body.node = self.node(option, of, None, entry=True)
            bodies.append(body)
        return Choice(choice_column(name, levels), bodies)

    def options(self, of: Json, tagged: Tagged) -> list[tuple[str, Json]]:
        """Return options or items with their labels: of a list, a mapping, or a group."""
        if isinstance(of, str):
            if of not in self.groups:
                self.fail(f"there is no group {of!r}{did_you_mean(of, self.groups)}", tagged)
            of = self.groups[of]
        if isinstance(of, dict) and of:
            return [(str(key), value) for key, value in of.items()]
        if not isinstance(of, list) or not of:
            self.fail(f"{tagged.tag} takes a list with at least one item", tagged)
        labelled: dict[str, Json] = {}
        for item in of:
            labelled[unique(str(label(item)), labelled)] = item
        return list(labelled.items())

    def subset(self, tagged: Tagged, settings: dict[Any, Json] | None, name: str) -> Node:
        of = tagged.value
        if settings is not None:
            keys = ("of", "min", "max", "sizes", "take", "name", "when")
            self.known(settings, keys, "!subset")
            of = settings["of"]
        elif isinstance(of, dict):
            self.fail("!subset takes a list, a group, or `{of: items}`", tagged)
        settings = settings or {}
        items = self.options(of, tagged)
        self.no_holes([item for _, item in items], "an item of !subset")
        take = settings.get("take", "any")
        if take not in get_args(Take):
            near = did_you_mean(str(take), get_args(Take))
            self.fail(f"take is any, ordered or first, got {take!r}{near}", settings, "take")
        sizes = self.sizes(settings, len(items), tagged)
        return Subset(name, [text for text, _ in items], [item for _, item in items], sizes, take)

    def sizes(self, settings: dict[Any, Json], most: int, tagged: Tagged) -> list[int]:
        given = settings.get("sizes")
        if given is None:
            low = self.count(settings, "min", 1)
            high = self.count(settings, "max", most)
            if low > high:
                self.fail(f"min is at most max, got min {low} and max {high}", tagged)
            given = list(range(low, high + 1))
        elif "min" in settings or "max" in settings:
            self.fail("give either `sizes`, or `min` and `max`", settings, "sizes")
        whole = isinstance(given, list) and all(isinstance(n, int) for n in given)
        if not whole or not given or sorted(set(given)) != given or given[0] < 0:
            self.fail(f"sizes are whole numbers in rising order, got {given!r}", settings, "sizes")
        if given[-1] > most:
            self.fail(f"{given[-1]} of {most} items cannot be taken", tagged)
        return given

    def count(self, settings: dict[Any, Json], key: str, default: int) -> int:
        value = settings.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.fail(f"{key} is a whole number from 0, got {shown(value)}", settings, key)
        return value

    def maybe(self, tagged: Tagged, settings: dict[Any, Json] | None, name: str) -> Node:
        of = tagged.value
        if settings is not None:
            self.known(settings, ("of", "name", "when"), "!maybe")
            of = settings["of"]
        if of in (None, "", []):
            self.fail("!maybe takes what may be there, such as `!maybe {critique: …}`", tagged)
        with Inside(self.bodies) as body:
            body.node = self.node(of, tagged, None, entry=True)
        return Maybe(name, body)

    def repeat(self, tagged: Tagged, settings: dict[Any, Json] | None, name: str) -> Node:
        if settings is None:
            self.fail("!repeat takes `{of: [stages], min: 0, max: 3}`", tagged)
        self.known(settings, ("of", "min", "max", "times", "name", "when"), "!repeat")
        times = self.times(settings, name, tagged)
        with Inside(self.bodies) as body, Step(self.path, "", clear=True):
            body.node = self.node(settings["of"], settings, "of", entry=True)
        made = Repeat(name, times, 0, body)
        self.later.append(lambda: self.settle(made, tagged))
        return made

    def times(self, settings: dict[Any, Json], name: str, tagged: Tagged) -> Any:
        if "times" not in settings:
            low, high = self.count(settings, "min", 0), self.count(settings, "max", -1)
            if low > high:
                self.fail(f"min is at most max, got min {low} and max {high}", tagged)
            return Number(Column(name, "ordinal", range(low, high + 1)))
        if "min" in settings or "max" in settings:
            self.fail("give either `times`, or `min` and `max`", settings, "times")
        value = settings["times"]
        if isinstance(value, Tagged):
            with Step(self.path, name, clear=True):
                return self.node(value, settings, "times")
        return self.count(settings, "times", 0)

    def settle(self, made: Repeat, tagged: Tagged) -> None:
        """Say how often at most; a `!ref` can be followed only when all has been read."""
        times = made.times
        times = self.names[times.name] if isinstance(times, Ref) else times
        times = times.body.node if isinstance(times, When) else times
        counts = list(times.column.levels) if isinstance(times, (Number, Choice)) else [times]
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts):
            self.fail("`times` is a whole number from 0, or a hole that gives one", tagged)
        made.most = max(counts)
        if made.most > MOST_REPEATS:
            self.fail(f"at most {MOST_REPEATS} repetitions, got {made.most}", tagged)

    def for_each(self, tagged: Tagged, settings: dict[Any, Json] | None, name: str) -> Node:
        if not settings or "of" not in settings or "do" not in settings:
            self.fail("!each takes `{of: items, do: what to do with !ref item}`", tagged)
        self.known(settings, ("of", "do", "name", "when"), "!each")
        of, labels = settings["of"], []
        if isinstance(of, Tagged):
            if of.tag not in ("!subset", "!ref"):
                self.fail("`of` is a list, a group, a !subset, or a !ref to one", of)
            node = self.hole(of)
        else:
            items = self.options(of, tagged)
            self.no_holes([item for _, item in items], "`of` of !each")
            node, labels = [item for _, item in items], [text for text, _ in items]
        self.depth += 1
        with Inside(self.bodies) as body, Step(self.path, "", clear=True):
            body.node = self.node(settings["do"], settings, "do", entry=True)
        self.depth -= 1
        made = Each(name, node, labels, body)
        self.later.append(lambda: self.label(made, tagged))
        return made

    def label(self, made: Each, tagged: Tagged) -> None:
        of = self.names[made.of.name] if isinstance(made.of, Ref) else made.of
        of = of.body.node if isinstance(of, When) else of
        if isinstance(of, Subset):
            made.labels = of.labels
        elif not isinstance(of, list):
            self.fail("`of` is a list, a group, a !subset, or a !ref to one", tagged)

    # What can be said only when all names are known.

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


def _mapped(parts: list[tuple[Any, Any]], source: Any, *, whole: bool = True) -> Any:
    """Return the mapping or list itself where it has no hole inside."""
    if whole and not any(isinstance(part, Node) for _, part in parts):
        return source
    return Mapped(parts, source)


def _scalar(value: Json) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))
