"""Procedural multi-step arithmetic word problems with splits that cannot overlap.

A problem is a sum of signed terms (``48 + 3 * 8 - 17``) told as a short story.  Its ``key`` is
that sum in canonical order, without names and wording; a hash of the key alone decides whether
the problem belongs to ``train``, ``dev`` or ``test``.  Two splits can therefore never share a
problem, whatever the seed, the level or the wording.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from archon.base import BENCHMARKS, Item
from archon.benchmarks.procedural import GIVE_UP_AFTER, Procedural, Split, listing, split_of
from archon.types import AnswerKind, Task

LEVELS = (1, 2, 3, 4, 5)
INSTRUCTION = "Give the answer after ####."


@dataclass(frozen=True, slots=True)
class Term:
    """One signed quantity of a story: ``count`` groups of ``size``, or just ``size``."""

    sign: int
    count: int
    size: int

    @property
    def value(self) -> int:
        """The magnitude, without the sign."""
        return self.count * self.size

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers the story states for this term."""
        return (self.size,) if self.count == 1 else (self.count, self.size)

    @property
    def text(self) -> str:
        """Canonical text, the smaller factor first."""
        body = "*".join(str(number) for number in sorted(self.numbers))
        return f"{'+' if self.sign > 0 else '-'}{body}"


@dataclass(frozen=True, slots=True)
class Problem:
    """A word problem with its answer and one reference working."""

    id: str
    question: str
    answer: int
    level: int
    steps: tuple[str, ...]
    key: str


@dataclass(frozen=True, slots=True)
class LevelSpec:
    """How hard a level is: number of terms, of products among them, and the ranges of numbers."""

    terms: tuple[int, int]
    products: tuple[int, int]
    plain: tuple[int, int]
    count: tuple[int, int]
    size: tuple[int, int]


SPECS: dict[int, LevelSpec] = {
    1: LevelSpec(terms=(2, 3), products=(0, 0), plain=(2, 49), count=(2, 5), size=(2, 9)),
    2: LevelSpec(terms=(3, 3), products=(0, 1), plain=(5, 60), count=(2, 5), size=(2, 9)),
    3: LevelSpec(terms=(4, 5), products=(0, 1), plain=(10, 99), count=(2, 5), size=(3, 12)),
    4: LevelSpec(terms=(5, 6), products=(0, 1), plain=(10, 99), count=(2, 5), size=(3, 12)),
    5: LevelSpec(terms=(6, 7), products=(1, 2), plain=(10, 199), count=(2, 9), size=(3, 12)),
}


def key_of(terms: tuple[Term, ...]) -> str:
    """Canonical form of a problem: its terms in sorted order."""
    return "".join(sorted(term.text for term in terms))


def parse_key(key: str) -> tuple[Term, ...]:
    """The terms behind a canonical key, in canonical order."""
    terms = []
    for part in key.replace("-", " -").replace("+", " +").split():
        numbers = [int(number) for number in part[1:].split("*")]
        count, size = numbers if len(numbers) == 2 else (1, numbers[0])
        terms.append(Term(1 if part[0] == "+" else -1, count, size))
    return tuple(terms)


def total_of(terms: tuple[Term, ...]) -> int:
    """The answer of a problem."""
    return sum(term.sign * term.value for term in terms)


def reference_steps(terms: tuple[Term, ...]) -> tuple[str, ...]:
    """One correct working: every product just before it is needed, in story order."""
    steps: list[str] = []
    total = 0
    for place, term in enumerate(terms):
        if term.count > 1:
            steps.append(f"{term.count} * {term.size} = {term.value}")
        after = total + term.sign * term.value
        if place:
            steps.append(f"{total} {'+' if term.sign > 0 else '-'} {term.value} = {after}")
        total = after
    return tuple(steps)


