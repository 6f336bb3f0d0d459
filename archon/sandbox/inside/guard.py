"""The guard: what a process gives up before it reads a line of untrusted code.

Every step is checked and any failure is an `OSError`: a process that cannot be guarded ends. Two
parts, because some steps are for a whole worker and some for each of its children:

`settle`, once in a worker: death with its parent, another user where it is root, no new
privileges, rules for files. `enclose`, in each child: death with the worker, limits, Landlock,
seccomp, and a look whether both hold. The session is the worker's, which was started in one of its
own without a terminal: a child that led its own could take a terminal for it.

Plain classes here: `dataclasses` would double the time that a worker takes to start.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Sequence

from archon.sandbox.inside import landlock, seccomp, syscalls

__all__ = ["Limits", "Settings", "Settled", "enclose", "settle"]

_ROOM = 1024
"""Threads for whatever else the user starts while a worker lives."""

_SIGKILL = 9
_PDEATHSIG, _DUMPABLE, _GET_SECCOMP, _NO_NEW_PRIVS, _GET_NO_NEW_PRIVS = 1, 4, 21, 38, 39


class Settings:
    """What a whole worker is held to.

    Attributes:
        readable: files and folders that may be read.
        devices: character devices that may be read and written.
        uid: the user to become where the worker is root; None stays.
        kernel: whether Landlock and seccomp are applied; False only at level 1.
        paths: where modules are found.
        expected_parent: process id that the worker must still be a child of; 0 for any.
    """

    def __init__(
        self,
        readable: Sequence[str],
        devices: Sequence[str],
        uid: int | None,
        kernel: bool,
        paths: Sequence[str],
        expected_parent: int = 0,
    ) -> None:
        self.readable = readable
        self.devices = devices
        self.uid = uid
        self.kernel = kernel
        self.paths = paths
        self.expected_parent = expected_parent


class Limits:
    """What one child may use: bytes of address space, seconds of CPU time, threads, files."""

    def __init__(
        self, memory_bytes: int, cpu_seconds: int, threads: int = 64, files: int = 64
    ) -> None:
        self.memory_bytes = memory_bytes
        self.cpu_seconds = cpu_seconds
        self.threads = threads
        self.files = files


class Settled:
    """What `settle` prepared for the children of a worker.

    Attributes:
        libc: the C library.
        rules: descriptor of the Landlock rules, or None at level 1.
        filter: the seccomp filter, or None at level 1.
        own_user: whether the worker has a user of its own, so that its threads can be counted.
        others: how many threads there were in all when the worker started.
    """

    def __init__(
        self,
        libc: ctypes.CDLL,
        rules: int | None,
        filter: seccomp.Filter | None,  # noqa: A002 (seccomp's own word)
        own_user: bool,
        others: int,
    ) -> None:
        self.libc = libc
        self.rules = rules
        self.filter = filter
        self.own_user = own_user
        self.others = others


def _checked(libc: ctypes.CDLL, what: str, option: int, value: int) -> None:
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), what)


def _die_with(libc: ctypes.CDLL, parent: int) -> None:
    _checked(libc, "death with the parent", _PDEATHSIG, _SIGKILL)
    if parent and os.getppid() != parent:
        raise OSError("the parent is gone")


def settle(settings: Settings) -> Settled:
    """Make this process a worker that owns nothing.

    Raises:
        OSError: for any step that the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    os.umask(0o077)
    os.chdir("/")
    _prefer_as_victim()
    others = _threads()
    rules, made = None, None
    if settings.kernel:  # made by who may still open every path of it
        rules = landlock.ruleset(libc, settings.readable, settings.devices)
        made = seccomp.Filter(syscalls.architecture())
    own = _become(settings.uid) if settings.uid is not None else False
    # A change of user clears it, so it comes after.
    _die_with(libc, settings.expected_parent)
    _checked(libc, "no new privileges", _NO_NEW_PRIVS, 1)
    if libc.prctl(_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1:
        raise OSError("no new privileges did not take")
    return Settled(libc, rules, made, own, others)


def _prefer_as_victim() -> None:
    """Let the kernel end a sandbox rather than anything else when memory runs out."""
    try:
        file = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(file, b"1000")
        os.close(file)
    except OSError:  # no /proc in here: a courtesy, not a protection
        return


def _threads() -> int:
    """Return how many threads there are on the machine; 0 where it does not show."""
    try:
        file = os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)
        text = os.read(file, 200).decode("ascii")
        os.close(file)
        return int(text.split()[3].partition("/")[2])
    except (OSError, ValueError, IndexError):
        return 0


def _become(uid: int) -> bool:
    """Become another user; return whether it is the wished one, which nobody else has.

    A container may know only its own users: there, the one called nobody has to do.
    """
    os.setgroups([])
    own = True
    try:
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    except OSError:
        own, uid = False, 65534
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid,) * 3 or os.getresgid() != (uid,) * 3 or os.getgroups():
        raise OSError("root was not given up")
    try:
        os.setuid(0)
    except OSError:
        return own
    raise OSError("root could be taken back")


def enclose(settled: Settled, limits: Limits, parent: int) -> None:
    """Give up everything, in a child that has not read anything yet.

    Raises:
        OSError: for any step that the kernel refuses, or whose effect cannot be seen.
    """
    libc = settled.libc
    _die_with(libc, parent)
    _checked(libc, "no dumps", _DUMPABLE, 0)
    _limit(limits, settled)
    if settled.rules is None or settled.filter is None:
        return
    landlock.restrict(libc, settled.rules)
    os.close(settled.rules)
    seccomp.install(libc, settled.filter)
    _look(libc)


def _limit(limits: Limits, settled: Settled) -> None:
    hard = limits.cpu_seconds + 1
    wanted = {
        resource.RLIMIT_AS: (limits.memory_bytes, limits.memory_bytes),
        resource.RLIMIT_CPU: (limits.cpu_seconds, hard),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_NOFILE: (limits.files, limits.files),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_MEMLOCK: (0, 0),
        resource.RLIMIT_STACK: (8 << 20, limits.memory_bytes),
        resource.RLIMIT_MSGQUEUE: (0, 0),
    }
    # It counts all threads of a user: those of a user of its own, or beside what others run.
    threads = limits.threads if settled.own_user else settled.others + _ROOM
    wanted[resource.RLIMIT_NPROC] = (threads, threads)
    for which, (soft, top) in wanted.items():
        allowed = resource.getrlimit(which)[1]
        if allowed != resource.RLIM_INFINITY:
            soft, top = min(soft, allowed), min(top, allowed)
        resource.setrlimit(which, (soft, top))
        if resource.getrlimit(which) != (soft, top):
            raise OSError("a limit did not take")


def _look(libc: ctypes.CDLL) -> None:
    """See that the filter and the rules hold, by what they must refuse."""
    if libc.prctl(_GET_SECCOMP, 0, 0, 0, 0) != 2:
        raise OSError("the filter did not take")
    if libc.getppid() and libc.kill(libc.getppid(), 0) == 0:
        raise OSError("the filter lets signals out")
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY))
    except PermissionError:
        return
    raise OSError("the rules let the root folder be read")
