"""The one SQLite writer: what is paid and what was said are written in one transaction.

Writes from any thread or event loop queue up for one writer thread, which commits them in
groups: a commit costs a disk flush, so a hundred replies that arrive together pay for one.
Readers have a connection of their own and are never blocked by the writer (WAL).
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archon.errors import StoreError

if TYPE_CHECKING:
    from sqlite_utils import Database

__all__ = ["Store", "home"]

Write = Callable[[sqlite3.Connection], object]
_Job = tuple[Write, "asyncio.AbstractEventLoop", "asyncio.Future[None]"]

GROUP = 512
"""How many writes at most share a commit."""


def home() -> Path:
    """Return the folder of pool, ledger and runs: `ARCHON_HOME`, else the user's data folder."""
    if given := os.environ.get("ARCHON_HOME"):
        path = Path(given).expanduser()
    else:
        data = os.environ.get("XDG_DATA_HOME")
        path = (Path(data) if data else Path.home() / ".local" / "share") / "archon"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be made ({error.strerror}); set ARCHON_HOME") from None
    return path


class Store:
    """A SQLite file with one writer thread.

    Args:
        path: the file; None keeps everything in memory.
        schema: creates missing tables, given a sqlite-utils database.
    """

    def __init__(self, path: Path | None, schema: Callable[[Database], None]) -> None:
        self.path = path
        self._name = (
            f"file:archon-{uuid.uuid4().hex}?mode=memory&cache=shared"
            if path is None
            else f"{path.absolute().as_uri()}"
        )
        self._reader = self._connect()
        self._create(schema)
        self._read_lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="archon-store", daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                self._name, uri=True, isolation_level=None, check_same_thread=False, timeout=30
            )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            if self.path is None:
                # Connections to one database in memory lock each other's tables otherwise.
                connection.execute("PRAGMA read_uncommitted=ON")
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from None
        return connection

    def _create(self, schema: Callable[[Database], None]) -> None:
        from sqlite_utils import Database  # kept out of `import archon`

        try:
            schema(Database(self._reader))
        except sqlite3.Error as error:
            self._reader.close()
            raise StoreError(f"{self.path}: {error}") from None

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self._read_lock:
            try:
                return self._reader.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: {error}") from None

    async def write(self, write: Write) -> None:
        """Run `write` in the writer's next transaction; returns when it is on disk.

        Raises:
            StoreError: when the file cannot be written; nothing of the group was.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._jobs.put((write, loop, future))
        await asyncio.shield(future)

    def _work(self) -> None:
        connection = self._connect()
        while (first := self._jobs.get()) is not None:
            jobs = [first]
            stop = False
            while len(jobs) < GROUP and not self._jobs.empty():
                if (job := self._jobs.get()) is None:
                    stop = True
                    break
                jobs.append(job)
            _report(jobs, self._commit(connection, jobs))
            if stop:
                break
        connection.close()

    def _commit(self, connection: sqlite3.Connection, jobs: list[_Job]) -> StoreError | None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for write, _, _ in jobs:
                write(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return StoreError(f"{self.path}: {error}")
        return None

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._jobs.put(None)
        self._thread.join()
        self._reader.close()


def _report(jobs: list[_Job], error: StoreError | None) -> None:
    """Wake the waiting writers, one call for each of their loops."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for _, loop, future in jobs:
        by_loop.setdefault(loop, []).append(future)
    for loop, futures in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, futures, error)
        except RuntimeError:
            continue  # that loop was closed; the rows are on disk all the same


def _resolve(futures: list[asyncio.Future[None]], error: StoreError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
