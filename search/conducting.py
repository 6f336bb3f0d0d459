"""Conducts a study: asks in rounds, lets the trials be worked off, tells, ends with a winner.

What is asked follows from what was told, and what was told is in the pool's file. So any process
can conduct a study, several at once, and one that is killed is missed by nobody: the next one
reads the trials, builds the books, and goes on.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from archon.base import Benchmark
from archon.errors import ConfigError, RunError
from archon.outcomes import Outcome, TrialRow, add_trials, read_trials, reopen_cut
from archon.pool import Mode
from archon.search.averaging import Averages
from archon.search.books import Books, Standing, Told
from archon.search.crew import Crew
from archon.search.files import SearchFile
from archon.search.ground import Candidates, tabled
from archon.search.history import History
from archon.search.journal import Journal
from archon.search.measuring import cells_of
from archon.search.money import Purse
from archon.search.parts import LEAST, Parts, cut, question_tokens
from archon.search.ranking import cheapest_first, ranked, to_rank
from archon.search.recorded import Recorded
from archon.search.rounds import SEARCH, Rounds
from archon.search.searchers import Searcher
from archon.search.settings import keep_settings, settings_of
from archon.search.space import Space
from archon.search.study import Finding, Study, StudyProgress
from archon.search.verdicts import VERDICT, Verdicts
from archon.session import Session
from archon.types import Json

__all__ = ["Conductor"]

ALL_FAIL = 5
"""Trials after which a study in which every one failed gives up."""
RANKING = "ranking"
"""The stage before the search, if models are ranked."""
UNKNOWN = {"latency", "flops"}
"""What no sample matrix knows; a study that looks at it runs every architecture."""


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
        await self._catch_up()
        found: Finding | None = None
        ended = self.verdicts.said()
        while not ended:
            ended = await self._to_the_end()
            if ended != "stopped" and not await self.verdicts.call(ended):
                ended = ""  # another process has found more to search
        if ended != "stopped":
            ended = self.verdicts.said()
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
        recorded = Recorded(self.session, self.benchmark, self.name)
        known = search.all_draws and recorded.usable and not UNKNOWN & set(_amounts(search))
        if self.mode == "only" and known:
            self.crew.recorded = recorded
        self.purse = Purse(search.budget, search.reserve, self.name, self.session.pool, self.mode)
        self.candidates = self._foreseen()
        self._check()
        self.stage = RANKING
        space = await ranked(search, self.crew, self.parts, (self.purse.share, self.purse.whole))
        self.stage = SEARCH
        if space is not search.space:
            self.candidates = self._candidates(space)
        self._settle_settings()
        self.averages = self._averages(recorded)
        self.history = History(self.folder if self.mode != "off" else None)
        self.rounds = Rounds(self.name, self.candidates, self.searcher, self.about, search.trials)
        self._begin_books()

    def _candidates(self, space: Space) -> Candidates:
        return Candidates(self.search, tabled(space, self.search.seed), self.benchmark.answer)

    def _foreseen(self) -> Candidates:
        """Return the candidates before any model is ranked: as listed, or the cheapest first."""
        try:
            return self._candidates(self.search.space)
        except ConfigError:
            cheapest = cheapest_first(self.search)
            if cheapest is self.search.space:
                raise
        return self._candidates(cheapest)

    def _check(self) -> None:
        """Tell what cannot work before anything is paid."""
        models = [*self.benchmark.models(), *to_rank(self.search)]
        for row in self._some_rows():
            models += self.candidates.architecture(row).models()
        if self.mode != "only":
            least = self.candidates.smallest.bound(question_tokens=question_tokens(self.parts.dev))
            self.purse.check_pays(least, LEAST["dev"])
        self.session.gateway().check(list(dict.fromkeys(models)), (self.purse.whole,))

    def _averages(self, recorded: Recorded) -> Averages | None:
        """Return what values selections over all draws, where these can be graded for nothing."""
        if not (self.search.all_draws and self.mode in ("reuse", "only") and recorded.usable):
            return None
        whole = self.mode == "only"
        return Averages(recorded, self.parts.dev, self.candidates.architecture, whole=whole)

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
            space=self.candidates.digest_of_space(), guests=self.candidates.guests,
            searcher=self.about,
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
        self.verdicts = Verdicts(
            search, self.crew, self.purse, self.candidates, self.parts, self.searcher, self.books
        )
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
        while ended.startswith("budget") and not self.verdicts.said():
            wider = self.purse.widened(self.verdicts.needed())
            if wider is None:
                break
            self.purse.share = wider
            ended = await self._search()
        return ended

    async def _reopen(self) -> None:
        """Take up again what an earlier and smaller budget cut short."""
        self.crew.stopped = ""

        def reopen(db: sqlite3.Connection) -> int:
            return reopen_cut(db, self.name, self.verdicts.terms)

        if await self.session.pool.store.write(reopen):
            self._begin_books()

    async def _search(self) -> str:
        """Ask and let work, round by round; return why it ended."""
        await self._reopen()
        while True:
            await self.crew.work_off(self._one)
            rows = self._rows(self.told)
            number = rows[-1].number + 1 if rows else self.told
            await self._catch_up()
            self._report(SEARCH)
            if self.crew.stopped == "stopped":
                return "stopped"
            if said := self.verdicts.said():
                return said
            if any(row.state == "cut" for row in rows):
                return f"budget of {self.crew.stopped or _cut_by(rows)}"
            if any(row.state == "open" for row in rows):
                continue  # another process has asked meanwhile
            self._give_up_if_all_fail()
            if self.search.trials is not None and len(self.books.arms) >= self.search.trials:
                return "trials"
            if self.purse.late and rows:  # where all is paid already, no call would be refused
                return "budget of seconds"
            room = self._room()
            asked = self.rounds.ask(self.books, number, room) if room else []
            if not asked:
                # With all the money there is, it may have ideas.
                dear = self.rounds.ask(self.books, number, float("inf"))
                return f"budget of {self.purse.unit}" if dear else "no more ideas"

            def add(db: sqlite3.Connection, asked: Sequence[TrialRow] = asked) -> bool:
                return add_trials(db, asked)

            await self.session.pool.store.write(add)

    def _room(self) -> float:
        """Return the calls that the search may pay for: its share, less what the end lacks.

        A leader can need more than the reserve. It gets up to half of the share as well, unless
        that would be in vain.
        """
        left, spent = self.purse.calls_left(self.purse.share), self.purse.spent().calls
        if math.isinf(left) or spent < left:
            return left
        whole, least = self.purse.calls_left(self.purse.whole), self.verdicts.least()
        if least > whole + spent - (left + spent) / 2:
            return left
        return max(0.0, min(left, whole - least))

    def _rows(self, since: int) -> list[TrialRow]:
        return read_trials(self.session.pool.store.read, self.name, since)

    async def _one(self, row: TrialRow) -> None:
        """Do one open trial."""
        if row.stage == VERDICT:
            await self.verdicts.judge(row)
            return
        ledgers = (self.purse.share, self.purse.whole)
        architecture = self.candidates.architecture(row.arm)
        await self.crew.trial(row, architecture, self.parts.dev, ledgers)
        self._report(SEARCH)

    # ---- telling

    async def _catch_up(self) -> None:
        """Tell the books what ended, in the order of the trials, up to the first open round."""
        rows = self._rows(self.told)
        barrier = min((row.round for row in rows if row.state == "open"), default=None)
        for number, group in groupby(rows, lambda row: row.round):
            if barrier is not None and number >= barrier:
                break
            await self._tell_round([*group])
        if self.journal is not None:
            self.journal.write(self.books)
        self.verdicts.standings = list(self.searcher.recommend(self.books))
        self.history.note(self.books, self.standings, self.purse.spent())
        if self.history.due:
            self.history.keep(self._study("", None))

    async def _tell_round(self, rows: Sequence[TrialRow]) -> None:
        """Tell a round, then value its items over all their draws: all trials of it are known."""
        self.told = rows[-1].number + 1
        ended = [row for row in rows if row.stage == SEARCH]
        if not ended:
            return
        self.books.round = ended[-1].round + 1
        since = len(self.books.trials)
        for row in ended:
            if row.state in ("done", "failed"):
                await self._tell(row)
        if self.averages is None:
            return
        done = self.books.trials[since:]
        for start, stop in dict.fromkeys((told.start, told.stop) for told in done):
            await self.averages.settle(self.books, start, stop)
        self.books.refresh(since)

    async def _tell(self, row: TrialRow) -> None:
        assert row.state in ("done", "failed")
        told = Told(row.number, row.round, row.arm, row.start, row.stop, row.state,
                    why=row.why, reason=row.reason)  # fmt: skip
        architecture = self.candidates.architecture(row.arm)
        await self.crew.replay(architecture, self.parts.dev, row.start, row.stop)
        known = self.crew.outcomes(self.parts.dev, row.architecture)
        outcomes = [known.get(id_) for id_ in self.parts.dev.ids[row.start : row.stop]]
        self.alone += sum(o.calls for o in outcomes if o is not None)
        self.books.tell(told, cells_of(outcomes))

    @property
    def standings(self) -> Sequence[Standing]:
        """What is recommended now, best first."""
        return self.verdicts.standings

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
        self.stage = stage or self.stage
        if self.stage == RANKING:  # there are no books yet
            self.tell(
                StudyProgress(
                    RANKING, 0, 0, 0, None, "", self.purse.spent(), self.purse.room(),
                    self.search.reserve, 0, self.items, 0,
                )
            )  # fmt: skip
            return
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

    async def _conclude(self) -> Finding | None:
        """Let one process judge; the others wait, and read from the pool what it paid for."""
        # Others may have ended trials and called for the verdict since this process last looked.
        await self._catch_up()
        self.crew.stopped = ""
        self._report("confirm")
        self.verdicts.finding = None
        await self.crew.work_off(self._one)
        return None if self.crew.stopped == "stopped" else await self.verdicts.found()

    def _study(self, ended: str, found: Finding | None) -> Study:
        return Study(
            self.name, self.books, self.standings, found, self.settings,
            self.search.budget.model_dump(exclude_none=True), self.purse.spent(), self.alone, ended,
            self.candidates.architecture, self.folder, tuple(self.notes),
            tuple(item.group for item in self.parts.dev.items), self.search.reserve,
            self.history.moments,
        )  # fmt: skip


def _amounts(search: SearchFile) -> list[str]:
    """Return what a study looks at beside the score."""
    limits = search.limits.mean
    return [*search.objective, *({} if limits is None else limits.model_dump(exclude_none=True))]


def _cut_by(rows: Sequence[TrialRow]) -> str:
    said = next(row.reason for row in rows if row.state == "cut")
    return said.removeprefix("the budget of ")
