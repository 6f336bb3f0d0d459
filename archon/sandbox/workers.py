"""Workers, as the supervisor sees them.

A worker is a fresh interpreter that forks a guarded child on request; its control socket carries
whole packets. It keeps one child in reserve, of the kind that was last asked for.
"""

from __future__ import annotations

import asyncio
import marshal
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

from archon.sandbox.children import END_SECONDS, Child, Ended, end
from archon.sandbox.faults import Infrastructure
from archon.sandbox.inside.zygote import ASK, BORN, ENDED
from archon.sandbox.reports import Limits

__all__ = ["ENVIRONMENT", "Launch", "Worker"]

START_SECONDS = 20.0
BIRTH_SECONDS = 10.0
_PACKET = 256

_INSIDE = (
    "syscalls", "seccomp", "landlock", "guard", "codec", "frames", "errors", "candidate", "tests",
    "program", "zygote",
)  # fmt: skip

_BOOT = """\
import marshal, os, sys
control = int(sys.argv[1])
bundle, settings = marshal.loads(os.read(control, 1 << 20))
make = type(sys)
for name in ("archon", "archon.sandbox", "archon.sandbox.inside", *bundle):
    sys.modules[name] = make(name)
    above, _, last = name.rpartition(".")
    if above:
        setattr(sys.modules[above], last, sys.modules[name])
for name, code in bundle.items():
    exec(code, sys.modules[name].__dict__)
sys.modules["archon.sandbox.inside.zygote"].serve(control, settings)
"""
"""What a fresh interpreter is started with; it reads the rest from its control socket."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a worker is started.

    Attributes:
        command: what stands before the interpreter's arguments, the interpreter included.
        settings: of `inside.guard.Settings`.
        pinned: whether the worker is a direct child, so that it can check its parent.
    """

    command: Sequence[str]
    settings: dict[str, Any]
    pinned: bool = True


ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "MALLOC_ARENA_MAX": "2",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",  # what depends on the order of a set comes out the same each time
}
"""All that a sandbox finds in its environment."""

ARGUMENTS = ("-P", "-s", "-S", "-B", "-X", "utf8", "-c", _BOOT)


@cache
def bundle() -> dict[str, Any]:
    """Return the compiled modules of the inside, by name, in the order of their imports."""
    found = {}
    for name in _INSIDE:
        full = f"archon.sandbox.inside.{name}"
        spec = find_spec(full)
        assert spec is not None
        assert isinstance(spec.origin, str)
        with open(spec.origin, encoding="utf-8") as file:
            found[full] = compile(file.read(), f"<{full}>", "exec", dont_inherit=True)
    return found


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

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
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
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                process = _spawn(launch, theirs)
        except OSError as error:
            ours.close()
            raise Infrastructure(f"{launch.command[0]}: {error.strerror or error}") from None
        ours.setblocking(False)
        worker = cls(process, ours)
        settings = dict(launch.settings)
        settings["expected_parent"] = os.getpid() if launch.pinned else 0
        try:
            with suppress(BrokenPipeError):  # it is gone already; what it said is read below
                ours.send(marshal.dumps((bundle(), settings)))
            async with asyncio.timeout(START_SECONDS):
                await worker._started
        except (TimeoutError, Infrastructure) as error:
            said = worker._complaint()
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

    def _complaint(self) -> str:
        """Return what it said on stderr before it gave up."""
        assert self._process.stderr is not None
        self._kill()
        os.set_blocking(self._process.stderr.fileno(), False)
        said = (self._process.stderr.read(2000) or b"").decode("utf-8", "replace").strip()
        return said.splitlines()[-1] if said else ""

    def _kill(self) -> None:
        """End its process and those of its group.

        bubblewrap has two processes: the second dies with the first, but waits for it for ever
        where the first is ended before it has told it to go on. The group exists as long as its
        leader has not been waited for.
        """
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)

    def close(self) -> None:
        """End the worker and, with it, all its children."""
        if self._spare is not None:
            self._spare.drop()
            self._spare = None
        self._lost("the sandbox was closed")
        self._control.close()
        self._kill()
        if self._process.stderr is not None:
            self._process.stderr.close()


def _spawn(launch: Launch, control: socket.socket) -> subprocess.Popen[bytes]:
    number = control.fileno()
    return subprocess.Popen(  # noqa: S603 (an interpreter, perhaps within bubblewrap)
        [*launch.command, *ARGUMENTS, str(number)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        cwd="/",
        close_fds=True,
        pass_fds=(number,),
        start_new_session=True,
    )
