from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from archon.cli import pool_care, pool_files
from archon.errors import ConfigError
from archon.pool import Pool
from tests.cli.conftest import Archon, data
from tests.pools import contents, fill, reserve, sql

ARCHON = str(Path(sys.executable).with_name("archon"))


@pytest.fixture
def pool(home: Path) -> Path:
    """The default pool, with six replies of one model and one of another."""
    home.mkdir()
    path = home / "pool.db"
    fill(path)
    fill(path, 1, 1, model="fake/b", run="run-2")
    return path


def test_without_a_pool_nothing_is_made(archon: Archon, home: Path) -> None:
    for words in ("", "list", "size", "verify", "prune --older-than 1d"):
        result = archon("pool", *words.split())
        assert (result.stdout, result.stderr) == (
            "", f"there is no pool yet at {home / 'pool.db'}\n"
        )  # fmt: skip
    assert "nothing is in doubt" in archon("pool", "doubts").stderr
    assert data(archon("pool", "--json"))["models"] == []
    assert data(archon("pool", "size", "--json"))["rows"]["replies"] == 0
    assert data(archon("pool", "doubts", "--json")) == []
    archon("pool", "list", "--pool", "other.db")
    for words in (
        "export",
        "export --pool x.db",
        "verify --pool x.db",
        "prune --model m --pool x.db",
    ):
        assert archon("pool", *words.split(), code=2).stderr.count("\n") == 1
    assert list(home.iterdir()) == []
    assert list(Path().glob("*.db")) == []


def test_list_is_what_pool_does_by_itself(archon: Archon, pool: Path) -> None:
    listed = archon("pool").stdout
    assert listed == archon("pool", "list").stdout
    for word in ("fake/a", "fake/b", "total", "$0.00042"):
        assert word in listed
    found = data(archon("pool", "--json"))
    assert found == data(archon("pool", "--pool", str(pool), "--json"))
    assert [model["replies"] for model in found["models"]] == [6, 1]
    assert found["total"]["paid"]["usd"] == 0.00049
    assert (found["in_flight"], found["doubts"]) == ([], [])
    assert "verify" in archon("pool", "--help").stdout