def _draw(spec: LevelSpec, rng: random.Random) -> tuple[Term, ...]:
    """Terms in story order: all stated numbers differ and the running total never goes below 0."""
    length = rng.randint(*spec.terms)
    products = set(rng.sample(range(length), rng.randint(*spec.products)))
    used: set[int] = set()
    terms: list[Term] = []
    total = 0
    while len(terms) < length:
        product = len(terms) in products
        count = rng.randint(*spec.count) if product else 1
        size = rng.randint(*(spec.size if product else spec.plain))
        sign = 1 if not terms or rng.random() < 0.5 or count * size > total else -1
        term = Term(sign, count, size)
        fresh = {*term.numbers, term.value}
        if used & fresh or (product and count == size):
            continue
        used |= fresh
        terms.append(term)
        total += sign * term.value
    return tuple(terms)


@dataclass(frozen=True, slots=True)
class _Theme:
    """Wordings of one kind of story; ``{n}`` is a plain quantity, ``{a}`` groups of ``{b}``."""

    start: tuple[str, ...]
    start_groups: tuple[str, ...]
    gain: tuple[str, ...]
    gain_groups: tuple[str, ...]
    loss: tuple[str, ...]
    loss_groups: tuple[str, ...]
    ask: tuple[str, ...]


_THEMES = (
    _Theme(
        start=("{N} has {n} {o}.", "{N} starts with {n} {o}.", "{N} owns {n} {o}."),
        start_groups=("{N} has {a} bags with {b} {o} in each.", "{N} has {a} bags of {b} {o}."),
        gain=(
            "{p} buys {n} more {o}.",
            "{p} finds {n} {o}.",
            "{F} gives {N} {n} {o}.",
            "{p} gets {n} more from {F}.",
        ),
        gain_groups=(
            "{p} buys {a} bags of {b} {o}.",
            "{a} friends give {N} {b} {o} each.",
            "{p} gets {a} boxes with {b} {o} in each.",
        ),
        loss=(
            "{p} gives {n} {o} to {F}.",
            "{p} loses {n} {o}.",
            "{p} sells {n} of them.",
            "{F} takes {n} {o}.",
        ),
        loss_groups=(
            "{p} gives {b} {o} to each of {a} friends.",
            "{p} sells {a} bags of {b} {o}.",
        ),
        ask=("How many {o} does {N} have now?", "How many {o} does {N} have in the end?"),
    ),
    _Theme(
        start=("{N} has {n} dollars.", "{N} starts with {n} dollars."),
        start_groups=("{N} works {a} days for {b} dollars a day.",),
        gain=("{p} earns {n} dollars.", "{F} pays {N} {n} dollars.", "{p} wins {n} dollars."),
        gain_groups=(
            "{p} sells {a} {o} for {b} dollars each.",
            "{p} works {a} days for {b} dollars a day.",
        ),
        loss=(
            "{p} spends {n} dollars.",
            "{p} pays {F} {n} dollars.",
            "{p} buys a gift for {n} dollars.",
        ),
        loss_groups=(
            "{p} buys {a} {o} for {b} dollars each.",
            "{p} gives {b} dollars to each of {a} friends.",
        ),
        ask=("How many dollars does {N} have now?", "How many dollars are left?"),
    ),
    _Theme(
        start=("A shop has {n} {o}.", "There are {n} {o} in a shop."),
        start_groups=(
            "A shop has {a} boxes of {b} {o}.",
            "A shop has {a} boxes with {b} {o} in each.",
        ),
        gain=("A truck brings {n} more.", "The shop buys {n} {o}.", "{N} brings {n} {o}."),
        gain_groups=("The shop gets {a} boxes of {b} {o}.", "{a} trucks bring {b} {o} each."),
        loss=("The shop sells {n} {o}.", "{N} buys {n} of them.", "A truck takes {n} {o}."),
        loss_groups=("The shop sells {a} boxes of {b} {o}.", "{a} people buy {b} {o} each."),
        ask=("How many {o} are in the shop now?", "How many {o} does the shop have now?"),
    ),
    _Theme(
        start=("There are {n} people at a fair.", "A fair starts with {n} people."),
        start_groups=("{a} buses bring {b} people each to a fair.",),
        gain=("{n} people come.", "{n} more people come with {N}.", "A train brings {n} people."),
        gain_groups=("{a} buses bring {b} people each.",),
        loss=("{n} people go home.", "{n} people leave with {N}.", "A train takes {n} people."),
        loss_groups=("{a} buses leave with {b} people each.",),
        ask=("How many people are at the fair now?", "How many people are left at the fair?"),
    ),
)

