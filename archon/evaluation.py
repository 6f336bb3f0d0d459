"""Measure an architecture on a benchmark: accuracy with its interval, cost, and paired differences.

What the architecture caused (no answer, a refusal, a reply cut by its length, its own budget, an
answer that does not parse) counts as wrong. What the infrastructure caused (a provider that is
down) leaves the item out and is counted apart; above 2 % of such items no claim may be made.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from archon import benchmarks
from archon.api import Runnable, resolve
from archon.base import Architecture, Benchmark, Figure, Item, Split, as_architecture
from archon.budget import Budget, Ledger
from archon.config import dumps
from archon.errors import ArchonError, BudgetRefused, ConfigError, RunError
from archon.executor import start
from archon.item_work import ItemWork
from archon.measured import Evaluation, Progress, Row
from archon.plain import canonical
from archon.pool import Mode
from archon.redaction import redact
from archon.runs import RunRow, Status, put_run
from archon.session import Session, as_budget, default_session
from archon.strata import chosen
from archon.trails import drop_items, put_item
from archon.types import Usage

__all__ = ["WINDOW", "Evaluation", "Progress", "Row", "aevaluate", "evaluate"]

WINDOW = 256
"""Items under way at once: wide, because a local model answers together what arrives together."""
HOPELESS = 20
"""So many failures, and more of them than of everything else, end an evaluation early."""


def evaluate(
    architecture: Runnable,
    benchmark: Benchmark | str,
    *,
    split: Split = "test",
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    budget: Budget | str | None = None,
    item_budget: Budget | str | None = None,
    mode: Mode | None = None,
    session: Session | None = None,
    concurrency: int = WINDOW,
    trails: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> Evaluation:
    """Measure an architecture on the items of a benchmark.

    Args:
        architecture: an architecture, a layer, or the path of a YAML file.
        benchmark: its name, or a benchmark.
        split: `dev` for choosing, `test` for the last word.
        limit: the first so many items.
        sample: so many items, of every group its share, drawn by `seed`; instead of `limit`.
        seed: names an independent replicate; the items stay the same.
        budget: what the whole evaluation may newly spend, in however many calls and processes;
            at the cap it ends with the items done so far.
        item_budget: what each item may use, replies from the pool included.
        mode: as in `run`; replies are taken from the pool unless it says otherwise, so that the
            same call again resumes.
        session: where to run; a default one otherwise.
        concurrency: items under way at once.
        trails: whether every item's candidates and notes are kept, and scored where that costs
            no call, for `archon report` and `archon curves`.
        progress: is told after every item, in the session's own thread.

    Raises:
        ConfigError: before any call, for what cannot work.
        BudgetRefused: for a budget that cannot be enforced.
    """
    session = session or default_session()
    return session.wait(
        aevaluate(
            architecture, benchmark, split=split, limit=limit, sample=sample, seed=seed,
            budget=budget, item_budget=item_budget, mode=mode, session=session,
            concurrency=concurrency, trails=trails, progress=progress,
        )
    )  # fmt: skip


async def aevaluate(
    architecture: Runnable,
    benchmark: Benchmark | str,
    *,
    split: Split = "test",
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    budget: Budget | str | None = None,
    item_budget: Budget | str | None = None,
    mode: Mode | None = None,
    session: Session | None = None,
    concurrency: int = WINDOW,
    trails: bool = True,
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
    # In a thread: to find out whether code may be executed here takes a moment.
    await asyncio.to_thread(bench.ready)
    await asyncio.to_thread(arch.ready)
    items = chosen(bench, split, limit, sample, seed)
    work = _Work(
        session, arch, bench, split, seed, mode, as_budget(budget),
        None if item_budget is None else as_budget(item_budget), concurrency, trails, progress,
        sample,
    )  # fmt: skip
    return await work.evaluate(items)


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
    trails: bool
    progress: Callable[[Progress], None] | None
    sample: int | None = None
    rows: list[Row | None] = field(default_factory=list)
    under_way: dict[asyncio.Task[None], Usage] = field(default_factory=dict)
    uppers: dict[int, Usage] = field(default_factory=dict)
    used: Usage = field(default_factory=Usage)
    paid: Usage = field(default_factory=Usage)
    stopped: str = ""
    refusal: str = ""
    broken: BaseException | None = None
    done: int = 0
    scored: int = 0
    points: float = 0.0

    def __post_init__(self) -> None:
        self.changed = asyncio.Event()
        self.began, self.wall = time.monotonic(), time.time()
        self.benchmark_digest = self.benchmark.digest()
        own = "" if self.item_budget is None else self.item_budget.model_dump_json()
        identity = [self.benchmark_digest, own, *([] if self.sample is None else [self.sample])]
        tail = hashlib.sha256(canonical(identity).encode()).hexdigest()[:8]
        self.run = "-".join(
            [self.architecture.digest(), self.benchmark.name, self.split, str(self.seed), tail]
        )
        self.ledger = self._open_ledger()
        self.item_work = ItemWork(
            self.session, self.architecture, self.benchmark, self.seed, self.mode, self.run,
            self.ledger, self.item_budget, self.trails and self.mode != "off",
        )  # fmt: skip

    def _open_ledger(self) -> Ledger:
        """Open the evaluation's scope under its own name: a resumed one has what is left."""
        if not self.budget.limits() or self.mode == "off":
            return Ledger(self.budget, "paid")
        return Ledger(self.budget, "paid", self.run, self.session.pool.spent(self.run))

    async def evaluate(self, items: Sequence[Item]) -> Evaluation:
        """Work on all items, and keep a row of the whole in the record of runs."""
        self._check(items)
        self.rows = [None] * len(items)
        await self._record("running", None)
        if self.mode != "off":
            await drop_items(self.session.pool, self.run, len(items))
        status: Status = "stopped"
        result = None
        try:
            await self._all(items)
            result = self._result()
            if self.refusal and not result.rows and not self.ledger.spent.calls:
                raise BudgetRefused(f"the budget admits no call at all: {self.refusal}")
            status = "done"
        except Exception:  # any failure is recorded as one, and raised again
            status = "failed"
            raise
        finally:
            await self._record(status, result)
        return result

    def _check(self, items: Sequence[Item]) -> None:
        """Refuse what cannot work before any call; afterwards no item is checked again.

        Whether the first call fits the evaluation's budget shows only when it is made: it may
        be in the pool.
        """
        for item in items:
            self.architecture.check_task(item.task)
        own = () if self.item_budget is None else (Ledger(self.item_budget, "used"),)
        start(self.session, self.architecture, items[0].task, scopes=own, mode=self.mode)
        models = [*self.architecture.models(), *self.benchmark.models()]
        self.session.gateway().check(models, (self.ledger,))

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
        error = None if task.cancelled() else task.exception()
        self.broken = self.broken or error
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
        return bool(self.ledger.limits)

    def _upper(self, item: Item) -> Usage:
        """Return the most an item can cost, by the length of its question."""
        if not self._limited:
            return Usage()
        size = sum(len(m.content.encode()) for m in item.task.messages)
        size = -(-size // 256) * 256  # so that equal sizes are computed once
        if size not in self.uppers:
            bound = self.architecture.bound(question_tokens=size)
            self.uppers[size] = Usage(
                bound.calls + bound.reasks, bound.input_tokens, bound.output_tokens,
                bound.microusd, flops=bound.flops,
            )  # fmt: skip
        return self.uppers[size]

    async def _one(self, index: int, item: Item) -> None:
        if self.stopped:
            return
        worked = await self.item_work.work(item)
        if worked.row is None:
            self.stopped = self.stopped or worked.stopped
            self.refusal = self.refusal or worked.refusal
            return
        self.rows[index] = worked.row
        self._count(worked.row)
        if self.mode != "off":
            row = worked.row.to_json()
            await put_item(self.session.pool, self.run, index, row, worked.trail)

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
        judges = {model.model for model in self.benchmark.models()}
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
            before=self.ledger.before,
            seconds=time.monotonic() - self.began,
            cut_short=self.stopped,
            run=self.run,
            metric=self.benchmark.metric,
            figures=self._figures(prefix),
            judge_in_loop=any(model.model in judges for model in self.architecture.models()),
            architecture=_yaml(self.architecture),
        )

    def _figures(self, rows: Sequence[Row]) -> tuple[Figure, ...]:
        try:
            return tuple(self.benchmark.summary(rows))
        except ArchonError:
            raise
        except Exception as bug:  # a benchmark may be a stranger's code
            raise RunError(
                f"{self.benchmark.name}: its figures failed: {type(bug).__name__}: {bug}"
            ) from bug

    async def _record(self, status: Status, result: Evaluation | None) -> None:
        """Write the evaluation's row in the record of runs."""
        if self.mode == "off":
            return
        row = RunRow(
            self.run, self.wall, "eval", self.architecture.digest(),
            self.architecture.name or str(self.architecture), status,
            None if status == "running" else time.time(), self.used, self.ledger.spent,
            None if result is None else result.to_json(rows=False),
        )  # fmt: skip
        await put_run(self.session.pool, row)


def _yaml(architecture: Architecture) -> str:
    """Return the architecture's YAML without secrets, or nothing where no file can name it all."""
    try:
        return redact(dumps(architecture, headers=False))
    except ConfigError:
        return ""