def test_a_narrow_terminal_gets_lines(
    archon: Archon, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archon.cli.common.WIDE", 80)
    listed = archon("pool").stdout
    assert "total\n  7 replies (" in listed
    assert "  paid 7 calls, 91 tokens, $0.00049\n" in listed
    assert max(map(len, listed.splitlines())) <= 80


def test_what_is_in_flight_and_in_doubt_is_listed(archon: Archon, pool: Path) -> None:
    with closing(Pool(pool)) as held:
        for number in range(25):
            reserve(held, number)
        listed = archon("pool").stdout
        assert "25 in flight:" in listed
        assert "fake/a, run run-1, for 0 s" in listed
        assert "and 5 more" in listed
        assert "doubt" not in listed
    assert "25 in doubt, counted as spent: at most 4,950 tokens, $0.025" in archon("pool").stdout
    doubts = archon("pool", "doubts").stdout
    assert doubts.count("run-1") == 25
    assert doubts.endswith("25 in doubt, counted as spent: at most 4,950 tokens, $0.025\n")
    found = data(archon("pool", "doubts", "--json"))
    assert [doubt["upper"]["usd"] for doubt in found] == [0.000999] * 25


def test_size(archon: Archon, pool: Path) -> None:
    found = data(archon("pool", "size", "--json"))
    assert found["file"] == pool.stat().st_size
    assert found["rows"]["attempts"] == 7
    shown = archon("pool", "size").stdout
    assert str(pool) in shown
    assert "8.4 MB" in shown


def test_sizes_in_words() -> None:
    words = [pool_files.size_words(size) for size in (999, 1e3, 999_999, 1.5e9, 1e15)]
    assert words == ["999 B", "1.0 kB", "1,000.0 kB", "1.5 GB", "1,000,000.0 GB"]


def test_export_and_import(archon: Archon, pool: Path) -> None:
    assert "wrote 7 replies" in archon("pool", "export", "out.jsonl").stderr
    lines = Path("out.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 8
    out = archon("pool", "export")
    assert out.stdout_bytes.decode() == Path("out.jsonl").read_bytes().decode()
    assert len(archon("pool", "export", "--model", "fake/b").stdout.split("\n")) == 3
    assert len(archon("pool", "export", "--run", "run-1").stdout.split("\n")) == 8
    told = archon("pool", "import", "out.jsonl", "--pool", "new.db").stdout
    assert told == "7 new replies, 0 already there, 0 refused\n"
    assert contents(Path("new.db")) == contents(pool)
    again = archon("pool", "import", "-", "--json", input=Path("out.jsonl").read_bytes())
    assert data(again) == {"new": 0, "present": 7, "refused": 0}
    assert "7 already there" in archon("pool", "import", "new.db").stdout
    assert [path.name for path in Path().iterdir() if path.name.startswith(".")] == []


def test_a_bad_line_is_named_and_nothing_imported(archon: Archon, pool: Path) -> None:
    archon("pool", "export", "out.jsonl")
    lines = Path("out.jsonl").read_text(encoding="utf-8").splitlines()
    forged = json.dumps({**json.loads(lines[3]), "key": "0" * 32})
    Path("bad.jsonl").write_text("\n".join([*lines[:3], forged, "{", *lines[4:]]))
    command = ("pool", "import", "bad.jsonl", "--pool", "new.db")
    result = archon(*command, code=2)
    assert result.stderr.startswith("archon: bad.jsonl:4: key: not the address of this request")
    assert "nothing was imported" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("new.db").exists()
    result = archon(*command, "--keep-going")
    assert result.stdout == "6 new replies, 0 already there, 2 refused\n"
    assert "bad.jsonl:5: not JSON" in result.stderr
    Path("bad.jsonl").write_text("\n".join([lines[0], *["{}"] * 30]))
    assert archon(*command, "--keep-going").stderr.count("\n") == 21
    assert "no such file" in archon("pool", "import", "nothing", code=2).stderr


def test_a_damaged_pool_that_was_moved_aside_is_imported(archon: Archon, pool: Path) -> None:
    sql(pool, "UPDATE replies SET reply = 'x' WHERE rowid = 1")
    pool.rename(pool.with_name("pool.db.damaged"))
    result = archon("pool", "import", str(pool.with_name("pool.db.damaged")))
    assert result.stdout == "6 new replies, 0 already there, 1 refused\n"
    assert "the checksum does not fit" in result.stderr
    assert data(archon("pool", "--json"))["total"]["replies"] == 6


def test_an_export_takes_the_place_of_a_file_only_when_whole(
    archon: Archon, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out.jsonl").write_text("before")
    Path("link.jsonl").symlink_to("out.jsonl")

    def broken(found: object, out: object) -> None:
        raise ConfigError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(pool_files, "_write", broken)
        archon("pool", "export", "out.jsonl", code=2)
    assert Path("out.jsonl").read_text() == "before"
    archon("pool", "export", "link.jsonl")
    assert Path("link.jsonl").is_symlink()
    assert Path("out.jsonl").read_text(encoding="utf-8").count("\n") == 8
    assert sorted(path.name for path in Path().iterdir()) == [
        "link.jsonl", "one.yaml", "out.jsonl", "voted.yaml",
    ]  # fmt: skip
    assert "no such file" in archon("pool", "export", "no/such/folder.jsonl", code=2).stderr
    assert "a database" in archon("pool", "export", str(pool), code=2).stderr
    os.mkfifo("pipe")
    with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE) as reader:
        archon("pool", "export", "pipe")
        assert reader.communicate()[0].count(b"\n") == 8


def test_a_damaged_reply_is_left_out_and_said(archon: Archon, pool: Path) -> None:
    sql(pool, "UPDATE replies SET reply = 'x' WHERE rowid = 1")
    result = archon("pool", "export", "out.jsonl", code=1)
    assert "1 replies are damaged" in result.stderr
    assert Path("out.jsonl").read_text(encoding="utf-8").count("\n") == 7


def test_verify(archon: Archon, pool: Path) -> None:
    assert "7 replies to 4 requests checked, 0 findings" in archon("pool", "verify").stdout
    sql(pool, "UPDATE replies SET reply = 'x' WHERE model = 'fake/a'")
    sql(pool, "DELETE FROM requests WHERE rowid = 4")
    dry = data(archon("pool", "verify", "--dry-run", "--json", code=1))
    assert (len(dry["findings"]), dry["quarantined"], dry["alone"]) == (6, 0, 1)
    shown = archon("pool", "verify", code=1).stdout
    assert shown.count("the checksum does not fit") == 6
    assert "6 replies moved to quarantine" in shown
    shown = archon("pool", "verify").stdout
    assert "0 findings" in shown
    assert "1 replies have no request" in shown


def test_verify_of_a_damaged_file(archon: Archon, pool: Path) -> None:
    with pool.open("r+b") as file:
        file.seek(4096 * 5)
        file.write(b"\xff" * 4096)
    before = pool.read_bytes()
    shown = archon("pool", "verify", code=1).stdout
    assert "the file itself is damaged" in shown
    assert pool.read_bytes() == before
    pool.write_bytes(b"\xff" * 9000)
    assert archon("pool", "list", code=1).stderr.count("\n") == 1


def test_a_long_list_of_findings_is_cut(
    archon: Archon, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_care, "_TOLD", 2)
    sql(pool, "UPDATE replies SET reply = 'x'")
    assert "and 5 more" in archon("pool", "verify", code=1).stdout


def test_prune(archon: Archon, pool: Path) -> None:
    assert "say what to take out" in archon("pool", "prune", code=2).stderr
    assert "30d, 12h or 2w" in archon("pool", "prune", "--older-than", "1 y", code=2).stderr
    every = ("pool", "prune", "--older-than", "0d")
    assert "would take out 7 replies" in archon(*every, "--dry-run").stdout
    assert "say --yes" in archon(*every, code=2).stderr
    assert "took out 0 replies" in archon("pool", "prune", "--older-than", "2w").stdout
    told = archon("pool", "prune", "--model", "fake/b", "--yes").stdout
    assert told.startswith("fake/b: 1 replies\ntook out 1 replies")
    sql(pool, "INSERT INTO quarantine SELECT * FROM replies WHERE rowid = 1")
    found = data(archon("pool", "prune", "--quarantine", "--yes", "--json"))
    assert (found["replies"], found["quarantine"], found["dry_run"]) == (0, 1, False)
    assert "took out 6 replies" in archon(*every, "--yes").stdout
    assert data(archon("pool", "--json"))["total"]["paid"]["calls"] == 7


def test_prune_asks_on_a_terminal(
    archon: Archon, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_care, "_somebody_there", lambda: True)
    every = ("pool", "prune", "--older-than", "0d")
    result = archon(*every, code=1, input="n\n")
    assert "Take out 7 replies" in result.stderr
    assert "nothing was taken out" in result.stderr
    with closing(Pool(pool)) as held:
        reserve(held, 1)
        result = archon(*every, input="y\n")
    assert "took out 7 replies" in result.stdout
    assert "the file keeps its size for now: another process has calls" in result.stderr


def test_a_terminal_is_shown_how_far_it_is(
    archon: Archon, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_files, "_seen", lambda: True)
    assert archon("pool", "export").stdout.count("\n") == 8
    assert "0 findings" in archon("pool", "verify").stdout


def test_names_that_sqlite_cannot_take(archon: Archon, tmp_path: Path) -> None:
    assert "must be UTF-8" in archon("pool", "--pool", "na\udcffme", code=2).stderr
    assert "not a file" in archon("pool", "--pool", str(tmp_path), code=2).stderr


def test_a_closed_pipe_ends_an_export(pool: Path, home: Path) -> None:
    fill(pool, 200, 1, text="long " * 200)
    done = subprocess.run(
        f"{ARCHON} pool export | head -1", shell=True, capture_output=True, text=True,
        env={**os.environ, "ARCHON_HOME": str(home)},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ('{"archon_pool":1}\n', "")


def test_a_run_shows_what_it_sent(archon: Archon) -> None:
    archon("run", "one.yaml", "q")
    (run,) = data(archon("runs", "--json"))
    path = Path(os.environ["ARCHON_HOME"]) / "pool.db"
    shown = archon("runs", run["id"]).stdout
    assert "1 requests, 0 retries, 0 failed, 0 in doubt\n" in shown
    with closing(Pool(path)) as held:
        reserve(held, 1, run["id"])
    found = data(archon("runs", run["id"], "--json"))["attempts"]
    assert (found["requests"], found["doubts"], found["doubted"]["usd"]) == (2, 1, 0.000999)
    assert "1 in doubt, counted as at most $0.001\n" in archon("runs", run["id"]).stdout
