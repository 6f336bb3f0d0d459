"""The end of a study: one process calls for the verdict, one judges, all read what was found."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from archon.outcomes import TrialRow, call_verdict, fix_stop, read_trials
from archon.plain import canonical
from archon.search.books import Books, Standing
from archon.search.crew import Crew
from archon.search.files import SearchFile
from archon.search.finals import Finals, look
from archon.search.ground import Candidates
from archon.search.money import Purse
from archon.search.parts import LEAST, Parts
from archon.search.reserve import FINALISTS, SAFETY, FinalsPlan, Reserve
from archon.search.searchers import Searcher
from archon.search.study import Finding

__all__ = ["VERDICT", "Verdicts"]

VERDICT = "verdict"


@dataclass(eq=False)
class Verdicts:
    """Calls for the verdict of a study, and judges.

    Attributes:
        books: of the search, as they stand.
        standings: what is recommended now, best first.
        finding: what this process has found.
    """

    search: SearchFile
    crew: Crew
    purse: Purse
    candidates: Candidates
    parts: Parts
    searcher: Searcher
    books: Books
    standings: Sequence[Standing] = ()
    finding: Finding | None = None

    def needed(self) -> float:
        """Return the calls that ablation, confirm, baselines and test may newly need."""
        sizes = self.parts.sizes()
        plan = FinalsPlan(FINALISTS, sizes.get("confirm", 0), sizes.get("test", 0))
        return self._reserve().needed(plan)

    def least(self) -> float:
        """Return the calls without which confirm and test would be cut short."""
        sizes = {name: min(size, LEAST[name]) for name, size in self.parts.sizes().items()}
        plan = FinalsPlan(2, sizes.get("confirm", 0), sizes.get("test", 0), models=1)
        return SAFETY * self._reserve().needed(plan)

    def _reserve(self) -> Reserve:
        leading = [standing.arm for standing in self.standings]
        return Reserve(self.candidates, self.parts, leading, self.purse.unit)

    def _rows(self) -> list[TrialRow]:
        return read_trials(self.crew.session.pool.store.read, self.crew.study)

    def said(self) -> str:
        """Return why the search ended, if a verdict was called on these very terms."""
        for row in self._rows():
            if row.stage == VERDICT and row.state != "failed" and row.why.endswith(self.terms):
                return row.why.partition(" | ")[0]
        return ""

    @property
    def terms(self) -> str:
        """What may be raised between two runs of a study."""
        return canonical([self.search.budget.model_dump(exclude_none=True), self.search.trials])

    async def call(self, ended: str) -> bool:
        """Call for the verdict, once for all processes; return whether it was called."""
        why = f"{ended} | {self.terms}"
        plan = self._reserve().plan(self.purse.calls_left(self.purse.whole))
        row = TrialRow(
            self.crew.study, len(self._rows()), self.books.round, VERDICT, -1, plan.dump(), 0, 0,
            why,
        )  # fmt: skip

        def write(db: sqlite3.Connection) -> bool:
            return call_verdict(db, row, self.terms)

        return bool(await self.crew.session.pool.store.write(write))

    async def found(self) -> Finding | None:
        """Return what was found, here or by another process."""
        if self.finding is None:
            judged = [r for r in self._rows() if r.stage == VERDICT and r.state == "done"]
            self.finding = await self._finals(judged[-1], len(judged) - 1).found()
        return self.finding

    async def judge(self, row: TrialRow) -> None:
        """Do the trial that judges: count the look, then look."""
        if not row.why.endswith(self.terms):
            await self.crew.end(row, "failed", "the budget was changed before it began")
            return
        earlier = [r for r in self._rows() if r.stage == VERDICT and r.number < row.number]
        await look(self.crew, self.parts.printed, row)
        finals = self._finals(row, sum(r.state == "done" for r in earlier))
        self.finding = await finals.found()
        if finals.cut == "stopped":
            self.crew.stopped = "stopped"
            return
        await self.crew.end(row, "done", finals.cut)

    def _finals(self, row: TrialRow, earlier: int) -> Finals:
        async def fix(items: int) -> int:
            if row.stop:
                return row.stop

            def write(db: sqlite3.Connection) -> None:
                fix_stop(db, row, items)

            await self.crew.session.pool.store.write(write)
            return items

        return Finals(
            self.crew, self.purse, self.candidates, self.parts, self.books, self.searcher,
            FinalsPlan.read(row.architecture), fix, earlier,
        )  # fmt: skip
