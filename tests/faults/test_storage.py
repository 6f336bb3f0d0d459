"""The file is full, locked, read-only, damaged, too new or too old: said clearly, nothing lost."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archon import store as store_module
from archon.errors import StoreError
from archon.gateway import Gateway
from archon.model import Draw, Model, Outcome, Request
from archon.pool import VERSION, Pool
from archon.store import Batch
from archon.testing.provider import Provider
from archon.types import Message, Reply
from tests.faults.conftest import (
    at,
    each,
    one,
    play,
    question,
    right,
    rows,
    single,
    texts,
    until,
    whole,
)

# A full disk


def _mounts() -> bool:
    """Return whether this user may mount a file system of its own."""
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(
            ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
            capture_output=True,
            check=False,
        ).returncode
    )


needs_mounts = pytest.mark.skipif(not _mounts(), reason="mounting needs root")

FULL = """
import asyncio, json, os, sys
from pathlib import Path
from archon import store
from archon.gateway import Gateway, Spending
from archon.model import Draw, Model, Request
from archon.pool import Pool
from archon.types import Message, Reply

url, folder, ballast = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
store.BALLAST = ballast
model = Model("openai/test", base_url=url + "/v1", max_tokens=512, concurrency=16, timeout=30)

async def main():
    pool = Pool(folder / "pool.db")
    gate = Gateway(pool)

    async def ask(i):
        # A long prompt fills the disk soon.
        request = Request(model, (Message("user", f"question {i} " + "x" * 4000),))
        try:
            [outcome] = await gate.draw(request, [Draw(0, 0)], Spending())
        except Exception as error:
            outcome = error
        return "reply" if isinstance(outcome, Reply) else f"{type(outcome).__name__}: {outcome}"

    said = await asyncio.gather(*(ask(i) for i in range(600)))
    await gate.close()
    pool.close()
    print(json.dumps(said))

asyncio.run(main())
# Whoever looks does so after room was made, in the same mount.
os.unlink(folder / "filler")
again = Pool(folder / "pool.db")
print(json.dumps([again.count(), again.store.read("PRAGMA integrity_check")[0][0],
    again.store.read("SELECT state, count(*) FROM attempts GROUP BY state"),
    (folder / "pool.db-ballast").exists()]))
