"""What a study is when it ends, or stops: its trials, the best so far, the winner and its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from archon import stats
from archon.config import dumps
from archon.search.books import Books, Standing, Told, own_rows
from archon.types import Json, Usage

if TYPE_CHECKING:
    from pathlib import Path

    from archon.base import Architecture
    from archon.search.record import Moment

__all__ = ["Contender", "Finding", "Study", "StudyProgress"]


@dataclass(frozen=True)
class Contender:
    """An architecture with what was measured of it on one part of the items.

    Attributes:
        name: what it is called in tables.
        row: its row in the table; None for one that is not in the space.
        scores: by item; None where an item is left out.
        costs: means per item by name; None is unknown.
        note: what was done to it, or which rank it came in with.
    """

    name: str
    architecture: Architecture
    row: int | None
    scores: Mapping[str, float | None]
    costs: Mapping[str, float | None]
    note: str = ""

    @property
    def known(self) -> list[float]:
        """Scores of the items that count."""
        return [score for score in self.scores.values() if score is not None]

    @property
    def mean(self) -> float:
        """Mean score; NaN without any."""
        return sum(self.known) / len(self.known) if self.known else float("nan")

    def interval(self, confidence: float = 0.95) -> stats.Interval | None:
        """Return the interval of the mean score."""
        return stats.interval(self.known, confidence=confidence) if self.known else None

    def to_json(self, confidence: float = 0.95) -> Json:
        """Return the figures and the architecture, without the scores of single items."""
        span = self.interval(confidence)
        return {
            "name": self.name, "digest": self.architecture.digest(), "row": self.row,
            "note": self.note, "items": len(self.known),
            "score": self.mean if self.known else None,
            "low": None if span is None else stats.bounded(span.low),
            "high": None if span is None else stats.bounded(span.high),
            "costs": dict(self.costs), "architecture": self.architecture.dump(),
        }  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """What confirm and test found.

    Attributes:
        stage: `confirmed`, or `crossed` where folds printed the score.
        finalists: on the confirm items, best first.
        winner: on the items of the printed score.
        front: of several objectives, on the items of the printed score, with intervals that hold
            together; the winner alone otherwise.
        baselines: on the items of the printed score.
        verdict: what may be said.
        looks: how often the items of the printed score were looked at, this time included, by
            any study on this benchmark.
        cut_short: the limit that ended it before all items were measured.
    """

    stage: str
    finalists: tuple[Contender, ...]
    winner: Contender
    front: tuple[Contender, ...]
    baselines: tuple[Contender, ...]
    verdict: Json
    looks: int
    cut_short: str = ""

    def to_json(self) -> Json:
        """Return everything but the scores of single items."""
        together = 1 - 0.05 / max(1, len(self.front))
        return {
            "stage": self.stage, "winner": self.winner.to_json(),
            "finalists": [contender.to_json() for contender in self.finalists],
            "front": [contender.to_json(together) for contender in self.front],
            "baselines": [contender.to_json() for contender in self.baselines],
            "verdict": self.verdict, "looks": self.looks, "cut_short": self.cut_short,
        }  # fmt: skip


@dataclass(frozen=True)
class StudyProgress:
    """How far a study is.

    Attributes:
        stage: `ranking`, `search`, `confirm`, `test` …
        trials: those that ended.
        arms: architectures that were measured.
        failed: trials that failed, with the latest reason.
        best: what is recommended now; None before the first.
        best_name: what it is.
        spent: newly, by all processes.
        room: share of the budget that the search may still spend; None without a budget.
        alone: calls that the trials would have cost without sharing.
        items: outcomes of this process so far.
        dropped: arms whose chance of being within a point of the best is below 5 %.
        recent: why the latest trials failed.
    """

    stage: str
    trials: int
    arms: int
    failed: int
    best: Standing | None
    best_name: str
    spent: Usage
    room: float | None
    reserve: float
    alone: int
    items: int
    dropped: int
    recent: str = ""


@dataclass(frozen=True, eq=False)
class Study:
    """A study.

    Attributes:
        name: of its folder.
        books: all that was measured.
        standings: what is believed of the measured architectures, best first.
        found: what confirm and test say; None when the study stopped before.
        settings: what decided it.
        budget: of the whole.
        spent: newly, by all its processes, since it began.
        alone: calls that its trials would have cost without sharing.
        ended: why the search ended: `budget of …`, `trials`, `no more ideas`, `stopped`.
        folder: where it is kept; None in memory.
        notes: what one should know.
        groups: of the dev items, in the study's order.
        reserve: share of the budget that is held for confirm and test.
        history: what it recommended round by round.
    """

    name: str
    books: Books
    standings: Sequence[Standing]
    found: Finding | None
    settings: Mapping[str, Json]
    budget: Json
    spent: Usage
    alone: int
    ended: str
    builder: Any = field(repr=False)
    folder: Path | None = None
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    reserve: float = 0.0
    history: tuple[Moment, ...] = ()

    @property
    def trials(self) -> list[Told]:
        """Every trial that ended, in order."""
        return self.books.trials

    @property
    def best(self) -> Architecture:
        """The architecture to use: the winner, or before one is confirmed what leads.

        Raises:
            LookupError: before anything was measured.
        """
        if self.found is not None:
            return self.found.winner.architecture
        if not self.standings:
            raise LookupError("nothing was measured yet")
        made: Architecture = self.builder(self.standings[0].arm)
        return made

    @property
    def winner(self) -> Contender | None:
        """The winner with its printed score; None when the study stopped before."""
        return None if self.found is None else self.found.winner

    @cached_property
    def front(self) -> list[Standing]:
        """Measured architectures that no other beats in all objectives, best first score first."""
        from archon.search.objectives import front

        places = {int(arm): place for place, arm in enumerate(self.books.arms)}
        kept = [s for s in self.standings if s.arm in places]
        inside = front(self.books, [places[s.arm] for s in kept])
        return [standing for standing, good in zip(kept, inside, strict=True) if good]

    def to_yaml(self) -> str:
        """Return the best architecture as YAML."""
        return dumps(self.best, headers=False)

    def to_json(self, *, times: bool = True) -> Json:
        """Return everything that a report needs.

        Args:
            times: with measured seconds; without them, equal seeds give equal data.
        """
        data = self._whole()
        return data if times else _timeless(data)

    def _whole(self) -> dict[str, Json]:
        columns = [column.name for column in self.books.table.columns]
        return {
            "name": self.name,
            "settings": dict(self.settings),
            "budget": self.budget,
            "ended": self.ended,
            "spent": {**self.spent.to_json(), "usd": self.spent.usd},
            "alone": {"calls": self.alone},
            "columns": columns,
            "architectures": own_rows(self.books.table),
            "trials": [told.to_json() | self._row(told) for told in self.trials],
            "standings": [
                {"arm": s.arm, "mean": s.mean, "sd": s.sd, "chance": s.chance}
                for s in self.standings
            ],
            "front": [s.arm for s in self.front],
            "found": None if self.found is None else self.found.to_json(),
            "notes": list(self.notes),
        }

    def _row(self, told: Told) -> dict[str, Json]:
        table: Any = self.books.table
        return {"holes": table.assignment(told.arm) if hasattr(table, "assignment") else {}}


def _timeless(data: Json) -> Json:
    """Return data without measured seconds."""
    if isinstance(data, dict):
        return {k: _timeless(v) for k, v in data.items() if k not in ("latency", "seconds")}
    if isinstance(data, list):
        return [_timeless(part) for part in data]
    return data
