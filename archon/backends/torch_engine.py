"""The thread that serves one local model: a queue in, batches through, replies out."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archon.backends.torch_config import head_of, nominal_price
from archon.backends.torch_files import LOADING
from archon.backends.torch_job import FREE, ROWS, Job, Row, choose
from archon.errors import ModelError
from archon.model import Draw, Outcome, Request

if TYPE_CHECKING:
    from archon.backends.torch_batch import Batch, Prefill
    from archon.backends.torch_text import Speech

__all__ = ["Engine"]

READ_TOKENS = 2**14
"""Most tokens of prompts that are read together."""
SWEEP = 4
"""Steps between two looks at which rows have finished."""
LINGER = 0.002
"""Seconds without a new request after which an idle engine starts."""
OUTPUT = 1024
"""Most tokens of a reply when `max_tokens` is not given."""


class Engine:
    """Loads the model of a folder and serves it from a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._jobs: set[Job] = set()
        self._inbox: deque[Job] = deque()
        self._news = threading.Condition()
        self._closing = False
        self._ready: deque[Row] = deque()
        self._rows: list[Row] = []
        self._clock = 0.0
        self._batch: Batch
        self._speech: Speech
        self._context = 0
        self._price = nominal_price(folder) or FREE
        self._thread = threading.Thread(target=self._serve, name=f"archon {folder}", daemon=True)
        self._thread.start()

    @property
    def forwards(self) -> int:
        """How often the model was called."""
        return self._batch.forwards if hasattr(self, "_batch") else 0

    async def submit(self, request: Request, draws: tuple[Draw, ...], print_: str) -> list[Outcome]:
        """Queue a request and wait for its outcomes; cancelled, it leaves queue and batch."""
        return await self._answered(self._job(request, draws, print_))

    async def score(self, request: Request, print_: str) -> list[float]:
        """Return the mean probability of a token of each of the request's verdicts.

        Raises:
            ModelError: when the prompt cannot be read.
        """
        job = self._job(request, (Draw(0, 0),), print_)
        [outcome] = await self._answered(job)
        if isinstance(outcome, Exception):
            raise outcome
        return list(job.likelihoods)

    def _job(self, request: Request, draws: tuple[Draw, ...], print_: str) -> Job:
        loop = asyncio.get_running_loop()
        return Job(request, draws, print_, loop, loop.create_future())

    async def _answered(self, job: Job) -> list[Outcome]:
        with self._news:
            if self._closing:
                return [_closed()] * len(job.draws)
            self._jobs.add(job)
            self._inbox.append(job)
            self._news.notify()
        try:
            return await job.future
        finally:
            job.cancelled = True
            with self._news:
                self._jobs.discard(job)

    def close(self) -> None:
        """End the thread; what is under way fails."""
        with self._news:
            self._closing = True
            self._news.notify()
        self._thread.join()

    def _serve(self) -> None:
        fault: ModelError | None = None
        try:
            with LOADING:
                self._load()
        except Exception as error:
            # Waiters must hear of any reason for which these files cannot be loaded.
            fault = ModelError(f"cannot load {self._folder}: {error}", billed=False)
        while self._wait():
            try:
                if fault is not None:
                    raise fault
                self._take()
                self._run()
            except Exception as error:
                # This thread is the only one that answers: whatever broke a batch, its
                # waiters get the error, and the next batch starts afresh.
                self._fail(error)
        self._fail(_closed())

    def _load(self) -> None:
        if head_of(self._folder):
            raise ModelError("its head scores texts and writes none: use `rank: {method: scorer}`")
        # Threads that spin while they wait for each other make every step ten times slower as
        # soon as another process wants a core; OpenMP reads this when torch is first imported.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        import torch
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        from archon.backends.torch_batch import Batch
        from archon.backends.torch_cache import supported
        from archon.backends.torch_text import Speech

        logging.disable_progress_bar()  # the terminal is the application's
        device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu" and torch.backends.mps.is_available():
            device = "mps"
        # Half precision is slow and coarse on CPUs; elsewhere as it is stored.
        dtype: Any = torch.float32 if device == "cpu" else "auto"
        model: Any = AutoModelForCausalLM.from_pretrained(
            self._folder, local_files_only=True, dtype=dtype
        )
        if not supported(model.config):
            raise ModelError(f"models of type {model.config.model_type!r} are not supported")
        speech = Speech(self._folder)
        config = model.config.get_text_config(decoder=True)
        self._context = int(getattr(config, "max_position_embeddings", 0) or speech.longest)
        ends = _ids(model.generation_config.eos_token_id) | _ids(config.eos_token_id)
        self._batch = Batch(model.to(device).eval(), sorted(ends | _ids(speech.end)), self._context)
        self._speech = speech

    def _wait(self) -> bool:
        """Sleep until there is work; False when closing."""
        with self._news:
            if self._rows or self._ready:
                return not self._closing
            while not self._inbox and not self._closing:
                self._news.wait()
            # Requests made in one breath arrive one by one: let the others come too.
            known = 0
            while known != len(self._inbox) and not self._closing:
                known = len(self._inbox)
                self._news.wait(LINGER)
            return not self._closing

    def _take(self) -> None:
        """Turn queued requests into rows, and rows into a part of the batch, if it is time."""
        while self._inbox and len(self._ready) < 2 * ROWS:
            job = self._inbox.popleft()
            if not job.cancelled:
                self._ready.extend(self._prepare(job))
        while self._ready and self._ready[0].job.cancelled:
            self._ready.popleft()
        waited = time.monotonic() - self._ready[0].since if self._ready else 0.0
        # Joining copies the whole cache, so a few rows wait a moment for others.
        if self._ready and (len(self._ready) * 8 >= len(self._rows) or waited > LINGER * 50):
            self._drop()
            width = self._batch.width if self._rows else len(self._ready[0].ids)
            chosen, self._ready = choose(self._ready, self._rows, width)
            if chosen:
                self._join(chosen)

    def _prepare(self, job: Job) -> list[Row]:
        """Return the rows of a request; errors go to its caller."""
        request, model = job.request, job.request.model
        try:
            if request.schema:
                raise ModelError("local models cannot be held to a schema", billed=False)
            job.thinking_ends = self._speech.thinking_ends(model.effort)
            job.price = model.price or self._price
            if request.prefix and job.thinking_ends is not None:
                raise ModelError(
                    "a reply that begins with thinking cannot begin with a given text",
                    billed=False,
                )
            ids = self._speech.prompt(request.messages, request.prefix, model.effort)
            if len(ids) >= self._context:
                raise ModelError(
                    f"the prompt has {len(ids)} tokens and leaves no room in the context"
                    f" of {self._context} tokens of {model.model!r}",
                    billed=False,
                )
        except ModelError as error:
            job.fail(error)
            return []
        limit = min(model.max_tokens or OUTPUT, self._context - len(ids))
        every = list(range(len(job.draws)))
        groups = [every] if model.temperature == 0 else [[place] for place in every]
        now = time.monotonic()
        return [Row(job, ids, places, limit, now) for places in groups if places]

    def _join(self, rows: list[Row]) -> None:
        """Read each different prompt once, in groups of like length, and add the rows."""
        prompts: dict[tuple[int, ...], list[Row]] = {}
        for row in rows:
            prompts.setdefault(tuple(row.ids), []).append(row)
        group: list[tuple[int, ...]] = []
        for prompt in sorted(prompts, key=len):
            if group and len(prompt) * (len(group) + 1) > READ_TOKENS:
                self._read(group, prompts)
                group = []
            group.append(prompt)
        self._read(group, prompts)

    def _read(
        self, group: Sequence[tuple[int, ...]], prompts: dict[tuple[int, ...], list[Row]]
    ) -> None:
        import torch

        from archon.backends.torch_sampling import Knobs

        began = time.monotonic()
        read = self._batch.read(group)
        pairs = [(place, row) for place, prompt in enumerate(group) for row in prompts[prompt]]
        rows = [row for _, row in pairs]
        self._verdicts(read, pairs)
        chance = np.zeros((len(rows), max(row.limit for row in rows)))
        for place, row in enumerate(rows):
            if row.job.request.model.temperature != 0:
                draw = row.job.draws[row.places[0]]
                chance[place, : row.limit] = row.job.chance(draw, row.limit)
        knobs = [Knobs.of(row.job.request.model) for row in rows]
        device = read.logits.device
        numbers = torch.from_numpy(chance if device.type != "mps" else chance.astype(np.float32))
        self._batch.join(
            read, [place for place, _ in pairs], knobs, [row.limit for row in rows], numbers
        )
        self._rows += rows
        share = (time.monotonic() - began) / len(rows)
        for row in rows:
            row.seconds = share - self._clock

    def _verdicts(self, read: Prefill, pairs: Sequence[tuple[int, Row]]) -> None:
        """Give each job that wants them the probabilities of its verdicts."""
        jobs = {
            row.job: place
            for place, row in pairs
            if row.job.request.verdicts
            and row.job.probs is None
            # Where thinking comes first, the verdict does not stand at the beginning.
            and row.job.thinking_ends is None
        }
        which: list[int] = []
        texts: list[list[int]] = []
        for job, place in jobs.items():
            for text in job.request.verdicts:
                texts.append(self._speech.plain(text.removeprefix(job.request.prefix)))
                which.append(place)
        if not texts:
            return
        scores = iter(self._batch.score(read, which, texts))
        lengths = map(len, texts)
        for job in jobs:
            logs = np.array([next(scores) for _ in job.request.verdicts])
            sizes = np.array([next(lengths) for _ in logs])
            job.likelihoods = tuple(np.exp(logs / (sizes + 1)).tolist())
            weights = np.exp(logs - logs.max())
            shares = (weights / weights.sum()).tolist()
            job.probs = tuple(zip(job.request.verdicts, shares, strict=True))

    def _run(self) -> None:
        """Make a few steps and hand out what is finished."""
        if not self._rows:
            return
        live = sum(not row.told for row in self._rows)
        began = time.monotonic()
        for _ in range(SWEEP):
            if not self._batch.step():
                break
        self._clock += (time.monotonic() - began) / live
        done, ended, counts = self._batch.finished()
        for place, row in enumerate(self._rows):
            if row.told:
                continue
            stop = row.job.request.model.stop
            if row.job.cancelled:
                row.told = True
            elif done[place] or (
                stop
                and self._speech.stops(row.answer(self._batch.tokens(place, counts[place])), stop)
            ):
                ids = self._batch.tokens(place, counts[place])
                row.finish(self._speech, ids, ended[place], row.seconds + self._clock)
        told = sum(row.told for row in self._rows)
        if told * 6 >= len(self._rows):
            self._drop()

    def _drop(self) -> None:
        """Take rows that have been told out of the batch."""
        keep = [place for place, row in enumerate(self._rows) if not row.told]
        if len(keep) < len(self._rows):
            self._batch.keep(keep)
            self._rows = [self._rows[place] for place in keep]

    def _fail(self, error: Exception) -> None:
        """Answer everything that waits with an error, and start over."""
        with self._news:
            jobs = list(self._jobs)
            self._inbox.clear()
        self._ready.clear()
        self._rows = []
        if hasattr(self, "_batch"):
            self._batch.keep([])
        if not isinstance(error, ModelError):
            error = ModelError(f"the local model failed: {type(error).__name__}: {error}")
        for job in jobs:
            job.fail(error)


def _closed() -> ModelError:
    return ModelError("the backend was closed", billed=False)


def _ids(value: int | list[int] | None) -> set[int]:
    if value is None:
        return set()
    return {value} if isinstance(value, int) else set(value)
