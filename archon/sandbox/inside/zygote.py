"""The worker: a fresh interpreter that forks a guarded child for each run.

It holds no payload and no secret: it gets settings, preloads the standard library and gives up its
privileges. Each child raises the guard before it reads anything.

Messages on the control socket (one packet each): `F` asks for a child and brings its descriptors;
`P` says that it was born and brings a handle (pidfd) to end it by; `X` says how it ended; `!` says
that there is none.
"""

from __future__ import annotations

import _socket
import ctypes
import gc
import os
import select
import struct
import sys
from collections.abc import Callable

from archon.sandbox.inside import candidate, guard, program, tests
from archon.sandbox.inside.frames import Channel

TYPE_CHECKING = False  # `typing` is not loaded for a name
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ASK", "BORN", "ENDED", "GUARD_FAILED", "serve"]

ASK = struct.Struct(">cQcQII")
"""`F`, number of the run, kind of child, bytes of memory, seconds of CPU time, threads."""
BORN = struct.Struct(">cQ")
ENDED = struct.Struct(">cQiQQ")
"""`X`, number of the run, wait status, peak KiB of memory, microseconds of CPU time."""

GUARD_FAILED = 71
"""Exit code of a child that could not be guarded."""

_CHANNEL, _FOLDERS, _CONTROL, _RULES = 3, 4, 62, 63
"""Where descriptors stand: a child keeps its channel and the folders that follow it."""

_QUIET, _EAGER = 15, 4
"""Milliseconds without a request before modules are loaded ahead, so that the first children do not
wait for it; and children after which they are loaded in any case."""

KINDS: dict[bytes, Callable[[Channel], None]] = {
    b"c": candidate.serve,
    b"t": tests.serve,
    b"g": tests.serve_together,
    b"p": program.serve,
}

PRELOADED = (
    "abc", "array", "bisect", "builtins", "cmath", "collections", "collections.abc", "contextlib",
    "copy", "dataclasses", "datetime", "decimal", "encodings.ascii", "encodings.idna",
    "encodings.latin_1", "enum", "fractions", "functools", "heapq", "io", "itertools", "json",
    "math", "numbers", "operator", "random", "re", "reprlib", "statistics", "string", "struct",
    "textwrap", "threading", "time", "traceback", "types", "typing",
)  # fmt: skip
"""What programs of benchmarks import; anything else is read from disk on use."""


def serve(control: int, settings: dict[str, Any]) -> None:
    """Fork children as asked until the supervisor is gone."""
    _moved(control, _CONTROL)
    try:
        worker = _Worker(guard.Settings(**settings))
    except BaseException as error:  # the supervisor tells the user; nothing ran
        os.write(_CONTROL, f"!{type(error).__name__}: {error}".encode()[:500])
        os._exit(GUARD_FAILED)
    worker.run()


def _moved(file: int, to: int) -> int:
    if file != to:
        os.dup2(file, to, inheritable=False)
        os.close(file)
    return to


