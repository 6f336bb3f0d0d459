"""Rules for short lists of numbers or words: how each is told, and whether a list meets it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from archon.types import Json

__all__ = ["NUMBERS", "RULES", "WORDS", "Entries", "Form", "Kind", "Rule", "read", "true_rules"]

Form = Literal["numbers", "words"]
Entries = Sequence[int] | Sequence[str]

VOCABULARY = (
    "apple", "arm", "bag", "ball", "bank", "bed", "bell", "bird", "boat", "book", "box", "bread",
    "cake", "car", "card", "cat", "chair", "clock", "cloud", "coat", "corn", "cow", "cup", "dish",
    "dog", "door", "duck", "ear", "egg", "eye", "farm", "field", "fire", "fish", "flag", "foot",
    "fork", "fox", "game", "gate", "gift", "girl", "glass", "goat", "gold", "grass", "hand", "hat",
    "hill", "horse", "house", "ice", "ink", "jam", "key", "king", "kite", "lake", "lamp", "leaf",
    "leg", "lion", "map", "milk", "moon", "mouse", "nail", "nest", "night", "nut", "oak", "ocean",
    "oil", "page", "pan", "park", "pen", "pig", "plant", "queen", "rain", "ring", "river", "road",
    "rock", "roof", "room", "root", "rope", "sand", "sea", "seed", "sheep", "ship", "shoe", "sky",
    "snow", "song", "star", "stone", "sun", "table", "tail", "tea", "tent", "tiger", "tooth",
    "town", "train", "tree", "uncle", "van", "voice", "wall", "watch", "water", "wheel", "wind",
    "wolf", "wood", "year", "zoo",
)  # fmt: skip

_SPLIT = re.compile(r"[,;\s]+")
_NUMBER = re.compile(r"-?\d{1,9}")
_WORD = re.compile(r"[a-z]{1,30}")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of rule.

    Attributes:
        form: the lists that it is about.
        phrases: how it is told; `{v}` is its value.
        meets: whether a list that is not empty meets it.
        values: the values for which a list meets it; drawn from when a problem is made.
        against: kinds that say the same or its opposite, so that no problem has both.
    """

    form: Form
    phrases: tuple[str, ...]
    meets: Callable[[Entries, Json], bool]
    values: Callable[[Entries], Sequence[Json]]
    against: tuple[str, ...] = ()


def _numbers(
    phrases: tuple[str, ...],
    meets: Callable[[Sequence[int], Json], bool],
    values: Callable[[Sequence[int]], Sequence[Json]],
    *against: str,
) -> Kind:
    return Kind("numbers", phrases, meets, values, against)  # type: ignore[arg-type]


def _words(
    phrases: tuple[str, ...],
    meets: Callable[[Sequence[str], Json], bool],
    values: Callable[[Sequence[str]], Sequence[Json]],
    *against: str,
) -> Kind:
    return Kind("words", phrases, meets, values, against)  # type: ignore[arg-type]


def _gap(xs: Sequence[int]) -> int:
    return min((abs(b - a) for a, b in pairwise(xs)), default=0)


def _letters(words: Sequence[str]) -> set[str]:
    return set("".join(words))


