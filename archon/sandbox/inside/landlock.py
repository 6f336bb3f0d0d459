"""Landlock: which files a sandboxed process may open, and that it reaches no network.

The kernel's versions (ABI) add rights; those that it has are all taken away, and reading is given
back below a few paths.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

__all__ = ["abi", "restrict", "ruleset"]

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""System call numbers; the same on every architecture."""

_READ_FILE, _READ_DIR, _WRITE_FILE = 1 << 2, 1 << 3, 1 << 1
_FIRST = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15


def abi(libc: ctypes.CDLL) -> int:
    """Return the kernel's version of Landlock; 0 without it."""
    return max(0, int(libc.syscall(_CREATE, None, ctypes.c_size_t(0), 1)))


def ruleset(libc: ctypes.CDLL, readable: Iterable[str], devices: Iterable[str]) -> int:
    """Return a descriptor of rules: nothing may be opened but these.

    Args:
        libc: with `use_errno`.
        readable: files and folders that may be read; those that do not exist are passed over.
        devices: character devices that may be read and written, such as /dev/null.

    Raises:
        OSError: where the kernel has no Landlock or refuses.
    """
    version = abi(libc)
    if version < 1:
        raise OSError("the kernel has no Landlock, or does not enable it")
    handled = _FIRST
    for least, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL)):
        handled |= right if version >= least else 0
    network = 3 if version >= 4 else 0  # TCP bind and connect
    scopes = 3 if version >= 6 else 0  # abstract unix sockets, signals
    size = 8 if version < 4 else 16 if version < 6 else 24
    attributes = struct.pack("=QQQ", handled, network, scopes)[:size]
    rules = int(libc.syscall(_CREATE, attributes, ctypes.c_size_t(size), 0))
    if rules < 0:
        raise OSError(ctypes.get_errno(), "Landlock ruleset refused")
    for path in readable:
        _allow(libc, rules, path, _READ_FILE | _READ_DIR)
    for path in devices:
        _allow(libc, rules, path, _READ_FILE | _WRITE_FILE)
    return rules


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not every path of the list exists on every system
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= ~_READ_DIR
        rule = struct.pack("=Qi", rights, place)
        if libc.syscall(_ADD, rules, 1, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), "Landlock rule refused", path)
    finally:
        os.close(place)


def restrict(libc: ctypes.CDLL, rules: int) -> None:
    """Hold this thread to the rules, for good.

    Raises:
        OSError: where the kernel refuses.
    """
    if libc.syscall(_RESTRICT, rules, 0) != 0:
        raise OSError(ctypes.get_errno(), "Landlock restriction refused")
