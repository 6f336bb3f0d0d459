"""HumanEval and HumanEval+: what is shown, what is hidden, and that nothing is executed yet."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from archon.benchmarks.humaneval import HumanEval, HumanEvalPlus
from archon.errors import ConfigError
from tests.benchmarks.samples_code import SAMPLES


@pytest.fixture
def bench(tmp_path: Path) -> HumanEval:
    SAMPLES["humaneval"](tmp_path)
    return HumanEval(tmp_path)


def test_the_task_shows_the_prompt_and_nothing_of_the_tests(bench: HumanEval) -> None:
    first, second = bench.items("test")
    assert "def double(n: int)" in first.task.question
    assert "candidate" not in first.task.question
    assert "return 2 * n" not in first.task.question
    assert (first.task.id, second.task.id) == ("HumanEval/0", "HumanEval/1")


def test_public_and_hidden_tests_are_disjoint_and_together_the_official_ones(
    bench: HumanEval,
) -> None:
    target = bench.items("test")[0].target
    assert target["public"] == [
        {"code": "assert double(2) == 4", "scored": True},
        {"code": "assert double(-1) == -2", "scored": False},  # not part of `check`
    ]
    [hidden] = target["hidden"]
    assert hidden["scored"]
    assert "candidate(2) == 4" not in hidden["code"]
    assert "candidate(5) == 10" in hidden["code"]
    assert hidden["code"].endswith("check(double)\n")


def run(module: str, target: Any) -> bool:
    """Run all scored tests; the programs here are those of the publication or of this file."""
    namespace: dict[str, Any] = {}
    try:
        exec(module, namespace)
        for test in [*target["public"], *target["hidden"]]:
            if test["scored"]:
                exec(test["code"], namespace)
    except Exception:  # a wrong program may fail in any way
        return False
    return True


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("```python\ndef double(n):\n    return n + n\n```", True),
        ("    return n + n", True),
        ("```python\ndef double(n):\n    return n + 2\n```", False),  # right for the example only
        ("```python\ndef double(n):\n    return 10 if n == 5 else 0\n```", False),  # hidden only
    ],
)
def test_the_scored_tests_decide_as_the_official_one(
    bench: HumanEval, reply: str, *, right: bool
) -> None:
    item = bench.items("test")[0]
    module = bench.module(item, reply)
    assert module is not None
    assert run(module, item.target) is right


def test_a_reply_without_a_program(bench: HumanEval) -> None:
    assert bench.extract("I cannot.") is None
    assert bench.module(bench.items("test")[0], "I cannot.") is None


def test_a_test_of_several_lines_leaves_the_others(tmp_path: Path) -> None:
    prompt = 'def f(x):\n    """\n    >>> f([1,\n    ...    2])\n    3\n    """\n'
    check = (
        "def check(candidate):\n    assert candidate([\n        1, 2\n    ]) == 3\n"
        "    for i in range(3):\n        assert candidate([i, 0]) == i\n"
    )
    row = {"task_id": "a", "prompt": prompt, "entry_point": "f", "test": check}
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({**row, "canonical_solution": "    return sum(x)\n"}))
    [item] = HumanEval(path).items("test")
    assert item.target["public"] == [{"code": "assert f([1, 2]) == 3", "scored": True}]
    assert "candidate([\n" not in item.target["hidden"][0]["code"]
    assert "candidate([i, 0]) == i" in item.target["hidden"][0]["code"]
    assert run("def f(x):\n    return sum(x)", item.target)
    assert not run("def f(x):\n    return 3", item.target)


def test_plus(tmp_path: Path) -> None:
    SAMPLES["humaneval_plus"](tmp_path)
    bench = HumanEvalPlus(tmp_path)
    [item] = bench.items("test")
    assert [test["scored"] for test in item.target["public"]] == [True, False]
    assert item.target["hidden"] == [
        {"inputs": [[5], [0], [10**20]], "atol": 0, "scored": True}
    ]  # fmt: skip
    assert item.target["reference"] == "    return 2 * n\n"


def test_plus_without_further_inputs(tmp_path: Path) -> None:
    SAMPLES["humaneval_plus"](tmp_path)
    path = tmp_path / "HumanEvalPlus.jsonl.gz"
    row = json.loads(gzip.decompress(path.read_bytes()))
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({**row, "plus_input": {}}))
    [item] = HumanEvalPlus(other).items("test")
    assert item.target["hidden"][0]["inputs"] == [[5]]
    other.write_text(json.dumps({**row, "plus_input": 3}))
    with pytest.raises(ConfigError, match=r"other.jsonl:1: field 'plus_input' must be a list"):
        HumanEvalPlus(other).items("test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": None}, r"HumanEval.jsonl:1: field 'prompt' must be str, got NoneType"),
        ({"entrypoint": "f", "entry_point": 3}, "field 'entry_point' must be str"),
    ],
)
def test_a_malformed_row(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    row = {"task_id": "a", "prompt": "", "entry_point": "f", "test": "", "canonical_solution": ""}
    path = tmp_path / "HumanEval.jsonl"
    path.write_text(json.dumps(row | change))
    with pytest.raises(ConfigError, match=message):
        HumanEval(path).items("test")


def test_source_that_is_no_python_is_kept_as_it_stands(tmp_path: Path) -> None:
    row = {"prompt": "def f(", "entry_point": "f", "test": "def check(", "canonical_solution": ""}
    path = tmp_path / "odd.jsonl"
    path.write_text(json.dumps({"task_id": "a", **row}))
    [item] = HumanEval(path).items("test")
    assert item.target["public"] == []
    assert item.target["hidden"][0]["code"].startswith("def check(")


def test_the_published_file(shared_data: Path) -> None:
    bench = HumanEval(shared_data / "humaneval" / "HumanEval.jsonl.gz")
    items = bench.items("test")
    assert len(items) == 164
    assert len({item.task.id for item in items}) == 164
    for item in items:
        target = item.target
        fenced = f"```python\n{target['reference']}\n```"
        assert bench.extract(fenced) == target["reference"]
        module = bench.module(item, fenced)
        assert module is not None
        assert run(module, target), item.task.id
        assert not run(f"def {target['entry_point']}(*_): return object()", target)
        assert item.task.question.count(target["prompt"].strip()) == 1


def _plain(code: str) -> str:
    return re.sub(r"\s", "", code).replace('"', "'")


def test_examples_of_the_published_file_are_taken_out_of_the_tests(shared_data: Path) -> None:
    path = shared_data / "humaneval" / "HumanEval.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines()
    official = [json.loads(line)["test"] for line in lines]
    repeated = 0
    for test, item in zip(official, HumanEval(path).items("test"), strict=True):
        name, hidden = item.target["entry_point"], item.target["hidden"][0]["code"]
        for shown in item.target["public"]:
            call = _plain(shown["code"]).replace(f"assert{name}(", "assertcandidate(", 1)
            assert shown["scored"] == (_followed(call) in _ended(test)), item.task.id
            assert _followed(call) not in _ended(hidden)
            repeated += shown["scored"]
    assert repeated > 80


def _followed(call: str) -> str:
    return f"{call};"


def _ended(test: str) -> str:
    """Return a test without spaces, with a sign behind each statement."""
    joined = re.sub(r",?\s*\n\s*(?!\s|assert|def|if|for|#|check|pass)", "", test)
    message = r"(?:\s*,\s*(?:\"[^\"]*\"|'[^'\n]*'))?\s*(?:#[^\n]*)?\n"
    return _plain(re.sub(message, ";\n", joined + "\n"))
