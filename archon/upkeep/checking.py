"""Every row of the pool looked at, and damaged ones taken out of its way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from archon.pool import VERSION, Pool
from archon.types import Json
from archon.upkeep import rescue
from archon.upkeep.entries import problem, request_problem
from archon.upkeep.opening import failure, open_readonly, reading, transaction, writing

__all__ = ["Checked", "Finding", "verify"]

Row: TypeAlias = "tuple[Any, ...]"
Watch = Callable[[Iterable[Row], int, str], Iterable[Row]]
"""Is given rows, how many there are, and what they are; passes them on."""

_REPLY = "key, member, draw, reply, checksum"
_REQUEST = "key, request"


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was written.

    Attributes:
        what: `file` is the structure of the file, `request` and `reply` are single rows.
        where: key, or key and draw.
    """

    what: Literal["file", "request", "reply"]
    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.what} {self.where}: {self.problem}" if self.where else self.problem

    def to_json(self) -> Json:
        """Return every field by name."""
        return dict(vars(self))


@dataclass
class Checked:
    """What a verification saw.

    Attributes:
        alone: whole replies whose request is not there: they are served, but not exported.
        quarantined: damaged replies that were moved out of the way now.
        removed: damaged requests that were.
    """

    requests: int = 0
    replies: int = 0
    findings: list[Finding] = field(default_factory=list)
    alone: int = 0
    quarantined: int = 0
    removed: int = 0

    @property
    def structure(self) -> bool:
        """Whether the file itself is damaged, so that nothing should be written to it."""
        return any(finding.what == "file" for finding in self.findings)

    def to_json(self) -> Json:
        """Return every field by name."""
        return {**vars(self), "findings": [finding.to_json() for finding in self.findings]}


def _as_they_are(rows: Iterable[Row], total: int, what: str) -> Iterable[Row]:
    return rows


def verify(path: Path, *, dry_run: bool = False, watch: Watch = _as_they_are) -> Checked:
    """Check the file's structure, every checksum, every reply, and every key.

    Damaged replies go to quarantine, so that they are asked for again; damaged requests are
    removed, while their replies stay, whose own checksums tie them to their keys.

    Args:
        path: the pool's file.
        dry_run: only look.
        watch: passes rows on and may show how far it is.

    Raises:
        StoreError: when the file is no pool.
    """
    if not dry_run:
        _bring_up(path)
    done = Checked()
    with reading(path) as db:
        done.findings += _structure(db)
        requests = list(_bad_requests(db, done, watch))
        replies = list(_bad_replies(db, done, watch))
        done.alone = _alone(db)
    if not (dry_run or done.structure) and (requests or replies):
        with writing(path) as db, transaction(db):
            done.quarantined = sum(_quarantine(db, row) for row in replies)
            done.removed = sum(_remove(db, row) for row in requests)
    return done


def _bring_up(path: Path) -> None:
    """Bring an older pool to today's schema."""
    try:
        with closing(open_readonly(path)) as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise failure(path, error) from None
    if 0 < version < VERSION:
        Pool(path).close()


def _structure(db: sqlite3.Connection) -> list[Finding]:
    try:
        said = [text for (text,) in db.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        said = [str(error)]
    return [Finding("file", "", text) for text in said if text != "ok"]


def _rows(
    db: sqlite3.Connection, table: str, columns: str, done: Checked, watch: Watch
) -> Iterable[Row]:
    def gap(first: int, beyond: int | None) -> None:
        end = "the end" if beyond is None else beyond - 1
        found = f"rows {first} to {end} of {table} cannot be read"
        done.findings.append(Finding("file", "", found))

    try:
        total = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 (ours)
    except sqlite3.DatabaseError:
        total = 0
    return watch(rescue.rows(db, table, columns, gap), total, table)


def _bad_requests(db: sqlite3.Connection, done: Checked, watch: Watch) -> Iterator[int]:
    for number, *row in _rows(db, "requests", _REQUEST, done, watch):
        done.requests += 1
        if wrong := request_problem(*row):
            done.findings.append(Finding("request", str(row[0]), wrong))
            yield number


def _bad_replies(db: sqlite3.Connection, done: Checked, watch: Watch) -> Iterator[int]:
    for number, *row in _rows(db, "replies", _REPLY, done, watch):
        done.replies += 1
        if wrong := problem(*row):
            place = "/".join(map(str, row[:3]))
            done.findings.append(Finding("reply", place, wrong))
            yield number


def _alone(db: sqlite3.Connection) -> int:
    try:
        return int(
            db.execute(
                "SELECT count(*) FROM replies AS r WHERE NOT EXISTS"
                " (SELECT 1 FROM requests AS q WHERE q.key = r.key)"
            ).fetchone()[0]
        )
    except sqlite3.DatabaseError:
        return 0  # where pages are damaged, that is what is told


def _quarantine(db: sqlite3.Connection, number: int) -> int:
    """Move a row that is still damaged: another process may have put it right meanwhile."""
    row = db.execute(f"SELECT {_REPLY} FROM replies WHERE rowid = ?", (number,)).fetchone()  # noqa: S608
    if row is None or not problem(*row):
        return 0
    db.execute("INSERT OR REPLACE INTO quarantine SELECT * FROM replies WHERE rowid = ?", (number,))
    db.execute("DELETE FROM replies WHERE rowid = ?", (number,))
    return 1


def _remove(db: sqlite3.Connection, number: int) -> int:
    row = db.execute(f"SELECT {_REQUEST} FROM requests WHERE rowid = ?", (number,)).fetchone()  # noqa: S608
    if row is None or not request_problem(*row):
        return 0
    db.execute("DELETE FROM requests WHERE rowid = ?", (number,))
    return 1
