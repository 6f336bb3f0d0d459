"""Whatever is done to the pool's file: what is right is kept, what is wrong is refused."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from archon import upkeep
from archon.errors import StoreError
from archon.model import Draw
from archon.plain import canonical
from archon.pool import Pool, checksum
from archon.types import Reply
from archon.upkeep.opening import alive, open_readonly
from tests.pools import (
    break_pages,
    contents,
    exported,
    fill,
    imported,
    request,
    reserve,
    sql,
)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    path = tmp_path / "pool.db"
    fill(path)
    return path


def _from(source: Path, target: Path) -> tuple[upkeep.Imported, list[str]]:
    refused: list[str] = []
    done = upkeep.import_replies(
        target, upkeep.read_pool(source), lambda error: refused.append(str(error))
    )
    return done, refused


def test_another_pool_is_imported(pool: Path, tmp_path: Path) -> None:
    target = tmp_path / "other.db"
    assert _from(pool, target) == (upkeep.Imported(6), [])
    assert contents(target) == contents(pool)
    assert _from(pool, pool) == (upkeep.Imported(0, 6), [])


def test_forged_and_damaged_rows_of_another_pool_are_refused(pool: Path, tmp_path: Path) -> None:
    whole = set(contents(pool))
    text = canonical(Reply.of("forged", model="fake/a").to_json())
    insert = "INSERT INTO replies VALUES (?, 0, 0, ?, ?, ?, ?)"
    lonely, odd = "b" * 32, request(0).key()
    sql(pool, insert, (lonely, text, checksum(lonely, Draw(0, 0), text), "fake/a", 1.0))
    sql(pool, insert.replace("0, 0", "0, 7"), (odd, text, "0" * 16, "fake/a", 1.0))
    good = checksum(odd, Draw(0, 8), text)
    sql(pool, insert.replace("0, 0", "0, 8"), (odd, text, good, b"\xff", 1.0))
    sql(pool, "UPDATE replies SET reply = CAST(x'ff00' AS TEXT) WHERE rowid = 2")
    sql(pool, "UPDATE requests SET request = '{\"forged\":1}' WHERE rowid = 2")
    done, refused = _from(pool, tmp_path / "other.db")
    assert done == upkeep.Imported(3, 0, 6)
    said = "\n".join(refused)
    assert said.count("its request is not there") == 3
    assert said.count("the checksum does not fit") == 2
    assert "model or time are damaged" in said
    assert set(contents(tmp_path / "other.db")) < whole


def test_what_is_left_of_a_damaged_pool_is_imported(tmp_path: Path) -> None:
    path, target = tmp_path / "pool.db", tmp_path / "other.db"
    fill(path, 40, 5, text="long " * 700)
    sql(path, "VACUUM")  # one table after the other: nearly all pages are of replies
    whole = set(contents(path))
    pages = path.stat().st_size // 4096
    break_pages(path, pages // 3, pages // 3 + 8)
    break_pages(path, pages // 2, pages // 2 + 2)
    done, refused = _from(path, target)
    assert done.new >= 100
    assert done.refused == len(refused) > 0
    assert any("cannot be read" in text for text in refused)
    assert set(contents(target)) < whole


@pytest.mark.parametrize("first", range(1, 14, 3))
def test_any_damaged_page_ends_nothing(tmp_path: Path, first: int) -> None:
    path, target = tmp_path / "pool.db", tmp_path / "other.db"
    fill(path, 8, 2, text="long " * 200)
    whole = set(contents(path))
    break_pages(path, first, first + 1)
    done, _ = _from(path, target)
    assert set(contents(target)) <= whole
    assert done.new == len(contents(target))
    checked = upkeep.verify(path)
    assert checked.structure
    assert checked.quarantined == 0


def test_nothing_readable_is_said(pool: Path, tmp_path: Path) -> None:
    break_pages(pool, 0, 1)
    with pytest.raises(StoreError, match="nothing in it can be read"):
        _from(pool, tmp_path / "other.db")
    with pytest.raises(StoreError, match="archon pool import"):
        upkeep.verify(pool)
    assert pool.exists()


def test_a_database_of_others_is_no_pool(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    sql(path, "CREATE TABLE t (a)")
    with pytest.raises(StoreError, match="not a pool"):
        _from(path, tmp_path / "other.db")
    with pytest.raises(StoreError, match="not a pool"):
        upkeep.verify(path)
    assert sql(path, "SELECT name FROM sqlite_master") == [("t",)]


def test_older_and_newer_schemas(pool: Path, tmp_path: Path) -> None:
    sql(pool, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer archon"):
        exported(pool)
    for key, member, draw, text in sql(pool, "SELECT key, member, draw, reply FROM replies"):
        old = hashlib.sha256(str(text).encode()).hexdigest()[:16]
        where = "WHERE key = ? AND member = ? AND draw = ?"
        sql(pool, f"UPDATE replies SET checksum = ? {where}", (old, key, member, draw))
    sql(pool, "PRAGMA user_version = 1")
    with pytest.raises(StoreError, match="`archon pool verify` brings it up"):
        exported(pool)
    assert _from(pool, tmp_path / "other.db")[0].new == 6
    sql(pool, "CREATE TABLE charges (id, run, key, member, draw, outcome, created, seconds, calls,"
              " input_tokens, output_tokens, microusd)")  # fmt: skip
    assert upkeep.verify(pool).findings == []
    assert exported(pool).count(b"\n") == 7


def test_damaged_replies_go_to_quarantine_and_damaged_requests_go(pool: Path) -> None:
    sql(pool, "UPDATE replies SET reply = replace(reply, 'parts', 'ports') WHERE rowid = 1")
    sql(pool, "UPDATE replies SET reply = NULL WHERE rowid = 2")
    sql(pool, "UPDATE replies SET draw = 'x' WHERE rowid = 3")
    nonsense = (checksum(request(2).key(), Draw(0, 5), "[]"), request(2).key())
    sql(pool, "UPDATE replies SET draw = 5, reply = '[]', checksum = ?, key = ? WHERE rowid = 4",
        nonsense)  # fmt: skip
    sql(pool, "UPDATE requests SET request = '{}' WHERE key = ?", (request(0).key(),))
    dry = upkeep.verify(pool, dry_run=True)
    assert {finding.what for finding in dry.findings} == {"request", "reply"}
    assert (len(dry.findings), dry.quarantined, dry.removed, dry.structure) == (5, 0, 0, False)
    assert sql(pool, "SELECT count(*) FROM quarantine") == [(0,)]
    done = upkeep.verify(pool)
    assert (done.replies, done.requests, done.quarantined, done.removed) == (6, 3, 4, 1)
    assert sql(pool, "SELECT count(*) FROM quarantine") == [(4,)]
    again = upkeep.verify(pool)
    assert (again.replies, again.findings) == (2, [])
    with upkeep.reading(pool) as db:
        found = upkeep.Export(db)
        list(found)
    assert found.left_out == again.alone


def test_what_was_put_right_meanwhile_is_not_moved(pool: Path) -> None:
    right = sql(pool, "SELECT reply FROM replies WHERE rowid = 1")[0]
    sql(pool, "UPDATE replies SET reply = 'x' WHERE rowid = 1")
    sql(pool, "UPDATE requests SET key = 'x' WHERE rowid = 1")

    def put_right(rows: Any, total: int, what: str) -> Any:
        yield from rows
        sql(pool, "UPDATE replies SET reply = ? WHERE rowid = 1", right)
        sql(pool, "DELETE FROM requests WHERE key = 'x'")

    done = upkeep.verify(pool, watch=put_right)
    assert (done.quarantined, done.removed) == (0, 0)
    assert sql(pool, "SELECT count(*) FROM replies") == [(6,)]


def test_figures(pool: Path) -> None:
    fill(pool, 1, 1, model="fake/b", run="run-2")
    sql(pool, "UPDATE attempts SET microusd = NULL WHERE model = 'fake/b'")
    with upkeep.reading(pool) as db:
        found = upkeep.overview(db, pool)
        room = upkeep.sizes(db, pool)
    first, second = found.models
    assert (first.model, first.requests, first.replies) == ("fake/a", 3, 6)
    assert (first.paid.calls, first.paid.input_tokens, first.paid.microusd) == (6, 54, 420)
    assert second.paid.microusd is None
    assert found.total.paid.microusd is None
    assert found.total.replies == 7
    assert found.total.oldest == first.oldest
    assert room.rows["replies"] == 7
    assert room.replies == found.total.bytes
    assert room.file == pool.stat().st_size
    json.dumps([found.to_json(), room.to_json()], allow_nan=False)


DIES = """
import asyncio, sys, time
from pathlib import Path
from archon.pool import Pool
from tests.pools import reserve
pool = Pool(Path(sys.argv[1]))
for i in range(2):
    reserve(pool, i, "dead")
