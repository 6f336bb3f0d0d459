"""The record of runs in the pool's file: what was run, what it used, and how it ended."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

from archon.base import Architecture, Run
from archon.crashing import crash_point
from archon.plain import canonical
from archon.pool import Pool
from archon.result import Result
from archon.types import Json, Usage

__all__ = ["Outcome", "RunRow", "find_run", "list_runs", "put_run", "record_run"]

Status = Literal["running", "done", "stopped", "failed"]

_COLUMNS = ("id", "started", "ended", "what", "digest", "name", "status", "used", "paid")
_PUT = (
    "INSERT OR REPLACE INTO runs (id, started, ended, what, digest, name, status, used, paid, "
    "result) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One row of the record.

    Attributes:
        id: the run's name; the same run again replaces its row.
        started, ended: seconds since 1970; None while it runs.
        what: `run` or `eval`.
        result: the answer of a run, the figures and rows of an evaluation.
    """

    id: str
    started: float
    what: str
    digest: str
    name: str
    status: Status = "running"
    ended: float | None = None
    used: Usage = Usage()  # noqa: RUF009 (frozen)
    paid: Usage = Usage()  # noqa: RUF009 (frozen)
    result: Json = None


async def put_run(pool: Pool, row: RunRow) -> None:
    """Write a row in place of the one of that id."""
    values = (
        row.id, row.started, row.ended, row.what, row.digest, row.name, row.status,
        canonical(row.used.to_json()), canonical(row.paid.to_json()), canonical(row.result),
    )  # fmt: skip

    def put(db: sqlite3.Connection) -> None:
        db.execute(_PUT, values)

    await pool.store.write(put)
    if row.ended is not None:
        crash_point("run.recorded")


@dataclass
class Outcome:
    """What a recorded run ended with."""

    result: Result | None = None


@asynccontextmanager
async def record_run(pool: Pool, run: Run, architecture: Architecture) -> AsyncIterator[Outcome]:
    """Write a row when the block begins and its outcome when it ends, however it ends."""
    outcome = Outcome()
    if run.spending.mode == "off":
        yield outcome
        return
    name = architecture.name or str(architecture)
    row = RunRow(run.spending.run, time.time(), "run", architecture.digest(), name)
    await put_run(pool, row)
    status: Status = "stopped"
    try:
        yield outcome
        status = "done" if outcome.result is not None else "failed"
    except Exception:  # any failure is recorded as one, and raised again
        status = "failed"
        raise
    finally:
        await put_run(pool, _ended(row, status, run, outcome))


def _ended(row: RunRow, status: Status, run: Run, outcome: Outcome) -> RunRow:
    return replace(
        row,
        status=status,
        ended=time.time(),
        used=Usage.sum(record.used for record in run.records),
        paid=Usage.sum(record.paid for record in run.records),
        result=None if outcome.result is None else outcome.result.answer,
    )


def list_runs(pool: Pool, limit: int = 50) -> list[dict[str, Json]]:
    """Return the newest runs first, without their results, which can be large."""
    return _read(pool, _COLUMNS, "ORDER BY started DESC LIMIT ?", limit)


def find_run(pool: Pool, run: str) -> dict[str, Json] | None:
    """Return one run with its result, or None."""
    found = _read(pool, (*_COLUMNS, "result"), "WHERE id = ?", run)
    return found[0] if found else None


def _read(pool: Pool, names: tuple[str, ...], where: str, value: object) -> list[dict[str, Json]]:
    # Names and conditions are this module's own; values are bound.
    rows = pool.store.read(f"SELECT {', '.join(names)} FROM runs {where}", (value,))  # noqa: S608
    found = [dict(zip(names, row, strict=True)) for row in rows]
    for row in found:
        for name in ("used", "paid", "result"):
            row[name] = json.loads(row[name]) if row.get(name) else None
    return found
