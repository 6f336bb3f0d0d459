"""Workers, as the supervisor sees them.

A worker is a fresh interpreter that forks a guarded child on request; its control socket carries
whole packets. It keeps one child in reserve, of the kind that was last asked for.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from archon.sandbox.children import Child, Ended, end
from archon.sandbox.faults import Infrastructure
from archon.sandbox.inside.zygote import ASK, BORN, ENDED
from archon.sandbox.launching import START_SECONDS, Launch, complaint, launched, leave
from archon.sandbox.reports import Limits

__all__ = ["Worker"]

BIRTH_SECONDS = 10.0
_PACKET = 256


class _Ask(NamedTuple):
    """What a child is asked for."""

    kind: bytes
    memory_bytes: int
    cpu_seconds: int
    threads: int


class _Coming:
    """A child that has been asked for."""

    def __init__(self, ask: _Ask, channel: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self.ask = ask
        self.born: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[Ended] = loop.create_future()
        self._channel = channel

    async def child(self) -> Child:
        """Wait for it."""
        return Child(self._channel, await self.born, self.ended)

    def drop(self) -> None:
        """End it, born or not: one that is born later finds that nobody waits for it."""
        self._channel.close()
        if self.born.done() and not self.born.cancelled() and not self.born.exception():
            end(self.born.result())
        self.born.cancel()


class Worker:
    """One interpreter that forks children.

    Attributes:
        forks: how many children it was asked for.
        alive: whether it can be asked for more.
        reason: why it gave up at its start, if it said so.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], control: socket.socket, launch: Launch
    ) -> None:
        self._launch = launch
        self._process = process
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._births: dict[int, asyncio.Future[int]] = {}
        self._ends: dict[int, asyncio.Future[Ended]] = {}
        self._spare: _Coming | None = None
        self.forks = 0
        self.alive = True
        self.reason = ""
        self._loop.add_reader(control, self._read)

    @classmethod
    async def start(cls, launch: Launch) -> Worker:
        """Start a worker and wait until it is ready.

        Raises:
            Infrastructure: with the reason, when it does not come up.
        """
        process, ours = await launched(launch)
        ours.setblocking(False)
        worker = cls(process, ours, launch)
        try:
            with suppress(BrokenPipeError):  # it is gone already; what it said is read below
                ours.send(launch.message())
            async with asyncio.timeout(START_SECONDS):
                await worker._started
        except (TimeoutError, Infrastructure) as error:
            said = complaint(process)
            reason = worker.reason or said or str(error) or "it did not start in time"
            worker.close()
            raise Infrastructure(reason) from None
        except BaseException:
            worker.close()
            raise
        return worker

    async def fork(
        self, kind: bytes, limits: Limits, cpu_seconds: int, streams: Sequence[int] = ()
    ) -> Child:
        """Return a child, and have the next one made ready meanwhile.

        Args:
            kind: what it is for, as in `inside.zygote.KINDS`.
            limits: memory and threads.
            cpu_seconds: of its whole life.
            streams: its stdin, stdout and stderr; /dev/null without.

        Raises:
            Infrastructure: when there is none.
        """
        ask = _Ask(kind, limits.memory_bytes, cpu_seconds, limits.threads)
        spare, self._spare = self._spare, None
        if spare is not None and (streams or spare.ask != ask):
            spare.drop()
            spare = None
        coming = spare or self._ask(ask, streams)
        try:
            async with asyncio.timeout(BIRTH_SECONDS):
                child = await coming.child()
        except TimeoutError:
            self.alive = False
            coming.drop()
            raise Infrastructure("no child in time") from None
        except BaseException:
            coming.drop()
            raise
        if not streams:
            with suppress(Infrastructure):  # whoever comes next will see
                self._spare = self._ask(ask, ())
        return child

    def _ask(self, ask: _Ask, streams: Sequence[int]) -> _Coming:
        """Ask for a child; it may be awaited later.

        Raises:
            Infrastructure: when the worker cannot be asked.
        """
        number = self.forks = self.forks + 1
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        message = ASK.pack(b"F", number, *ask)
        try:
            with theirs:
                socket.send_fds(self._control, [message], [theirs.fileno(), *streams])
        except OSError as error:
            self.alive = False
            ours.close()
            raise Infrastructure(f"no child: {error.strerror}") from None
        coming = _Coming(ask, ours, self._loop)
        self._births[number], self._ends[number] = coming.born, coming.ended
        return coming

    def _read(self) -> None:
        while True:
            try:
                message, files, _, _ = socket.recv_fds(self._control, _PACKET, 1)
            except BlockingIOError:
                return
            except OSError:
                message, files = b"", []
            if not message:
                self._lost("the worker is gone")
                return
            self._told(message, files)

    def _told(self, message: bytes, files: list[int]) -> None:
        kind = message[:1]
        if not self._started.done():
            if kind == b"+":
                self._started.set_result(None)
            else:
                self.reason = message[1:].decode("utf-8", "replace")
                self._started.set_exception(Infrastructure(self.reason))
        elif kind == b"X":
            _, number, status, peak, cpu = ENDED.unpack(message)
            ended = self._ends.pop(number, None)
            if ended is not None and not ended.done():
                ended.set_result(Ended(status, peak, cpu / 1e6))
        elif kind == b"P":
            self._born(BORN.unpack(message)[1], files)
        elif kind == b"!":
            number = BORN.unpack_from(message)[1]
            self._ends.pop(number, None)
            born = self._births.pop(number)
            if not born.done():
                born.set_exception(Infrastructure(message[BORN.size :].decode("utf-8", "replace")))

    def _born(self, number: int, files: list[int]) -> None:
        born = self._births.pop(number)
        if not born.done():
            born.set_result(files[0])
            return
        end(files[0])  # whoever asked has been cancelled

    def _lost(self, why: str) -> None:
        if not self.alive and self._control.fileno() < 0:
            return
        self.alive = False
        self._loop.remove_reader(self._control)
        waiting: list[asyncio.Future[Any]] = [
            self._started,
            *self._births.values(),
            *self._ends.values(),
        ]
        for future in waiting:
            if not future.done():
                future.set_exception(Infrastructure(why))
                future.exception()  # perhaps nobody waits for it
        self._births.clear()
        self._ends.clear()

    def close(self) -> None:
        """End the worker and, with it, all its children."""
        if self._spare is not None:
            self._spare.drop()
            self._spare = None
        self._lost("the sandbox was closed")
        self._control.close()
        leave(self._process, self._launch)