print("there", flush=True)
time.sleep(60)
"""


def test_calls_of_a_dead_process_are_in_doubt_and_counted(pool: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", DIES, str(pool)], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "there\n"
        with upkeep.reading(pool) as db:
            living = upkeep.overview(db, pool)
            assert (len(living.in_flight), len(living.doubts)) == (2, 0)
            assert upkeep.tally(db, pool, "dead").doubts == 0
        with pytest.raises(StoreError, match="in flight"):
            upkeep.compact(pool)
        other.send_signal(signal.SIGKILL)
    before = sorted(os.listdir(f"{pool}-owners"))
    with upkeep.reading(pool) as db:
        found = upkeep.overview(db, pool)
        tally = upkeep.tally(db, pool, "dead")
    assert sorted(os.listdir(f"{pool}-owners")) == before
    assert (len(found.in_flight), [doubt.run for doubt in found.doubts]) == (0, ["dead"] * 2)
    assert found.models[0].paid.microusd == living.models[0].paid.microusd + 2 * 999  # type: ignore[operator]
    assert (tally.requests, tally.attempts, tally.doubts, tally.doubted.microusd) == (2, 2, 2, 1998)
    with closing(Pool(pool)):  # now they are marked; the figures stay as they are
        pass
    with upkeep.reading(pool) as db:
        assert upkeep.overview(db, pool) == found
    upkeep.compact(pool)


def test_owners_that_were_never_there(pool: Path) -> None:
    assert not alive(pool, "nobody")


def test_prune_keeps_what_was_paid(pool: Path) -> None:
    fill(pool, 1, 3, model="fake/b", run="run-2", text="long " * 2000)
    sql(pool, "UPDATE replies SET created = 5 WHERE model = 'fake/a' AND draw = 0")
    sql(pool, "INSERT INTO runs (id, started) VALUES ('run-2', 9), ('run-0', 1)")
    sql(pool, "INSERT INTO quarantine SELECT * FROM replies WHERE rowid = 1")
    size = pool.stat().st_size

    def foreseen(which: upkeep.Which) -> dict[str, int]:
        with upkeep.reading(pool) as db:
            return upkeep.foresee(db, which).models

    assert foreseen(upkeep.Which(before=6)) == {"fake/a": 3}
    assert foreseen(upkeep.Which(model="fake/b")) == {"fake/b": 3}
    assert foreseen(upkeep.Which(model="fake/b", before=6)) == {}
    assert foreseen(upkeep.Which(keep_runs=1)) == {"fake/a": 6}
    assert foreseen(upkeep.Which(replies=False, quarantine=True)) == {}
    assert upkeep.prune(pool, upkeep.Which(replies=False, quarantine=True)).quarantine == 1
    assert upkeep.prune(pool, upkeep.Which(model="fake/b")).replies == 3
    upkeep.compact(pool)
    assert pool.stat().st_size < size
    assert sql(pool, "SELECT count(*) FROM requests") == [(3,)]
    assert sql(pool, "SELECT count(*) FROM attempts") == [(9,)]
    with upkeep.reading(pool) as db:
        gone = upkeep.overview(db, pool).models[1]
    assert (gone.replies, gone.paid.calls, gone.oldest) == (0, 3, None)


WRITES = """
import sys
from pathlib import Path
from tests.pools import fill
print("there", flush=True)
for i in range(40):
    fill(Path(sys.argv[1]), 5, 4, model=f"fake/m{i}")
