"""Every reply ever paid for, addressed by request and draw; and the ledger of what was paid."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from archon import attempts, outcomes
from archon.attempts import Book, Reservation, Reserved, Settled
from archon.errors import StoreError
from archon.model import Draw
from archon.owner import Owner
from archon.plain import canonical
from archon.store import WRITE, Store
from archon.types import Reply, Usage

if TYPE_CHECKING:
    from sqlite_utils import Database

__all__ = ["Mode", "Pool", "checksum", "reply_row"]

Mode = Literal["reuse", "fresh", "only", "off"]

VERSION = 4
"""Of the schema, kept in the file."""
REMEMBERED = 32 << 20
"""Characters of replies kept in memory beside the file."""

KEYS = 200_000
"""Keys up to which their hashes are kept in memory, so that a new request needs no look."""

log = logging.getLogger("archon.pool")


def _create(db: Database) -> None:
    db.table("requests").create({"key": str, "request": str}, pk="key", if_not_exists=True)
    for name in ("replies", "quarantine"):
        db.table(name).create(
            {
                "key": str, "member": int, "draw": int, "reply": str, "checksum": str,
                "model": str, "created": float,
            },
            pk=("key", "member", "draw"), if_not_exists=True,
        )  # fmt: skip
    db.table("runs").create(
        {
            "id": str, "started": float, "ended": float, "what": str, "digest": str, "name": str,
            "status": str, "used": str, "paid": str, "result": str,
        },
        pk="id", if_not_exists=True,
    )  # fmt: skip
    db.table("run_items").create(
        {
            "run": str, "position": int, "item": str, "grp": str, "score": float, "row": str,
            "trail": bytes,
        },
        pk=("run", "position"), if_not_exists=True,
    )  # fmt: skip
    db.table("samples").create(
        {
            "benchmark": str, "item": str, "sampler": str, "draw": int, "text": str,
            "answer": str, "score": float, "input_tokens": int, "output_tokens": int,
            "microusd": int, "seconds": float, "finish": str, "source": str, "extra": str,
            "created": float,
        },
        pk=("benchmark", "item", "sampler", "draw"), if_not_exists=True,
    )  # fmt: skip
    attempts.create(db)
    outcomes.create(db)


def _migrate(db: sqlite3.Connection) -> None:
    """Take over what a file of version 1 holds: it kept charges, and checksums of text alone."""
    rows = db.execute("SELECT key, member, draw, reply, checksum FROM replies").fetchall()
    for key, member, draw, text, old in rows:
        if hashlib.sha256(text.encode()).hexdigest()[:16] == old:
            db.execute(
                "UPDATE replies SET checksum = ? WHERE key = ? AND member = ? AND draw = ?",
                (checksum(key, Draw(member, draw), text), key, member, draw),
            )
    db.execute(
        "INSERT INTO attempts (sent, run, key, member, draw, state, outcome, created, ended,"
        " seconds, calls, input_tokens, output_tokens, microusd) SELECT id, run, key, member, draw,"
        " 'done', outcome, created, created, seconds, calls, input_tokens, output_tokens, microusd"
        " FROM charges"
    )
    db.execute("DROP TABLE charges")


class Pool:
    """Replies under (key, draw) and the ledger, in SQLite and a little memory.

    Args:
        path: the file; None keeps the pool in memory for this session only.
        new: start a new file where the old one is damaged, instead of stopping.

    Attributes:
        quarantined: damaged replies met so far; each counts as missing.
    """

    def __init__(self, path: Path | None = None, *, new: bool = False) -> None:
        folder = None if path is None else path.with_name(f"{path.name}-owners")
        self.quarantined = 0
        self._memory: OrderedDict[tuple[str, Draw], tuple[Reply, int]] = OrderedDict()
        self._remembered = 0
        self._keys: set[int] | None = None
        # The file first: a folder of locks beside a file that cannot be used helps nobody.
        self.store = Store(path, lambda db: _prepare(db, path), new=new)
        try:
            self._owner = Owner(folder)
        except StoreError:
            self.store.close()
            raise
        self._book = Book(self._owner.id, self._owner.alive)
        self._keys = self._load_keys()
        if self.store.read("SELECT 1 FROM attempts WHERE state = 'inflight' LIMIT 1"):
            self.store.post(WRITE, self._book.bury)

    def _load_keys(self) -> set[int] | None:
        """Return the hashes of the keys in the file, or None if they are too many."""
        if self.store.read("SELECT count(*) FROM requests")[0][0] > KEYS:
            return None
        return {hash(key) for (key,) in self.store.read("SELECT DISTINCT key FROM replies")}

    def _knows(self, key: str) -> bool:
        """Whether the file may hold a key; one that another process adds is met by `reserve`."""
        return self._keys is None or hash(key) in self._keys

    def get(self, key: str, draws: Sequence[Draw], *, look: bool = False) -> dict[Draw, Reply]:
        """Return those of the draws that are there, marked as pooled.

        Args:
            key: the request's address.
            draws: which of its samples.
            look: look into the file even for a key that was not there when it was opened.
        """
        found = {d: r[0] for d in draws if (r := self._memory.get((key, d))) is not None}
        missing = [draw for draw in draws if draw not in found]
        if not missing or not (look or self._knows(key)):
            return found
        for draw, reply, size in self._from_file(key, missing):
            found[draw] = self._remember(key, draw, reply, size)
        return found

    def _from_file(self, key: str, draws: Sequence[Draw]) -> Iterable[tuple[Draw, Reply, int]]:
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
        for member, number, text, check in rows:
            draw = Draw(member, number)
            if draw not in wanted:
                continue
            # A damaged row counts as missing: asking again is right, serving it would be wrong.
            if (reply := _read(key, draw, text, check)) is None:
                self._quarantine(key, draw)
            else:
                yield draw, reply, len(text)

    def _quarantine(self, key: str, draw: Draw) -> None:
        self.quarantined += 1
        log.warning("a stored reply is damaged and will be asked for again: %s %s", key, draw)

        def move(db: sqlite3.Connection) -> None:
            quarantine(db, key, draw)

        self.store.post(WRITE, move)

    def _remember(self, key: str, draw: Draw, reply: Reply, size: int) -> Reply:
        if self._keys is not None:
            self._keys.add(hash(key))
            if len(self._keys) > KEYS:
                self._keys = None
        self._memory[key, draw] = reply, size
        self._remembered += size
        while self._remembered > REMEMBERED and len(self._memory) > 1:
            self._remembered -= self._memory.popitem(last=False)[1][1]
        return reply

    async def reserve(self, reservation: Reservation) -> Reserved:
        """Put a draw on the books before it is sent; durable when this returns."""
        reserved: Reserved = await self.store.put(self._book.reserve, reservation)
        return reserved

    async def settle(self, settled: Settled, reply: Reply | None = None) -> None:
        """Store what an attempt gave and what it cost in one transaction; then durable."""
        await self.store.put(self._book.settle, settled)
        if reply is not None:
            key, draw = settled.reservation.key, settled.reservation.draw
            size = len(settled.reply[4]) if settled.reply else 0
            self._remember(key, draw, _pooled(reply), size)

    def settle_later(self, settled: Settled) -> None:
        """Put on the books how an attempt ended that nobody waits for any more."""
        self.store.post(self._book.settle, settled)

    def forget(self, reservation: Reservation) -> None:
        """Take a reservation off the books: nothing was sent."""
        self.store.post(self._book.forget, reservation)

    def spent(self, scope: str) -> Usage:
        """Return what all processes have spent and hold under a shared budget's name."""
        columns = ", ".join(attempts.AMOUNTS)
        rows = self.store.read(f"SELECT {columns} FROM scopes WHERE name = ?", (scope,))  # noqa: S608
        return Usage(**dict(zip(attempts.AMOUNTS, rows[0], strict=True))) if rows else Usage()

    def held_by_others(self, scope: str) -> bool:
        """Return whether another process that lives holds some of a shared budget."""
        owners = self.store.read(*attempts.owners_holding(scope, self._owner.id))
        return any(self._owner.alive(owner) for (owner,) in owners)

    def count(self) -> int:
        """Return how many replies are stored."""
        return int(self.store.read("SELECT count(*) FROM replies")[0][0])

    @property
    def owner(self) -> Owner:
        """This process, as it holds calls and trials; others can be asked about."""
        return self._owner

    def close(self) -> None:
        """Write what is queued and close the file."""
        self.store.close()
        self._owner.close()


