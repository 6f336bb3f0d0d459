"""The pool as lines of JSON."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from archon.attempts import AMOUNTS
from archon.types import Usage
from archon.upkeep.entries import header, row_line

__all__ = ["Export"]

_PAID = ", ".join((*AMOUNTS, "seconds"))
# `max(id)` takes the other columns from that row: a draw that was paid twice shows the last time.
_ROWS = f"""
    SELECT r.key, q.request, r.member, r.draw, r.reply, r.checksum, r.model, r.created, {_PAID}
    FROM replies AS r LEFT JOIN requests AS q ON q.key = r.key
    LEFT JOIN (
        SELECT max(id), key, member, draw, {_PAID} FROM attempts WHERE state = 'done'
        GROUP BY key, member, draw
    ) AS p ON p.key = r.key AND p.member = r.member AND p.draw = r.draw
"""  # noqa: S608 (the columns are the ledger's own)
_OF_RUN = (
    "(r.key, r.member, r.draw) IN"
    " (SELECT key, member, draw FROM attempts WHERE run = ? AND state = 'done')"
)


class Export:
    """Replies as lines, in the order of their keys, read one by one.

    Args:
        db: the pool's file.
        model: only of this model.
        run: only what this run paid for.

    Attributes:
        lines: replies given so far.
        left_out: replies that are damaged, or whose request is.
    """

    def __init__(self, db: sqlite3.Connection, model: str = "", run: str = "") -> None:
        self._db = db
        given = [("r.model = ?", model), (_OF_RUN, run)]
        self._values = [value for _, value in given if value]
        where = " AND ".join(sql for sql, value in given if value)
        self._where = f" WHERE {where}" if where else ""
        self.lines = 0
        self.left_out = 0

    def total(self) -> int:
        """Return how many replies there are to give."""
        sql = f"SELECT count(*) FROM replies AS r{self._where}"  # noqa: S608 (as above)
        return int(self._db.execute(sql, self._values).fetchone()[0])

    def __iter__(self) -> Iterator[str]:
        """Give the header, then a line for every reply that is whole."""
        yield header()
        sql = f"{_ROWS}{self._where} ORDER BY r.key, r.member, r.draw"
        for row in self._db.execute(sql, self._values):
            try:
                line = row_line((*row[:8], _paid(row[8:])))
            except ValueError:
                self.left_out += 1
                continue
            self.lines += 1
            yield line


def _paid(values: tuple[Any, ...]) -> dict[str, Any] | None:
    """Return what a draw was charged with, if the ledger knows."""
    paid = dict(zip((*AMOUNTS, "seconds"), values, strict=True))
    if paid["calls"] is None:
        return None
    data: dict[str, Any] = Usage(**paid).to_json()
    return data
