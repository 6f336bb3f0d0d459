"""One warm sandbox for a whole process, whatever event loop its callers are in.

Its workers belong to a thread of their own. That keeps them warm from one run to the next, keeps
the packing of values off the callers' loops, and holds the workers' parent (which they die with)
alive as long as the process.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from archon.sandbox.reports import Example, Report, TestFile
from archon.sandbox.settings import SandboxSettings
from archon.sandbox.supervisor import Sandbox

__all__ = ["SharedSandbox", "close_shared", "shared"]

T = TypeVar("T")


class SharedSandbox:
    """A sandbox that can be used from any event loop; made by `shared`."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._sandbox = Sandbox.on(settings.choose(), packages=settings.packages)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="archon-sandbox", daemon=True
        )
        self._thread.start()

    async def check(
        self, candidate: str, tests: TestFile | Sequence[str], **options: Any
    ) -> Report:
        """Run tests against a candidate's functions, as `Sandbox.check`."""
        return await self._there(self._sandbox.check(candidate, tests, **options))

    async def check_program(
        self, source: str, examples: Sequence[Example], **options: Any
    ) -> Report:
        """Run a program on examples, as `Sandbox.check_program`."""
        return await self._there(self._sandbox.check_program(source, examples, **options))

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        """Work in the sandbox's own loop; cancelling the caller cancels it there."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def close(self) -> None:
        """End its workers and its thread."""
        self._loop.call_soon_threadsafe(self._sandbox.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


_open: dict[SandboxSettings, SharedSandbox] = {}
_lock = threading.Lock()


def shared(settings: SandboxSettings | None = None) -> SharedSandbox:
    """Return the sandbox of this process for such settings, opened on first use.

    Raises:
        SandboxUnavailable: when nothing is strong enough; says why and what mends it.
    """
    settings = settings or SandboxSettings()
    with _lock:
        if settings not in _open:
            _open[settings] = SharedSandbox(settings)
        return _open[settings]


def close_shared() -> None:
    """End all of them; the next use opens a new one."""
    with _lock:
        for sandbox in _open.values():
            sandbox.close()
        _open.clear()


atexit.register(close_shared)
os.register_at_fork(after_in_child=_open.clear)
