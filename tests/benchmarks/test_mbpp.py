"""MBPP and MBPP+: the published split, and the assertions that the task shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archon.benchmarks.mbpp import MBPP, MBPPPlus
from archon.errors import ConfigError
from tests.benchmarks.samples_code import SAMPLES


@pytest.fixture
def bench(tmp_path: Path) -> MBPP:
    SAMPLES["mbpp"](tmp_path)
    return MBPP(tmp_path / "mbpp.jsonl")


def test_the_published_split(bench: MBPP) -> None:
    assert [item.task.id for item in bench.items("test")] == ["mbpp/11", "mbpp/510"]
    assert [item.task.id for item in bench.items("dev")] == ["mbpp/511", "mbpp/600"]


def test_the_task_shows_what_scores_it(bench: MBPP) -> None:
    item = bench.items("test")[0]
    assert item.target["public"] == [
        {"code": f"assert add({n}, {n}) == {2 * n}", "scored": True} for n in (1, 2, 3)
    ]
    assert all(test["code"] in item.task.question for test in item.target["public"])
    assert item.target["hidden"] == [{"code": "assert add(7, 7) == 14", "scored": False}]
    assert "add(7, 7)" not in item.task.question
    assert item.target["entry_point"] == "add"


def test_a_row_without_its_tests(tmp_path: Path) -> None:
    path = tmp_path / "mbpp.jsonl"
    row = {"task_id": 11, "text": "Add.", "code": "", "test_setup_code": "", "tests": []}
    path.write_text("\n" + json.dumps(row))
    with pytest.raises(ConfigError, match=r"mbpp.jsonl:2: no field 'test_list'"):
        MBPP(path).items("test")


def test_plus(tmp_path: Path) -> None:
    SAMPLES["mbpp_plus"](tmp_path)
    [item] = MBPPPlus(tmp_path).items("test")
    assert item.target["public"] == [{"code": "assert add(1, 2) == 3", "scored": True}]
    assert item.target["hidden"][0]["inputs"] == [[0, 0], [5, 5]]
    assert "Write a function to add two numbers." in item.task.question
    assert "this test" in item.task.question
    assert "add(0, 0)" not in item.task.question


def test_plus_shows_assertions_that_are_no_plain_calls(tmp_path: Path) -> None:
    SAMPLES["mbpp_plus"](tmp_path)
    import gzip

    row = json.loads(gzip.decompress((tmp_path / "MbppPlus.jsonl.gz").read_bytes()))
    odd = "assert set(add((1,), (2,))) == {1, 2}"
    path = tmp_path / "odd.jsonl"
    path.write_text(json.dumps({**row, "prompt": f'"""\nJoin.\n{odd}\nassert add(\n"""\n'}))
    [item] = MBPPPlus(path).items("test")
    assert item.target["public"][0] == {"code": odd, "scored": False}
    assert item.target["hidden"][0]["inputs"] == [[1, 2], [0, 0], [5, 5]]


def test_the_published_file(shared_data: Path) -> None:
    path = shared_data / "mbpp" / "mbpp.jsonl"
    assert sum(1 for line in path.read_bytes().splitlines() if line.strip()) == 974
    bench = MBPP(path)
    test, dev = bench.items("test"), bench.items("dev")
    assert (len(test), len(dev)) == (500, 90)
    for item in [*test, *dev]:
        target = item.target
        assert bench.extract(f"So:\n```python\n{target['reference']}\n```") == target["reference"]
        assert f"def {target['entry_point']}" in target["reference"]
        assert len(target["public"]) >= 3
        public = {t["code"] for t in target["public"]}
        assert not public & {t["code"] for t in target["hidden"]}
