"""The children of workers, as the supervisor sees them, and what their end means.

Everything read from a child is bounded, and a child is ended by a handle (pidfd) that cannot mean
another process.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass, replace

from archon.sandbox.faults import Infrastructure
from archon.sandbox.inside.frames import HEAD, MOST, pack

__all__ = ["END_SECONDS", "BadFrame", "Child", "Ended", "Gone", "died", "end"]

END_SECONDS = 5.0
"""How long a process may take to end that was killed."""

LEAVING_SECONDS = 0.5
"""How long a process may take to end after it has closed its channel."""


class Gone(Exception):
    """The child closed its channel or ended."""


class BadFrame(Exception):
    """What the child sent is no frame within the limits."""


def end(handle: int) -> None:
    """End the process of a handle and let go of it."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    os.close(handle)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended.

    Attributes:
        status: wait status.
        peak_kib: most memory.
        cpu_seconds: of its whole life.
        closed: whether it had closed its channel but lived on, so that it was ended by us.
    """

    status: int
    peak_kib: int
    cpu_seconds: float
    closed: bool = False


class Child:
    """A guarded process that waits for its payload.

    Attributes:
        guarded: whether it has said that the guard is up.
    """

    def __init__(self, channel: socket.socket, handle: int, ended: asyncio.Future[Ended]) -> None:
        self._channel = channel
        self._handle = handle
        self._ended = ended
        self._buffer = bytearray()
        self.guarded = False

    async def send(self, kind: bytes, name: bytes, body: bytes = b"") -> None:
        """Send a frame.

        Raises:
            Gone: when nobody reads it.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(self._channel, pack(kind, name, body))
        except OSError:
            raise Gone from None

    async def receive(self) -> tuple[bytes, bytes, bytes]:
        """Return kind, id and body of the next frame.

        Raises:
            Gone: at the end of the channel.
            BadFrame: for one that is longer than allowed.
        """
        while True:
            kind, name, body = await self._frame()
            if kind == b"G" and not self.guarded:
                self.guarded = True
                continue
            return kind, name, body

    async def _frame(self) -> tuple[bytes, bytes, bytes]:
        await self._fill(HEAD.size)
        length, kind, name = HEAD.unpack_from(self._buffer)
        if length > MOST:
            raise BadFrame(f"a frame of {length:,} bytes; the limit is {MOST:,}")
        await self._fill(HEAD.size + length)
        body = bytes(memoryview(self._buffer)[HEAD.size : HEAD.size + length])
        del self._buffer[: HEAD.size + length]
        return kind, name, body

    async def _fill(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        while len(self._buffer) < count:
            try:
                part = await loop.sock_recv(self._channel, 1 << 16)
            except OSError:
                part = b""
            if not part:
                raise Gone
            self._buffer += part

    async def ended(self) -> Ended:
        """Return how it ended, after ending it if it does not end by itself at once.

        Raises:
            Infrastructure: when its worker is gone.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVING_SECONDS):
                return await asyncio.shield(self._ended)
        ours = not select.select([self._handle], [], [], 0)[0]  # readable once it has ended
        self.kill()
        try:
            async with asyncio.timeout(END_SECONDS):
                ended = await asyncio.shield(self._ended)
            return replace(ended, closed=ours)
        except TimeoutError:
            raise Infrastructure("a child's end was not told") from None

    def kill(self) -> None:
        """End it."""
        if self._handle >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def close(self) -> None:
        """End it and let go of everything."""
        if self._handle < 0:
            return
        self.kill()
        os.close(self._handle)
        self._handle = -1
        self._channel.close()
        if self._ended.done() and not self._ended.cancelled():
            self._ended.exception()  # perhaps nobody asked


def died(ended: Ended, guarded: bool, cpu_seconds: int) -> tuple[str, str]:
    """Return outcome and detail of a child that ended without an answer.

    Raises:
        Infrastructure: where nothing that the code can do explains it. The filter lets nobody
            send SIGKILL, not even to itself, so that it comes from outside.
    """
    if not guarded:
        raise Infrastructure("a child ended before its guard was up")
    if ended.closed:
        return "protocol", "it closed its channel"
    if not os.WIFSIGNALED(ended.status):
        code = os.waitstatus_to_exitcode(ended.status)
        return "killed", f"the process ended itself with exit code {code}"
    number = os.WTERMSIG(ended.status)
    if number == signal.SIGXCPU or (
        number == signal.SIGKILL and ended.cpu_seconds >= cpu_seconds - 0.5
    ):
        return "timeout", f"more than {cpu_seconds} s of CPU time"
    if number == signal.SIGKILL:
        raise Infrastructure("a child was killed from outside")
    return "killed", f"the process died by {_signal(number)}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