def _pooled(reply: Reply) -> Reply:
    return Reply(
        reply.parts, reply.model, reply.finish, reply.reasoning, reply.usage, reply.verdict_probs,
        True, None, reply.stop, reply.tokens, reply.logprobs,
    )  # fmt: skip


def _prepare(db: sqlite3.Connection, path: Path | None) -> None:
    """Bring a file to today's schema; one that is up to date is only looked at."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise StoreError(
            f"{path}: made by a newer archon (schema {version}, this one knows {VERSION})"
        )
    if version == VERSION:
        return
    from sqlite_utils import Database  # kept out of `import archon`

    db.execute("BEGIN IMMEDIATE")
    try:
        old = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'charges'").fetchone()
        _create(Database(db))
        if old is not None:
            _migrate(db)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:  # whatever ends it, the file is as it was
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _read(key: str, draw: Draw, text: Any, check: str) -> Reply | None:
    """Return a stored reply, or None if it is damaged."""
    if not isinstance(text, str) or checksum(key, draw, text) != check:
        return None
    try:
        return _pooled(Reply.from_json(json.loads(text)))
    except (KeyError, TypeError, ValueError):
        return None


def quarantine(db: sqlite3.Connection, key: str, draw: Draw) -> None:
    """Move a damaged reply out of the way, so that the draw can be paid for again."""
    place = (key, *draw)
    where = "WHERE key = ? AND member = ? AND draw = ?"
    db.execute(f"INSERT OR REPLACE INTO quarantine SELECT * FROM replies {where}", place)  # noqa: S608
    db.execute(f"DELETE FROM replies {where}", place)  # noqa: S608


def reply_row(key: str, content: str, draw: Draw, reply: Reply) -> tuple[Any, ...]:
    """Return a reply as the row that `attempts` stores: the key, the request, then the columns."""
    text = canonical(reply.to_json())
    return (key, content, *draw, text, checksum(key, draw, text), reply.model, time.time())


def checksum(key: str, draw: Draw, text: str) -> str:
    """Return what shows that a row is whole and under its own address."""
    whole = f"{key}/{draw.member}/{draw.number}/{text}"
    return hashlib.sha256(whole.encode()).hexdigest()[:16]
