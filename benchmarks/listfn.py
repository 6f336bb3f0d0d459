"""Functions on lists of integers, described in English: writing them is scored by running them.

A function is one to six steps: filters, maps, orders, slices, and at the end perhaps a number. The
key that decides the split is what the function does on fixed lists, so that two programs that
behave alike never stand in different splits, whatever their steps and words are.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from archon.benchmarks.listfn_steps import ENDS, INNER, OPS, Step, Value, program, run
from archon.benchmarks.listfn_tests import fingerprint, shown
from archon.benchmarks.listfn_words import Wording, describe, worded
from archon.benchmarks.procedural import Split, drawn

__all__ = ["ENTRY", "LEVELS", "Function", "example", "problems"]

LEVELS = (1, 2, 3, 4, 5, 6)
ENTRY = "f"
_END = 0.6
"""Share of the functions that end in a number."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function with its description.

    Attributes:
        steps: what it does.
        key: hash of what it does on fixed lists.
        level: how many steps.
        examples: lists that the description shows.
        wording: what of the description misleads.
        about: the description without the examples.
        id: the item's name.
    """

    steps: tuple[Step, ...]
    key: str
    level: int
    examples: tuple[tuple[int, ...], ...] = ()
    wording: Wording = Wording()
    about: str = ""
    id: str = ""

    @property
    def question(self) -> str:
        """The whole task."""
        lines = [example(row, run(self.steps, row)) for row in self.examples]
        return "\n".join([self.about, *lines])

    @property
    def program(self) -> str:
        """The reference."""
        return program(self.steps)


def example(numbers: tuple[int, ...], value: Value) -> str:
    """A call and its value, as tasks and asserts write it."""
    return f"{ENTRY}({list(numbers)}) == {value}"


def draw(level: int, rng: random.Random) -> Function:
    """A function in which every step matters."""
    while True:
        ends = rng.random() < _END and (level > 1 or rng.random() < 0.2)
        names = [rng.choice(INNER) for _ in range(level - ends)]
        names += [rng.choice(ENDS)] if ends else []
        steps = tuple(Step(name, _number(name, rng)) for name in names)
        behaviour = fingerprint(steps)
        if _matters(steps, behaviour):
            digest = hashlib.blake2b(repr(behaviour).encode(), digest_size=8)
            return Function(steps, digest.hexdigest(), level)


def _number(name: str, rng: random.Random) -> int:
    op = OPS[name]
    if not op.numbered:
        return 0
    # Half of the numbers are small, so that they fit lists of small numbers.
    most = min(op.most, 10) if rng.random() < 0.5 else op.most
    return rng.randint(op.least, most)


def _matters(steps: tuple[Step, ...], behaviour: tuple[Value, ...]) -> bool:
    """Whether the function tells lists apart, and no step could be left out."""
    if 2 * len(set(map(repr, behaviour))) < len(behaviour):
        return False
    inner = [i for i, step in enumerate(steps) if step.op.kind != "end"]
    if len(steps) == 1:
        return True
    return all(fingerprint(steps[:i] + steps[i + 1 :]) != behaviour for i in inner)


def tell(found: Function, name: str, rng: random.Random) -> Function:
    """Put a function into words, and choose its examples."""
    wording = worded(found.steps, rng)
    about = describe(found.steps, wording, rng)
    examples = tuple(shown(found.steps, rng))
    return replace(found, wording=wording, about=about, examples=examples, id=name)


def problems(level: int, split: Split, seed: int = 0) -> Iterator[Function]:
    """Functions of one level and split, the same ones in every process; no task twice.

    At level 1, where there are few functions, one may come again in other words.

    Raises:
        ValueError: The level does not exist.
        RuntimeError: The level has no further task within reach.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {LEVELS}, got {level}")
    return drawn(f"listfn-{level}-{split}-{seed}", split, lambda rng: draw(level, rng), tell)
