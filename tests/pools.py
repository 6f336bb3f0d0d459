"""Pools for tests, filled as the gateway fills them."""

from __future__ import annotations

import asyncio
import io
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from archon import upkeep
from archon.attempts import Reservation
from archon.errors import ConfigError
from archon.model import Draw, Model, Request
from archon.plain import canonical
from archon.pool import Pool, reply_row
from archon.types import Message, Reply, Usage

PAID = Usage(1, 9, 4, 70, 0.5, None)


def request(i: int, model: str = "fake/a") -> Request:
    """Return one of many different requests."""
    return Request(Model(model), (Message("user", f"question {i} 模型 \u2028"),))


def reply_of(text: str, model: str = "fake/a") -> Reply:
    """Return what a model said to it."""
    return Reply.of(text, model=model, usage=Usage(1, 9, 4, 70, 0.5))


def fill(
    path: Path,
    requests: int = 3,
    draws: int = 2,
    *,
    model: str = "fake/a",
    run: str = "run-1",
    text: str = "an answer",
) -> None:
    """Pay for replies."""
    put(
        path,
        [
            (request(i, model), Draw(0, j), reply_of(f"{text} {i} {j}", model))
            for i in range(requests)
            for j in range(draws)
        ],
        run,
    )


def put(path: Path, rows: Iterable[tuple[Request, Draw, Reply]], run: str = "run-1") -> None:
    """Pay for these replies."""

    async def pay(pool: Pool) -> None:
        await asyncio.gather(*(_pay(pool, i, *row, run) for i, row in enumerate(rows)))

    with closing(Pool(path)) as pool:
        asyncio.run(pay(pool))


async def _pay(pool: Pool, number: int, asked: Request, draw: Draw, reply: Reply, run: str) -> None:
    key = asked.key()
    line = Reservation(key, draw, number, run, asked.model.model, Usage(1, 99, 99, 999), 0.0)
    assert await pool.reserve(line)
    row = reply_row(key, canonical(asked.content()), draw, reply)
    await pool.settle(line.settled("done", PAID, reply.finish, row), reply)


def reserve(pool: Pool, number: int, run: str = "run-1") -> None:
    """Put a call in flight, and leave it there."""
    line = Reservation(
        f"{number:032x}", Draw(0, 0), number, run, "fake/a", Usage(1, 99, 99, 999), 0.0
    )
    assert asyncio.run(pool.reserve(line))


def sql(path: Path, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
    """Do something to the file behind archon's back."""
    with closing(sqlite3.connect(path)) as db, db:
        return db.execute(statement, values).fetchall()


def contents(path: Path) -> list[tuple[object, ...]]:
    """Return all replies with their requests, without when they were stored."""
    return sql(
        path,
        "SELECT r.key, q.request, member, draw, reply, checksum, model FROM replies AS r"
        " JOIN requests AS q USING (key) ORDER BY 1, 3, 4",
    )


def break_pages(path: Path, first: int, last: int) -> None:
    """Overwrite some pages of a file that nobody has open."""
    size = 4096
    with path.open("r+b") as file:
        for page in range(first, last):
            file.seek(page * size)
            file.write(b"\xff" * size)


def exported(path: Path, model: str = "", run: str = "") -> bytes:
    """Return an export."""
    with upkeep.reading(path) as db:
        return "".join(f"{line}\n" for line in upkeep.Export(db, model, run)).encode()


def _fail(error: ConfigError) -> None:
    """End an import."""
    raise error


def imported(path: Path, lines: bytes, refused: list[str] | None = None) -> upkeep.Imported:
    """Import lines; what is refused is collected, or ends it."""
    refuse = _fail if refused is None else lambda error: refused.append(str(error))
    return upkeep.import_replies(path, upkeep.read_lines(io.BytesIO(lines), "x.jsonl"), refuse)
