"""The seccomp filter: which system calls a sandboxed process may make.

A list of what is denied, not of what is allowed: which harmless calls an interpreter makes depends
on the C library's version. What remains is narrowed by Landlock, which denies files by default.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from archon.sandbox.inside.syscalls import LAST, Architecture

__all__ = ["Filter", "install"]

# Offsets in `struct seccomp_data`; the low word comes first on both architectures.
_NUMBER, _ARCH, _ARGS = 0, 4, 16

_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM = _ERRNO | errno.EPERM
_ENOSYS = _ERRNO | errno.ENOSYS

_CLONE_THREAD = 0x10000
_SIGKILL = 9
_AF_UNIX = 1
_RLIMIT_STACK = 3

_MSG_OOB = 1
_SO_PEERPIDFD = 77

# PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_TIMING, PR_SET_MM, PR_SET_PTRACER, PR_SET_SECCOMP,
# PR_SCHED_CORE, PR_SET_MEMORY_MERGE
_PRCTL = (1, 4, 14, 35, 0x59616D61, 22, 62, 67)
# F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY: signals sent by way of a descriptor;
# F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW: locks that others would wait for.
_FCNTL = (8, 10, 15, 1024, 1026, 6, 7, 37, 38)
# What an interpreter asks of descriptors: TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX.
# All else is denied: every driver has numbers of its own, and some reach other processes.
_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)

_Step = tuple[int, int, int, int]


def _argument(index: int, *, high: bool = False) -> _Step:
    return (_LOAD, 0, 0, _ARGS + 8 * index + (4 if high else 0))


class Filter:
    """The program for one architecture, made once; a process id completes it."""

    def __init__(self, machine: Architecture) -> None:
        self._pids: list[int] = []
        self._steps: list[_Step] = [
            (_LOAD, 0, 0, _ARCH),
            (_EQUAL, 1, 0, machine.audit),
            (_RETURN, 0, 0, _KILL),
            (_LOAD, 0, 0, _NUMBER),
        ]
        if machine.foreign:
            self._steps += [(_AT_LEAST, 0, 1, machine.foreign), (_RETURN, 0, 0, _KILL)]
        self._steps += [(_AT_LEAST, 0, 1, LAST + 1), (_RETURN, 0, 0, _ENOSYS)]
        self._rules(machine.ruled)
        self._denied(sorted(machine.denied.values()))
        self._steps.append((_RETURN, 0, 0, _ALLOW))
        self._packed = b"".join(struct.pack("=HBBI", *step) for step in self._steps)

    def for_process(self, pid: int) -> bytes:
        """Return the program for a process, which may signal itself only."""
        packed = bytearray(self._packed)
        for place in self._pids:
            struct.pack_into("=I", packed, 8 * place + 4, pid)
        return bytes(packed)

    def _denied(self, numbers: list[int]) -> None:
        """Deny numbers: each jumps to one return behind them, within a byte's reach."""
        for start in range(0, len(numbers), 200):
            part = numbers[start : start + 200]
            last = len(part) - 1
            for place, number in enumerate(part):
                self._steps.append((_EQUAL, last - place, 1 if place == last else 0, number))
            self._steps.append((_RETURN, 0, 0, _EPERM))

    def _rule(self, number: int, body: list[_Step]) -> None:
        """Put steps that always return behind a comparison with a number."""
        self._steps.append((_EQUAL, 0, len(body), number))
        self._steps += body

    def _rules(self, ruled: dict[str, int]) -> None:
        allow, deny = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _EPERM)
        # The C library tries clone3, whose flags a filter cannot see, and falls back to clone.
        self._rule(ruled["clone3"], [(_RETURN, 0, 0, _ENOSYS)])
        threads = [_argument(0), (_AND, 0, 0, _CLONE_THREAD), (_EQUAL, 0, 1, _CLONE_THREAD)]
        self._rule(ruled["clone"], [*threads, allow, deny])
        # Nobody kills itself with SIGKILL, so that a death by it is never the code's own doing.
        for name, signal in (("kill", 1), ("tgkill", 2)):
            body = [
                _argument(0), (_EQUAL, 0, 3, 0),
                _argument(signal), (_EQUAL, 1, 0, _SIGKILL), allow, deny,
            ]  # fmt: skip
            self._pids.append(len(self._steps) + 2)
            self._rule(ruled[name], body)
        # Limits are read by passing no new ones; the stack's may move below its hard limit.
        read = [
            _argument(0), (_EQUAL, 0, 7, 0),
            _argument(1), (_EQUAL, 4, 0, _RLIMIT_STACK),
            _argument(2), (_EQUAL, 0, 3, 0), _argument(2, high=True), (_EQUAL, 0, 1, 0),
            allow, deny,
        ]  # fmt: skip
        self._rule(ruled["prlimit64"], read)
        self._rule(ruled["setrlimit"], [_argument(0), (_EQUAL, 0, 1, _RLIMIT_STACK), allow, deny])
        # A message to an address would leave by a socket pair, which needs no connection. Urgent
        # bytes are a part of the kernel that nobody needs and that has been broken into before.
        address = [
            _argument(3), (_AND, 0, 0, _MSG_OOB), (_EQUAL, 4, 0, _MSG_OOB),
            _argument(4), (_EQUAL, 0, 2, 0), _argument(4, high=True), (_EQUAL, 1, 0, 0),
            deny, allow,
        ]  # fmt: skip
        self._rule(ruled["sendto"], address)
        urgent = [_argument(3), (_AND, 0, 0, _MSG_OOB), (_EQUAL, 0, 1, _MSG_OOB), deny, allow]
        self._rule(ruled["recvfrom"], urgent)
        # A handle of whoever holds the other end, which is the supervisor.
        self._rule(ruled["getsockopt"], [_argument(2), (_EQUAL, 0, 1, _SO_PEERPIDFD), deny, allow])
        self._rule(ruled["socketpair"], [_argument(0), (_EQUAL, 0, 1, _AF_UNIX), allow, deny])
        self._listed(ruled["prctl"], 0, _PRCTL)
        self._listed(ruled["fcntl"], 1, _FCNTL)
        self._listed(ruled["ioctl"], 1, _IOCTL, allowed=True)

    def _listed(
        self, number: int, argument: int, values: tuple[int, ...], *, allowed: bool = False
    ) -> None:
        """Deny a call where an argument is one of some values, or where it is none of them."""
        checks: list[_Step] = [
            (_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)
        ]
        allow, deny = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _EPERM)
        ends = [deny, allow] if allowed else [allow, deny]
        self._rule(number, [_argument(argument), *checks, *ends])


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_char_p)]


def install(libc: ctypes.CDLL, made: Filter) -> None:
    """Put the filter on this thread, for good.

    Raises:
        OSError: where the kernel refuses it.
    """
    steps = made.for_process(os.getpid())
    program = _Program(len(steps) // 8, steps)
    if libc.prctl(22, 2, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp filter refused")
