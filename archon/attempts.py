"""The ledger on disk: each attempt is reserved before it is sent and settled after.

A row of `attempts` is one draw of one request on its way or on the books. While it is in flight
its amounts are the reservation; when it is settled they are what was charged. So a process that
is killed leaves its reservations standing: they count as spent, and are listed as in doubt.
`scopes` holds, by name, the sum of all amounts under one budget, across processes.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from archon.budget import amount
from archon.crashing import crash_point
from archon.model import Draw
from archon.store import Batch, insert
from archon.types import Usage

if TYPE_CHECKING:
    from sqlite_utils import Database

__all__ = ["AMOUNTS", "Book", "Elsewhere", "Full", "Reservation", "Settled", "Stored", "create"]

AMOUNTS = ("calls", "input_tokens", "output_tokens", "microusd", "flops")
"""What an attempt is charged with, column by column."""

State = Literal["inflight", "done", "failed", "indoubt"]


@dataclass(eq=False, slots=True)
class Reservation:
    """One draw that is about to be sent.

    Attributes:
        sent: number of the request on the wire; draws of one request share it.
        upper: the most that it can be charged.
        ends: wall-clock time at which it will be over.
        scopes: limits of the shared budgets that it falls under, by their names.
        id: its row; 0 until it is there.
    """

    key: str
    draw: Draw
    sent: int
    run: str
    model: str
    upper: Usage
    ends: float
    scopes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    id: int = 0

    def settled(
        self, state: State, charged: Usage, outcome: str, reply: tuple[Any, ...] = ()
    ) -> Settled:
        """Return how it ended; `reply` is a row of the pool to be stored with it."""
        return Settled(self, state, charged, outcome, time.time(), reply)


@dataclass(frozen=True, eq=False, slots=True)
class Settled:
    """How an attempt ended and what it is charged with."""

    reservation: Reservation
    state: State
    charged: Usage
    outcome: str
    ended: float
    reply: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """Nothing to reserve: the reply has come into the pool meanwhile."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Somebody else is paying for this draw just now."""

    owner: str


@dataclass(frozen=True, slots=True)
class Full:
    """A shared budget has no room.

    Attributes:
        scope: its name.
        limit: the limit that does not fit.
    """

    scope: str
    limit: str


Reserved: TypeAlias = "int | Stored | Elsewhere | Full"
"""The attempt's row, or why there is none."""

_ATTEMPT = (
    "attempts (sent, run, key, member, draw, model, owner, state, outcome, scopes, created, ends, "
    "seconds, calls, input_tokens, output_tokens, microusd, flops)"
)
_UNPAID = (
    "NOT EXISTS (SELECT 1 FROM replies AS r WHERE r.key = column3 AND r.member = column4"
    " AND r.draw = column5)"
)
_ONE_ATTEMPT = (
    f"INSERT OR IGNORE INTO {_ATTEMPT} SELECT {', '.join('?' * 18)} WHERE NOT EXISTS"  # noqa: S608
    " (SELECT 1 FROM replies AS r WHERE r.key = ?3 AND r.member = ?4 AND r.draw = ?5)"
)
_SETTLE = (
    "UPDATE attempts SET state = ?, outcome = ?, ended = ?, seconds = ?, calls = ?,"
    " input_tokens = ?, output_tokens = ?, microusd = ?, flops = ? WHERE id = ?"
)


def create(db: Database) -> None:
    """Make the tables."""
    amounts = dict.fromkeys(AMOUNTS, int)
    db.table("attempts").create(
        {
            "id": int, "sent": int, "run": str, "key": str, "member": int, "draw": int,
            "model": str, "owner": str, "state": str, "outcome": str, "scopes": str,
            "created": float, "ends": float, "ended": float, "seconds": float, **amounts,
        },
        pk="id", if_not_exists=True,
    )  # fmt: skip
    db.table("scopes").create({"name": str, **amounts}, pk="name", if_not_exists=True)
    # One draw is in flight once, whatever process asks.
    db.execute(
        "CREATE UNIQUE INDEX IF NOT EXISTS attempts_in_flight ON attempts (key, member, draw)"
        " WHERE state = 'inflight'"
    )


