"""Replies as lines: what goes out comes in again, and nothing that is not right."""

from __future__ import annotations

import json
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archon import upkeep
from archon.errors import ConfigError
from archon.model import Draw, address
from archon.plain import canonical
from archon.pool import Pool
from archon.types import JsonPart, Reply, TextPart, ToolCall, Usage
from archon.upkeep import importing
from tests.pools import PAID, contents, exported, fill, imported, put, request, sql

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


LINE: dict[str, Any] = {
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
        ({"request": {**LINE["request"], "seed": 1}}, "key: not the address"),
        ({"request": "text"}, "request: "),
        ({"draw": -1}, "draw: "),
        ({"draw": 1 << 63}, "draw: "),
        ({"draw": True}, "draw: "),
        ({"member": "0"}, "member: "),
        ({"created": -1.0}, "created: "),
        ({"model": "fake/b"}, "model: 'fake/b', but the reply is by 'fake/a'"),
        ({"reply": {}}, "reply.parts: Field required"),
        ({"reply": {**LINE["reply"], "finish": "never"}}, "reply.finish: "),
        ({"reply": {**LINE["reply"], "extra": 1}}, "reply.extra: Extra"),
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
    collected: list[str] = []
    for refused in (None, collected):
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
