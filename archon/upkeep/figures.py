"""What the pool holds and what was paid, in figures."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archon.attempts import AMOUNTS
from archon.types import Json, Usage
from archon.upkeep.opening import alive

__all__ = ["Attempt", "Figures", "Overview", "Sizes", "Tally", "overview", "sizes", "tally"]

_TABLES = (
    "requests", "replies", "quarantine", "attempts", "scopes", "runs", "run_items", "samples",
    "outcomes", "trials", "looks",
)  # fmt: skip


def _sum(column: str) -> str:
    """Return SQL for a sum that is unknown when one of its parts is."""
    return f"CASE WHEN count({column}) = count(*) THEN coalesce(sum({column}), 0) END"


_BYTES = "coalesce(sum(length(CAST(reply AS BLOB))), 0)"
_REPLIES = f"""
    SELECT coalesce(model, '') AS model, count(DISTINCT key) AS requests, count(*) AS replies,
    {_BYTES} AS bytes, min(created) AS oldest, max(created) AS newest
    FROM replies GROUP BY 1
"""  # noqa: S608 (no value is put in)
_SUMS = ", ".join(f"{_sum(column)} AS {column}" for column in AMOUNTS)
_ATTEMPT = f"SELECT id, run, model, state, owner, created, {', '.join(AMOUNTS)} FROM attempts"  # noqa: S608


@dataclass(frozen=True)
class Figures:
    """What the pool has of one model, or of all.

    Attributes:
        requests: different ones that have replies.
        bytes: of the replies as they are stored.
        paid: what was charged for its calls, those in doubt included.
        oldest, newest: when replies were stored, in seconds since 1970; None without any.
    """

    model: str
    requests: int = 0
    replies: int = 0
    bytes: int = 0
    paid: Usage = Usage()  # noqa: RUF009 (frozen)
    oldest: float | None = None
    newest: float | None = None

    def to_json(self) -> Json:
        """Return every field by name, dollars included."""
        return {
            **vars(self),
            "paid": {**self.paid.to_json(), "usd": self.paid.usd},
        }


@dataclass(frozen=True)
class Attempt:
    """One draw that is on its way, or whose end nobody saw.

    Attributes:
        since: when it was reserved, in seconds since 1970.
        upper: the most it may have cost, which counts as spent.
        alive: whether the process that asked still runs.
    """

    id: int
    run: str
    model: str
    owner: str
    since: float
    upper: Usage
    alive: bool

    def to_json(self) -> Json:
        """Return every field by name."""
        return {**vars(self), "upper": {**self.upper.to_json(), "usd": self.upper.usd}}


@dataclass(frozen=True)
class Overview:
    """The pool at a glance."""

    file: str
    models: tuple[Figures, ...] = ()
    in_flight: tuple[Attempt, ...] = ()
    doubts: tuple[Attempt, ...] = ()

    @property
    def total(self) -> Figures:
        """All models together."""
        oldest = [model.oldest for model in self.models if model.oldest is not None]
        newest = [model.newest for model in self.models if model.newest is not None]
        return Figures(
            "total",
            sum(model.requests for model in self.models),
            sum(model.replies for model in self.models),
            sum(model.bytes for model in self.models),
            Usage.sum(model.paid for model in self.models),
            min(oldest, default=None),
            max(newest, default=None),
        )

    def to_json(self) -> Json:
        """Return everything that `archon pool list` knows."""
        return {
            "file": self.file,
            "models": [model.to_json() for model in self.models],
            "total": self.total.to_json(),
            "in_flight": [attempt.to_json() for attempt in self.in_flight],
            "doubts": [attempt.to_json() for attempt in self.doubts],
        }


@dataclass(frozen=True)
class Sizes:
    """How much room the pool takes, in bytes.

    Attributes:
        file, wal, ballast: of the file itself, of its log, and of what is set aside for the day
            on which the disk is full.
        free: within the file, used again by new replies.
        rows: of each table.
        replies: of the replies as they are stored.
    """

    path: str
    file: int = 0
    wal: int = 0
    ballast: int = 0
    free: int = 0
    replies: int = 0
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_TABLES, 0))

    def to_json(self) -> Json:
        """Return every field by name."""
        return dict(vars(self))


@dataclass(frozen=True)
class Tally:
    """The attempts of one run.

    Attributes:
        requests: sent on the wire.
        attempts: draws asked for; a request may ask for several.
        retries: draws that were asked for again.
        doubts: attempts whose end nobody saw.
        doubted: what these may have cost, which counts as spent.
    """

    requests: int = 0
    attempts: int = 0
    retries: int = 0
    failed: int = 0
    doubts: int = 0
    doubted: Usage = Usage()  # noqa: RUF009 (frozen)

    def to_json(self) -> Json:
        """Return every field by name."""
        return {**vars(self), "doubted": {**self.doubted.to_json(), "usd": self.doubted.usd}}


def _rows(db: sqlite3.Connection, sql: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
    from sqlite_utils import Database  # kept out of `import archon`

    return list(Database(db).query(sql, values))


def _usage(row: dict[str, Any]) -> Usage:
    return Usage(**{name: row[name] for name in AMOUNTS})


def overview(db: sqlite3.Connection, path: Path) -> Overview:
    """Return what the pool holds of each model, what is under way, and what is in doubt."""
    open_ = _attempts(db, path, "state IN ('inflight', 'indoubt')")
    flying = tuple(attempt for attempt in open_ if attempt.alive)
    doubts = tuple(attempt for attempt in open_ if not attempt.alive)
    return Overview(str(path), _models(db, [attempt.id for attempt in flying]), flying, doubts)


def _models(db: sqlite3.Connection, flying: Sequence[int]) -> tuple[Figures, ...]:
    found = {row["model"]: row for row in _rows(db, _REPLIES)}
    marks = ", ".join("?" * len(flying))
    paid = _rows(
        db,
        f"SELECT coalesce(model, '') AS model, {_SUMS} FROM attempts"  # noqa: S608 (marks only)
        f" WHERE id NOT IN ({marks}) GROUP BY 1",
        flying,
    )
    charged = {row.pop("model"): _usage(row) for row in paid}
    return tuple(
        Figures(**{"model": model, **found.get(model, {}), "paid": charged.get(model, Usage())})
        for model in sorted(found.keys() | charged.keys())
    )


def _attempts(
    db: sqlite3.Connection, path: Path, where: str, values: Sequence[object] = ()
) -> list[Attempt]:
    """Return attempts, the oldest first; one in flight is in doubt when its process is gone."""
    rows = _rows(db, f"{_ATTEMPT} WHERE {where} ORDER BY created, id", values)
    owners = {row["owner"] for row in rows if row["state"] == "inflight"}
    living = {owner for owner in owners if alive(path, owner)}
    return [
        Attempt(
            row["id"], row["run"] or "", row["model"] or "", row["owner"] or "",
            row["created"], _usage(row), row["state"] == "inflight" and row["owner"] in living,
        )
        for row in rows
    ]  # fmt: skip


def sizes(db: sqlite3.Connection, path: Path) -> Sizes:
    """Return what the pool takes on disk, and how many rows it has."""
    from sqlite_utils import Database

    pool = Database(db)
    page, free = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "freelist_count")
    )
    return Sizes(
        str(path),
        _size(path),
        _size(path.with_name(f"{path.name}-wal")),
        _size(path.with_name(f"{path.name}-ballast")),
        page * free,
        db.execute(f"SELECT {_BYTES} FROM replies").fetchone()[0],  # noqa: S608 (no value)
        {name: pool.table(name).count for name in _TABLES},
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def tally(db: sqlite3.Connection, path: Path, run: str) -> Tally:
    """Return what a run sent, and what became of it."""
    row = _rows(
        db,
        "SELECT count(DISTINCT owner || '/' || sent) AS requests, count(*) AS attempts,"
        " sum(state = 'failed') AS failed FROM attempts WHERE run = ?",
        (run,),
    )[0]
    draws = db.execute(
        "SELECT count(*) FROM (SELECT DISTINCT key, member, draw FROM attempts WHERE run = ?)",
        (run,),
    ).fetchone()[0]
    open_ = _attempts(db, path, "run = ? AND state IN ('inflight', 'indoubt')", (run,))
    doubts = [attempt for attempt in open_ if not attempt.alive]
    return Tally(
        row["requests"],
        row["attempts"],
        row["attempts"] - draws,
        row["failed"] or 0,
        len(doubts),
        Usage.sum(attempt.upper for attempt in doubts),
    )
