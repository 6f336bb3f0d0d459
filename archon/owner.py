"""Who pays for a call under way: each process holds a lock file for as long as it lives.

The kernel lets go of the lock when the process ends, however it ends; so another process can tell
whether the owner of a call is still there, without clocks, process ids or heartbeats.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path

from archon.errors import StoreError

__all__ = ["Owner"]


class Owner:
    """This process as the payer of calls; others in the same folder can be asked about.

    Args:
        folder: where the lock files are; None where nobody else can see the calls.
    """

    def __init__(self, folder: Path | None) -> None:
        self.id = uuid.uuid4().hex[:12]
        self._folder = folder
        self._file: int | None = None
        if folder is not None:
            self._file = self._lock(folder / self.id)

    def _lock(self, path: Path) -> int:
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(f"{path}: cannot be locked ({error.strerror})") from None
        return file

    def alive(self, owner: str) -> bool:
        """Return whether the process of that id still runs; the file of a dead one is removed."""
        if owner == self.id:
            return True
        if self._folder is None:
            return False
        path = self._folder / owner
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False

    def close(self) -> None:
        """Let go of the lock: this process pays for nothing any more."""
        if self._file is not None and self._folder is not None:
            (self._folder / self.id).unlink(missing_ok=True)
            os.close(self._file)
            self._file = None
