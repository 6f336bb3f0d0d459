"""Every reply ever paid for, addressed by request and draw."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from archon.model import Draw
from archon.plain import canonical
from archon.store import Store
from archon.types import Json, Reply, Usage

if TYPE_CHECKING:
    from sqlite_utils import Database

__all__ = ["Mode", "Pool"]

Mode = Literal["reuse", "fresh", "only", "off"]

REMEMBERED = 20_000
"""Replies kept in memory beside the file."""

_PUT_REPLY = (
    "INSERT OR IGNORE INTO replies (key, member, draw, reply, checksum, model, created) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_PUT_CHARGE = (
    "INSERT INTO charges (run, key, member, draw, calls, input_tokens, output_tokens, microusd, "
    "seconds, outcome, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _schema(db: Database) -> None:
    db.table("requests").create({"key": str, "request": str}, pk="key", if_not_exists=True)
    db.table("replies").create(
        {
            "key": str, "member": int, "draw": int, "reply": str, "checksum": str, "model": str,
            "created": float,
        },
        pk=("key", "member", "draw"), if_not_exists=True,
    )  # fmt: skip
    db.table("charges").create(
        {
            "id": int, "run": str, "key": str, "member": int, "draw": int, "calls": int,
            "input_tokens": int, "output_tokens": int, "microusd": int, "seconds": float,
            "outcome": str, "created": float,
        },
        pk="id", if_not_exists=True,
    )  # fmt: skip
    db.table("runs").create(
        {
            "id": str, "started": float, "ended": float, "what": str, "digest": str, "name": str,
            "status": str, "used": str, "paid": str, "result": str,
        },
        pk="id", if_not_exists=True,
    )  # fmt: skip


class Pool:
    """Replies under (key, draw), in SQLite and a little memory.

    Args:
        path: the file; None keeps the pool in memory for this session only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.store = Store(path, _schema)
        self._memory: OrderedDict[tuple[str, Draw], Reply] = OrderedDict()

    def get(self, key: str, draws: Sequence[Draw]) -> dict[Draw, Reply]:
        """Return those of the draws that are there, marked as pooled."""
        found = {d: r for d in draws if (r := self._memory.get((key, d))) is not None}
        missing = [draw for draw in draws if draw not in found]
        if not missing:
            return found
        for draw, reply in self._from_file(key, missing):
            found[draw] = self._remember(key, draw, reply)
        return found

    def _from_file(self, key: str, draws: Sequence[Draw]) -> Iterable[tuple[Draw, Reply]]:
        if len(draws) == 1:
            rows = self.store.read(
                "SELECT member, draw, reply, checksum FROM replies"
                " WHERE key = ? AND member = ? AND draw = ?",
                (key, *draws[0]),
            )
        else:
            rows = self.store.read(
                "SELECT member, draw, reply, checksum FROM replies WHERE key = ?", (key,)
            )
        wanted = set(draws)
        for member, number, text, checksum in rows:
            draw = Draw(member, number)
            # A damaged row counts as missing: asking again is right, serving it would be wrong.
            if draw in wanted and _checksum(text) == checksum:
                yield draw, replace(Reply.from_json(json.loads(text)), pooled=True)

    def _remember(self, key: str, draw: Draw, reply: Reply) -> Reply:
        self._memory[key, draw] = reply
        if len(self._memory) > REMEMBERED:
            self._memory.popitem(last=False)
        return reply

    async def put(
        self, run: str, key: str, request: Json, draw: Draw, reply: Reply, charged: Usage
    ) -> None:
        """Store a reply and what it cost in one transaction; durable when this returns."""
        text = canonical(reply.to_json())
        now = time.time()
        content = canonical(request)
        charge = _charge_row(run, key, draw, charged, reply.finish, now)

        def write(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR IGNORE INTO requests VALUES (?, ?)", (key, content))
            db.execute(_PUT_REPLY, (key, *draw, text, _checksum(text), reply.model, now))
            db.execute(_PUT_CHARGE, charge)

        await self.store.write(write)
        self._remember(key, draw, replace(reply, pooled=True))

    async def put_failure(self, run: str, key: str, draw: Draw, charged: Usage, kind: str) -> None:
        """Record an attempt that gave no reply and may have cost something."""
        row = _charge_row(run, key, draw, charged, kind, time.time())
        await self.store.write(lambda db: db.execute(_PUT_CHARGE, row))

    def count(self) -> int:
        """Return how many replies are stored."""
        return int(self.store.read("SELECT count(*) FROM replies")[0][0])

    def close(self) -> None:
        """Write what is queued and close the file."""
        self.store.close()


def _charge_row(
    run: str, key: str, draw: Draw, usage: Usage, outcome: str, now: float
) -> tuple[object, ...]:
    return (
        run, key, *draw, usage.calls, usage.input_tokens, usage.output_tokens, usage.microusd,
        usage.seconds, outcome, now,
    )  # fmt: skip


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
