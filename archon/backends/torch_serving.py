"""A loaded model at work: requests become rows, rows join the batch, finished ones are told.

Where a core would idle, the prompts of rows that are to join are read in a second thread while the
batch goes on: reading is few large operations, a step is many small ones, so they hardly meet.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from archon.backends.torch_batch import Batch, Prompt
from archon.backends.torch_config import nominal_price, stored_dtype
from archon.backends.torch_device import Local, device_of, dtype_of, is_memory_error
from archon.backends.torch_job import FREE, Job, Room, Row, choose
from archon.backends.torch_net import Net, loaded
from archon.backends.torch_opening import banned, forced, opened
from archon.backends.torch_reading import Reader, Text
from archon.backends.torch_sampling import Knobs, Seat
from archon.backends.torch_text import Speech
from archon.backends.torch_threads import use_threads
from archon.backends.torch_tree import PrefixTree
from archon.errors import ModelError

__all__ = ["Serving"]

ROWS = 256
"""Most rows that are continued together."""
SWEEP = 4
"""Steps between two looks at which rows have finished."""
LINGER = 0.1
"""Seconds that a few rows wait for others to join the batch with."""
OUTPUT = 1024
"""Most tokens of a reply when `max_tokens` is not given."""


@dataclass(slots=True)
class _Waiting:
    """Rows of one prompt, and the prompt."""

    text: Text
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class _Coming:
    """Rows whose prompts are being read, grouped by prompt, and the seconds that it takes."""

    rows: list[Row]
    groups: list[_Waiting]
    read: Future[float]


class Serving:
    """Serves requests with one model; used by one thread only.

    Args:
        folder: of the weights.
        local: how models run here.
        dtype: precision, one of `DTYPES`; empty for what suits the device.
        beside: whether prompts are read in a thread of their own.

    Attributes:
        cut: set by other threads when a request has been cancelled.

    Raises:
        ModelError: when the model cannot be served.
    """

    def __init__(self, folder: Path, local: Local, dtype: str, *, beside: bool = False) -> None:
        device = device_of(local.device)
        self.speech = Speech(folder)
        self.net: Net = loaded(
            folder, device, dtype_of(dtype, device, stored_dtype(folder)), self.speech.longest
        )
        if self.speech.end is not None:
            self.net.ends.add(self.speech.end)
        half = local.caches(device) // 2
        self.tree = PrefixTree(half if local.reuse else 0)
        self.reader = Reader(self.net, self.tree, reuse=local.reuse)
        self.room = Room(ROWS, max(1, half // self.net.form.token_bytes))
        self.cut = False
        self._reuse = local.reuse
        self._batch = Batch(self.net, share=local.reuse)
        self._price = nominal_price(folder) or FREE
        self._ready: deque[Row] = deque()
        self._rows: list[Row] = []
        self._coming: _Coming | None = None
        self._aside = ThreadPoolExecutor(1, "archon reads", _alone) if beside else None
        self._clock = 0.0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._rows and not self._ready and self._coming is None

    @property
    def hungry(self) -> bool:
        """Whether more requests may be added: a queue here would be passed by others."""
        return len(self._ready) < 2 * ROWS

    def add(self, job: Job) -> None:
        """Take a request; what is wrong with it goes to its caller."""
        try:
            self._ready.extend(self._prepare(job))
        except ModelError as error:
            job.fail(error)

    def advance(self) -> None:
        """Let rows join if it is time, make a few steps, and hand out what is finished."""
        self.cut = False
        while self._ready and self._ready[0].job.cancelled:
            self._ready.popleft()
        waited = time.monotonic() - self._ready[0].since if self._ready else 0.0
        # Joining copies what is there, so a few rows wait a moment for others.
        due = len(self._ready) * 8 >= len(self._rows) or waited > LINGER
        if self._ready and due and self._coming is None:
            self._invite()
        coming = self._coming
        if coming and not self._batch.unread and (coming.read.done() or not self._rows):
            self._join(coming)
        if self._rows:
            self._steps()

    def abandon(self) -> None:
        """Forget everything that is under way."""
        self._ready.clear()
        if self._coming is not None:
            wait([self._coming.read])
            self._coming = None
        self._rows = []
        self._batch.keep([])

    def close(self) -> None:
        """End the thread that reads."""
        if self._aside is not None:
            self._aside.shutdown()

    def _prepare(self, job: Job) -> list[Row]:
        """Return the rows of a request."""
        request, model = job.request, job.request.model
        if request.schema:
            raise ModelError("local models cannot be held to a schema", billed=False)
        job.thinking_ends = self.speech.thinking_ends(model.effort)
        job.price = model.price or self._price
        if (request.prefix or request.prefix_tokens) and job.thinking_ends is not None:
            raise ModelError(
                "a reply that begins with thinking cannot begin with a given text", billed=False
            )
        job.opening = opened(self.speech, request)
        job.banned, job.forced = banned(self.speech, request), forced(self.speech, request)
        ids = job.opening.ids
        if len(ids) >= self.net.context:
            raise ModelError(
                f"the prompt has {len(ids)} tokens and leaves no room in the context"
                f" of {self.net.context} tokens of {model.model!r}",
                billed=False,
            )
        limit = min(model.max_tokens or OUTPUT, self.net.context - len(ids))
        now = time.monotonic()
        rows = [Row(job, ids, [place], limit, now) for place in range(len(job.draws))]
        if rows and rows[0].greedy:
            rows[0].places = list(range(len(job.draws)))
            return rows[:1]
        return rows

    def _invite(self) -> None:
        """Choose rows that may join, and begin to read each of their different prompts once."""
        self._drop()
        width = self._batch.prompt_width if self._rows else len(self._ready[0].ids)
        rows, self._ready = choose(self._ready, self._rows, width, self.room)
        if not rows:
            return
        waiting: dict[tuple[object, ...], _Waiting] = {}
        for row in rows:
            request, opening = row.job.request, row.job.opening
            assert opening is not None
            shown = opening.given if request.echo and request.logprobs else 0
            top = request.logprobs if shown else 0
            key = (row.ids, shown, top)
            if key not in waiting:
                waiting[key] = _Waiting(Text(row.ids, shown, top), [])
            waiting[key].rows.append(row)
        # Prompts with about as many rows are worked on together.
        groups = sorted(waiting.values(), key=lambda group: len(group.rows))
        self._coming = _Coming(rows, groups, self._started(lambda: self._read(groups)))

    def _started(self, work: Callable[[], float]) -> Future[float]:
        """Do some work: beside everything else where that is possible, otherwise at once."""
        if self._aside is not None:
            return self._aside.submit(work)
        done: Future[float] = Future()
        try:
            done.set_result(work())
        except Exception as error:
            # Whoever asks for the result gets it, as from another thread.
            done.set_exception(error)
        return done

    def _read(self, groups: Sequence[_Waiting]) -> float:
        """Read prompts and verdicts; return the seconds that it took."""
        began = time.monotonic()
        self.reader.read([group.text for group in groups])
        self._verdicts(groups)
        return time.monotonic() - began

    def _join(self, coming: _Coming) -> None:
        """Add rows whose prompts are read, as soon as they are."""
        rows, groups = coming.rows, coming.groups
        try:
            reading = coming.read.result()
            began = time.monotonic()
            self._drop()
            prompts = [_prompt(group.text) for group in groups]
            which = [place for place, group in enumerate(groups) for _ in group.rows]
            ordered = [row for group in groups for row in group.rows]
            self._batch.join(prompts, which, [_seat(row) for row in ordered])
        except Exception as error:
            # Too much at once is no fault of the requests; anything else is for the engine.
            if not is_memory_error(error):
                raise
            self._too_many(rows, len(self._rows) + len(rows), error)
            return
        finally:
            self._coming = None
        for group in groups:
            group.rows[0].prefilled += len(group.text.ids) - group.text.reused
            for row in group.rows:
                row.job.given = group.text.logprobs
        self._rows += ordered
        share = (reading + time.monotonic() - began) / len(rows)
        for row in rows:
            row.seconds = share - self._clock

    def _verdicts(self, groups: Sequence[_Waiting]) -> None:
        """Give each job that wants them the probabilities of its verdicts."""
        jobs = {
            row.job: group.text
            for group in groups
            for row in group.rows
            if row.job.request.verdicts
            and row.job.probs is None
            # Where thinking comes first, the verdict does not stand at the beginning.
            and row.job.thinking_ends is None
        }
        asked: list[Text] = []
        for job, prompt in jobs.items():
            request = job.request
            # A prefix is scored by its own tokens, though the model may write its last one anew.
            whole = tuple(self.speech.prompt(request.messages, request.prefix, None))
            whole += request.prefix_tokens
            for verdict in request.verdicts:
                said = tuple(self.speech.plain(verdict.removeprefix(request.prefix)))
                path = list(prompt.path) if len(said) + len(whole) > len(prompt.ids) else []
                asked.append(Text((*whole, *said), len(said), 0, path))
        # A verdict that is empty ends where the prompt does: of that, the end alone is wanted.
        self.reader.read([text for text in asked if text.shown])
        self.reader.read(list({text.ids: text for text in asked if not text.shown}.values()))
        texts = iter(asked)
        known = {t.ids: t for t in asked if not t.shown and t.logits is not None}
        for job in jobs:
            own = [next(texts) for _ in job.request.verdicts]
            mine = [text if text.shown else known[text.ids] for text in own]
            logs = np.array([sum(p for p, _ in t.logprobs) + t.ended(self.net) for t in mine])
            sizes = np.array([text.shown for text in mine])
            job.likelihoods = tuple(np.exp(logs / (sizes + 1)).tolist())
            weights = np.exp(logs - logs.max())
            shares = (weights / weights.sum()).tolist()
            job.probs = tuple(zip(job.request.verdicts, shares, strict=True))

    def _steps(self) -> None:
        """Make a few steps and hand out what is finished."""
        live = sum(not row.told for row in self._rows)
        began = time.monotonic()
        try:
            for _ in range(SWEEP):
                if self.cut or not self._batch.step():
                    break
        except Exception as error:
            # Too much at once is no fault of the requests; anything else is for the engine.
            if not is_memory_error(error):
                raise
            self._halve(error)
            return
        self._clock += (time.monotonic() - began) / max(1, live)
        self._collect()
        self._tell()
        if sum(row.told for row in self._rows) * 6 >= len(self._rows):
            self._drop()

    def _collect(self) -> None:
        """Give each row what the last steps showed of its tokens."""
        for step in self._batch.shown():
            for place, shown in step.items():
                self._rows[place].shown.append(shown)

    def _tell(self) -> None:
        """Give out the rows that are finished."""
        done, ended, counts = self._batch.finished()
        for place, row in enumerate(self._rows):
            if row.told:
                continue
            if row.job.cancelled:
                row.told = True
                continue
            stop = row.job.request.model.stop
            if not (done[place] or stop):
                continue
            ids = self._batch.tokens(place, counts[place])
            if done[place] or row.stopped(self.speech, ids):
                count = row.finish(self.speech, ids, ended[place], row.seconds + self._clock)
                # A reply that the model ended itself is not gone on from.
                if self._reuse and not ended[place]:
                    self._remember(place, row, ids[:count])

    def _remember(self, place: int, row: Row, ids: list[int]) -> None:
        """Keep what a row wrote: a step that is gone on from, or a text that is continued."""
        segment = self._batch.segment(place, len(ids)) or self._batch.segment(place, len(ids) - 1)
        if segment is not None:
            self.tree.add((*row.ids, *ids[: segment.size]), segment)

    def _drop(self) -> None:
        """Take rows that have been told out of the batch."""
        keep = [place for place, row in enumerate(self._rows) if not row.told]
        if len(keep) < len(self._rows):
            self._batch.keep(keep)
            self._rows = [self._rows[place] for place in keep]

    def _too_many(self, rows: Sequence[Row], count: int, error: Exception) -> None:
        """Let rows wait for which memory was too small, and take fewer from now on."""
        self._free(count)
        if count == 1:
            rows[0].job.fail(_full(error))
            rows[0].job.cancelled = True  # its other draws would fare no better
            return
        for row in reversed(rows):
            row.shown = []
            self._ready.appendleft(row)

    def _halve(self, error: Exception) -> None:
        """Go on with half of the rows; the others begin anew when there is room."""
        self._collect()
        live = [place for place, row in enumerate(self._rows) if not row.told]
        half = live[: len(live) // 2]
        rows = [self._rows[place] for place in live[len(live) // 2 :]]
        self._batch.keep(half)
        self._rows = [self._rows[place] for place in half]
        self._too_many(rows, len(live), error)

    def _free(self, count: int) -> None:
        import torch

        self.room.rows = max(1, min(self.room.rows, count) // 2)
        self.tree.shrink(self.tree.bytes // 2)
        if self.net.device.type == "cuda":
            torch.cuda.empty_cache()


def _alone() -> None:
    """Let one thread compute what the calling thread asks of torch."""
    use_threads(1, 0)


def _prompt(text: Text) -> Prompt:
    assert text.logits is not None
    return Prompt(text.ids, text.path, text.logits)


def _seat(row: Row) -> Seat:
    job = row.job
    assert job.opening is not None
    model, heat = job.request.model, job.first_heat
    knobs = Knobs.of(model)
    chance = job.chance(job.draws[row.places[0]], row.limit) if not row.greedy else np.zeros(0)
    return Seat(
        knobs,
        row.limit,
        chance,
        first=knobs.temperature if heat is None else heat,
        opening=job.opening.allowed,
        banned=job.banned,
        forced=job.forced,
        top=job.request.logprobs or None,
    )


def _full(error: Exception) -> ModelError:
    first = str(error).partition("\n")[0]
    return ModelError(f"the device's memory is too small for this request alone: {first}")
