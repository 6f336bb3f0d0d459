"""Nothing is paid twice: by request, by draw, across runs and processes."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import archon
from archon.attempts import Reservation
from archon.backends.fake import Fake
from archon.errors import PoolMiss, StoreError
from archon.layers import Generate
from archon.model import Draw
from archon.pool import Pool, reply_row
from archon.types import Reply, Usage

QUESTION = "6 * 7?"


async def _pay(pool: Pool, draw: Draw, reply: Reply) -> None:
    """Put a reply where the gateway would put it."""
    line = Reservation("key", draw, 1, "run", "m", Usage(1, 9, 9, 9), 0.0)
    assert await pool.reserve(line) == line.id
    row = reply_row("key", "{}", draw, reply)
    await pool.settle(line.settled("done", reply.usage, reply.finish, row), reply)


def _paid(path: Path, n: int, **options: object) -> tuple[int, archon.Result]:
    fake = Fake()
    with archon.Session(path, backends={"fake": fake}) as session:
        result = archon.run(Generate(model="fake/a", samples=n), QUESTION, session=session)
        assert result.paid.calls == len(fake.requests)
        return len(fake.requests), result


def test_only_new_draws_are_paid(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    few, first = _paid(path, 8)
    more, second = _paid(path, 64)
    again, third = _paid(path, 64)
    assert (few, more, again) == (8, 56, 0)
    assert (second.used.calls, third.used.calls, third.paid.calls) == (64, 64, 0)
    # The first eight samples of the wider run are the eight of the narrow one.
    assert [c.text for c in second.candidates[:8]] == [c.text for c in first.candidates]


def test_another_seed_is_an_independent_replicate(tmp_path: Path) -> None:
    fake = Fake()
    with archon.Session(tmp_path / "pool.db", backends={"fake": fake}) as session:
        for seed in (0, 1, 0):
            archon.run(Generate(model="fake/a", samples=3), QUESTION, seed=seed, session=session)
    assert len(fake.requests) == 6


def test_another_process_sees_what_was_paid(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    _, here = _paid(path, 4)
    code = (
        "import archon, sys; from archon.layers import Generate\n"
        "with archon.Session(sys.argv[1], mode='only') as s:\n"
        f"    r = archon.run(Generate(model='fake/a', samples=4), {QUESTION!r}, session=s)\n"
        "print(r.paid.calls, r.answer)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"0 {here.answer}"


def test_a_damaged_row_counts_as_missing(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    _paid(path, 3)
    with sqlite3.connect(path) as db:
        changed = db.execute(
            "UPDATE replies SET reply = replace(reply, 'parts', 'ports') WHERE draw = 1"
        )
        assert changed.rowcount == 1
    db.close()
    assert _paid(path, 3)[0] == 1


def test_mode_only_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    _paid(path, 2)
    with (
        archon.Session(path, mode="only", backends={"fake": Fake()}) as session,
        pytest.raises(archon.NodeError, match="3 of 5 draws of 'fake/a'") as caught,
    ):
        archon.run(Generate(model="fake/a", samples=5, on_error="fail"), QUESTION, session=session)
    assert isinstance(caught.value.__cause__, PoolMiss | None)


def test_mode_only_finds_what_another_session_paid_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    _paid(path, 1)
    layer = Generate(model="fake/a", samples=2)
    with archon.Session(path, mode="only", backends={"fake": Fake()}) as session:
        with archon.Session(path, backends={"fake": Fake()}) as other:
            theirs = archon.run(layer, "7 * 8?", session=other)
        ours = archon.run(layer, "7 * 8?", session=session)
    assert [c.text for c in ours.candidates] == [c.text for c in theirs.candidates]


def test_off_leaves_the_pool_alone(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    fake = Fake()
    with archon.Session(path, mode="off", backends={"fake": fake}) as session:
        for _ in range(2):
            archon.run(Generate(model="fake/a", samples=2), QUESTION, session=session)
        assert session.pool.count() == 0
    assert len(fake.requests) == 4


def test_fresh_draws_enter_the_pool(tmp_path: Path) -> None:
    fake = Fake()
    with archon.Session(tmp_path / "pool.db", backends={"fake": fake}) as session:
        first = archon.run(Generate(model="fake/a"), QUESTION, mode="fresh", session=session)
        second = archon.run(Generate(model="fake/a"), QUESTION, mode="fresh", session=session)
        assert first.seed != second.seed
        again = archon.run(Generate(model="fake/a"), QUESTION, seed=first.seed, session=session)
    assert again.paid.calls == 0
    assert again.answer == first.answer


def test_a_group_of_writes_is_durable_when_each_returns(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    pool = Pool(path)

    async def put(i: int) -> int:
        await _pay(pool, Draw(0, i), Reply.of(f"reply {i}", usage=Usage(1, 1, 1, 1)))
        # Another connection sees it now, though nothing was closed.
        other = sqlite3.connect(path)
        found = other.execute("SELECT count(*) FROM replies WHERE draw = ?", (i,)).fetchone()[0]
        other.close()
        return int(found)

    async def work() -> list[int]:
        return list(await asyncio.gather(*(put(i) for i in range(50))))

    assert asyncio.run(work()) == [1] * 50
    rows = pool.store.read("SELECT count(*), sum(calls) FROM attempts WHERE state = 'done'")
    assert rows == [(50, 50)]
    pool.close()


def test_a_pool_gives_back_what_was_put(tmp_path: Path) -> None:
    reply = Reply.of("näive 模型", model="m", finish="length", usage=Usage(1, None, 2, None, 0.5))

    async def put(pool: Pool) -> None:
        await _pay(pool, Draw(1, 2), reply)

    first = Pool(tmp_path / "pool.db")
    asyncio.run(put(first))
    first.close()
    second = Pool(tmp_path / "pool.db")
    found = second.get("key", [Draw(1, 2), Draw(0, 2)])
    second.close()
    assert list(found) == [Draw(1, 2)]
    assert found[Draw(1, 2)].pooled
    assert found[Draw(1, 2)].to_json() == reply.to_json()


def test_a_file_that_is_no_pool_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    path.write_text("this is not a database, but long enough to look at " * 20)
    with pytest.raises(StoreError, match=r"pool\.db"):
        Pool(path)