class _Worker:
    def __init__(self, settings: guard.Settings) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._control = _socket.socket(fileno=_CONTROL)
        self._poll = select.poll()
        self._poll.register(_CONTROL, select.POLLIN)
        self._running: dict[int, tuple[int, int]] = {}
        # Modules are found by these paths; none lies in a folder that can be written.
        sys.path[:], self._folders = _reachable(settings)
        self._settled = guard.settle(settings)
        if self._settled.rules is not None:
            self._settled.rules = _moved(self._settled.rules, _RULES)
        self._waiting = list(reversed(PRELOADED))
        self._asks = 0
        self._add_exits()
        os.dup2(1, 2)  # the start is over: what it had to say on stderr went to the supervisor
        self._control.send(b"+")

    def _add_exits(self) -> None:
        from _sitebuiltins import Quitter  # what `site`, which is not loaded, would add

        for name in ("exit", "quit"):
            setattr(sys.modules["builtins"], name, Quitter(name, "Ctrl-D"))

    def run(self) -> None:
        while True:
            found = self._poll.poll(self._patience())
            for file, _ in found:
                if file == _CONTROL:
                    self._asked()
                else:
                    self._ended(file)
            if self._waiting and (not found or self._asks > _EAGER):
                self._preload()

    def _patience(self) -> int | None:
        """Return for how many milliseconds nothing else is done than to wait."""
        if not self._waiting:
            return None
        return _QUIET if self._asks < _EAGER else 0

    def _preload(self) -> None:
        """Load a module while there is nothing else to do."""
        name = self._waiting.pop()
        try:  # noqa: SIM105 (contextlib is not loaded for this)
            __import__(name)
        except ImportError:  # an interpreter built without it: whoever needs it will hear of it
            pass
        if not self._waiting:
            gc.collect()
            gc.freeze()  # so that no child's collector writes on what it shares with the others

    def _asked(self) -> None:
        message, files = self._receive()
        if len(message) != ASK.size:
            os._exit(0)  # the supervisor is gone, and the children with this process
        self._asks += 1
        _, number, kind, memory, cpu, threads = ASK.unpack(message)
        try:
            parent = os.getpid()
            pid = os.fork()
        except OSError as error:
            self._control.send(BORN.pack(b"!", number) + str(error).encode()[:200])
        else:
            if pid == 0:
                self._child(files, kind, guard.Limits(memory, cpu, threads), parent)
            handle = os.pidfd_open(pid)
            self._running[handle] = (number, pid)
            self._poll.register(handle, select.POLLIN)
            passed = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", handle))
            self._control.sendmsg([BORN.pack(b"P", number)], [passed])
        for file in files:
            os.close(file)

    def _receive(self) -> tuple[bytes, list[int]]:
        size = struct.calcsize("4i")
        message, passed, _, _ = self._control.recvmsg(ASK.size, _socket.CMSG_SPACE(size))
        files: list[int] = []
        for _, _, data in passed:
            files += struct.unpack(f"{len(data) // 4}i", data)
        return message, files

    def _ended(self, handle: int) -> None:
        number, pid = self._running.pop(handle)
        self._poll.unregister(handle)
        os.close(handle)
        _, status, used = os.wait4(pid, 0)
        cpu = int((used.ru_utime + used.ru_stime) * 1e6)
        self._control.send(ENDED.pack(b"X", number, status, used.ru_maxrss, cpu))

    def _child(self, files: list[int], kind: bytes, limits: guard.Limits, parent: int) -> None:
        code = GUARD_FAILED
        try:
            self._descriptors(files)
            guard.enclose(self._settled, limits, parent)
            channel = Channel(_CHANNEL)
            channel.send(b"G", bytes(16))
            code = 0
            KINDS[kind](channel)
        except BaseException:  # the exit code says it; there is nobody to raise to
            code = code or 1
        finally:
            os._exit(code)

    def _descriptors(self, files: list[int]) -> None:
        """Keep the channel and the standard streams, and close all else."""
        wanted = [_CHANNEL, 0, 1, 2]
        safe = [os.dup2(file, 200 + place) for place, file in enumerate(files)]
        for file, place in zip(safe, wanted, strict=False):  # without streams, those stay /dev/null
            os.dup2(file, place, inheritable=False)
        # The guard closes the rules. A folder's descriptor opens nothing that its path would not.
        self._close(_FOLDERS + self._folders, _CONTROL)
        self._close(_RULES if self._settled.rules is None else _RULES + 1, 0xFFFFFFFF)

    def _close(self, first: int, last: int) -> None:
        # close_range has the same number on every architecture.
        first_, last_, flags = ctypes.c_uint(first), ctypes.c_uint(last), ctypes.c_uint(0)
        if self._libc.syscall(436, first_, last_, flags):
            raise OSError(ctypes.get_errno(), "descriptors could not be closed")


def _reachable(settings: guard.Settings) -> tuple[list[str], int]:
    """Return the paths of modules such that another user can walk them, and how many are open.

    What lies below a folder that only root may enter is reached through an open descriptor:
    Landlock still decides what may be read there.
    """
    opened: list[str] = []
    if settings.uid is not None:
        for path in settings.paths:
            if not _public(path) and not any(_below(path, other) for other in opened):
                place = _FOLDERS + len(opened)
                if place >= _CONTROL:
                    raise OSError("too many folders of packages")
                _moved(os.open(path, os.O_PATH | os.O_CLOEXEC), place)
                opened.append(path)

    def through(path: str) -> str:
        for place, folder in enumerate(opened, _FOLDERS):
            if _below(path, folder):
                return f"/proc/self/fd/{place}" + path[len(folder) :]
        return path

    for module in list(sys.modules.values()):  # packages that are loaded find their parts by it
        folders = getattr(module, "__path__", None)
        if isinstance(folders, list):
            folders[:] = map(through, folders)
    sys.path_importer_cache.clear()
    return list(map(through, settings.paths)), len(opened)


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def _public(path: str) -> bool:
    """Whether every folder down to a path may be entered by anybody; what is not there may be."""
    while path != "/":
        try:
            if not os.stat(path).st_mode & 0o001:
                return False
        except OSError:
            pass
        path = os.path.dirname(path)
    return True
