"""The record of runs in the pool's file: what was run, what it used, and how it ended."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from archon.base import Architecture, Run
from archon.pool import Pool
from archon.result import Result
from archon.types import Json, Usage, canonical

__all__ = ["Outcome", "list_runs", "record_run"]

_PUT = (
    "INSERT OR REPLACE INTO runs (id, started, ended, what, digest, name, status, used, paid, "
    "result) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass
class Outcome:
    """What a recorded run ended with."""

    result: Result | None = None


@asynccontextmanager
async def record_run(pool: Pool, run: Run, architecture: Architecture) -> AsyncIterator[Outcome]:
    """Write a row when the block begins and its outcome when it ends, however it ends."""
    outcome, began = Outcome(), time.time()

    async def write(status: str, ended: float | None) -> None:
        used = Usage.sum(record.used for record in run.records)
        paid = Usage.sum(record.paid for record in run.records)
        answer = "" if outcome.result is None else canonical(outcome.result.answer)
        row = (
            run.spending.run, began, ended, "run", architecture.digest(),
            architecture.name or str(architecture), status, canonical(used.to_json()),
            canonical(paid.to_json()), answer,
        )  # fmt: skip

        def put(db: sqlite3.Connection) -> None:
            db.execute(_PUT, row)

        await pool.store.write(put)

    if run.spending.mode == "off":
        yield outcome
        return
    await write("running", None)
    status = "stopped"
    try:
        yield outcome
        status = "done" if outcome.result is not None else "failed"
    except Exception:
        status = "failed"
        raise
    finally:
        await write(status, time.time())


def list_runs(pool: Pool, limit: int = 50) -> list[dict[str, Json]]:
    """Return the newest runs first, as plain data."""
    names = ("id", "started", "ended", "what", "digest", "name", "status", "used", "paid", "result")
    rows = pool.store.read(
        f"SELECT {', '.join(names)} FROM runs ORDER BY started DESC LIMIT ?",  # noqa: S608
        (limit,),
    )
    return [dict(zip(names, row, strict=True)) for row in rows]
