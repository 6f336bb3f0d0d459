"""CodeContests: files of the Hub, without the problems whose text needs an image."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from archon.benchmarks.code_contests import CodeContests
from archon.errors import ConfigError
from tests.benchmarks.samples_code import SAMPLES, problem

pyarrow = pytest.importorskip("pyarrow")


@pytest.fixture
def bench(tmp_path: Path) -> CodeContests:
    SAMPLES["code_contests"](tmp_path)
    return CodeContests(tmp_path)


def test_problems_with_images_are_left_out(bench: CodeContests) -> None:
    assert [item.task.id for item in bench.items("test")] == ["1575_A. Twice", "1575_C. Bare"]


def test_tests_are_disjoint(bench: CodeContests) -> None:
    target = bench.items("test")[0].target
    assert target["public"] == [{"stdin": "2\n", "stdout": "4\n", "scored": True}]
    # The private test "2" is public already, and "7" stands in both hidden lists.
    assert [test["stdin"] for test in target["hidden"]] == ["7\n", "9\n"]
    assert "14" not in bench.items("test")[0].task.question


def test_limits(bench: CodeContests) -> None:
    first, bare = (item.target for item in bench.items("test"))
    assert (first["seconds"], first["memory_bytes"]) == (2.5, 256_000_000)
    assert (bare["seconds"], bare["memory_bytes"]) == (3.0, None)
    assert [item.group for item in bench.items("test")] == ["rating 500", "unrated"]


def test_problems_that_use_files(bench: CodeContests) -> None:
    [item] = bench.items("dev")
    assert (item.target["input_file"], item.target["output_file"]) == ("in.txt", "out.txt")
    assert "reads the file in.txt and writes the file out.txt" in item.task.question


def test_a_program_is_read(bench: CodeContests) -> None:
    item = bench.items("test")[0]
    assert bench.module(item, "```python\nprint(2 * int(input()))\n```\nSample:\n```\n2\n```") == (
        "print(2 * int(input()))"
    )


def test_unpaired_tests(tmp_path: Path) -> None:
    from pyarrow import parquet

    row = problem("x", public_tests={"input": ["1", "2"], "output": ["1"]})
    path = tmp_path / "test.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([row]), path)
    with pytest.raises(ConfigError, match=r"row 1: 2 inputs of tests, but 1 outputs"):
        CodeContests(path).items("test")


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    path.write_text("no")
    with pytest.raises(ConfigError, match="not Parquet"):
        CodeContests(path).items("test")


def test_without_pyarrow(bench: CodeContests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"archon-itas\[eval\]"):
        bench.items("test")
