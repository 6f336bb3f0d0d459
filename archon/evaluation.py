"""Measure an architecture on a benchmark: accuracy with its interval, cost, and paired differences.

What the architecture caused (no answer, a refusal, a reply cut by its length, its own budget, an
answer that does not parse) counts as wrong. What the infrastructure caused (a provider that is
down) leaves the item out and is counted apart; above 2 % of such items no claim may be made.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from archon import benchmarks, stats
from archon.api import Runnable, resolve
from archon.base import Architecture, Benchmark, Item, Split, as_architecture
from archon.budget import Budget, Ledger
from archon.errors import BudgetExceeded, ConfigError, ModelError, NodeError, PoolMiss
from archon.executor import finish_run, start
from archon.pool import Mode
from archon.result import Result
from archon.session import Session, as_budget, default_session
from archon.types import Json, Usage, canonical

__all__ = ["WINDOW", "Evaluation", "Progress", "Row", "aevaluate", "evaluate"]

WINDOW = 256
"""Items under way at once: wide, because a local model answers together what arrives together."""
MOST_FAILED = 0.02
"""Share of items lost to infrastructure above which no claim is made."""
HOPELESS = 20
"""So many failures, and more of them than of everything else, end an evaluation early."""
_SHOWN = 2000
"""Characters of an unparsed answer that a row keeps."""
_FIGURES = (
    "run", "name", "digest", "benchmark", "benchmark_digest", "split", "seed", "total", "n",
    "accuracy", "failures", "unparsed", "cut_short", "claim", "seconds",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one item.

    Attributes:
        id: the item's.
        group: its stratum, such as the level.
        score: None where the infrastructure failed, so that the item is left out.
        answer: the parsed answer; the text where it did not parse or is free text.
        used: all calls it needed.
        paid: what was newly asked.
        seconds: wall time, our own queue included.
        error: why there is no answer.
        cut_short: the limit of the item's budget that fired.
        unparsed: whether there is an answer in which none of the benchmark's kind was found.
        finish: why the final reply ended: stop, length, refusal …
    """

    id: str
    group: str
    score: float | None
    answer: str | None = None
    used: Usage = field(default_factory=Usage)
    paid: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    error: str = ""
    cut_short: str = ""
    unparsed: bool = False
    finish: str = ""

    def to_json(self) -> Json:
        """Return every field by name."""
        names = ("id", "group", "score", "answer", "seconds", "error", "cut_short", "unparsed")
        data: dict[str, Json] = {name: getattr(self, name) for name in names}
        return data | {
            "finish": self.finish, "used": self.used.to_json(), "paid": self.paid.to_json(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an evaluation is.

    Attributes:
        done: items that ended.
        total: items in all.
        scored: those that did not fail.
        points: the sum of their scores.
    """

    done: int
    total: int
    scored: int
    points: float
    used: Usage
    paid: Usage
    seconds: float

    @property
    def accuracy(self) -> float | None:
        """Mean score so far; None before the first."""
        return self.points / self.scored if self.scored else None

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the pace so far; None before the first item."""
        return self.seconds / self.done * (self.total - self.done) if self.done else None


@dataclass(frozen=True)
class Evaluation:
    """An architecture measured on the items of a benchmark.

    Attributes:
        rows: one for each item, in the benchmark's order; a prefix of it if `cut_short`.
        total: how many items were asked for.
        paid: everything newly spent, failed calls and items behind the prefix included.
        cut_short: what ended it early: a limit of its budget, or `failures`.
    """

    name: str
    digest: str
    benchmark: str
    benchmark_digest: str
    split: str
    seed: int
    rows: tuple[Row, ...]
    total: int
    paid: Usage
    seconds: float
    cut_short: str = ""
    run: str = ""

    @property
    def scores(self) -> list[float]:
        """Scores of the items that count."""
        return [row.score for row in self.rows if row.score is not None]

    @property
    def n(self) -> int:
        """How many items count."""
        return len(self.scores)

    @property
    def failures(self) -> int:
        """Items lost to the infrastructure."""
        return len(self.rows) - self.n

    @property
    def unparsed(self) -> int:
        """Items whose final answer could not be read; they count as wrong."""
        return sum(row.unparsed for row in self.rows)

    @property
    def accuracy(self) -> float | None:
        """Mean score; None without any."""
        return sum(self.scores) / self.n if self.n else None

    @property
    def interval(self) -> stats.Interval | None:
        """The 95 % interval: Wilson's for right or wrong, else Student's t."""
        return stats.interval(self.scores) if self.n else None

    @property
    def claim(self) -> bool:
        """Whether a claim may rest on this: at most 2 % of the items were lost."""
        return self.n > 0 and self.failures <= MOST_FAILED * len(self.rows)

    @property
    def used(self) -> Usage:
        """All calls that the items that count needed; what accuracy is compared to."""
        return Usage.sum(row.used for row in self.rows if row.score is not None)

    def per_item(self, amount: float | None) -> float | None:
        """Divide an amount of `used` by the items that count; unknown stays unknown."""
        return None if amount is None or not self.n else amount / self.n

    def compare(self, other: Evaluation) -> stats.PairedDifference:
        """Return how much better this is than `other` on the items that both have.

        Raises:
            ConfigError: when they were not measured on the same benchmark and split, or share
                no item.
        """
        mine = (self.benchmark_digest, self.split)
        if mine != (other.benchmark_digest, other.split):
            raise ConfigError("only evaluations on the same benchmark and split can be compared")
        theirs = {row.id: row.score for row in other.rows}
        common = [(row.score, theirs[row.id]) for row in self.rows if row.id in theirs]
        pairs = [(a, b) for a, b in common if a is not None and b is not None]
        if not pairs:
            raise ConfigError(f"{self.name} and {other.name} share no item that both answered")
        first, second = zip(*pairs, strict=True)
        return stats.paired(first, second, seed=self.seed, lost=len(common) - len(pairs))

    def to_json(self, *, rows: bool = True) -> Json:
        """Return plain data.

        Args:
            rows: with the record of every item.
        """
        span, used = self.interval, self.used
        data: dict[str, Json] = {name: getattr(self, name) for name in _FIGURES}
        data["interval"] = None if span is None else [span.low, span.high]
        data |= {"used": used.to_json(), "paid": self.paid.to_json()}
        data["per_item"] = {
            "calls": self.per_item(used.calls),
            "tokens": self.per_item(used.tokens),
            "usd": self.per_item(used.usd),
        }
        return data | {"rows": [row.to_json() for row in self.rows]} if rows else data


def evaluate(
    architecture: Runnable,
    benchmark: Benchmark | str,
    *,
    split: Split = "test",
    limit: int | None = None,
    seed: int = 0,
    budget: Budget | str | None = None,
    item_budget: Budget | str | None = None,
    mode: Mode | None = None,
    session: Session | None = None,
    concurrency: int = WINDOW,
    progress: Callable[[Progress], None] | None = None,
) -> Evaluation:
    """Measure an architecture on the items of a benchmark.

    Args:
        architecture: an architecture, a layer, or the path of a YAML file.
        benchmark: its name, or a benchmark.
        split: `dev` for choosing, `test` for the last word.
        limit: the first so many items.
        seed: names an independent replicate; the items stay the same.
        budget: what the whole evaluation may newly spend; at the cap it ends with the items done
            so far.
        item_budget: what each item may use, replies from the pool included.
        mode: as in `run`; replies are taken from the pool unless it says otherwise, so that the
            same call again resumes.
        session: where to run; a default one otherwise.
        concurrency: items under way at once.
        progress: is told after every item, in the session's own thread.

    Raises:
        ConfigError: before any call, for what cannot work.
        BudgetRefused: for a budget that cannot be enforced.
    """
    session = session or default_session()
    return session.wait(
        aevaluate(
            architecture, benchmark, split=split, limit=limit, seed=seed, budget=budget,
            item_budget=item_budget, mode=mode, session=session, concurrency=concurrency,
            progress=progress,
        )
    )  # fmt: skip


async def aevaluate(
    architecture: Runnable,
    benchmark: Benchmark | str,
    *,
    split: Split = "test",
    limit: int | None = None,
    seed: int = 0,
    budget: Budget | str | None = None,
    item_budget: Budget | str | None = None,
    mode: Mode | None = None,
    session: Session | None = None,
    concurrency: int = WINDOW,
    progress: Callable[[Progress], None] | None = None,
) -> Evaluation:
    """Measure like `evaluate`, in the caller's event loop."""
    if concurrency < 1 or (limit is not None and limit < 1):
        raise ConfigError("concurrency and limit must be at least 1")
    session = session or default_session()
    mode = mode or session.mode
    if mode == "fresh":  # one new replicate for all items, not one for each
        mode, seed = "reuse", secrets.randbits(48)
    arch = as_architecture(resolve(architecture)).check()
    bench = benchmarks.get(benchmark) if isinstance(benchmark, str) else benchmark
    work = _Work(
        session, arch, bench, split, seed, mode, as_budget(budget),
        None if item_budget is None else as_budget(item_budget), concurrency, progress,
    )  # fmt: skip
    return await work.evaluate(bench.items(split, limit))


class _ItemLedger(Ledger):
    """An item's own budget, which remembers that it was the one to refuse."""

    fired = False

    def refuses(self, upper: Usage) -> str:
        name = super().refuses(upper)
        self.fired = self.fired or (bool(name) and (name == "seconds" or not self.holding))
        return name


@dataclass(eq=False)
class _Work:
    """One evaluation under way."""

    session: Session
    architecture: Architecture
    benchmark: Benchmark
    split: Split
    seed: int
    mode: Mode
    budget: Budget
    item_budget: Budget | None
    concurrency: int
    progress: Callable[[Progress], None] | None
    rows: list[Row | None] = field(default_factory=list)
    under_way: dict[asyncio.Task[None], Usage] = field(default_factory=dict)
    uppers: dict[int, Usage] = field(default_factory=dict)
    used: Usage = field(default_factory=Usage)
    paid: Usage = field(default_factory=Usage)
    stopped: str = ""
    broken: BaseException | None = None
    done: int = 0
    scored: int = 0
    points: float = 0.0

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.budget, "paid")
        self.changed = asyncio.Event()
        self.began, self.wall = time.monotonic(), time.time()
        self.benchmark_digest = self.benchmark.digest()
        own = "" if self.item_budget is None else self.item_budget.model_dump_json()
        identity = [self.benchmark_digest, own]
        tail = hashlib.sha256(canonical(identity).encode()).hexdigest()[:8]
        self.run = "-".join(
            [self.architecture.digest(), self.benchmark.name, self.split, str(self.seed), tail]
        )

    async def evaluate(self, items: Sequence[Item]) -> Evaluation:
        """Work on all items, and keep a row of the whole in the record of runs."""
        for item in items:
            self.architecture.check_task(item.task)
        start(self.session, self.architecture, items[0].task, scopes=self._scopes(), mode=self.mode)
        self.rows = [None] * len(items)
        await self._record("running", None)
        status, result = "stopped", None
        try:
            await self._all(items)
            result = self._result()
            status = "done"
        except Exception:
            status = "failed"
            raise
        finally:
            await self._record(status, result)
        return result

    async def _all(self, items: Sequence[Item]) -> None:
        """Admit items in order, at most `concurrency` at once; leave none running."""
        try:
            for index, item in enumerate(items):
                upper = self._upper(item)
                while self.under_way and not self._room(upper):
                    await self._change()
                if self.stopped:
                    break
                task = asyncio.create_task(self._one(index, item))
                self.under_way[task] = upper
                task.add_done_callback(self._ended)
            while self.under_way:
                await self._change()
            if self.broken:
                raise self.broken
        finally:
            left = list(self.under_way)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _change(self) -> None:
        await self.changed.wait()
        self.changed.clear()
        if self.broken:
            raise self.broken

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.under_way.pop(task, None)
        if not task.cancelled():
            self.broken = self.broken or task.exception()
        self.changed.set()

    def _room(self, upper: Usage) -> bool:
        """Whether one more item may start beside those under way.

        Its whole bound must fit the budget beside theirs, or many would be half done when it
        ends. Alone, an item may always start: it may be in the pool, and the ledger refuses the
        call that does not fit.
        """
        if len(self.under_way) >= self.concurrency:
            return False
        if not self._limited:
            return True
        total = Usage.sum([upper, *self.under_way.values()])
        return self.ledger.refuses(total) in ("", "seconds")

    @property
    def _limited(self) -> bool:
        limit = self.budget
        return not (limit.calls is None and limit.tokens is None and limit.usd is None)

    def _upper(self, item: Item) -> Usage:
        """Return the most an item can cost, by the length of its question."""
        if not self._limited:
            return Usage()
        size = sum(len(m.content.encode()) for m in item.task.messages)
        size = -(-size // 256) * 256  # so that equal sizes are computed once
        if size not in self.uppers:
            bound = self.architecture.bound(question_tokens=size)
            self.uppers[size] = Usage(
                bound.calls + bound.reasks, bound.input_tokens, bound.output_tokens, bound.microusd
            )
        return self.uppers[size]

    def _scopes(self) -> tuple[Ledger, ...]:
        own = () if self.item_budget is None else (_ItemLedger(self.item_budget, "used"),)
        return (*own, self.ledger)

    async def _one(self, index: int, item: Item) -> None:
        if self.stopped:
            return
        scopes = self._scopes()
        run = start(
            self.session, self.architecture, item.task, seed=self.seed, mode=self.mode,
            run_id=self.run, scopes=scopes,
        )  # fmt: skip
        began = time.monotonic()
        try:
            result = await finish_run(self.architecture, item.task, run)
            row = self._row(item, result)
        except (BudgetExceeded, NodeError, ModelError, PoolMiss) as error:
            cut = error.limit if isinstance(error, BudgetExceeded) else ""
            row = Row(
                item.task.id, item.group, self.benchmark.score(item, None) if cut else None,
                used=Usage.sum(record.used for record in run.records),
                paid=Usage.sum(record.paid for record in run.records),
                seconds=time.monotonic() - began, error=str(error), cut_short=cut,
            )  # fmt: skip
        if row.cut_short and not self._by_item(scopes, row.cut_short):
            self.stopped = self.stopped or row.cut_short
            return
        self.rows[index] = row
        self._count(row)

    def _row(self, item: Item, result: Result) -> Row:
        best = result.candidates[0] if result.candidates else None
        text = None if result.answer is None else result.answer[:_SHOWN]
        return Row(
            item.task.id, item.group, self.benchmark.score(item, best),
            answer=text if result.value is None else result.value,
            used=result.used, paid=result.paid, seconds=result.seconds, error=result.reason,
            cut_short=result.cut_short,
            unparsed=best is not None and result.value is None and item.task.answer != "text",
            finish="" if best is None else best.reply.finish,
        )  # fmt: skip

    def _by_item(self, scopes: Sequence[Ledger], limit: str) -> bool:
        """Whether the item's own budget fired, and not that of the evaluation or the session."""
        own = scopes[0]
        if not isinstance(own, _ItemLedger):
            return False
        if limit == "seconds":
            return own.seconds_left is not None and own.seconds_left <= 0
        return own.fired

    def _count(self, row: Row) -> None:
        self.done += 1
        self.used, self.paid = self.used + row.used, self.paid + row.paid
        if row.score is not None:
            self.scored += 1
            self.points += row.score
        failed = self.done - self.scored
        if failed >= HOPELESS and failed > self.scored:
            self.stopped = self.stopped or "failures"
        if self.progress is not None:
            self.progress(
                Progress(
                    self.done, len(self.rows), self.scored, self.points, self.used, self.paid,
                    time.monotonic() - self.began,
                )
            )  # fmt: skip

    def _result(self) -> Evaluation:
        prefix: list[Row] = []
        for row in self.rows:
            if row is None:
                break
            prefix.append(row)
        return Evaluation(
            name=self.architecture.name or str(self.architecture),
            digest=self.architecture.digest(),
            benchmark=self.benchmark.name,
            benchmark_digest=self.benchmark_digest,
            split=self.split,
            seed=self.seed,
            rows=tuple(prefix),
            total=len(self.rows),
            paid=self.ledger.spent,
            seconds=time.monotonic() - self.began,
            cut_short=self.stopped,
            run=self.run,
        )

    async def _record(self, status: str, result: Evaluation | None) -> None:
        """Write the evaluation's row in the record of runs."""
        if self.mode == "off":
            return
        row = (
            self.run, self.wall, None if status == "running" else time.time(), "eval",
            self.architecture.digest(), self.architecture.name or str(self.architecture), status,
            canonical(self.used.to_json()), canonical(self.ledger.spent.to_json()),
            "" if result is None else canonical(result.to_json()),
        )  # fmt: skip

        def put(db: sqlite3.Connection) -> None:
            db.execute(_PUT, row)

        await self.session.pool.store.write(put)


_PUT = (
    "INSERT OR REPLACE INTO runs (id, started, ended, what, digest, name, status, used, paid, "
    "result) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
