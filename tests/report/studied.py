"""Studies as they would be after a search, made without one: known skills, drawn outcomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archon.base import Architecture
from archon.config import Source
from archon.search import Books, Study, Table, TemplateSpace, Told, read_space
from archon.search.books import Cells
from archon.search.posterior import standings
from archon.search.reading import TAGS
from archon.search.record import Moment
from archon.types import Usage

SPACE = """\
models:
  good: {model: fake/good, max_tokens: 50}
  poor: {model: fake/poor, max_tokens: 50}
holes:
  samples: !choice [1, 2, 4, 8]
stages:
  - generate: {model: !choice {name: writer, of: [good, poor]}, samples: !ref samples}
  - !maybe {name: critique, of: {critique: {model: good}}}
  - !choice {name: end, of: {fuse: {fuse: {model: good}}, rank: {rank: {model: good}}}}
"""
GROUPS = ("algebra", "geometry", "number theory")
Skill = Callable[[Architecture, NDArray[np.str_]], NDArray[np.float64]]
"""The chance of being right on items of the given groups."""


@cache
def space() -> tuple[TemplateSpace, Table]:
    """Return a space of 32 architectures."""
    found = read_space(Source(SPACE, "space.yaml", TAGS))
    return found, found.table()


def kinds(architecture: Architecture) -> set[str]:
    """Return the kinds of its layers."""
    return {layer.kind for _, layer in architecture.walk()}


def helped_in_algebra(architecture: Architecture, groups: NDArray[np.str_]) -> NDArray[np.float64]:
    """Be right on half the items; with critique on four of five in algebra; less with `poor`."""
    poor = any(model.model == "fake/poor" for model in architecture.models())
    base = 0.5 - 0.15 * poor
    lift = 0.3 * ("critique" in kinds(architecture)) * (groups == "algebra")
    return np.asarray(base + lift, float)


@dataclass
class Studied:
    """A study to be.

    Attributes:
        items: on dev.
        arms: rows that are measured, each on the first `seen` items.
        failed: rows whose trial fails.
        change: of fields of the study.
    """

    items: int = 180
    arms: Sequence[int] = tuple(range(32))
    seen: Callable[[int], int] = lambda row: 180
    skill: Skill = helped_in_algebra
    groups: Sequence[str] = GROUPS
    failed: dict[int, str] = field(default_factory=dict)
    objectives: tuple[str, ...] = ("score",)
    ended: str = "no more ideas"
    name: str = "toy"
    change: dict[str, Any] = field(default_factory=dict)

    def make(self) -> Study:
        """Return it."""
        table: Any = space()[1]
        names = np.array([self.groups[n % len(self.groups)] for n in range(self.items)])
        books = Books(table, self.items, objectives=self.objectives)
        history, calls = [], 0
        for number, row in enumerate(self.arms):
            told, cells = self._trial(number, row, names)
            books.round = number
            books.tell(told, cells)
            calls += 100
            if number % 8 == 7:
                best = standings(books)
                history += [
                    Moment(round=number, trials=number + 1, calls=calls, usd=calls / 1e4,
                           arm=s.arm, mean=s.mean, sd=s.sd, items=books.seen(s.arm))
                    for s in best[:1]
                ]  # fmt: skip
        found: dict[str, Any] = {
            "name": self.name, "books": books, "standings": standings(books), "found": None,
            "settings": SETTINGS, "budget": {"calls": 10000}, "spent": Usage(calls, 1, 1, 10, 1.0),
            "alone": 4 * calls, "ended": self.ended, "builder": table.architecture,
            "groups": tuple(names), "reserve": 0.3, "history": tuple(history),
        }  # fmt: skip
        return Study(**(found | self.change))

    def _trial(self, number: int, row: int, names: NDArray[np.str_]) -> tuple[Told, Cells | None]:
        if row in self.failed:
            told = Told(number, number, row, 0, self.items, "failed", reason=self.failed[row])
            return told, None
        stop = min(self.items, self.seen(row))
        architecture = space()[1].architecture(row)
        chance = self.skill(architecture, names[:stop])
        drawn = np.random.default_rng(row).random(stop)
        calls = np.full(stop, float(architecture.bound().calls))
        amounts = {"calls": calls, "tokens": 50 * calls, "usd": calls / 1e4, "latency": calls}
        told = Told(number, number, row, 0, stop, "done")
        return told, Cells((drawn < chance).astype(float), amounts)


SETTINGS = {
    "benchmark": {"name": "sums"}, "items": {"dev": 180, "confirm": 60, "test": 90},
    "searcher": {"name": "race"}, "seed": 0, "objective": ["score"],
}  # fmt: skip


def contender(name: str, score: float | None, low: float, high: float, n: int = 90) -> Any:
    """Return an entry of what confirm and test found."""
    return {
        "name": name, "digest": f"d-{name}", "row": 3, "note": "finalist 1", "items": n,
        "score": score, "low": low, "high": high,
        "costs": {"calls": 3.0, "tokens": 150.0, "usd": 0.0003, "flops": None, "latency": 1.0},
        "architecture": {},
    }  # fmt: skip
