"""One item of an evaluation: ask the architecture turn by turn, score, keep the trail."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from archon.base import Architecture, Benchmark, Item, NodeRecord, Run, ScoreContext, Scored
from archon.budget import Budget, Ledger
from archon.errors import ArchonError, BudgetExceeded, ModelError, NodeError, PoolMiss
from archon.executor import finish_run, perform
from archon.gateway import Spending
from archon.measured import Lost, Row
from archon.pool import Mode
from archon.result import Result
from archon.scoring import score
from archon.session import Session
from archon.types import Candidate, Json, Message, Task, Usage

__all__ = ["ItemWork", "Worked"]

_SHOWN = 2000
"""Characters of an unparsed answer that a row keeps; the trail has all of it."""


class _ItemLedger(Ledger):
    """An item's own budget, which remembers that it was the one to refuse."""

    fired = False

    def refuses(self, upper: Usage) -> str:
        name = super().refuses(upper)
        self.fired = self.fired or (bool(name) and (name == "seconds" or not self.holding))
        return name

    def ended(self, limit: str) -> bool:
        """Whether this budget ended the item, and not a wider one."""
        if limit == "seconds":
            return self.seconds_left is not None and self.seconds_left <= 0
        return self.fired


@dataclass(frozen=True, slots=True)
class Worked:
    """What became of one item.

    Attributes:
        row: None when a budget wider than the item's ended it, so that it does not count.
        trail: what is kept to be looked at; None if none is wanted.
        stopped: the limit of the wider budget.
        refusal: what it said.
        latency: seconds along the longest path through the architecture, as its calls took when
            they were made, ours and the provider's queues apart; None is unknown.
    """

    row: Row | None
    trail: Json = None
    stopped: str = ""
    refusal: str = ""
    latency: float | None = None


@dataclass(eq=False, slots=True)
class _Talk:
    """A conversation with the architecture, as far as it came.

    Attributes:
        runs: one for each turn that was asked.
        answers: one for each turn that was answered.
        result: of the last turn that ended.
        error: what ended it early.
        seconds: wall time.
    """

    runs: list[Run] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    result: Result | None = None
    error: ArchonError | None = None
    seconds: float = 0.0

    @property
    def records(self) -> list[NodeRecord]:
        return [record for run in self.runs for record in run.records]

    @property
    def cut(self) -> str:
        """The limit that ended it."""
        if isinstance(self.error, BudgetExceeded):
            return self.error.limit
        return "" if self.result is None else self.result.cut_short


