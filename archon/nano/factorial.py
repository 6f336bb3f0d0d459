"""Five techniques, alone and in all combinations, through archon itself.

Every architecture begins with eight samples of the model that is at home in the task. The
techniques:

* ensemble: half of the samples are another model's;
* verify: only what passes the model's own check goes on;
* critique: a review stands beside every answer where answers are compared;
* rank: the better half goes on;
* fuse: one answer is written from those that are left; without it they vote.

All 32 share a pool, so that equal calls are made once and differences are between equal samples.
Costs are the nominal dollars that each would use on its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import archon
from archon.base import BENCHMARKS, Node
from archon.layers import Critique, Fuse, Generate, Rank, Verify, Vote
from archon.model import Model

__all__ = [
    "HOMES",
    "TECHNIQUES",
    "Measured",
    "Subset",
    "built",
    "factorial",
    "subsets",
    "vote_at",
    "votes",
]

TECHNIQUES = ("ensemble", "verify", "critique", "rank", "fuse")
SAMPLES = 8
VOTES = (8, 16, 32, 64)
HOMES: Mapping[str, tuple[str, str]] = {
    "arithmetic": ("nano-math", "nano"),
    "listfn": ("nano-code", "nano"),
    "countdown": ("nano-math", "nano"),
    "constraints": ("nano", "nano-math"),
}
"""The model at home in each benchmark, and the one that joins it in an ensemble."""
Subset = frozenset[str]


@dataclass(frozen=True, slots=True)
class Measured:
    """What an architecture came to.

    Attributes:
        scores: of the items.
        usd: nominal dollars for an item, on average.
    """

    scores: tuple[float, ...]
    usd: float

    @property
    def accuracy(self) -> float:
        """Mean score."""
        return sum(self.scores) / len(self.scores)


def subsets() -> Iterator[Subset]:
    """All 32 combinations, from none to all five."""
    for size in range(len(TECHNIQUES) + 1):
        yield from map(frozenset, combinations(TECHNIQUES, size))


def model_of(weights: Path, name: str) -> Model:
    """A model of the family from a folder of all models, as the examples sample it."""
    folder = (weights / name).resolve()
    return Model(f"local/{folder}", profile="nano", temperature=0.8, max_tokens=256)


def built(chosen: Subset, home: Model, other: Model, benchmark: str) -> Node:
    """The architecture of a combination."""
    arch: Node
    if "ensemble" in chosen:
        half = SAMPLES // 2
        arch = Generate(model=home, samples=half) | Generate(model=other, samples=half)
    else:
        arch = Generate(model=home, samples=SAMPLES)
    if "verify" in chosen:
        arch = arch >> Verify(model=home)
    if "critique" in chosen:
        arch = arch >> Critique(model=home)
    if "rank" in chosen:
        arch = arch >> Rank(model=home, keep=SAMPLES // 2)
    return arch >> (Fuse(model=home) if "fuse" in chosen else _vote(benchmark))


def _vote(benchmark: str) -> Vote:
    # Programs are compared as whole texts.
    return Vote(answer="text") if benchmark == "listfn" else Vote()


def measured(
    arch: Node, benchmark: str, level: int, items: int, session: archon.Session
) -> Measured:
    """Evaluate an architecture on test items."""
    graded = BENCHMARKS.get(benchmark)(level=level)
    found = archon.evaluate(arch, graded, limit=items, session=session, trails=False)
    used = [row.used.microusd or 0 for row in found.rows]
    return Measured(tuple(row.score or 0.0 for row in found.rows), sum(used) / len(used) / 1e6)


def factorial(
    weights: Path, benchmark: str, level: int, items: int, session: archon.Session
) -> dict[Subset, Measured]:
    """Measure all combinations on a benchmark."""
    home, other = (model_of(weights, name) for name in HOMES[benchmark])
    return {
        chosen: measured(built(chosen, home, other, benchmark), benchmark, level, items, session)
        for chosen in subsets()
    }


def votes(
    weights: Path, benchmark: str, level: int, items: int, session: archon.Session
) -> list[Measured]:
    """Measure votes of more and more samples of the model at home."""
    home = model_of(weights, HOMES[benchmark][0])
    found = []
    for count in VOTES:
        arch = Generate(model=home, samples=count) >> _vote(benchmark)
        found.append(measured(arch, benchmark, level, items, session))
    return found


def vote_at(curve: Sequence[Measured], usd: float) -> Measured:
    """The cheapest vote that costs at least as much; the dearest where none does."""
    return next((one for one in curve if one.usd >= usd), curve[-1])