class Book:
    """The writes of one process to the ledger.

    Args:
        owner: this process.
        alive: says whether the process of an id still runs.
    """

    def __init__(self, owner: str, alive: Callable[[str], bool]) -> None:
        self._owner = owner
        self._alive = alive
        self._mine: set[int] = set()
        # A reservation must outlive this process, and the next reply makes it outlive a power
        # cut: waiting for the disk twice for each call would cost more than it could save.
        self.reserve = Batch(self._reserve, rank=1, flush=False)
        self.settle = Batch(self._settle, rank=0, paid=True, point="settle.committed")
        self.forget = Batch(self._forget, rank=2, flush=False)

    def _reserve(self, db: sqlite3.Connection, rows: list[Reservation]) -> list[Reserved]:
        found: dict[int, Reserved] = {}
        scopes = _Scopes(db, {name for row in rows for name in row.scopes})
        for place, row in enumerate(rows):
            if (full := scopes.refuse(row)) is not None:
                found[place] = full
            else:
                scopes.add(row.scopes, row.upper)
        open_ = [place for place in range(len(rows)) if place not in found]
        self._insert(db, [rows[place] for place in open_])
        for place in open_:
            if not rows[place].id:
                found[place] = self._conflict(db, rows[place])
                if isinstance(found[place], int):
                    continue
                scopes.add(rows[place].scopes, rows[place].upper, sign=-1)
            else:
                found[place] = rows[place].id
        scopes.write()
        crash_point("reserve.written")
        return [found[place] for place in range(len(rows))]

    def _insert(self, db: sqlite3.Connection, rows: Sequence[Reservation]) -> None:
        now = time.time()
        values = [
            (
                row.sent, row.run, row.key, *row.draw, row.model, self._owner, "inflight", "",
                "".join(f"\n{name}\n" for name in row.scopes), now, row.ends, 0.0,
                *_amounts(row.upper),
            )
            for row in rows
        ]  # fmt: skip
        for row, id_ in zip(rows, _inserted(db, values), strict=True):
            row.id = id_
            if id_:
                self._mine.add(id_)

    def _conflict(self, db: sqlite3.Connection, row: Reservation) -> Reserved:
        """Say why a row was not inserted; a dead owner's goes in doubt and makes room."""
        held = db.execute(
            "SELECT id, owner FROM attempts WHERE key = ? AND member = ? AND draw = ?"
            " AND state = 'inflight'",
            (row.key, *row.draw),
        ).fetchone()
        if held is None:
            return Stored()
        id_, owner = held
        if id_ in self._mine if owner == self._owner else self._alive(owner):
            return Elsewhere(owner)
        _give_up(db, "id = ?", id_)
        self._insert(db, [row])
        return row.id or Stored()

    def _settle(self, db: sqlite3.Connection, rows: list[Settled]) -> list[None]:
        scopes = _Scopes(db, {name for row in rows for name in row.reservation.scopes})
        for row in rows:
            self._mine.discard(row.reservation.id)
            scopes.add(row.reservation.scopes, row.charged)
            scopes.add(row.reservation.scopes, row.reservation.upper, sign=-1)
        db.executemany(_SETTLE, [_settled(row) for row in rows])
        replies = [row.reply for row in rows if row.reply]
        requests = {reply[0]: (reply[0], reply[1]) for reply in replies}
        insert(db, "requests (key, request)", list(requests.values()))
        insert(
            db,
            "replies (key, member, draw, reply, checksum, model, created)",
            [(reply[0], *reply[2:]) for reply in replies],
        )
        scopes.write()
        crash_point("settle.written")
        return [None] * len(rows)

    def _forget(self, db: sqlite3.Connection, rows: list[Reservation]) -> list[None]:
        """Take back what was reserved and never sent."""
        for row in rows:
            self._mine.discard(row.id)
            gone = db.execute(
                "DELETE FROM attempts WHERE id = ? AND sent = ? AND key = ? AND member = ?"
                " AND draw = ? AND state = 'inflight'",
                (row.id, row.sent, row.key, *row.draw),
            )
            if not gone.rowcount:  # it was never written, and the id may be another's by now
                continue
            scopes = _Scopes(db, row.scopes)
            scopes.add(row.scopes, row.upper, sign=-1)
            scopes.write()
        return [None] * len(rows)

    def bury(self, db: sqlite3.Connection) -> None:
        """Put in doubt what processes left in flight that do not run any more."""
        owners = db.execute("SELECT DISTINCT owner FROM attempts WHERE state = 'inflight'")
        for (owner,) in owners.fetchall():
            if owner != self._owner and not self._alive(owner):
                _give_up(db, "owner = ?", owner)


