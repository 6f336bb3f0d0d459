"""Whatever is done to the pool's file: what is right is kept, what is wrong is refused."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archon import upkeep
from archon.errors import ConfigError, StoreError
from archon.model import Draw, address
from archon.plain import canonical
from archon.pool import Pool, checksum
from archon.types import JsonPart, Reply, TextPart, ToolCall, Usage
from archon.upkeep import importing
from archon.upkeep.opening import alive, open_readonly
from tests.pools import PAID, break_pages, contents, fill, put, request, reserve, sql

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
counts = st.none() | st.integers(0, 10**20)
usages = st.builds(
    Usage, st.integers(0, 9), counts, counts, counts, st.none() | st.floats(0, 1e9), counts
)
replies = st.builds(
    Reply,
    st.lists(
        st.builds(TextPart, texts)
        | st.builds(JsonPart, texts)
        | st.builds(ToolCall, texts, texts, texts),
        max_size=3,
    ).map(tuple),
    model=st.sampled_from(["fake/a", "fake/b", "näive/模型"]),
    finish=st.sampled_from(["stop", "length", "refusal", "filter", "timeout", "tool_calls"]),
    reasoning=texts,
    usage=usages,
    verdict_probs=st.lists(st.tuples(texts, st.floats(0, 1)), max_size=2).map(tuple),
)


def exported(path: Path, model: str = "", run: str = "") -> bytes:
    with upkeep.reading(path) as db:
        return "".join(f"{line}\n" for line in upkeep.Export(db, model, run)).encode()


def fail(error: ConfigError) -> None:
    raise error


def imported(path: Path, lines: bytes, refused: list[str] | None = None) -> upkeep.Imported:
    refuse = fail if refused is None else lambda error: refused.append(str(error))
    return upkeep.import_replies(path, upkeep.read_lines(io.BytesIO(lines), "x.jsonl"), refuse)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    path = tmp_path / "pool.db"
    fill(path)
    return path


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), replies), max_size=8))
def test_what_is_exported_is_imported_as_it_was(rows: list[tuple[int, int, Reply]]) -> None:
    unique = {(i, j): (request(i), Draw(i, j), reply) for i, j, reply in rows}
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "a.db"), Path(folder, "b.db")
        put(first, unique.values())
        lines = exported(first)
        assert len(lines.splitlines()) == len(unique) + 1
        assert imported(second, lines).new == len(unique)
        assert contents(second) == contents(first)
        assert imported(second, lines + lines) == upkeep.Imported(0, 2 * len(unique), 0)
        with closing(Pool(second)) as pool:
            for asked, draw, reply in unique.values():
                found = pool.get(asked.key(), [draw])[draw]
                assert found.to_json() == reply.to_json()
        assert sql(second, "SELECT count(*) FROM attempts") == [(0,)]


def test_a_line_says_what_was_paid(pool: Path) -> None:
    header, *lines = map(json.loads, exported(pool).splitlines())
    assert header == {"archon_pool": upkeep.FORMAT}
    assert len(lines) == 6
    for line in lines:
        assert line["key"] == address(canonical(line["request"]))
        assert line["paid"] == PAID.to_json()
        assert line["model"] == line["reply"]["model"] == "fake/a"


def test_export_of_a_model_and_of_a_run(pool: Path) -> None:
    fill(pool, 1, 3, model="fake/b", run="run-2")
    assert len(exported(pool, model="fake/b").splitlines()) == 4
    assert len(exported(pool, run="run-1").splitlines()) == 7
    assert len(exported(pool, "fake/b", "run-1").splitlines()) == 1


def test_a_draw_paid_twice_is_one_line(pool: Path) -> None:
    sql(pool, "DELETE FROM replies WHERE draw = 1")
    fill(pool)
    assert len(exported(pool).splitlines()) == 7


LINE = {
    "key": request(0).key(), "request": request(0).content(), "member": 0, "draw": 0,
    "reply": Reply.of("yes", model="fake/a").to_json(), "model": "fake/a", "created": 1.0,
}  # fmt: skip


@given(st.lists(st.binary(max_size=60) | st.text(max_size=60).map(lambda t: t.encode(
    "utf-8", "replace")), max_size=4), st.binary(max_size=9))  # fmt: skip
@example([b"[" * 100_000], b"")
@example([b'{"a":' * 1000], b"")
@example([b"1" * 5000], b"\r")
@example([b'{"archon_pool":1}', b'{"archon_pool":' + b"9" * 5000 + b"}"], b"")
@example([json.dumps({**LINE, "created": float("nan")}).encode()], b"\n")
@example([json.dumps({**LINE, "request": {"a": float("inf")}}).encode()], b"\n")
@example([json.dumps({**LINE, "request": {"a": "\ud800"}}).encode()], b"\n")
def test_no_bytes_crash_the_parser_and_nothing_is_half_imported(
    lines: list[bytes], end: bytes
) -> None:
    good = canonical(LINE).encode()
    text = b"\n".join([canonical({"archon_pool": 1}).encode(), good, *lines]) + end
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pool.db")
        said = ""
        try:
            done = imported(path, text)
        except ConfigError as error:
            said = str(error)
        assert said.startswith("x.jsonl:") if said else (done.new, done.refused) == (1, 0)
        assert path.exists() != bool(said)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": "0" * 32}, "key: not the address of this request, which is '"),
        ({"key": "A" * 32}, "key: String should match"),
        ({"key": request(0).key() + "\n"}, "key: String should match"),
        ({"request": {**LINE["request"], "seed": 1}}, "key: not the address"),  # type: ignore[dict-item]
        ({"request": "text"}, "request: "),
        ({"draw": -1}, "draw: "),
        ({"draw": 1 << 63}, "draw: "),
        ({"draw": True}, "draw: "),
        ({"member": "0"}, "member: "),
        ({"created": -1.0}, "created: "),
        ({"model": "fake/b"}, "model: 'fake/b', but the reply is by 'fake/a'"),
        ({"reply": {}}, "reply.parts: Field required"),
        ({"reply": {**LINE["reply"], "finish": "never"}}, "reply.finish: "),  # type: ignore[dict-item]
        ({"reply": {**LINE["reply"], "extra": 1}}, "reply.extra: Extra"),  # type: ignore[dict-item]
        ({"paid": {"calls": -1}}, "paid.calls: "),
        ({"more": 1}, "more: Extra inputs are not permitted, got 1"),
    ],
)  # fmt: skip
def test_a_line_that_is_not_right_is_refused(
    pool: Path, change: dict[str, Any], message: str
) -> None:
    before = contents(pool)
    good = canonical({**LINE, "draw": 9})
    text = "\n".join([canonical({"archon_pool": 1}), good, canonical({**LINE, **change})]).encode()
    with pytest.raises(ConfigError) as caught:
        imported(pool, text)
    assert str(caught.value).startswith(f"x.jsonl:3: {message}")
    assert contents(pool) == before
    refused: list[str] = []
    assert imported(pool, text, refused) == upkeep.Imported(1, 0, 1)
    assert refused == [str(caught.value)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "x.jsonl: empty; an export"),
        (b"{}\n", "x.jsonl:1: not an export"),
        (b"\x00\x01", "x.jsonl:1: neither an export"),
        (b'{"archon_pool":2}\n', "x.jsonl:1: an export of another format: {'archon_pool': 2}"),
        (b'{"archon_pool":1}\n{"archon_pool":[]}\n', "x.jsonl:2: an export of another format"),
    ],
)
def test_what_is_no_export_is_said(tmp_path: Path, text: bytes, message: str) -> None:
    for refused in (None, []):
        with pytest.raises(ConfigError) as caught:
            imported(tmp_path / "pool.db", text, refused)
        assert str(caught.value).startswith(message)
    assert list(tmp_path.glob("pool*")) == []


def test_a_line_that_is_too_long_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "LINE", 1 << 20)
    text = b'{"archon_pool":1}\n' + b"x" * (5 << 20) + b"\n" + canonical(LINE).encode() + b"\n"
    refused: list[str] = []
    assert imported(tmp_path / "pool.db", text, refused) == upkeep.Imported(1, 0, 1)
    assert refused == ["x.jsonl:2: longer than 1 MiB, which no reply is"]


def test_a_reply_that_is_there_stays(pool: Path) -> None:
    before = contents(pool)
    text = "\n".join([canonical({"archon_pool": 1}), canonical(LINE)]).encode()
    assert imported(pool, text) == upkeep.Imported(0, 1, 0)
    assert contents(pool) == before


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
    fill(path, 40, 5, text="long " * 200)
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
        import hashlib

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
    with closing(sqlite3.connect(pool, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert exported(pool).count(b"\n") == 7
        with pytest.raises(StoreError, match="another process held it"):
            upkeep.prune(pool, upkeep.Which())


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
