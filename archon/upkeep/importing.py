"""Replies from elsewhere: an export, another pool, or what is left of a damaged one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from archon.errors import ConfigError, StoreError
from archon.model import Draw
from archon.plain import canonical
from archon.pool import Pool, checksum
from archon.types import Json
from archon.upkeep import rescue
from archon.upkeep.entries import (
    LINE,
    Row,
    header,
    is_header,
    problem,
    read_entry,
    request_problem,
)
from archon.upkeep.opening import failure, open_readonly, transaction

__all__ = ["Imported", "import_replies", "read_lines", "read_pool"]

_CHUNK = 256
"""Rows that are set aside by one statement."""

Item: TypeAlias = "Row | ConfigError"
"""A reply, or why what stands in its place is none."""

_STAGE = (
    "CREATE TABLE staged (key, request, member, draw, reply, checksum, model, created,"
    " PRIMARY KEY (key, member, draw)) WITHOUT ROWID"
)
_PUT = "INSERT OR IGNORE INTO staged VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_COLUMNS = "key, member, draw, reply, checksum, model, created"


@dataclass
class Imported:
    """What became of an import.

    Attributes:
        new: replies that were not there.
        present: that were; they stay as they are.
        refused: of a wrong form, damaged, or not under the address of their request.
    """

    new: int = 0
    present: int = 0
    refused: int = 0

    def to_json(self) -> Json:
        """Return every field by name."""
        return dict(vars(self))


def import_replies(
    path: Path, items: Iterable[Item], refuse: Callable[[ConfigError], None]
) -> Imported:
    """Add replies to the pool, all in one transaction, after the last one was read.

    Nothing is charged. While items are read the pool is not locked, and not even made.

    Args:
        path: the pool's file; one that is not there is made.
        items: as `read_lines` or `read_pool` gives them.
        refuse: is told of each that is not right; what it raises ends the import, and then
            nothing was imported.
    """
    done = Imported()
    # A database without a name is a temporary file that vanishes with the connection.
    with closing(sqlite3.connect("", isolation_level=None)) as stage:
        stage.execute("PRAGMA synchronous=OFF")
        stage.execute(_STAGE)
        read = 0
        stage.execute("BEGIN")
        rows = _right(items, done, refuse)
        while chunk := list(islice(rows, _CHUNK)):
            read += len(chunk)
            stage.executemany(_PUT, chunk)
        stage.execute("COMMIT")
        done.new = _copy(stage, path)
        done.present = read - done.new
    return done


def _right(
    items: Iterable[Item], done: Imported, refuse: Callable[[ConfigError], None]
) -> Iterator[Row]:
    for item in items:
        if isinstance(item, Row):
            yield item
        else:
            done.refused += 1
            refuse(item)


def _copy(stage: sqlite3.Connection, path: Path) -> int:
    """Put what is staged into the pool and return how much of it was new."""
    Pool(path).close()  # makes it, or brings it up to date
    try:
        stage.execute("ATTACH ? AS pool", (str(path),))
        stage.execute("PRAGMA pool.synchronous=FULL")
        with transaction(stage):
            new = stage.execute(
                f"INSERT OR IGNORE INTO pool.replies ({_COLUMNS}) SELECT {_COLUMNS} FROM staged"  # noqa: S608
            ).rowcount
            stage.execute(
                "INSERT OR IGNORE INTO pool.requests (key, request)"
                " SELECT key, min(request) FROM staged GROUP BY key"
            )
    except sqlite3.Error as error:
        raise failure(path, error) from None
    return new


def read_lines(file: BinaryIO, name: str) -> Iterator[Item]:
    """Read an export; one that follows another in the same file is read too.

    Raises:
        ConfigError: when it does not begin as an export of a known format.
    """
    number = 0
    while line := file.readline(LINE + 1):
        number += 1
        where = f"{name}:{number}"
        try:
            whole = _whole(line, file)
            if is_header(line):
                continue
        except ConfigError as error:
            raise error.at(where) from None
        if number == 1:
            raise ConfigError(_no_export(line), where=where)
        yield _entry(line if whole else None, where)
    if not number:
        raise ConfigError(f"empty; an export of a pool begins with {header()}", where=name)


def _no_export(line: bytes) -> str:
    if b"\0" in line:
        return "neither an export of a pool nor an SQLite file: its first bytes are others"
    return f"not an export of a pool, which begins with {header()}"


def _whole(line: bytes, file: BinaryIO) -> bool:
    """Return whether a line is no longer than it may be; the rest of a longer one is skipped."""
    if len(line) <= LINE:
        return True
    while line and not line.endswith(b"\n"):
        line = file.readline(LINE)
    return False


def _entry(line: bytes | None, where: str) -> Item:
    if line is None:
        return ConfigError(f"longer than {LINE >> 20} MiB, which no reply is", where=where)
    try:
        return read_entry(line)
    except ConfigError as error:
        return error.at(where)


@dataclass
class _Source:
    """Another pool, of which some may be damaged.

    Its requests are put aside first, because their index may be what is damaged.
    """

    path: Path
    db: sqlite3.Connection
    aside: sqlite3.Connection
    gaps: list[ConfigError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.version = self.db.execute("PRAGMA user_version").fetchone()[0]
        self.aside.execute("CREATE TABLE requests (key PRIMARY KEY, request) WITHOUT ROWID")

    def rows(self, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
        def gap(first: int, beyond: int | None) -> None:
            end = "the end" if beyond is None else str(beyond - 1)
            said = f"rows {first} to {end} of {table} cannot be read"
            self.gaps.append(ConfigError(said, where=str(self.path)))

        return rescue.rows(self.db, table, columns, gap)

    def items(self) -> Iterator[Item]:
        requests = (row[1:] for row in self.rows("requests", "key, request"))
        self.aside.executemany(
            "INSERT OR IGNORE INTO requests VALUES (?, ?)",
            (row for row in requests if not request_problem(*row)),
        )
        for row in self.rows("replies", _COLUMNS):
            yield self._item(row)
            yield from self._told()
        yield from self._told()

    def _told(self) -> Iterator[ConfigError]:
        while self.gaps:
            yield self.gaps.pop(0)

    def _item(self, row: tuple[Any, ...]) -> Item:
        number, key, member, draw, reply, check, model, created = row
        where = f"{self.path}: row {number}"
        if self.version == 1 and problem(key, member, draw, reply, check):
            check = _renewed(key, member, draw, reply, check)
        if wrong := problem(key, member, draw, reply, check):
            return ConfigError(wrong, where=where)
        found = self.aside.execute("SELECT request FROM requests WHERE key = ?", (key,)).fetchone()
        if found is None:
            return ConfigError(f"key {key!r}: its request is not there", where=where)
        try:
            line = (
                f'{{"key":{canonical(key)},"request":{found[0]},"member":{member},"draw":{draw},'
                f'"reply":{reply},"model":{canonical(model)},"created":{canonical(created)}}}'
            )
        except (TypeError, ValueError):
            return ConfigError("model or time are damaged", where=where)
        return _entry(line.encode("utf-8", "replace"), where)


def _renewed(key: Json, member: Json, draw: Json, reply: Json, check: Json) -> Json:
    """Return today's checksum of a reply of version 1, whose checksum was of its text alone."""
    from hashlib import sha256

    if not isinstance(reply, str) or sha256(reply.encode()).hexdigest()[:16] != check:
        return check
    return checksum(key, Draw(member, draw), reply)


def read_pool(path: Path) -> Iterator[Item]:
    """Read the replies of another pool, row by row; of a damaged one all that can be read.

    Raises:
        StoreError: when nothing of it can be read.
    """
    try:
        db = open_readonly(path)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: nothing in it can be read: {error}") from None
    with closing(db), closing(sqlite3.connect("", isolation_level=None)) as aside:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        if not {"requests", "replies"} <= tables:
            raise StoreError(f"{path}: not a pool of archon")
        yield from _Source(path, db, aside).items()
