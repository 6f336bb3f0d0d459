"""How a worker is started: a fresh interpreter, what it is handed, and its control socket."""

from __future__ import annotations

import asyncio
import marshal
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import Any

from archon.sandbox.children import END_SECONDS
from archon.sandbox.faults import Infrastructure

__all__ = ["CONTROL", "ENVIRONMENT", "START_SECONDS", "Launch", "complaint", "launched", "leave"]

START_SECONDS = 20.0
LEAVING_SECONDS = 30.0
CONTROL = "{control}"
"""In the words of a command, the path of the control socket on this side."""

_LOOK_SECONDS = 0.05

_INSIDE = (
    "syscalls", "seccomp", "landlock", "guard", "codec", "frames", "errors", "candidate", "tests",
    "program", "zygote",
)  # fmt: skip

_INHERITED = """\
import marshal, os, sys
control = int(sys.argv[1])
bundle, settings = marshal.loads(os.read(control, 1 << 20))
"""
_CONNECTED = """\
import _socket, marshal, os, sys
link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
link.connect(sys.argv[1])
control = link.detach()
bundle, settings = marshal.loads(os.read(control, 1 << 20))
settings["paths"] = [*sys.path, *settings["paths"]]
settings["readable"] += [*sys.path, sys.executable]
for name in {*os.environ} - {*settings.pop("environment")}:
    del os.environ[name]
"""
_BOOT = """\
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

ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "MALLOC_ARENA_MAX": "2",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",  # what depends on the order of a set comes out the same each time
}
"""All that a sandbox finds in its environment."""

_ARGUMENTS = ("-P", "-s", "-S", "-B", "-X", "utf8", "-c")


@dataclass(frozen=True, slots=True)
class Launch:
    """How a worker is started.

    Attributes:
        command: what stands before the interpreter's arguments, the interpreter included.
        settings: of `inside.guard.Settings`.
        pinned: whether the worker is a direct child, so that it can check its parent.
        door: where the worker finds its control socket, if it does not inherit it. Its interpreter
            is then another one than ours: it gets sources, and adds its own library's folders.
        environment: of the command.
    """

    command: Sequence[str]
    settings: dict[str, Any]
    pinned: bool = True
    door: str = ""
    environment: Mapping[str, str] = field(default_factory=lambda: ENVIRONMENT)

    def message(self) -> bytes:
        """Return what the worker reads first: modules and settings."""
        settings = dict(self.settings)
        settings["expected_parent"] = os.getpid() if self.pinned else 0
        if not self.door:
            return marshal.dumps((_compiled(), settings))
        settings["environment"] = [*ENVIRONMENT]
        return marshal.dumps((_sources(), settings), 2)  # a form that every version reads


@cache
def _sources() -> dict[str, str]:
    """Return the modules of the inside, by name, in the order of their imports."""
    found = {}
    for name in _INSIDE:
        full = f"archon.sandbox.inside.{name}"
        spec = find_spec(full)
        assert spec is not None
        assert isinstance(spec.origin, str)
        with open(spec.origin, encoding="utf-8") as file:
            found[full] = file.read()
    return found


@cache
def _compiled() -> dict[str, Any]:
    return {
        name: compile(source, f"<{name}>", "exec", dont_inherit=True)
        for name, source in _sources().items()
    }


async def launched(launch: Launch) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a worker and return it with its control socket; it may still fail to come up.

    Raises:
        Infrastructure: where there is no such command, or it ends before it has connected.
    """
    if launch.door:
        return await _connected(launch)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with theirs:
            process = _spawn(launch, _INHERITED, str(theirs.fileno()), (theirs.fileno(),))
    except BaseException:
        ours.close()
        raise
    return process, ours


async def _connected(launch: Launch) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a worker that connects to us, by a socket that nobody else of this machine can reach.

    Its folder is ours alone; the worker sees the socket itself, through a mount.
    """
    with (
        tempfile.TemporaryDirectory(prefix="archon-control-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
    ):
        path = os.path.join(folder, "control")
        listener.bind(path)
        os.chmod(path, 0o666)  # noqa: S103 (the worker is another user; see above)
        listener.listen(1)
        listener.setblocking(False)
        words = [word.replace(CONTROL, path) for word in launch.command]
        process = _spawn(launch, _CONNECTED, launch.door, (), words)
        try:
            return process, await _accepted(listener, process)
        except BaseException:
            leave(process, launch)
            raise


async def _accepted(listener: socket.socket, process: subprocess.Popen[bytes]) -> socket.socket:
    loop = asyncio.get_running_loop()
    accepting = asyncio.create_task(loop.sock_accept(listener))
    late = loop.time() + START_SECONDS
    try:
        while not accepting.done():
            await asyncio.wait((accepting,), timeout=_LOOK_SECONDS)
            if accepting.done():
                break
            if process.poll() is not None:
                raise Infrastructure(complaint(process) or "it did not connect")
            if loop.time() > late:
                raise Infrastructure("it did not connect in time")
        return accepting.result()[0]
    finally:
        accepting.cancel()


def _spawn(
    launch: Launch,
    head: str,
    argument: str,
    passed: Sequence[int],
    words: Sequence[str] | None = None,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 (an interpreter, perhaps within another command)
            [*(words or launch.command), *_ARGUMENTS, head + _BOOT, argument],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=launch.environment,
            cwd="/",
            close_fds=True,
            pass_fds=passed,
            start_new_session=True,
        )
    except OSError as error:
        raise Infrastructure(f"{launch.command[0]}: {error.strerror or error}") from None


def complaint(process: subprocess.Popen[bytes]) -> str:
    """End a worker and return what it said on stderr before it gave up."""
    assert process.stderr is not None
    kill(process)
    os.set_blocking(process.stderr.fileno(), False)
    said = (process.stderr.read(2000) or b"").decode("utf-8", "replace").strip()
    return said.splitlines()[-1] if said else ""


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a worker's process and those of its group.

    bubblewrap has two processes: the second dies with the first, but waits for it for ever
    where the first is ended before it has told it to go on. The group exists as long as its
    leader has not been waited for.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)


def leave(process: subprocess.Popen[bytes], launch: Launch) -> None:
    """End a worker whose control socket is closed."""
    if not launch.door:
        kill(process)
        _let_go(process)
        return
    # A thread that is no daemon: the interpreter does not end before it.
    leaving = threading.Thread(target=_left, args=(process,), name="archon-leaving")
    try:
        leaving.start()
    except RuntimeError:  # the interpreter is ending already
        _left(process)


def _left(process: subprocess.Popen[bytes]) -> None:
    """Let an engine's client end by itself, since a container that it is making would be orphaned.

    It does so soon: a worker that finds nobody at its socket leaves, and its container with it.
    """
    with suppress(subprocess.TimeoutExpired):
        process.wait(LEAVING_SECONDS)
    kill(process)
    _let_go(process)


def _let_go(process: subprocess.Popen[bytes]) -> None:
    if process.stderr is not None:
        process.stderr.close()
