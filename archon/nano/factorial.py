"""Five techniques, alone and in all combinations, through archon itself.

Every architecture begins with eight samples of the model that is at home in the task. The
techniques:

* ensemble: half of the samples are another model's;
* verify: only what passes the judge's check goes on;
* critique: a review of the judge stands beside every answer where answers are compared;
* rank: the better half goes on, by a reward model where there is one, else by the judge;
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
from archon.nano.members import MEMBERS

__all__ = [
    "HOMES",
    "TECHNIQUES",
    "Home",
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
Subset = frozenset[str]


@dataclass(frozen=True, slots=True)
class Home:
    """Who does what in a benchmark.

    Attributes:
        writer: the model that is best at it.
        other: the one that joins it in an ensemble.
        judge: who checks, reviews, compares and fuses.
        scorer: the reward model, if there is one.
        think: whether those who answer think first.
    """

    writer: str
    other: str
    judge: str
    scorer: str = ""
    think: bool = False


HOMES: Mapping[str, Home] = {
    "arithmetic": Home("nano-math", "nano-sharp", "nano-judge", "nano-prm"),
    "listfn": Home("nano-code", "nano", "nano-code", "nano-orm"),
    "countdown": Home("nano", "nano-math", "nano", think=True),
    "constraints": Home("nano", "nano-math", "nano"),
}
"""Who does what in each benchmark."""


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


def model_of(weights: Path, name: str, temperature: float = 0.8, *, think: bool = False) -> Model:
    """A model of the family from a folder of all models."""
    folder, effort = (weights / name).resolve(), "medium" if think else None
    return Model(
        f"local/{folder}", profile="nano", temperature=temperature, max_tokens=256, effort=effort
    )


def built(chosen: Subset, weights: Path, benchmark: str) -> Node:
    """The architecture of a combination."""
    home = HOMES[benchmark]
    writer = model_of(weights, home.writer, think=home.think)
    judge = model_of(weights, home.judge, 0.0)
    arch: Node
    if "ensemble" in chosen:
        half = SAMPLES // 2
        other = model_of(weights, home.other, think=home.think)
        arch = Generate(model=writer, samples=half) | Generate(model=other, samples=half)
    else:
        arch = Generate(model=writer, samples=SAMPLES)
    if "verify" in chosen:
        arch = arch >> Verify(model=judge)
    if "critique" in chosen:
        arch = arch >> Critique(model=judge)
    if "rank" in chosen:
        arch = arch >> _ranking(weights, home, judge)
    return arch >> (Fuse(model=judge) if "fuse" in chosen else _vote(benchmark))


def _ranking(weights: Path, home: Home, judge: Model) -> Rank:
    if not home.scorer:
        return Rank(model=judge, keep=SAMPLES // 2)
    joined = {"steps": "mean"} if MEMBERS[home.scorer].steps else {}
    scorer = Model(f"local/{(weights / home.scorer).resolve()}", params=joined)
    return Rank(model=scorer, method="scorer", keep=SAMPLES // 2)


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
    return {
        chosen: measured(built(chosen, weights, benchmark), benchmark, level, items, session)
        for chosen in subsets()
    }


def votes(
    weights: Path, benchmark: str, level: int, items: int, session: archon.Session
) -> list[Measured]:
    """Measure votes of more and more samples of the model at home."""
    home = HOMES[benchmark]
    writer = model_of(weights, home.writer, think=home.think)
    found = []
    for count in VOTES:
        arch = Generate(model=writer, samples=count) >> _vote(benchmark)
        found.append(measured(arch, benchmark, level, items, session))
    return found


def vote_at(curve: Sequence[Measured], usd: float) -> Measured:
    """The cheapest vote that costs at least as much; the dearest where none does."""
    return next((one for one in curve if one.usd >= usd), curve[-1])
