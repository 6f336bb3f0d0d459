"""Replies taken out of the pool; what was paid for them stays on the books."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from archon.errors import StoreError
from archon.types import Json
from archon.upkeep.opening import alive, failure, transaction, writing

__all__ = ["Pruned", "Which", "compact", "foresee", "prune"]

PATIENCE = 2000
"""Milliseconds to wait for others before the file keeps its size: that can be done later."""
_KEPT = (
    "(key, member, draw) NOT IN (SELECT key, member, draw FROM attempts WHERE run IN"
    " (SELECT id FROM runs ORDER BY started DESC LIMIT ?))"
)


@dataclass(frozen=True)
class Which:
    """Which replies to take out: those to which every one of these applies.

    Attributes:
        model: of this model.
        before: stored before this moment, in seconds since 1970.
        keep_runs: not paid for by one of so many newest runs.
        replies: whether any are to be taken out at all.
        quarantine: whether damaged replies in quarantine go too; nothing else applies to them.
    """

    model: str | None = None
    before: float | None = None
    keep_runs: int = 0
    replies: bool = True
    quarantine: bool = False

    def condition(self) -> tuple[str, list[object]]:
        """Return the SQL condition on a reply, and its values."""
        given: list[tuple[str, object]] = [
            ("model = ?", self.model),
            ("created < ?", self.before),
            (_KEPT, self.keep_runs or None),
        ]
        parts = [sql for sql, value in given if value is not None]
        values = [value for _, value in given if value is not None]
        if not self.replies:
            return "0", []
        return " AND ".join(parts) or "1", values


@dataclass(frozen=True)
class Pruned:
    """What is, or would be, taken out.

    Attributes:
        models: replies of each model.
        bytes: of these replies.
        quarantine: damaged replies in quarantine.
    """

    models: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    quarantine: int = 0

    @property
    def replies(self) -> int:
        """Replies of all models."""
        return sum(self.models.values())

    def to_json(self) -> Json:
        """Return every field by name, and the sum."""
        return {**vars(self), "replies": self.replies}


def foresee(db: sqlite3.Connection, which: Which) -> Pruned:
    """Return what `prune` would take out now."""
    where, values = which.condition()
    size = "sum(length(CAST(reply AS BLOB)))"
    sql = f"SELECT coalesce(model, ''), count(*), {size} FROM replies WHERE {where} GROUP BY 1"  # noqa: S608
    rows = db.execute(sql, values).fetchall()
    models = {model: count for model, count, _ in sorted(rows)}
    damaged = 0
    if which.quarantine:
        damaged = db.execute("SELECT count(*) FROM quarantine").fetchone()[0]
    return Pruned(models, sum(size or 0 for *_, size in rows), damaged)


def prune(path: Path, which: Which) -> Pruned:
    """Take replies out, and the requests that are left without any; return what it was.

    Raises:
        StoreError: when the file cannot be written; then nothing was taken out.
    """
    where, values = which.condition()
    with writing(path) as db, transaction(db):
        pruned = foresee(db, which)
        db.execute(f"DELETE FROM replies WHERE {where}", values)  # noqa: S608 (values are bound)
        if which.quarantine:
            db.execute("DELETE FROM quarantine")
        db.execute(
            "DELETE FROM requests WHERE NOT EXISTS"
            " (SELECT 1 FROM replies AS r WHERE r.key = requests.key)"
        )
    return pruned


def compact(path: Path) -> None:
    """Give the room that is free in the file back to the disk.

    Raises:
        StoreError: saying why it stays; it is used again by new replies.
    """
    with writing(path) as db:
        owners = db.execute("SELECT DISTINCT owner FROM attempts WHERE state = 'inflight'")
        if any(alive(path, owner) for (owner,) in owners.fetchall()):
            raise StoreError("another process has calls in flight")
        try:
            db.execute(f"PRAGMA busy_timeout={PATIENCE}")
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            raise failure(path, error) from None
