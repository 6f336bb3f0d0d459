"""Works a study's open trials off: takes one, measures it, says how it ended, in any process.

A trial belongs to the process that holds it in the pool's file. The kernel tells the others when
that process is dead, and then the trial is free again; its replies are in the pool, so nothing is
paid twice. Outcomes and the end of a trial are one transaction: it is whole or still open.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from archon.base import Architecture, Benchmark, Item
from archon.budget import Ledger
from archon.crashing import crash_point
from archon.outcomes import (
    Outcome,
    OutcomeKey,
    TrialRow,
    TrialState,
    finish_trial,
    free_trials,
    put_outcomes,
    read_outcomes,
    take_trial,
)
from archon.pool import Mode
from archon.search.measuring import Measured, job_of, measure
from archon.search.parts import Part
from archon.search.recorded import Recorded
from archon.search.selection import selection_of
from archon.session import Session

__all__ = ["Crew"]

POLL = 0.05
"""Seconds between looks at trials that other processes work on."""


@dataclass(eq=False)
class Crew:
    """What all trials of a study share in this process.

    Attributes:
        study: its name.
        benchmark: what is measured on.
        mode: how the pool is used.
        trials: how many are under way at once.
        items: how many items of all trials together.
        replicate: seed of the draws.
        tell: is told of each item that ended.
        stopped: the limit that ended the work.
        recorded: what the pool has recorded, where no call is made: what only selects is worked
            out from it and not run.
    """

    session: Session
    study: str
    benchmark: Benchmark
    mode: Mode = "reuse"
    trials: int = 4
    items: int = 64
    replicate: int = 0
    tell: Callable[[Outcome], None] | None = None
    stopped: str = ""
    recorded: Recorded | None = None
    _gate: asyncio.Semaphore | None = None
    _known: dict[str, dict[str, Item]] = field(default_factory=dict)
    _replayed: dict[tuple[str, str], dict[str, Outcome]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.digest = self.benchmark.digest()
        self.owner = self.session.pool.owner

    def key(self, part: Part, digest: str) -> OutcomeKey:
        """Return where the outcomes of an architecture are."""
        return OutcomeKey(self.digest, part.split, self.replicate, digest)

    def outcomes(self, part: Part, digest: str) -> dict[str, Outcome]:
        """Return what is known of an architecture, by item."""
        known = read_outcomes(self.session.pool.store.read, self.key(part, digest))
        return known | self._replayed.get((part.name, digest), {})

    async def replay(self, architecture: Architecture, part: Part, start: int, stop: int) -> None:
        """Work out what is recorded of an architecture that only selects; of others, nothing."""
        selection = None if self.recorded is None else selection_of(architecture)
        if self.recorded is None or selection is None:
            return
        items = part.items[start:stop]
        for source in selection.sources:
            await self.recorded.learn(source, items)
        known = self._replayed.setdefault((part.name, architecture.digest()), {})
        known |= self.recorded.outcomes(selection, items)

    async def work_off(self, one: Callable[[TrialRow], Awaitable[None]]) -> None:
        """Do open trials until none is left, other processes' included, or a signal stops it.

        Once a budget is spent the rest is tried all the same: what is paid for ends well, and what
        is not is cut at its first call. A trial left open would keep the study from its verdict.

        Args:
            one: does a trial and ends it by `end`.
        """
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                while len(running) < self.trials and self.stopped != "stopped":
                    row = await self._take()
                    if row is None:
                        break
                    running.add(asyncio.ensure_future(one(row)))
                if not running:
                    if self.stopped == "stopped" or not self._others():
                        return
                    await asyncio.sleep(POLL)
                    continue
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await self._let_go()

    async def _take(self) -> TrialRow | None:
        owner = self.owner

        def take(db: sqlite3.Connection) -> TrialRow | None:
            return take_trial(db, self.study, owner.id, owner.alive)

        row: TrialRow | None = await self.session.pool.store.write(take)
        crash_point("trial.taken")
        return row

    def _others(self) -> bool:
        """Whether trials are open that another process holds."""
        sql = "SELECT 1 FROM trials WHERE study = ? AND state = 'open' LIMIT 1"
        return bool(self.session.pool.store.read(sql, (self.study,)))

    async def _let_go(self) -> None:
        def free(db: sqlite3.Connection) -> None:
            free_trials(db, self.study, self.owner.id)

        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(asyncio.ensure_future(self.session.pool.store.write(free)))

    async def trial(
        self, row: TrialRow, architecture: Architecture, part: Part, ledgers: Sequence[Ledger]
    ) -> None:
        """Measure one trial and end it: done, failed or cut; left open when a signal stopped it."""
        measured = await self.measured(architecture, part, row.start, row.stop, ledgers)
        if measured.stopped:
            self.stopped = self.stopped or measured.stopped
            if measured.stopped == "stopped":
                await self.keep(part, row.architecture, measured.outcomes)
                return
            await self.end(row, "cut", f"the budget of {measured.stopped}", part, measured.outcomes)
        elif measured.failure:
            await self.end(row, "failed", measured.failure, part, measured.outcomes)
        else:
            await self.end(row, "done", "", part, measured.outcomes)

    async def measured(
        self,
        architecture: Architecture,
        part: Part,
        start: int,
        stop: int,
        ledgers: Sequence[Ledger],
    ) -> Measured:
        """Measure an architecture on items of a part, those left out that are known."""
        await self.replay(architecture, part, start, stop)
        known = self.outcomes(part, architecture.digest())
        ids = [id_ for id_ in part.ids[start:stop] if id_ not in known or known[id_].score is None]
        if not ids:
            return Measured(())
        if part.name not in self._known:
            self._known[part.name] = {item.task.id: item for item in part.items}
        if self._gate is None:
            self._gate = asyncio.Semaphore(self.items)
        job = job_of(architecture, self.benchmark, part.split, ids, seed=self.replicate,
                     mode=self.mode, run=self.study)  # fmt: skip
        return await measure(
            job, self.session, ledgers, benchmark=self.benchmark, items=self._known[part.name],
            gate=self._gate, tell=self.tell,
        )  # fmt: skip

    async def keep(self, part: Part, digest: str, outcomes: Sequence[Outcome]) -> None:
        """Write outcomes without ending a trial."""
        key = self.key(part, digest)
        await self.session.pool.store.write(lambda db: put_outcomes(db, key, outcomes))

    async def end(
        self,
        row: TrialRow,
        state: TrialState,
        reason: str,
        part: Part | None = None,
        outcomes: Sequence[Outcome] = (),
    ) -> None:
        """Write a trial's outcomes and its end in one transaction."""

        def write(db: sqlite3.Connection) -> None:
            # Who lost the trial to another process must not end it, but may keep what it paid for.
            finish_trial(db, row, state, reason)
            if part is not None:
                put_outcomes(db, self.key(part, row.architecture), outcomes)
            crash_point("trial.written")

        await self.session.pool.store.write(write)
        crash_point("trial.ended")