again.close()
"""
_IN_A_SMALL_FILE_SYSTEM = (
    'mount -t tmpfs -o size={size}k tmpfs "$2" && head -c {filler} /dev/zero > "$2/filler" &&'
    ' exec "$0" -c "$3" "$1" "$2" {ballast}'
)


def _full(provider: Provider, folder: Path, size: int, ballast: int) -> tuple[list[str], list[Any]]:
    """Ask until a file system of so many KiB is full; return what came of it."""
    script = _IN_A_SMALL_FILE_SYSTEM.format(size=size, filler=100_000, ballast=ballast)
    command = ["unshare", "-m", "sh", "-c", script, sys.executable, provider.url, str(folder), FULL]
    # The command line's order: $0 is Python, $1 the URL, $2 the folder, $3 the program.
    command = ["unshare", "-m", "sh", "-c", script, *command[5:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    said, after = map(json.loads, done.stdout.splitlines())
    return said, after


@needs_mounts
@pytest.mark.parametrize("size", [2300, 2500, 2700])
def test_a_full_disk_ends_the_spending_and_loses_nothing(
    provider: Provider, tmp_path: Path, size: int
) -> None:
    provider.set(latency=0.01, jitter=0.01)
    said, (stored, integrity, states, _) = _full(provider, tmp_path, size, 1_000_000)
    replies = said.count("reply")
    failed = {text for text in said if text != "reply"}
    assert failed, "the disk never was full"
    assert all("StoreError" in text and "full" in text for text in failed), failed
    assert all("make room" in text for text in failed)
    assert integrity == "ok"
    # All that was delivered is stored and was shown: the ballast made room for it.
    assert provider.stats()["delivered"] == stored == replies
    assert provider.stats()["requests"] == replies
    assert dict(states).get("done") == replies
    assert 16 < replies < 600


@needs_mounts
def test_without_ballast_what_was_paid_stays_on_the_books(
    provider: Provider, tmp_path: Path
) -> None:
    provider.set(latency=0.01, jitter=0.01)
    said, (stored, integrity, states, _) = _full(provider, tmp_path, 1500, 0)
    assert integrity == "ok"
    assert said.count("reply") <= stored
    found = dict(states)
    # Each request on the wire is a row: stored, or in doubt because it could not be.
    assert provider.stats()["requests"] <= sum(found.values())
    assert provider.stats()["requests"] - stored <= 16


def _most_pages(count: str) -> Batch:
    """Return a write that sets how large the file may grow; it runs even where none may."""

    def run(db: sqlite3.Connection, rows: list[Any]) -> list[None]:
        db.execute(f"PRAGMA max_page_count = {count}")
        return [None] * len(rows)

    return Batch(run, rank=-1, paid=True)


def test_what_was_paid_is_kept_until_there_is_room(provider: Provider, tmp_path: Path) -> None:
    provider.set(latency=0.02, jitter=0.02)
    path, model = tmp_path / "pool.db", at(provider, concurrency=16)
    requests = [question(model, f"question {i} {'x' * 3000}") for i in range(200)]

    async def work(gate: Gateway) -> list[Outcome]:
        (pages,) = gate.pool.store.read("PRAGMA page_count")[0]
        await gate.pool.store.put(_most_pages(str(pages + 60)), None)
        outcomes = await each(gate, requests)
        sent = provider.stats()["requests"]
        more = await one(gate, question(model, "more"))
        assert isinstance(more, StoreError)
        assert provider.stats()["requests"] == sent, "nothing is sent that could not be kept"
        gate.pool.store.post(_most_pages("1000000"), None)
        return outcomes

    outcomes = play(work, path)
    failed = [outcome for outcome in outcomes if not isinstance(outcome, Reply)]
    assert failed
    assert all(isinstance(outcome, StoreError) for outcome in failed)
    stats = provider.stats()
    # Those that nobody was shown because they could not be stored are stored in the end.
    assert stats["requests"] == stats["delivered"] < 200
    assert single(path, "SELECT count(*) FROM replies") == stats["delivered"]
    assert rows(path, "SELECT DISTINCT state FROM attempts") == [("done",)]
    assert len(outcomes) - len(failed) < stats["delivered"]


def test_what_was_queued_before_a_failure_is_not_admitted_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "GROUP", 1)
    pool = Pool(tmp_path / "pool.db")
    ran: list[str] = []

    def broken(db: sqlite3.Connection) -> None:
        ran.append("broken")
        raise sqlite3.OperationalError("database or disk is full")

    async def work() -> list[object]:
        writes = (lambda db: time.sleep(0.2), broken, lambda db: ran.append("queued"))
        puts = (pool.store.write(write) for write in writes)
        return list(await asyncio.gather(*puts, return_exceptions=True))

    first, second, third = asyncio.run(work())
    pool.close()
    assert first is None
    assert isinstance(second, StoreError)
    assert isinstance(third, StoreError)
    assert ran == ["broken"]


# A locked file

LOCKER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
db.execute("ROLLBACK")
"""


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the pool's file until it is sent a line."""
    Pool(tmp_path / "pool.db").close()
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", LOCKER, str(tmp_path / "pool.db")]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    yield process
    process.communicate()