"""


def test_everything_works_while_another_process_writes(pool: Path, tmp_path: Path) -> None:
    before = contents(pool)
    other = subprocess.Popen(
        [sys.executable, "-c", WRITES, str(pool)], stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    with other:
        assert other.stdout is not None
        other.stdout.readline()
        rounds = 0
        while other.poll() is None or rounds == 0:
            rounds += 1
            lines = exported(pool)
            assert imported(tmp_path / f"{rounds}.db", lines).refused == 0
            assert imported(pool, lines).new == 0
            assert upkeep.verify(pool).findings == []
            upkeep.prune(pool, upkeep.Which(model=f"fake/m{rounds}"))
            with upkeep.reading(pool) as db:
                assert upkeep.overview(db, pool).total.replies >= 6
        assert other.returncode == 0
    assert sql(pool, "SELECT count(*) FROM attempts WHERE state = 'done'")[0][0] == 806
    assert set(before) <= set(contents(pool))


def test_a_file_held_by_another_is_said(pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archon.upkeep.opening.BUSY", 0.1)
    monkeypatch.setattr("archon.upkeep.pruning.PATIENCE", 10)
    with closing(sqlite3.connect(pool, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert exported(pool).count(b"\n") == 7
        with pytest.raises(StoreError, match="another process held it"):
            upkeep.prune(pool, upkeep.Which())
        with pytest.raises(StoreError, match="another process held it"):
            upkeep.compact(pool)


def test_reading_makes_no_file(tmp_path: Path, pool: Path) -> None:
    with pytest.raises(sqlite3.Error):
        open_readonly(tmp_path / "nothing.db")
    before = sorted(tmp_path.iterdir())
    exported(pool)
    upkeep.verify(pool)
    assert sorted(tmp_path.iterdir()) == before


def test_a_reservation_is_no_reply(pool: Path) -> None:
    with closing(Pool(pool)) as held:
        reserve(held, 1)
        assert exported(pool).count(b"\n") == 7