@dataclass(frozen=True, eq=False)
class ItemWork:
    """What all items of an evaluation share.

    Args:
        name: of the evaluation, under which calls are booked.
        ledger: the evaluation's own; judge calls are paid from it too.
        item_budget: what each item may use of the architecture's calls.
        trails: whether trails are kept. Their candidates are scored too, where that needs
            neither judge nor sandbox.
        wider: further ledgers around it, such as that of a whole study.
    """

    session: Session
    architecture: Architecture
    benchmark: Benchmark
    seed: int
    mode: Mode
    name: str
    ledger: Ledger
    item_budget: Budget | None
    trails: bool
    wider: tuple[Ledger, ...] = ()

    async def work(self, item: Item) -> Worked:
        """Ask, score and describe one item.

        Raises:
            RunError: when the benchmark's own code fails.
        """
        own = None if self.item_budget is None else _ItemLedger(self.item_budget, "used")
        talk = await self._talk(item, own)
        if talk.cut and (own is None or not own.ended(talk.cut)):
            said = str(talk.error) if talk.error else "the budget ended before the last turn"
            return Worked(None, stopped=talk.cut, refusal=said)
        ctx = ScoreContext(
            talk.answers,
            seed=self.seed,
            gateway=self.session.gateway(),
            spending=self._spending(()),
        )
        try:
            scored, lost = await self._score(item, talk, ctx)
        except BudgetExceeded as error:
            return Worked(None, stopped=error.limit, refusal=str(error))
        row = self._row(item, talk, scored, lost, ctx)
        trail = await self._trail(item, talk) if self.trails else None
        return Worked(row, trail, latency=_latency(self.architecture, talk.records))

    def _spending(self, own: Sequence[Ledger]) -> Spending:
        scopes = (*own, self.ledger, *self.wider)
        return self.session.spending(mode=self.mode, run_id=self.name, scopes=scopes)[1]

    async def _talk(self, item: Item, own: Ledger | None) -> _Talk:
        """Ask every turn, each after the architecture's answers to those before."""
        spending = self._spending(() if own is None else (own,))
        gateway, members = self.session.gateway(), self.architecture.members
        talk, task, began = _Talk(), item.task, time.monotonic()
        try:
            for following in (*item.turns, None):
                run = Run(gateway, spending, self.seed, members, perform)
                talk.runs.append(run)
                talk.result = None
                talk.result = await finish_run(self.architecture, task, run)
                if talk.result.answer is None or (talk.cut and following is not None):
                    break
                talk.answers.append(talk.result.answer)
                if following is not None:
                    task = _next(task, talk.result.answer, following)
        except (BudgetExceeded, NodeError, ModelError, PoolMiss) as error:
            talk.error = error
        talk.seconds = time.monotonic() - began
        return talk

    async def _score(self, item: Item, talk: _Talk, ctx: ScoreContext) -> tuple[Scored, Lost]:
        error = talk.error
        # A provider that will not answer this question is the architecture's outcome.
        caused = error is None or bool(talk.cut) or getattr(error, "kind", "") == "content"
        if not caused:
            return Scored(None, str(error)), "infrastructure"
        text = talk.answers[-1] if len(talk.answers) == len(item.turns) + 1 else None
        return await score(self.benchmark, item, text, ctx)

    def _row(self, item: Item, talk: _Talk, scored: Scored, lost: Lost, ctx: ScoreContext) -> Row:
        result, records = talk.result, talk.records
        best = result.candidates[0] if result and result.candidates else None
        text = None if result is None or result.answer is None else result.answer[:_SHOWN]
        value = self._read(best)
        why = str(talk.error) if talk.error else (result.reason if result else "")
        return Row(
            item.task.id, item.group, scored.value,
            answer=text if value is None else value,
            used=Usage.sum(record.used for record in records),
            paid=Usage.sum(record.paid for record in records),
            seconds=talk.seconds,
            error=why or scored.reason,
            cut_short=talk.cut,
            unparsed=best is not None and value is None and item.task.answer != "text",
            finish="" if best is None else best.reply.finish,
            lost=lost, judge_used=ctx.used, judge_paid=ctx.paid, detail=scored.detail,
        )  # fmt: skip

    def _read(self, best: Candidate | None) -> str | None:
        """Return the parsed answer; free text has none."""
        if best is None or self.benchmark.answer == "text":
            return None
        return self.benchmark.extract(best.text)

    async def _trail(self, item: Item, talk: _Talk) -> Json:
        """Return what somebody may want to look at, as `RunItem.trail` describes it."""
        last = talk.runs[-1].records
        found: dict[str, Candidate] = {}
        for record in last:
            if record.after is not None:
                found.update((candidate.id, candidate) for candidate in record.after.candidates)
        grades = await self._grades(item, talk, found.values())
        chosen = talk.result.candidates[0].id if talk.result and talk.result.candidates else None
        return {
            "messages": [
                *(message.to_json() for message in item.task.messages),
                *({"role": "user", "content": turn} for turn in item.turns),
            ],
            "target": item.target,
            "turns": talk.answers,
            "chosen": chosen,
            "nodes": [_node(record) for record in last],
            "candidates": [
                _candidate(candidate, *grades[candidate.text]) for candidate in found.values()
            ],
        }

    async def _grades(
        self, item: Item, talk: _Talk, candidates: Iterable[Candidate]
    ) -> dict[str, tuple[str | None, float | None]]:
        """Return parsed answer and score by text; no score where one costs a call."""
        grades: dict[str, tuple[str | None, float | None]] = {}
        reads = self.benchmark.answer != "text"
        for candidate in candidates:
            text = candidate.text
            if text in grades:
                continue
            answer, grade = self.benchmark.extract(text) if reads else None, None
            if not self.benchmark.needs:
                ctx = ScoreContext((*talk.answers[: len(item.turns)], text), seed=self.seed)
                grade = (await score(self.benchmark, item, text, ctx))[0].value
            grades[text] = (answer, grade)
        return grades


def _next(task: Task, answer: str, following: str) -> Task:
    turns = (Message("assistant", answer), Message("user", following))
    return replace(task, messages=(*task.messages, *turns))


def _latency(architecture: Architecture, records: Sequence[NodeRecord]) -> float | None:
    """Return the seconds of the longest path: a node takes as long as a mean call of it.

    The calls of a node go out together; what a node holds is done one after the other.
    """
    took = dict.fromkeys((place.id for place in architecture.places), 0.0)
    for record in records:
        if record.used.seconds is None:
            return None
        top = record.path.partition("/")[0]
        took[top] = took.get(top, 0.0) + record.used.seconds / max(1, record.used.calls)
    done: dict[str, float] = {}
    for place in architecture.order:
        before = max((done[id_] for id_ in place.after), default=0.0)
        done[place.id] = before + took[place.id]
    return max(done.values())


def _node(record: NodeRecord) -> Json:
    after = record.after
    return {
        "path": record.path,
        "kind": record.kind,
        "status": record.status,
        "seconds": record.seconds,
        "used": record.used.to_json(),
        "unparsed": record.unparsed,
        "errors": record.errors,
        "warnings": record.warnings,
        "out": [] if after is None else [candidate.id for candidate in after.candidates],
        "tests": [] if after is None else [*after.tests, *after.asserts],
    }


def _candidate(candidate: Candidate, answer: str | None, score: float | None) -> Json:
    usage = candidate.reply.usage
    return {
        "id": candidate.id,
        "text": candidate.text,
        "model": candidate.model,
        "finish": candidate.reply.finish,
        "answer": answer,
        "score": score,
        "parents": list(candidate.parents),
        "notes": [note.to_json() for note in candidate.notes],
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "microusd": usage.microusd,
        "seconds": usage.seconds,
    }
