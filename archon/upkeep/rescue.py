"""Rows of a table of which some pages may be damaged: all that can still be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Gap", "rows"]

_LAST = 1 << 62
"""Row numbers beyond this one are damage themselves."""

Gap = Callable[[int, int | None], None]
"""Is told of rows that cannot be read: the first number, and the next that can; None if none."""


def rows(db: sqlite3.Connection, table: str, columns: str, gap: Gap) -> Iterator[tuple[Any, ...]]:
    """Return row number and columns of every row that can be read, in the order of the file."""
    # Table and columns are the caller's own words.
    sql = f"SELECT rowid, {columns} FROM {table} WHERE rowid >= ? ORDER BY rowid"  # noqa: S608
    at = 0
    while at < _LAST:
        try:
            for row in db.execute(sql, (at,)):
                if row[0] < at:  # pages that point back would be read for ever
                    raise sqlite3.DatabaseError("rows are out of order")
                at = row[0] + 1
                yield row
        except sqlite3.DatabaseError:
            beyond = _beyond(db, sql, at)
            gap(at, beyond)
            if beyond is None:
                return
            at = beyond
        else:
            return


def _beyond(db: sqlite3.Connection, sql: str, at: int) -> int | None:
    """Return the first row number after `at` from which reading works again."""
    bad, step = at, 1
    while not _works(db, sql, at + step):
        bad, step = at + step, step * 2
        if step >= _LAST:
            return None
    good = at + step
    while good - bad > 1:
        middle = (bad + good) // 2
        if _works(db, sql, middle):
            good = middle
        else:
            bad = middle
    return good


def _works(db: sqlite3.Connection, sql: str, at: int) -> bool:
    try:
        db.execute(f"{sql} LIMIT 1", (at,)).fetchall()
    except sqlite3.DatabaseError:
        return False
    return True