def _free(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_lock_of_three_seconds_costs_only_time(
    provider: Provider, tmp_path: Path, locked: subprocess.Popen[str]
) -> None:
    model = at(provider)
    requests = [question(model, f"question {i}") for i in range(20)]

    async def work(gate: Gateway) -> list[Outcome]:
        asked = asyncio.ensure_future(each(gate, requests))
        await asyncio.sleep(3)
        assert provider.stats()["requests"] == 0, "nothing may be sent before it is reserved"
        _free(locked)
        return await asyncio.wait_for(asked, 10)

    outcomes = play(work, tmp_path / "pool.db")
    assert texts(outcomes) == [right(request) for request in requests]
    assert single(tmp_path / "pool.db", "SELECT count(*) FROM replies") == 20


def test_a_lock_while_replies_are_under_way_loses_none(provider: Provider, tmp_path: Path) -> None:
    provider.set(latency=0.4)
    path, model = tmp_path / "pool.db", at(provider)
    requests = [question(model, f"question {i}") for i in range(20)]

    async def work(gate: Gateway) -> list[Outcome]:
        asked = asyncio.ensure_future(each(gate, requests))
        await asyncio.to_thread(until, lambda: provider.stats()["in_flight"] == 20)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(1)
        assert not asked.done()
        other.close()
        return await asyncio.wait_for(asked, 10)

    assert len(texts(play(work, path))) == 20
    assert provider.stats()["requests"] == single(path, "SELECT count(*) FROM replies") == 20


def test_a_longer_lock_is_a_typed_error_and_nothing_is_paid(
    provider: Provider,
    tmp_path: Path,
    locked: subprocess.Popen[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store_module, "BUSY", 1.0)
    model, path = at(provider), tmp_path / "pool.db"
    began = time.monotonic()
    outcome = play(lambda gate: one(gate, question(model, "?")), path)
    assert time.monotonic() - began < 8
    assert isinstance(outcome, StoreError)
    assert "locked" in str(outcome)
    assert "another process" in str(outcome)
    assert provider.stats()["requests"] == 0
    _free(locked)
    locked.wait()
    assert isinstance(play(lambda gate: one(gate, question(model, "?")), path), Reply)


# A file or folder that cannot be written


@needs_mounts
def test_a_read_only_folder_is_said_in_one_line(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from archon.errors import StoreError\n"
        "from archon.pool import Pool\n"
        "try:\n"
        "    Pool(Path(sys.argv[1], 'pool.db'))\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$0" -c "$2" "$1"'

    def opened() -> str:
        command = ["unshare", "-m", "sh", "-c", script, sys.executable, str(tmp_path / "home")]
        return subprocess.run(
            [*command, code], capture_output=True, text=True, check=True
        ).stdout.strip()

    said = opened()
    assert "pool.db" in said
    assert "ARCHON_HOME" in said
    assert "\n" not in said
    Pool(tmp_path / "home" / "pool.db").close()
    said = opened()
    assert "ARCHON_HOME" in said
    assert "\n" not in said
    assert single(tmp_path / "home" / "pool.db", "PRAGMA user_version") == VERSION


def test_a_file_that_becomes_read_only_admits_nothing_more(
    provider: Provider, tmp_path: Path
) -> None:
    model = at(provider)

    async def work(gate: Gateway) -> tuple[Outcome, Outcome]:
        first = await one(gate, question(model, "one"))
        await gate.pool.store.write(lambda db: db.execute("PRAGMA query_only = ON"))
        return first, await one(gate, question(model, "two"))

    first, second = play(work, tmp_path / "pool.db")
    assert isinstance(first, Reply)
    assert isinstance(second, StoreError)
    assert provider.stats()["requests"] == 1


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "pool.db").mkdir()
    with pytest.raises(StoreError, match=r"pool\.db"):
        Pool(tmp_path / "pool.db")


# Damage

NO_UTF_8 = "cast(x'7bff7d' AS text)"


def _filled(path: Path, count: int) -> list[Request]:
    """Store replies without a provider: what is stored matters here, not who said it."""
    from archon.backends.fake import Fake

    fake = Fake(lambda request, draw: f"the answer to {request.messages[-1].content} " * 8)
    model = Model("fake/a", max_tokens=100)
    requests = [question(model, f"question {i}") for i in range(count)]
    texts(play(lambda gate: each(gate, requests), path, {"fake": fake}))
    return requests


def _text(request: Request) -> str:
    return f"the answer to {request.messages[-1].content} " * 8


@pytest.mark.parametrize("content", [b"", b"hello, I am no database\n" * 100, bytes(4096)])
def test_what_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pool.db"
    path.write_bytes(content)
    if not content:  # SQLite takes an empty file for a new one
        Pool(path).close()
        return
    with pytest.raises(StoreError, match="moved to") as caught:
        Pool(path)
    assert "\n" not in str(caught.value)
    [kept] = tmp_path.glob("pool.db.damaged-*")
    assert kept.read_bytes() == content
    Pool(path, new=True).close()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_file_serves_nothing_wrong(tmp_path: Path, share: float) -> None:
    path = tmp_path / "pool.db"
    requests = _filled(path, 200)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    _served(path, requests)


def _served(path: Path, requests: list[Request]) -> tuple[int, int, int]:
    """Ask the pool for all; return how many were right, missing, and refused by an error."""
    correct = missing = refused = 0
    try:
        pool = Pool(path)
    except StoreError:
        return 0, 0, len(requests)
    for request in requests:
        try:
            found = pool.get(request.key(), [Draw(0, 0)])
        except StoreError:
            refused += 1
            continue
        if not found:
            missing += 1
            continue
        reply = found[Draw(0, 0)]
        assert reply.text == _text(request), "a wrong reply was served"
        correct += 1
    pool.close()
    return correct, missing, refused


def _flip(original: bytes, path: Path, chance: random.Random) -> None:
    data = bytearray(original)
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    path.write_bytes(data)


def _flips(folder: Path, count: int) -> None:
    """Flip a byte at a time and ask for everything."""
    made = folder / "made.db"
    requests = _filled(made, 30)
    original = made.read_bytes()
    chance, noticed, collateral = random.Random(count), 0, 0
    for i in range(count):
        path = folder / f"{i}" / "pool.db"
        path.parent.mkdir()
        _flip(original, path, chance)
        correct, missing, refused = _served(path, requests)
        assert correct + missing + refused == len(requests)
        noticed += correct < len(requests)
        collateral += refused
        shutil.rmtree(path.parent)
    print(f"{noticed} of {count} flips noticed, {collateral} reads refused by an error")
    assert noticed > count / 20, "flips that nobody notices test nothing"


def test_100_flipped_bits_serve_nothing_wrong(tmp_path: Path) -> None:
    _flips(tmp_path, 100)


@pytest.mark.slow
def test_1000_flipped_bits_serve_nothing_wrong(tmp_path: Path) -> None:
    _flips(tmp_path, 1000)


def test_flipped_bits_in_the_log_of_writes_serve_nothing_wrong(tmp_path: Path) -> None:
    """What was not yet moved from the write-ahead log into the file."""
    made = tmp_path / "made.db"
    keep = Pool(made)  # as long as it is open, the log stays
    requests = _filled(made, 30)
    parts = {end: Path(f"{made}{end}").read_bytes() for end in ("", "-wal")}
    keep.close()
    assert parts["-wal"]
    chance = random.Random(5)
    for i in range(30):
        path = tmp_path / f"{i}" / "pool.db"
        path.parent.mkdir()
        wal = bytearray(parts["-wal"])
        wal[chance.randrange(len(wal))] ^= 1 << chance.randrange(8)
        path.write_bytes(parts[""])
        Path(f"{path}-wal").write_bytes(wal)
        _served(path, requests)


def test_one_damaged_reply_is_asked_again_and_harms_no_other(
    provider: Provider, tmp_path: Path
) -> None:
    path, model = tmp_path / "pool.db", at(provider)
    requests = [question(model, f"question {i}") for i in range(5)]
    play(lambda gate: each(gate, requests), path)
    db = sqlite3.connect(path)
    # No UTF-8, valid JSON that is not what was stored, and a row under another's address.
    update = "UPDATE replies SET reply = {} WHERE key = ?"
    keys = [key for (key,) in db.execute("SELECT key FROM replies ORDER BY rowid")]
    db.execute(update.format(NO_UTF_8), (keys[0],))
    db.execute(update.format("replace(reply, 'answer', 'ANSWER')"), (keys[1],))
    swapped = db.execute("SELECT reply, checksum FROM replies WHERE key = ?", (keys[3],)).fetchone()
    db.execute("UPDATE replies SET reply = ?, checksum = ? WHERE key = ?", (*swapped, keys[2]))
    db.commit()
    db.close()
    outcomes = play(lambda gate: each(gate, requests), path)
    assert texts(outcomes) == [right(request) for request in requests]
    assert provider.stats()["requests"] == 5 + 3
    assert single(path, "SELECT count(*) FROM quarantine") == 3


# Other versions


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    Pool(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer archon"):
        Pool(path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.damaged-*"))


VERSION_1 = """
CREATE TABLE requests (key TEXT PRIMARY KEY, request TEXT);
CREATE TABLE replies (key TEXT, member INTEGER, draw INTEGER, reply TEXT, checksum TEXT,
    model TEXT, created FLOAT, PRIMARY KEY (key, member, draw));
CREATE TABLE charges (id INTEGER PRIMARY KEY, run TEXT, key TEXT, member INTEGER, draw INTEGER,
    outcome TEXT, created FLOAT, seconds FLOAT, calls INTEGER, input_tokens INTEGER,
    output_tokens INTEGER, microusd INTEGER);
CREATE TABLE runs (id TEXT PRIMARY KEY, started FLOAT, ended FLOAT, what TEXT, digest TEXT,
    name TEXT, status TEXT, used TEXT, paid TEXT, result TEXT);
PRAGMA user_version = 1;
"""


def _version_1(path: Path, requests: list[Request]) -> None:
    """Make a file as the first version did: charges, and checksums of the text alone."""
    from archon.plain import canonical

    db = sqlite3.connect(path)
    db.executescript(VERSION_1)
    for i, request in enumerate(requests):
        key = request.key()
        text = canonical(Reply.of(_text(request), model="fake/a").to_json())
        check = hashlib.sha256(text.encode()).hexdigest()[:16]
        db.execute("INSERT INTO requests VALUES (?, ?)", (key, canonical(request.content())))
        db.execute("INSERT INTO replies VALUES (?,0,0,?,?,'fake/a',1.5)", (key, text, check))
        charge = (i + 1, "run", key, "stop", 1.5, 0.25, 1, 10, 20, 30)
        db.execute("INSERT INTO charges VALUES (?,?,?,0,0,?,?,?,?,?,?,?)", charge)
    db.execute("INSERT INTO runs VALUES ('r',1,2,'run','d','n','done','{}','{}','\"x\"')")
    db.commit()
    db.close()


def _requests(count: int) -> list[Request]:
    model = Model("fake/a", max_tokens=100)
    return [Request(model, (Message("user", f"question {i}"),)) for i in range(count)]


def test_an_older_file_is_taken_over_whole(tmp_path: Path) -> None:
    path, requests = tmp_path / "pool.db", _requests(20)
    _version_1(path, requests)
    assert _served(path, requests) == (20, 0, 0)
    assert single(path, "PRAGMA user_version") == VERSION
    assert rows(
        path,
        "SELECT state, count(*), sum(calls), sum(input_tokens), sum(output_tokens), sum(microusd)"
        " FROM attempts",
    ) == [("done", 20, 20, 200, 400, 600)]
    assert single(path, "SELECT count(*) FROM runs") == 1
    assert whole(path)
    # It is an ordinary file from now on.
    assert len(_filled(path, 25)) == 25
    assert single(path, "SELECT count(*) FROM attempts") == 25


def test_damage_in_an_older_file_is_not_made_to_look_right(tmp_path: Path) -> None:
    path, requests = tmp_path / "pool.db", _requests(5)
    _version_1(path, requests)
    db = sqlite3.connect(path)
    update = "UPDATE replies SET reply = {} WHERE key = ?"
    db.execute(update.format("replace(reply, '3', '7')"), (requests[3].key(),))
    db.execute(update.format(NO_UTF_8), (requests[1].key(),))
    db.commit()
    db.close()
    assert _served(path, requests) == (3, 2, 0)


def test_three_processes_may_take_over_the_same_file(tmp_path: Path) -> None:
    path, requests = tmp_path / "pool.db", _requests(50)
    _version_1(path, requests)
    code = "import sys\nfrom pathlib import Path\nfrom archon.pool import Pool\n"
    code += "Pool(Path(sys.argv[1])).close()\n"
    command = [sys.executable, "-c", code, str(path)]
    three = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(30) for process in three] == [0, 0, 0]
    assert _served(path, requests) == (50, 0, 0)
    assert single(path, "SELECT count(*) FROM attempts") == 50


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    _filled(tmp_path / "pool.db", 3)
    names = sorted(entry for entry in os.listdir(tmp_path) if not entry.endswith("-owners"))
    assert names in (["pool.db", "pool.db-ballast"], ["pool.db"])
    assert not list((tmp_path / "pool.db-owners").iterdir())
