"""What studies keep in the pool's file: outcomes, trials and who works on them, looks at splits.

An outcome is what one architecture made of one item; studies share them. A trial is one proposal
of a study: an architecture and a run of items. It is `open` until it is `done`, `failed` or
`cut` by the budget; who works on an open one holds it under the id of its process, and a dead
process's trials are free again. Everything else about a study is derived from these rows.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from sqlite_utils import Database

__all__ = [
    "Outcome",
    "OutcomeKey",
    "TrialRow",
    "TrialState",
    "add_trials",
    "call_verdict",
    "count_look",
    "create",
    "finish_trial",
    "fix_stop",
    "free_trials",
    "looks",
    "put_outcomes",
    "read_outcomes",
    "read_trials",
    "reopen_cut",
    "take_trial",
]

TrialState = Literal["open", "done", "failed", "cut"]
Read = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""`Store.read`."""

_OUTCOME = (
    "item", "score", "calls", "input_tokens", "output_tokens", "microusd", "flops", "latency",
    "paid_calls", "lost", "reason",
)  # fmt: skip
_KEY = ("benchmark", "split", "seed", "architecture")
_TRIAL = (
    "study", "number", "round", "stage", "arm", "architecture", "start", "stop", "why", "state",
    "owner", "reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OutcomeKey:
    """What outcomes are of: digests of benchmark and architecture, a split, a replicate."""

    benchmark: str
    split: str
    seed: int
    architecture: str

    def values(self) -> tuple[Any, ...]:
        """Return the columns in order."""
        return (self.benchmark, self.split, self.seed, self.architecture)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an architecture made of an item.

    Attributes:
        score: None where the item is left out; `lost` then says why.
        calls, input_tokens, output_tokens, microusd, flops: used, from the pool or not; None is
            unknown.
        latency: seconds along the longest path, as its calls took when they were made.
        paid_calls: how many were new when it was measured.
        lost: `infrastructure` or `judgement`.
        reason: why there is no score or no answer.
    """

    item: str
    score: float | None
    calls: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    microusd: int | None = None
    flops: int | None = None
    latency: float | None = None
    paid_calls: int = 0
    lost: str = ""
    reason: str = ""

    @property
    def tokens(self) -> int | None:
        """Input and output; None if either is unknown."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One proposal of a study.

    Attributes:
        number: from 0, in the order in which they are told.
        round: which ask it came from.
        stage: `search`, or the stage of the verdict that needed it.
        arm: the row of the study's table; below 0 for an architecture that is not in it.
        architecture: its digest.
        start, stop: places of the stage's items.
        why: what it is for, in a word.
        owner: who holds it; empty for nobody.
        reason: why it failed or was cut.
    """

    study: str
    number: int
    round: int
    stage: str
    arm: int
    architecture: str
    start: int
    stop: int
    why: str = ""
    state: TrialState = "open"
    owner: str = ""
    reason: str = ""


def create(db: Database) -> None:
    """Make the tables."""
    db.table("outcomes").create(
        {
            "benchmark": str, "split": str, "seed": int, "architecture": str, "item": str,
            "score": float, "calls": int, "input_tokens": int, "output_tokens": int,
            "microusd": int, "flops": int, "latency": float, "paid_calls": int, "lost": str,
            "reason": str, "created": float,
        },
        pk=(*_KEY, "item"), if_not_exists=True,
    )  # fmt: skip
    db.table("trials").create(
        {
            "study": str, "number": int, "round": int, "stage": str, "arm": int,
            "architecture": str, "start": int, "stop": int, "why": str, "state": str,
            "owner": str, "reason": str, "created": float,
        },
        pk=("study", "number"), if_not_exists=True,
    )  # fmt: skip
    db.table("looks").create(
        {"benchmark": str, "items": str, "study": str, "what": str, "created": float},
        if_not_exists=True,
    )


def put_outcomes(db: sqlite3.Connection, key: OutcomeKey, outcomes: Iterable[Outcome]) -> None:
    """Write outcomes; one that has a score is never replaced by one without."""
    now = time.time()
    names = ", ".join((*_KEY, *_OUTCOME, "created"))
    marks = ", ".join("?" * (len(_KEY) + len(_OUTCOME) + 1))
    db.executemany(
        f"INSERT INTO outcomes ({names}) VALUES ({marks})"  # noqa: S608 (names are this module's)
        " ON CONFLICT DO UPDATE SET score = excluded.score, lost = excluded.lost,"
        " reason = excluded.reason, calls = excluded.calls, input_tokens = excluded.input_tokens,"
        " output_tokens = excluded.output_tokens, microusd = excluded.microusd,"
        " flops = excluded.flops, latency = excluded.latency,"
        " paid_calls = outcomes.paid_calls + excluded.paid_calls WHERE outcomes.score IS NULL",
        [
            (*key.values(), *(getattr(outcome, name) for name in _OUTCOME), now)
            for outcome in outcomes
        ],
    )


def read_outcomes(read: Read, key: OutcomeKey) -> dict[str, Outcome]:
    """Return what is known of an architecture, by item."""
    where = " AND ".join(f"{name} = ?" for name in _KEY)
    rows = read(f"SELECT {', '.join(_OUTCOME)} FROM outcomes WHERE {where}", key.values())  # noqa: S608
    return {row[0]: Outcome(*row) for row in rows}


def add_trials(db: sqlite3.Connection, rows: Sequence[TrialRow]) -> bool:
    """Write the trials of one ask, unless another process has; return whether they are new."""
    taken = "SELECT 1 FROM trials WHERE study = ? AND number = ?"
    if not rows or db.execute(taken, (rows[0].study, rows[0].number)).fetchone():
        return False
    now = time.time()
    db.executemany(
        f"INSERT INTO trials ({', '.join(_TRIAL)}, created)"  # noqa: S608
        f" VALUES ({', '.join('?' * len(_TRIAL))}, ?)",
        [(*(getattr(row, name) for name in _TRIAL), now) for row in rows],
    )
    return True


def take_trial(
    db: sqlite3.Connection, study: str, owner: str, alive: Callable[[str], bool]
) -> TrialRow | None:
    """Hold the first open trial that nobody alive holds; None when there is none."""
    rows = db.execute(
        f"SELECT {', '.join(_TRIAL)} FROM trials WHERE study = ? AND state = 'open'"  # noqa: S608
        " ORDER BY number",
        (study,),
    ).fetchall()
    living: dict[str, bool] = {"": False, owner: True}
    for row in rows:
        found = TrialRow(*row)
        if found.owner not in living:
            living[found.owner] = alive(found.owner)
        if not living[found.owner]:
            db.execute(
                "UPDATE trials SET owner = ? WHERE study = ? AND number = ?",
                (owner, study, found.number),
            )
            return replace(found, owner=owner, reason="")
    return None


def free_trials(db: sqlite3.Connection, study: str, owner: str) -> None:
    """Let go of what a process holds and has not finished."""
    db.execute(
        "UPDATE trials SET owner = '' WHERE study = ? AND owner = ? AND state = 'open'",
        (study, owner),
    )


def finish_trial(
    db: sqlite3.Connection, trial: TrialRow, state: TrialState, reason: str = ""
) -> bool:
    """Say how a trial ended; return False when somebody else holds it or has ended it."""
    done = db.execute(
        "UPDATE trials SET state = ?, reason = ? WHERE study = ? AND number = ?"
        " AND state = 'open' AND owner = ?",
        (state, reason, trial.study, trial.number, trial.owner),
    )
    return done.rowcount == 1


def fix_stop(db: sqlite3.Connection, trial: TrialRow, stop: int) -> None:
    """Note how many items a trial takes, once that is known."""
    db.execute(
        "UPDATE trials SET stop = ? WHERE study = ? AND number = ?",
        (stop, trial.study, trial.number),
    )


def reopen_cut(db: sqlite3.Connection, study: str, terms: str) -> int:
    """Open again what a budget cut short, unless a verdict was called on these terms.

    Args:
        db: the writer's connection.
        study: its name.
        terms: what the verdict's `why` ends with.

    Returns:
        How many trials are open again.
    """
    if _called(db, study, terms):
        return 0
    done = db.execute(
        "UPDATE trials SET state = 'open', owner = '', reason = '' WHERE study = ?"
        " AND state = 'cut'",
        (study,),
    )
    return done.rowcount


def call_verdict(db: sqlite3.Connection, row: TrialRow, terms: str) -> bool:
    """Add the trial that judges, once for the same terms; return whether there is one now.

    There is none while anything else is open: another process goes on searching.
    """
    if _called(db, row.study, terms):
        return True
    if db.execute(
        "SELECT 1 FROM trials WHERE study = ? AND state = 'open'", (row.study,)
    ).fetchone():
        return False
    return add_trials(db, [row])


def _called(db: sqlite3.Connection, study: str, terms: str) -> bool:
    return bool(
        db.execute(
            "SELECT 1 FROM trials WHERE study = ? AND stage = 'verdict' AND state <> 'failed'"
            " AND substr(why, -length(?)) = ?",
            (study, terms, terms),
        ).fetchone()
    )


def read_trials(read: Read, study: str, since: int = 0) -> list[TrialRow]:
    """Return a study's trials from a number on, in order."""
    rows = read(
        f"SELECT {', '.join(_TRIAL)} FROM trials WHERE study = ? AND number >= ?"  # noqa: S608
        " ORDER BY number",
        (study, since),
    )
    return [TrialRow(*row) for row in rows]


def count_look(db: sqlite3.Connection, benchmark: str, items: str, study: str, what: str) -> None:
    """Note that a study has looked at the scores of some items to say something about them."""
    db.execute(
        "INSERT INTO looks (benchmark, items, study, what, created) VALUES (?, ?, ?, ?, ?)",
        (benchmark, items, study, what, time.time()),
    )


def looks(read: Read, benchmark: str, items: str = "", studies: Collection[str] = ()) -> int:
    """Return how often the items of a benchmark were looked at.

    Args:
        read: of the store.
        benchmark: its digest.
        items: the digest of a set of items; empty for all of them.
        studies: only those of these studies; empty for all.
    """
    where, values = "benchmark = ?", [benchmark]
    if items:
        where, values = f"{where} AND items = ?", [*values, items]
    if studies:
        marks = ", ".join("?" * len(studies))
        where, values = f"{where} AND study IN ({marks})", [*values, *studies]
    return int(read(f"SELECT count(*) FROM looks WHERE {where}", values)[0][0])  # noqa: S608