_SHE = ("Mia", "Anna", "Lena", "Ruth", "Zoe", "Nora", "Ida", "Eva")
_HE = ("Tom", "Ben", "Omar", "Leo", "Max", "Sam", "Ivan", "Hugo")
_OBJECTS = (
    "apples", "pens", "books", "cards", "shells", "stamps", "coins", "plums",
    "eggs", "nuts", "beads", "balls", "cups", "hats", "toys", "roses",
)  # fmt: skip
_LINKS = ("Then ", "Later ", "Next ")


def _pick_line(theme: _Theme, term: Term, first: bool, rng: random.Random) -> str:
    """A sentence pattern for one term."""
    plain = term.count == 1
    if first:
        return rng.choice(theme.start if plain else theme.start_groups)
    if term.sign > 0:
        return rng.choice(theme.gain if plain else theme.gain_groups)
    return rng.choice(theme.loss if plain else theme.loss_groups)


def _tell(terms: tuple[Term, ...], rng: random.Random) -> str:
    """The story of the terms, in their order, and the question."""
    theme = rng.choice(_THEMES)
    people, pronoun = rng.choice(((_SHE, "she"), (_HE, "he")))
    name = rng.choice(people)
    friend = rng.choice([other for other in _SHE + _HE if other != name])
    thing = rng.choice(_OBJECTS)
    lines = []
    for place, term in enumerate(terms):
        pattern = _pick_line(theme, term, place == 0, rng)
        lead = rng.choice(_LINKS) if place and rng.random() < 0.2 else ""
        if lead and pattern.startswith(("The ", "A ")):
            pattern = pattern[0].lower() + pattern[1:]
        subject = pronoun if lead else pronoun.capitalize()
        lines.append(
            lead
            + pattern.format(
                N=name, F=friend, p=subject, o=thing, n=term.size, a=term.count, b=term.size
            )
        )
    lines.append(rng.choice(theme.ask).format(N=name, o=thing))
    return " ".join([*lines, INSTRUCTION])


def problems(level: int, split: Split, seed: int = 0) -> Iterator[Problem]:
    """Distinct problems of one level and split, the same ones in every process.

    Raises:
        ValueError: The level does not exist.
        RuntimeError: The level has no further distinct problem within reach.
    """
    if level not in SPECS:
        raise ValueError(f"level must be one of {LEVELS}, got {level}")
    rng = random.Random(f"archon-arithmetic/{level}/{split}/{seed}")
    seen: set[str] = set()
    misses = 0
    while misses < GIVE_UP_AFTER:
        terms = _draw(SPECS[level], rng)
        key = key_of(terms)
        if key in seen or split_of(key) != split:
            misses += 1
            continue
        name = f"arithmetic-{level}-{split}-{seed}-{len(seen)}"
        seen.add(key)
        misses = 0
        question = _tell(terms, rng)
        yield Problem(name, question, total_of(terms), level, reference_steps(terms), key)
    raise RuntimeError(f"level {level} {split}: no new problem after {len(seen)}")


def problem(level: int, split: Split, index: int, seed: int = 0) -> Problem:
    """The problem at ``index`` of the listing of (level, split, seed)."""
    return listing(problems, level, split, seed)[index]


class Arithmetic(Procedural[Problem]):
    """Word problems of one level, or of all levels in turn, behind the protocol of benchmarks.

    Args:
        level: 1 to 5, or `mixed` for 1, 2, 3, 4, 5, 1, 2 …
    """

    name = "arithmetic"
    about = "multi-step arithmetic word problems, generated; levels 1 to 5"
    answer: AnswerKind = "number"
    levels = LEVELS
    stream = staticmethod(problems)

    def item(self, problem: Problem) -> Item:
        """Return a problem as an item."""
        task = Task.of(problem.question, id=problem.id, answer="number")
        return Item(task, problem.answer, group=f"level {problem.level}")


BENCHMARKS.add("arithmetic", Arithmetic)