RULES: dict[str, Kind] = {
    "count": _numbers(
        ("exactly {v} numbers", "{v} numbers"),
        lambda xs, v: len(xs) == v, lambda xs: [len(xs)],
    ),
    "ascending": _numbers(
        ("each is greater than the one before", "in strictly ascending order"),
        lambda xs, _: all(a < b for a, b in pairwise(xs)), lambda _: [None],
        "descending", "distinct", "largest", "smallest",
    ),
    "descending": _numbers(
        ("each is less than the one before", "in strictly descending order"),
        lambda xs, _: all(a > b for a, b in pairwise(xs)), lambda _: [None],
        "ascending", "distinct", "largest", "smallest",
    ),
    "sum": _numbers(
        ("the sum is {v}", "they add up to {v}"),
        lambda xs, v: sum(xs) == v, lambda xs: [sum(xs)],
    ),
    "contains": _numbers(
        ("{v} is one of them", "it contains {v}"),
        lambda xs, v: v in xs, lambda xs: list(xs), "first", "last", "largest", "smallest",
    ),
    "no even": _numbers(
        ("none is even", "all are odd"),
        lambda xs, _: all(x % 2 for x in xs), lambda _: [None], "no odd", "evens",
    ),
    "no odd": _numbers(
        ("none is odd", "all are even"),
        lambda xs, _: not any(x % 2 for x in xs), lambda _: [None], "no even", "evens",
    ),
    "evens": _numbers(
        ("exactly {v} of them are even",),
        lambda xs, v: sum(x % 2 == 0 for x in xs) == v,
        lambda xs: [sum(x % 2 == 0 for x in xs)], "no even", "no odd",
    ),
    "within": _numbers(
        ("all are from {v[0]} to {v[1]}",),
        lambda xs, v: all(v[0] <= x <= v[1] for x in xs),
        lambda xs: [[min(xs) - a, max(xs) + b] for a in (0, 1) for b in (0, 1)],
        "largest", "smallest",
    ),
    "first": _numbers(
        ("the first is {v}", "it begins with {v}"),
        lambda xs, v: xs[0] == v, lambda xs: [xs[0]], "contains", "ends",
    ),
    "last": _numbers(
        ("the last is {v}", "it ends with {v}"),
        lambda xs, v: xs[-1] == v, lambda xs: [xs[-1]], "contains", "ends",
    ),
    "distinct": _numbers(
        ("no number occurs twice", "all are different"),
        lambda xs, _: len(set(xs)) == len(xs), lambda _: [None], "ascending", "descending", "gap",
    ),
    "largest": _numbers(
        ("the largest is {v}",), lambda xs, v: max(xs) == v, lambda xs: [max(xs)],
        "ascending", "descending", "contains", "within",
    ),
    "smallest": _numbers(
        ("the smallest is {v}",), lambda xs, v: min(xs) == v, lambda xs: [min(xs)],
        "ascending", "descending", "contains", "within",
    ),
    "gap": _numbers(
        ("neighbours differ by at least {v}",),
        lambda xs, v: _gap(xs) >= v, lambda xs: [_gap(xs)] if _gap(xs) > 1 else [], "distinct",
    ),
    "ends": _numbers(
        ("the first and the last add up to {v}",),
        lambda xs, v: xs[0] + xs[-1] == v, lambda xs: [xs[0] + xs[-1]], "first", "last",
    ),
    "words": _words(
        ("exactly {v} words", "{v} words"),
        lambda ws, v: len(ws) == v, lambda ws: [len(ws)],
    ),
    "alphabetical": _words(
        ("in alphabetical order",),
        lambda ws, _: all(a <= b for a, b in pairwise(ws)), lambda _: [None],
    ),
    "length": _words(
        ("every word has {v} letters",),
        lambda ws, v: all(len(w) == v for w in ws),
        lambda ws: [len(ws[0])], "letters", "longest",
    ),
    "letters": _words(
        ("{v} letters in all",),
        lambda ws, v: sum(map(len, ws)) == v, lambda ws: [sum(map(len, ws))], "length",
    ),
    "longest": _words(
        ("the longest word has {v} letters",),
        lambda ws, v: max(map(len, ws)) == v, lambda ws: [max(map(len, ws))], "length",
    ),
    "has word": _words(
        ("the word {v} is one of them", "it contains the word {v}"),
        lambda ws, v: v in ws, lambda ws: list(ws),
    ),
    "begins": _words(
        ("the first word begins with {v}",),
        lambda ws, v: ws[0].startswith(v), lambda ws: [ws[0][0]],
    ),
    "closes": _words(
        ("the last word ends with {v}",),
        lambda ws, v: ws[-1].endswith(v), lambda ws: [ws[-1][-1]],
    ),
    "without": _words(
        ("no word contains the letter {v}", "the letter {v} does not occur"),
        lambda ws, v: v not in _letters(ws), lambda ws: sorted(set("aeiorst") - _letters(ws)),
    ),
    "initials": _words(
        ("all begin with different letters",),
        lambda ws, _: len({w[0] for w in ws}) == len(ws), lambda _: [None],
    ),
}  # fmt: skip

NUMBERS = tuple(name for name, kind in RULES.items() if kind.form == "numbers")
WORDS = tuple(name for name, kind in RULES.items() if kind.form == "words")


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of rule with its value, None without one."""

    name: str
    value: Json = None

    @property
    def kind(self) -> Kind:
        """What kind of rule it is."""
        return RULES[self.name]

    def met(self, entries: Entries | None) -> bool:
        """Whether a list meets the rule; none does that could not be read."""
        return bool(entries) and self.kind.meets(entries or (), self.value)

    def told(self, rng: random.Random) -> str:
        """The rule in words."""
        return rng.choice(self.kind.phrases).format(v=self.value)


def read(text: str | None, form: Form) -> tuple[int, ...] | tuple[str, ...] | None:
    """Read a list from an answer: entries between commas or spaces, nothing else.

    >>> read("3, 7, 9.", "numbers"), read("Sun and moon!", "numbers")
    ((3, 7, 9), None)
    """
    if text is None or len(text) > 1000:
        return None
    bare = text.strip().strip("[](){}`'\".").strip()
    parts = [part for part in _SPLIT.split(bare) if part]
    if form == "numbers":
        if not parts or not all(_NUMBER.fullmatch(part) for part in parts):
            return None
        return tuple(int(part) for part in parts)
    words = [part.strip("'\".").lower() for part in parts]
    if not words or not all(_WORD.fullmatch(word) for word in words):
        return None
    return tuple(words)


def true_rules(entries: Entries, form: Form, rng: random.Random) -> list[Rule]:
    """Every rule that a list meets, one of each kind, in a random order; its length first."""
    names = list(NUMBERS if form == "numbers" else WORDS)
    head, rest = names[0], names[1:]
    rng.shuffle(rest)
    found = []
    for name in (head, *rest):
        kind = RULES[name]
        values = kind.values(entries)
        rule = Rule(name, rng.choice(values)) if values else None
        if rule is not None and rule.met(entries):
            found.append(rule)
    return found