def _inserted(db: sqlite3.Connection, values: Sequence[tuple[Any, ...]]) -> list[int]:
    """Insert attempts and return their rows; 0 for what is paid or under way already."""
    if len(values) == 1:  # half the time of the statement for many
        done = db.execute(_ONE_ATTEMPT, values[0])
        return [done.lastrowid if done.rowcount > 0 and done.lastrowid else 0]
    ids = insert(db, _ATTEMPT, values, where=_UNPAID, returning="id, key, member, draw")
    by_draw = {(key, member, draw): id_ for id_, key, member, draw in ids}
    return [by_draw.pop(tuple(value[2:5]), 0) for value in values]


def _give_up(db: sqlite3.Connection, which: str, value: object) -> None:
    """Mark attempts in flight as in doubt; their reservations stay charged."""
    # The condition is this module's own; the value is bound.
    sql = f"UPDATE attempts SET state = 'indoubt', outcome = 'in doubt', ended = ? WHERE {which}"  # noqa: S608
    db.execute(f"{sql} AND state = 'inflight'", (time.time(), value))


def _amounts(usage: Usage) -> tuple[int | None, ...]:
    return (
        usage.calls, usage.input_tokens, usage.output_tokens, usage.microusd, usage.flops,
    )  # fmt: skip


def _settled(row: Settled) -> tuple[Any, ...]:
    charged = row.charged
    return (
        row.state, row.outcome, row.ended, charged.seconds, *_amounts(charged), row.reservation.id,
    )  # fmt: skip


def owners_holding(scope: str, but: str) -> tuple[str, tuple[str, str]]:
    """Return the query for the owners of attempts in flight under a shared budget."""
    sql = (
        "SELECT DISTINCT owner FROM attempts WHERE state = 'inflight' AND owner <> ?"
        " AND instr(scopes, ?)"
    )
    return sql, (but, f"\n{scope}\n")


class _Scopes:
    """Totals of shared budgets within one transaction."""

    def __init__(self, db: sqlite3.Connection, names: Iterable[str]) -> None:
        self._db = db
        self._totals = {name: read_scope(db, name) for name in names}

    def refuse(self, row: Reservation) -> Full | None:
        for name, limits in row.scopes.items():
            for what, limit in limits.items():
                total = amount(self._totals[name], what) or 0
                if total + (amount(row.upper, what) or 0) > limit:
                    return Full(name, what)
        return None

    def add(self, names: Iterable[str], usage: Usage, sign: int = 1) -> None:
        """Add what is known; a limit on what is not known was refused before."""
        for name in names:
            total = self._totals[name]
            new = {what: (getattr(total, what) or 0) + sign * (getattr(usage, what) or 0)
                   for what in AMOUNTS}  # fmt: skip
            self._totals[name] = Usage(**new)

    def write(self) -> None:
        for name, total in self._totals.items():
            self._db.execute(
                "INSERT OR REPLACE INTO scopes VALUES (?, ?, ?, ?, ?, ?)", (name, *_amounts(total))
            )


def read_scope(db: sqlite3.Connection, name: str) -> Usage:
    """Return what was spent and is held under a name, by all processes."""
    columns = ", ".join(AMOUNTS)
    row = db.execute(f"SELECT {columns} FROM scopes WHERE name = ?", (name,)).fetchone()  # noqa: S608
    return Usage(**dict(zip(AMOUNTS, row, strict=True))) if row else Usage()
