"""The thread that serves one local model: a queue in, batches through, replies out."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from archon.backends.torch_config import head_of, stored_dtype
from archon.backends.torch_device import Local, Memory, device_of, dtype_of, is_memory_error
from archon.backends.torch_files import LOADING, weights_of
from archon.backends.torch_job import Job
from archon.backends.torch_threads import use_threads
from archon.errors import ModelError
from archon.model import Draw, Outcome, Request

if TYPE_CHECKING:
    from archon.backends.torch_serving import Serving

__all__ = ["Engine"]

LINGER = 0.002
"""Seconds without a new request after which an idle engine starts."""


class Engine:
    """Loads the model of a folder and serves it from a thread of its own.

    It loads on the first request, and again after it gave its memory to another model.

    Args:
        folder: of the weights.
        local: how models run here.
        memory: which models share.
        dtype: precision, if it is not what suits the device.
    """

    def __init__(
        self,
        folder: Path,
        local: Local | None = None,
        memory: Memory | None = None,
        dtype: str = "",
    ) -> None:
        self._folder, self._dtype = folder, dtype
        self._local, self._memory = local or Local(), memory or Memory()
        self._jobs: set[Job] = set()
        self._inbox: deque[Job] = deque()
        self._news = threading.Condition()
        self._closing = self._leaving = False
        self._serving: Serving | None = None
        self._fault: ModelError | None = None
        self._thread = threading.Thread(target=self._serve, name=f"archon {folder}", daemon=True)
        self._thread.start()

    @property
    def serving(self) -> Serving | None:
        """The model at work, while it is loaded; for tests and measurements."""
        return self._serving

    @property
    def forwards(self) -> int:
        """How often the model was called since it was loaded."""
        return 0 if self._serving is None else self._serving.net.forwards

    @property
    def busy(self) -> bool:
        """Whether requests are under way."""
        return bool(self._jobs)

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
            with self._news:
                self._jobs.discard(job)
                if len(job.outcomes) < len(job.draws):
                    job.cancelled = True
                    if self._serving is not None:
                        self._serving.cut = True

    def leave(self) -> None:
        """Free the memory when what has begun is done; requests that wait load it again."""
        with self._news:
            self._leaving = True
            self._news.notify()

    def close(self) -> None:
        """End the thread; what is under way fails."""
        with self._news:
            self._closing = True
            self._news.notify()
        self._memory.wake()
        self._thread.join()

    def _serve(self) -> None:
        while self._wait():
            try:
                if self._loaded() is not None:
                    self._take()
            except Exception as error:
                # This thread is the only one that answers: whatever broke a batch, its
                # waiters get the error, and the next batch starts afresh.
                self._fail(error)
        self._unload()
        self._fail(_closed())

    def _wait(self) -> bool:
        """Sleep until there is work; False when closing."""
        with self._news:
            while not self._closing:
                if self._serving is not None and not self._serving.idle:
                    return True
                if self._leaving:
                    break
                if self._inbox:
                    self._linger()
                    return not self._closing
                self._news.wait()
            if self._closing:
                return False
        self._unload()
        return True

    def _linger(self) -> None:
        """Let requests come that are made in one breath, for they arrive one by one."""
        known = 0
        while known != len(self._inbox) and not self._closing:
            known = len(self._inbox)
            self._news.wait(LINGER)

    def _take(self) -> None:
        serving = self._serving
        assert serving is not None
        while self._inbox and serving.hungry and not self._leaving:
            job = self._inbox.popleft()
            if not job.cancelled:
                serving.add(job)
        if not serving.idle:
            self._memory.used(self)
            serving.advance()

    def _loaded(self) -> Serving | None:
        """Return the model, loaded if need be; None when there is no need any more.

        Raises:
            ModelError: when it cannot be loaded.
        """
        if self._serving is None and self._inbox:
            if self._fault is not None:
                raise self._fault
            try:
                self._load()
            except Exception as error:
                self._memory.exit(self)
                # Waiters must hear of any reason for which these files cannot be loaded.
                fault = ModelError(f"cannot load {self._folder}: {error}", billed=False)
                if not is_memory_error(error):
                    self._fault = fault
                raise fault from error
        return self._serving

    def _load(self) -> None:
        if head_of(self._folder):
            raise ModelError("its head scores texts and writes none: use `rank: {method: scorer}`")
        # Threads that spin while they wait for each other make every step ten times slower as
        # soon as another process wants a core; OpenMP reads this when torch is first imported.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        with LOADING:
            from archon.backends.torch_serving import Serving

            device = device_of(self._local.device)
            dtype = dtype_of(self._dtype, device, stored_dtype(self._folder))
        weights = weights_of(self._folder)
        size = weights * dtype.itemsize + self._local.caches(device)
        budget = self._local.budget(device)
        spare = device.type == "cpu" and use_threads(self._local.threads, weights)
        if self._memory.enter(self, size, budget, lambda: self._closing):
            with LOADING:
                self._serving = Serving(self._folder, self._local, self._dtype, beside=spare)

    def _unload(self) -> None:
        """Free the memory that the model takes."""
        serving = self._serving
        self._serving, self._leaving = None, False
        if serving is not None:
            import torch

            serving.close()
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        self._memory.exit(self)

    def _fail(self, error: Exception) -> None:
        """Answer everything that waits with an error, and start over."""
        with self._news:
            jobs = list(self._jobs)
            self._inbox.clear()
        if self._serving is not None:
            self._serving.abandon()
        if not isinstance(error, ModelError):
            error = ModelError(f"the local model failed: {type(error).__name__}: {error}")
        for job in jobs:
            job.fail(error)


def _closed() -> ModelError:
    return ModelError("the backend was closed", billed=False)
