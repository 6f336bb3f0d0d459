"""Conducts a study: asks in rounds, lets the trials be worked off, tells, ends with a winner.

What is asked follows from what was told, and what was told is in the pool's file. So any process
can conduct a study, several at once, and one that is killed is missed by nobody: the next one
reads the trials, builds the books, and goes on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from archon.base import Architecture, Benchmark
from archon.errors import ConfigError, RunError
from archon.outcomes import (
    Outcome,
    TrialRow,
    add_trials,
    call_verdict,
    fix_stop,
    read_trials,
    reopen_cut,
)
from archon.plain import canonical
from archon.pool import Mode
from archon.search.books import Books, Proposal, Standing, Told
from archon.search.crew import Crew
from archon.search.files import SearchFile
from archon.search.finals import Finals, look
from archon.search.ground import Candidates, tabled
from archon.search.history import History
from archon.search.journal import Journal
from archon.search.measuring import cells_of
from archon.search.money import Purse
from archon.search.parts import Parts, cut
from archon.search.ranking import ranked
from archon.search.reserve import FINALISTS, FinalsPlan, Reserve
from archon.search.searchers import FIRST, Searcher
from archon.search.settings import keep_settings, settings_of
from archon.search.study import Finding, Study, StudyProgress
from archon.session import Session
from archon.types import Json

__all__ = ["Conductor"]

SEARCH, VERDICT = "search", "verdict"
ALL_FAIL = 5
"""Trials after which a study in which every one failed gives up."""


@dataclass(eq=False)
class Conductor:
    """A study under way in this process.

    Attributes:
        search: what it was told.
        session: where it runs.
        benchmark: what it measures on.
        searcher: what proposes.
        about: the searcher's name and settings, as they are stored.
        name: of the study.
        mode: how the pool is used.
        tell: is told how far it is.
    """

    search: SearchFile
    session: Session
    benchmark: Benchmark
    searcher: Searcher
    about: Json
    name: str
    mode: Mode = "reuse"
    tell: Callable[[StudyProgress], None] | None = None
    notes: list[str] = field(default_factory=list)

    async def conduct(self) -> Study:
        """Begin or go on, and return the study as it stands at the end."""
        await self._prepare()
        self._catch_up()
        found: Finding | None = None
        ended = self._said()
        while not ended:
            ended = await self._to_the_end()
            if ended != "stopped" and not await self._call(ended):
                ended = ""  # another process has found more to search
        if ended != "stopped":
            ended = self._said()
            found = await self._conclude()
            ended = "stopped" if self.crew.stopped == "stopped" else ended
        self._report("done")
        study = self._study(ended, found)
        self.history.keep(study)
        return study

    # ---- before the first trial

    async def _prepare(self) -> None:
        search = self.search
        self.benchmark.ready()
        self.parts: Parts = cut(self.benchmark, search.items, search.seed)
        self.items = 0
        self.crew = Crew(
            self.session, self.name, self.benchmark, self.mode, search.concurrency.trials,
            search.concurrency.items, tell=self._item,
        )  # fmt: skip
        self.purse = Purse(search.budget, search.reserve, self.name, self.session.pool, self.mode)
        space = await ranked(search, self.crew, self.parts, (self.purse.share, self.purse.whole))
        self.candidates = Candidates(search, tabled(space, search.seed), self.benchmark.answer)
        models = [*self.benchmark.models()]
        for row in self._some_rows():
            models += self.candidates.architecture(row).models()
        self.session.gateway().check(list(dict.fromkeys(models)), (self.purse.whole,))
        self._settle_settings()
        self.history = History(self.folder if self.mode != "off" else None)
        self._begin_books()
        self.standings: Sequence[Standing] = ()

    def _some_rows(self) -> range:
        rows = len(self.candidates.table)
        return range(0, rows, max(1, rows // 64))

    @property
    def folder(self) -> Path | None:
        """Where the study is kept, beside the pool; None for a pool in memory."""
        path = self.session.pool.store.path
        return None if path is None else path.parent / "studies" / self.name

    def _settle_settings(self) -> None:
        from importlib.metadata import version

        self.settings = settings_of(
            self.search, benchmark=self.crew.digest, parts=self.parts,
            space=self.candidates.digest_of_space(), searcher=self.about,
        )  # fmt: skip
        if self.folder is not None:
            about = {"file": self.search.source, "optuna": version("optuna")}
            keep_settings(self.folder, self.settings, about)

    def _begin_books(self) -> None:
        """Begin empty books; `_catch_up` tells them what the pool knows."""
        search = self.search
        limits = search.limits.mean
        self.books = Books(
            self.candidates.table, len(self.parts.dev), objectives=search.objective,
            open=self.candidates.open, seeds=self.candidates.seeds, seed=search.seed,
            limits={} if limits is None else limits.model_dump(exclude_none=True),
            least=search.limits.score, batch=search.concurrency.trials,
        )  # fmt: skip
        self.told = 0
        self.alone = 0
        self.journal: Journal | None = None
        if self.folder is not None and self.mode != "off":
            marks = {"searcher": self.about, "seed": search.seed}
            self.journal = Journal(self.folder / "journal.log", self.name, self.books, marks)
            self.notes += [
                f"half a line of the journal was kept as {p.name}" for p in self.journal.mended
            ]

    # ---- search

    async def _to_the_end(self) -> str:
        """Search with the search's share, then with what confirm and test leave of the reserve."""
        ended = await self._search()
        while ended.startswith("budget") and not self._said():
            wider = self.purse.widened(self._needed())
            if wider is None:
                break
            self.purse.share = wider
            ended = await self._search()
        return ended

    async def _reopen(self) -> None:
        """Take up again what an earlier and smaller budget cut short."""
        self.crew.stopped = ""

        def reopen(db: sqlite3.Connection) -> int:
            return reopen_cut(db, self.name, self._terms())

        if await self.session.pool.store.write(reopen):
            self._begin_books()

    async def _search(self) -> str:
        """Ask and let work, round by round; return why it ended."""
        await self._reopen()
        while True:
            await self.crew.work_off(self._one)
            rows = self._rows(0)
            self._catch_up()
            self._report(SEARCH)
            if self.crew.stopped == "stopped":
                return "stopped"
            if said := self._said():
                return said
            if any(row.state == "cut" for row in rows):
                return f"budget of {self.crew.stopped or _cut_by(rows)}"
            if any(row.state == "open" for row in rows):
                continue  # another process has asked meanwhile
            self._give_up_if_all_fail()
            if self.search.trials is not None and len(self.books.arms) >= self.search.trials:
                return "trials"
            asked = self._ask(len(rows), self.purse.calls_left(self.purse.share))
            if not asked:
                # With all the money there is, it may have ideas.
                dear = self._ask(len(rows), float("inf"))
                return f"budget of {self.purse.unit}" if dear else "no more ideas"

            def add(db: sqlite3.Connection, asked: Sequence[TrialRow] = asked) -> bool:
                return add_trials(db, asked)

            await self.session.pool.store.write(add)

    def _rows(self, since: int) -> list[TrialRow]:
        return read_trials(self.session.pool.store.read, self.name, since)

    async def _one(self, row: TrialRow) -> None:
        """Do one open trial."""
        if row.stage == VERDICT:
            await self._judge(row)
            return
        ledgers = (self.purse.share, self.purse.whole)
        await self.crew.trial(row, self._architecture(row), self.parts.dev, ledgers)
        self._report(SEARCH)

    def _architecture(self, row: TrialRow) -> Architecture:
        if row.arm >= 0:
            return self.candidates.architecture(row.arm)
        return self.candidates.guests[row.architecture]

    def _ask(self, number: int, room: float) -> list[TrialRow]:
        """Return the rows of the next round: first the seeds, then what the searcher proposes."""
        self.books.room = room
        first = min(getattr(self.searcher, "first", FIRST), self.books.items)
        made: list[TrialRow] = []
        if self.books.round == 0 and (self.books.seeds or self.candidates.guests):
            for arm in self.books.seeds:
                made.append(self._row(number + len(made), Proposal(arm, 0, first, "seed")))
            for digest in self.candidates.guests:
                made.append(
                    TrialRow(self.name, number + len(made), 0, SEARCH, -1, digest, 0, first, "seed")
                )
            return made
        for proposal in self.searcher.ask(self.books):
            self._check(proposal)
            if self._one_too_many(proposal, made):
                continue
            made.append(self._row(number + len(made), proposal))
        return made

    def _one_too_many(self, proposal: Proposal, made: Sequence[TrialRow]) -> bool:
        if self.search.trials is None or proposal.arm in self.books:
            return False
        fresh = sum(row.arm not in self.books for row in made)
        return len(self.books.arms) + fresh >= self.search.trials

    def _row(self, number: int, proposal: Proposal) -> TrialRow:
        digest = self.candidates.digest(proposal.arm)
        return TrialRow(
            self.name, number, self.books.round, SEARCH, proposal.arm, digest, proposal.start,
            proposal.stop, proposal.why,
        )  # fmt: skip

    def _check(self, proposal: Proposal) -> None:
        """Refuse what a stranger's searcher must not propose."""
        good = (
            0 <= proposal.arm < len(self.books.table)
            and 0 <= proposal.start < proposal.stop <= self.books.items
        )
        if not good or not self.books.open[proposal.arm]:
            raise ConfigError(
                f"the searcher {self.about} proposed what cannot be tried: {proposal}"
            )

    # ---- telling

    def _catch_up(self) -> None:
        """Tell the books what ended, in the order of the trials, up to the first open round."""
        rows = self._rows(self.told)
        barrier = min((row.round for row in rows if row.state == "open"), default=None)
        for row in rows:
            if barrier is not None and row.round >= barrier:
                break
            self.told = row.number + 1
            if row.stage != SEARCH:
                continue
            self.books.round = row.round + 1
            if row.state in ("done", "failed"):
                self._tell(row)
        if self.journal is not None:
            self.journal.write(self.books)
        self.standings = list(self.searcher.recommend(self.books))
        self.history.note(self.books, self.standings, self.purse.spent())
        if self.history.due:
            self.history.keep(self._study("", None))

    def _tell(self, row: TrialRow) -> None:
        assert row.state in ("done", "failed")
        told = Told(row.number, row.round, row.arm, row.start, row.stop, row.state,
                    why=row.why, reason=row.reason)  # fmt: skip
        known = self.crew.outcomes(self.parts.dev, row.architecture)
        outcomes = [known.get(id_) for id_ in self.parts.dev.ids[row.start : row.stop]]
        self.alone += sum(o.calls for o in outcomes if o is not None)
        if row.arm < 0:
            self._guest(told, outcomes)
            return
        self.books.tell(told, cells_of(outcomes))

    def _guest(self, told: Told, outcomes: Sequence[Outcome | None]) -> None:
        from dataclasses import replace

        scores = [o.score for o in outcomes if o is not None and o.score is not None]
        if told.state == "done" and scores:
            told = replace(told, values=(sum(scores) / len(scores),), items=len(scores))
        self.books.trials.append(told)

    def _give_up_if_all_fail(self) -> None:
        trials = self.books.trials
        if len(trials) >= ALL_FAIL and all(told.state == "failed" for told in trials):
            self.history.keep(self._study("all trials failed", None))
            raise RunError(f"all {len(trials)} trials failed; the last one: {trials[-1].reason}")

    def _item(self, outcome: Outcome) -> None:
        self.items += 1
        if self.items % 20 == 0:
            self._report("")

    def _report(self, stage: str) -> None:
        if self.tell is None:
            return
        self.stage = stage or getattr(self, "stage", SEARCH)
        books, best = self.books, next(iter(self.standings), None)
        failed = [told for told in books.trials if told.state == "failed"]
        self.tell(
            StudyProgress(
                self.stage, len(books.trials), len(books.arms), len(failed), best,
                "" if best is None else str(self.candidates.architecture(best.arm)),
                self.purse.spent(), self.purse.room(), self.search.reserve, self.alone, self.items,
                sum(standing.chance < 0.05 for standing in self.standings),
                failed[-1].reason if failed else "",
            )
        )  # fmt: skip

    # ---- the end

    def _needed(self) -> float:
        """Return the calls that ablation, confirm, baselines and test may newly need."""
        sizes = self.parts.sizes()
        plan = FinalsPlan(FINALISTS, sizes.get("confirm", 0), sizes.get("test", 0))
        return self._reserve().needed(plan)

    def _reserve(self) -> Reserve:
        leading = [standing.arm for standing in self.standings]
        return Reserve(self.candidates, self.parts, leading, self.purse.unit)

    def _said(self) -> str:
        """Return why the search ended, if a verdict was called on these very terms."""
        for row in self._rows(0):
            if row.stage == VERDICT and row.state != "failed" and row.why.endswith(self._terms()):
                return row.why.partition(" | ")[0]
        return ""

    def _terms(self) -> str:
        """Return what may be raised between two runs of a study."""
        return canonical([self.search.budget.model_dump(exclude_none=True), self.search.trials])

    async def _call(self, ended: str) -> bool:
        """Call for the verdict, once for all processes; return whether it was called."""
        why = f"{ended} | {self._terms()}"
        plan = self._reserve().plan(self.purse.calls_left(self.purse.whole))
        row = TrialRow(
            self.name, len(self._rows(0)), self.books.round, VERDICT, -1, plan.dump(), 0, 0, why
        )

        def call(db: sqlite3.Connection) -> bool:
            return call_verdict(db, row, self._terms())

        return bool(await self.session.pool.store.write(call))

    async def _conclude(self) -> Finding | None:
        """Let one process judge; the others wait, and read from the pool what it paid for."""
        self.crew.stopped = ""
        self._report("confirm")
        self.finding: Finding | None = None
        await self.crew.work_off(self._one)
        if self.crew.stopped == "stopped":
            return None
        if self.finding is None:
            judged = [r for r in self._rows(0) if r.stage == VERDICT and r.state == "done"]
            self.finding = await self._finals(judged[-1], len(judged) - 1).found()
        return self.finding

    async def _judge(self, row: TrialRow) -> None:
        """Do the trial that judges: count the look, then look."""
        if not row.why.endswith(self._terms()):
            await self.crew.end(row, "failed", "the budget was changed before it began")
            return
        earlier = [r for r in self._rows(0) if r.stage == VERDICT and r.number < row.number]
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

            await self.session.pool.store.write(write)
            return items

        return Finals(
            self.crew, self.purse, self.candidates, self.parts, self.books, self.searcher,
            FinalsPlan.read(row.architecture), fix, earlier,
        )  # fmt: skip

    def _study(self, ended: str, found: Finding | None) -> Study:
        return Study(
            self.name, self.books, self.standings, found, self.settings,
            self.search.budget.model_dump(exclude_none=True), self.purse.spent(), self.alone, ended,
            self.candidates.architecture, self.folder, tuple(self.notes),
            tuple(item.group for item in self.parts.dev.items), self.search.reserve,
            self.history.moments,
        )  # fmt: skip


def _cut_by(rows: Sequence[TrialRow]) -> str:
    said = next(row.reason for row in rows if row.state == "cut")
    return said.removeprefix("the budget of ")
