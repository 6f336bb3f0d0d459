"""Connections to a pool's file for those who look after it, and whose calls are under way."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archon.errors import StoreError
from archon.pool import VERSION, Pool
from archon.store import BUSY

__all__ = [
    "alive",
    "failure",
    "is_damage",
    "is_database",
    "open_readonly",
    "reading",
    "transaction",
    "writing",
]

_MAGIC = b"SQLite format 3\0"


def is_database(path: Path) -> bool:
    """Return whether a file begins as SQLite's files do; a pipe is not looked into."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file itself is broken."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def failure(path: Path, error: sqlite3.Error) -> StoreError:
    """Return an error of SQLite in our words, with what helps."""
    helps = ""
    if is_damage(error):
        helps = f"; `archon pool import {path} --pool NEW.db` saves what can be read"
    elif getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
        helps = f"; another process held it for more than {BUSY:g} s"
    return StoreError(f"{path}: {error}{helps}")


def open_readonly(path: Path) -> sqlite3.Connection:
    """Open a file in which no statement can change anything.

    Raises:
        sqlite3.Error: when it cannot be read at all.
    """
    uri = path.absolute().as_uri()
    try:
        # Not `mode=ro`, which would leave the files of the write-ahead log lying about.
        return _opened(f"{uri}?mode=rw")
    except sqlite3.OperationalError:
        # A folder that cannot be written has no room for the index of a write-ahead log; where
        # there is no such log, nothing can change the file either.
        if path.with_name(f"{path.name}-wal").exists():
            raise
        return _opened(f"{uri}?mode=ro&immutable=1")


def _text(raw: bytes) -> str:
    """Decode any bytes: those that are no text must be found damaged, not end the reading."""
    return raw.decode("utf-8", "replace")


def _opened(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY)
    try:
        db.text_factory = _text
        db.execute("PRAGMA query_only=ON")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:  # whatever ends it, the file is let go
        db.close()
        raise
    return db


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that only reads.

    Raises:
        StoreError: when the file is no pool of today's schema, or cannot be read.
    """
    try:
        db = open_readonly(path)
    except sqlite3.Error as error:
        raise failure(path, error) from None
    try:
        _check_schema(db, path)
        yield db
    except sqlite3.Error as error:
        raise failure(path, error) from None
    finally:
        db.close()


def _check_schema(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    if "replies" not in tables:
        raise StoreError(f"{path}: not a pool of archon")
    if version > VERSION:
        raise StoreError(f"{path}: made by a newer archon (schema {version}, this one: {VERSION})")
    if version < VERSION:
        raise StoreError(f"{path}: made by an older archon; `archon pool verify` brings it up")


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that writes; a file that is not there is made, an older one brought up.

    Raises:
        StoreError: when it cannot be; a damaged one has been moved aside.
    """
    Pool(path).close()
    db = sqlite3.connect(path, isolation_level=None, timeout=BUSY)
    try:
        db.text_factory = _text
        db.execute("PRAGMA synchronous=FULL")
        yield db
    except sqlite3.Error as error:
        raise failure(path, error) from None
    finally:
        db.close()


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Write everything in the block or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:  # whatever ends it, nothing of the block may stay
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def alive(path: Path, owner: str) -> bool:
    """Return whether the process that pays for a call still runs; makes and removes nothing."""
    try:
        file = os.open(path.with_name(f"{path.name}-owners") / owner, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
