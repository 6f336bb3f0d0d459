"""Reads holes: each tag, its settings, and what it is called."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from typing import Any, get_args

from archon.base.places import unique
from archon.config import Tagged
from archon.errors import ConfigError, did_you_mean
from archon.search.fragments import Reading
from archon.search.holes import Column, choice_column, grid
from archon.search.places import Inside, Step, label, shown
from archon.search.template import (
    Body,
    Choice,
    Each,
    Item,
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

__all__ = ["TAGS", "HoleReading"]

TAGS = ("!choice", "!each", "!float", "!int", "!maybe", "!ref", "!repeat", "!subset")
MOST_REPEATS = 64
ITEM = "item"
"""What `!ref` calls the item of an `!each`; no hole can have this name."""
_NAME = re.compile(r"[A-Za-z_]\w*")


class HoleReading(Reading):
    """Reads holes."""

    def hole(self, tagged: Tagged, given: str = "") -> Node:
        """Read a hole, name it, and put its condition around it."""
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
        """Return the name of a hole: the given one, or what its place says."""
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
        """Refuse a name that no condition could use."""
        good = isinstance(name, str) and _NAME.fullmatch(name) and name != ITEM
        if not good or keyword.iskeyword(str(name)):
            self.fail(
                f"a hole's name is letters, digits and underscores, got {name!r}", container, key
            )

    def reference(self, tagged: Tagged) -> Node:
        """Read a `!ref`."""
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
        """Read a hole by its tag; what is wrong without a place of its own is at the tag."""
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
        """Read `!int` or `!float`."""
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
        """Read one number of `!int` or `!float`."""
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
        """Read `!choice`."""
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
        """Read `!subset`."""
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
        """Read how many items a `!subset` may take."""
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
        """Read a whole number from 0."""
        value = settings.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.fail(f"{key} is a whole number from 0, got {shown(value)}", settings, key)
        return value

    def maybe(self, tagged: Tagged, settings: dict[Any, Json] | None, name: str) -> Node:
        """Read `!maybe`."""
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
        """Read `!repeat`."""
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
        """Read how often `!repeat` repeats."""
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
        times: Any = made.times
        times = self.names[times.name] if isinstance(times, Ref) else times
        times = times.body.node if isinstance(times, When) else times
        single = isinstance(times, (Number, Choice))
        counts: list[Any] = list(times.column.levels) if single else [times]
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts):
            self.fail("`times` is a whole number from 0, or a hole that gives one", tagged)
        made.most = max(counts)
        if made.most > MOST_REPEATS:
            self.fail(f"at most {MOST_REPEATS} repetitions, got {made.most}", tagged)

    def for_each(self, tagged: Tagged, settings: dict[Any, Json] | None, name: str) -> Node:
        """Read `!each`."""
        if not settings or "of" not in settings or "do" not in settings:
            self.fail("!each takes `{of: items, do: what to do with !ref item}`", tagged)
        self.known(settings, ("of", "do", "name", "when"), "!each")
        of = settings["of"]
        node: Any = None
        labels: list[str] = []
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
        """Say what the items are called; a `!ref` can be followed only when all has been read."""
        of = self.names[made.of.name] if isinstance(made.of, Ref) else made.of
        of = of.body.node if isinstance(of, When) else of
        if isinstance(of, Subset):
            made.labels = of.labels
        elif not isinstance(of, list):
            self.fail("`of` is a list, a group, a !subset, or a !ref to one", tagged)


def _scalar(value: Json) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))
