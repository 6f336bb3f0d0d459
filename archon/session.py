"""A session owns the pool, the connections, the models and one event loop."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import secrets
import threading
import uuid
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, Literal, TypeVar

from archon.budget import Budget, Ledger
from archon.errors import RunError
from archon.gateway import Gateway, Spending
from archon.limits import Limits
from archon.model import Backend
from archon.pool import Mode, Pool
from archon.store import home

__all__ = ["Session", "default_session"]

T = TypeVar("T")

DRAIN = 30.0
"""Seconds that calls in flight get to end after Ctrl-C."""


class Session:
    """Where runs happen: a pool, a budget for all of them, backends, and a loop thread.

    The loop thread lets the synchronous calls work anywhere, notebooks included; the
    asynchronous ones use the caller's loop.

    Args:
        pool: file of the pool; None keeps it in memory; `default` is the one in `ARCHON_HOME`.
        budget: what all runs together may newly spend.
        backends: backends by name in place of the registered ones.
        mode: how runs use the pool unless they say otherwise.
        limits: what all models may do together, such as requests in flight.
        new_pool: start a new pool where the file is damaged, instead of stopping; the old file
            is kept beside it.
    """

    def __init__(
        self,
        pool: str | Path | None = "default",
        *,
        budget: Budget | str | None = None,
        backends: Mapping[str, Backend] | None = None,
        mode: Mode = "reuse",
        limits: Limits | None = None,
        new_pool: bool = False,
    ) -> None:
        self._path = home() / "pool.db" if pool == "default" else pool and Path(pool)
        self._pool: Pool | None = None
        self._backends = dict(backends or {})
        self._gateways: dict[asyncio.AbstractEventLoop, Gateway] = {}
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._limits, self._new_pool = limits, new_pool
        self.mode: Mode = mode
        _rest_the_collector()
        self.stopped = False
        self._waits = 0
        self.ledger = Ledger(as_budget(budget), "paid") if budget is not None else None

    @property
    def pool(self) -> Pool:
        """The pool, opened on first use."""
        with self._lock:
            if self._pool is None:
                self._pool = Pool(self._path or None, new=self._new_pool)
            return self._pool

    def gateway(self) -> Gateway:
        """Return the gateway of the running loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._gateways:
                for old in [known for known in self._gateways if known.is_closed()]:
                    del self._gateways[old]
                self._gateways[loop] = Gateway(self.pool, self._backends, self._limits)
                if self.stopped:
                    self._gateways[loop].stop()
            return self._gateways[loop]

    def spending(
        self,
        *,
        budget: Budget | str | None = None,
        seed: int = 0,
        mode: Mode | None = None,
        run_id: str = "",
        scopes: tuple[Ledger, ...] = (),
    ) -> tuple[int, Spending]:
        """Return the seed and the spending of one run.

        Args:
            budget: what this run may use, replies from the pool included.
            seed: names the replicate.
            mode: how the pool is used; `fresh` is `reuse` under a seed drawn now.
            run_id: the run's name in the record; drawn if empty.
            scopes: wider ledgers, such as an evaluation's.
        """
        mode = mode or self.mode
        if mode == "fresh":
            mode, seed = "reuse", secrets.randbits(48)
        own = (Ledger(as_budget(budget), "used"),) if budget is not None else ()
        outer = (self.ledger,) if self.ledger is not None else ()
        return seed, Spending((*own, *scopes, *outer), mode, run_id or uuid.uuid4().hex[:12])

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the session's own loop and return its result.

        The first Ctrl-C lets what is in flight end and be stored, for `DRAIN` seconds at most;
        a second one cuts it. Then nothing runs any more, and KeyboardInterrupt is raised.

        Raises:
            RunError: when called from that loop itself, where waiting would never end.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RunError(
                "a synchronous call inside a running architecture would wait for itself; "
                "use `await archon.arun(…)`"
            )
        with self._lock:
            self._waits += 1
        future = self.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            self.drain(future)
            raise
        finally:
            with self._lock:
                self._waits -= 1
                last = not self._waits
            if last:
                self.go_on()

    def drain(self, future: Future[Any]) -> None:
        """Let what is in flight end; cut it when that takes too long or Ctrl-C comes again."""
        try:
            if not self.stopped:
                self.stop()
                wait([future], timeout=DRAIN)
        finally:
            future.cancel()
            wait([future], timeout=DRAIN)

    def stop(self) -> None:
        """Make no further call; what is in flight ends and is stored.

        Runs then end with their best candidate so far, `cut_short` being `stopped`. Works from
        any thread and from a signal handler.
        """
        self.stopped = True
        for loop, gateway in list(self._gateways.items()):
            with contextlib.suppress(RuntimeError):  # a closed loop has nothing in flight
                loop.call_soon_threadsafe(gateway.stop)

    def go_on(self) -> None:
        """Allow calls again after `stop`; done by itself when the last waiting call has ended."""
        if not self.stopped:
            return
        self.stopped = False
        for loop, gateway in list(self._gateways.items()):
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(gateway.go_on)

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return sum(gateway.in_flight for gateway in list(self._gateways.values()))

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the session's own loop; its future works from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self._running())

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="archon-loop", daemon=True
                )
                self._thread.start()
            return self._loop

    def close(self) -> None:
        """Cut what runs, free models and connections, and close the pool."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._shut(loop), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            assert self._thread is not None
            self._thread.join()
            loop.close()
        self._gateways.clear()
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    async def aclose(self) -> None:
        """Close from the loop that used the session by the asynchronous calls."""
        gateway = self._gateways.pop(asyncio.get_running_loop(), None)
        if gateway is not None:
            await gateway.close()
        await asyncio.to_thread(self.close)

    async def _shut(self, loop: asyncio.AbstractEventLoop) -> None:
        tasks = [t for t in asyncio.all_tasks(loop) if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if gateway := self._gateways.pop(loop, None):
            await gateway.close()
        with contextlib.suppress(RuntimeError):  # the interpreter's end has shut it down already
            await loop.shutdown_default_executor()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        self.close()
        return False


def as_budget(budget: Budget | str | None) -> Budget:
    """Return a budget given as such or as `usd=1,calls=200`."""
    if budget is None:
        return Budget()
    return Budget.parse(budget) if isinstance(budget, str) else budget


def _rest_the_collector() -> None:
    """Let the garbage collector look less often, unless somebody has set it.

    A thousand calls in flight are a hundred thousand live objects, and none of them is garbage:
    looking through them at CPython's usual pace takes a quarter of the time of a call.
    """
    if gc.get_threshold() == (700, 10, 10):
        gc.set_threshold(50_000, 20, 100)


_default: Session | None = None
_default_lock = threading.Lock()


def default_session() -> Session:
    """Return the session that is used where none is given; closed when the process ends."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Session()
            atexit.register(_default.close)
        return _default
