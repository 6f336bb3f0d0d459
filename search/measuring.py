"""The unit of work: an architecture on a run of items, as a plain call.

A `Job` is data that pickles and JSON can carry, and so is what `measure` returns: an engine that
spreads work over machines can be handed both. Here they run as coroutines over one session.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archon import benchmarks
from archon.base import Architecture, Benchmark, Item, Split, parse
from archon.budget import Ledger
from archon.errors import ArchonError, Stopped, StoreError
from archon.item_work import ItemWork, Worked
from archon.measured import MOST_FAILED
from archon.outcomes import Outcome
from archon.pool import Mode
from archon.search.books import AMOUNTS, Cells
from archon.session import Session
from archon.types import Json

__all__ = ["Job", "Measured", "cells_of", "job_of", "measure"]


@dataclass(frozen=True)
class Job:
    """An architecture and the items that it is to be measured on.

    Attributes:
        architecture: as `Architecture.dump` gives it.
        benchmark: its name.
        options: the benchmark's.
        split: which the items are from.
        ids: the items, in order.
        seed: the replicate.
        mode: how the pool is used.
        run: the name under which calls are booked.
    """

    architecture: Json
    benchmark: str
    split: Split
    ids: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    mode: Mode = "reuse"
    run: str = ""


@dataclass(frozen=True)
class Measured:
    """What became of a job.

    Attributes:
        outcomes: of the items that ended, in order.
        stopped: the limit of a ledger that cut it short.
        failure: why the trial cannot count, such as a scorer that gives no number.
    """

    outcomes: tuple[Outcome, ...]
    stopped: str = ""
    failure: str = ""


class _BadScoreError(ArchonError):
    """A scorer gave what is no score."""


async def measure(
    job: Job,
    session: Session,
    ledgers: Sequence[Ledger],
    *,
    benchmark: Benchmark | None = None,
    items: Mapping[str, Item] | None = None,
    gate: asyncio.Semaphore | None = None,
    tell: Callable[[Outcome], None] | None = None,
) -> Measured:
    """Measure an architecture on items; what it costs is in the pool, whatever happens.

    Args:
        job: what to do.
        session: where.
        ledgers: that pay for new calls, the innermost first; at least one.
        benchmark: in place of the one that the job names.
        items: the benchmark's by id, where the caller has them.
        gate: how many items may be under way at once, with those of other jobs.
        tell: is told of each item that ended.
    """
    bench = benchmark or benchmarks.get(job.benchmark, **job.options)
    known = items or {item.task.id: item for item in bench.items(job.split)}
    work = ItemWork(
        session, parse(job.architecture), bench, job.seed, job.mode, job.run, ledgers[0], None,
        False, tuple(ledgers[1:]),
    )  # fmt: skip
    return await _Measuring(work, gate or asyncio.Semaphore(64), tell).all(
        [known[id_] for id_ in job.ids]
    )


class _Measuring:
    """One job under way."""

    def __init__(
        self, work: ItemWork, gate: asyncio.Semaphore, tell: Callable[[Outcome], None] | None
    ) -> None:
        self.work, self.gate, self.tell = work, gate, tell
        self.stopped = self.failure = ""

    async def all(self, items: Sequence[Item]) -> Measured:
        found = await asyncio.gather(*map(self._one, items))
        outcomes = tuple(outcome for outcome in found if outcome is not None)
        return Measured(outcomes, self.stopped, self.failure or _too_many_lost(outcomes))

    async def _one(self, item: Item) -> Outcome | None:
        async with self.gate:
            if self.stopped or self.failure:
                return None
            try:
                worked = await self.work.work(item)
                outcome = _outcome(worked)
            except Stopped as stop:
                self.stopped = self.stopped or stop.limit
                return None
            except StoreError:
                raise  # nothing can be kept any more
            except ArchonError as error:  # a stranger's scorer, or a layer on this very item
                self.failure = self.failure or str(error)
                return None
            if outcome is None:
                self.stopped = self.stopped or worked.stopped
            elif self.tell is not None:
                self.tell(outcome)
            return outcome


def _outcome(worked: Worked) -> Outcome | None:
    row = worked.row
    if row is None:
        return None
    score: Any = row.score
    if score is not None and not (
        isinstance(score, (int, float)) and math.isfinite(score) and 0 <= score <= 1
    ):
        raise _BadScoreError(
            f"the scorer gave {score!r} for the item {row.id!r}; a score is a number from 0 to 1"
        )
    used = row.used
    return Outcome(
        row.id, None if score is None else float(score), used.calls, used.input_tokens,
        used.output_tokens, used.microusd, used.flops, worked.latency,
        row.paid.calls + row.judge_paid.calls, row.lost, row.error,
    )  # fmt: skip


def _too_many_lost(outcomes: Sequence[Outcome]) -> str:
    """Say so when more than 2 % of the items were left out."""
    lost = [outcome for outcome in outcomes if outcome.score is None]
    if len(lost) <= MOST_FAILED * len(outcomes):
        return ""
    return (
        f"{len(lost)} of {len(outcomes)} items have no score ({lost[0].lost});"
        f" first: {lost[0].reason or 'no reason given'}"
    )


def job_of(
    architecture: Architecture, benchmark: Benchmark, split: Split, ids: Sequence[str], **rest: Any
) -> Job:
    """Return the job of an architecture on items of a benchmark."""
    return Job(architecture.dump(), benchmark.name, split, tuple(ids), **rest)


def cells_of(outcomes: Sequence[Outcome | None]) -> Cells:
    """Return outcomes as arrays, NaN where one is missing or unknown."""
    import numpy as np

    def array(name: str) -> list[float]:
        values = [None if o is None or o.score is None else getattr(o, name) for o in outcomes]
        return [float("nan") if value is None else float(value) for value in values]

    amounts = {name: np.array(array(name)) for name in AMOUNTS if name != "usd"}
    amounts["usd"] = np.array(array("microusd")) / 1e6
    return Cells(np.array(array("score")), amounts)
