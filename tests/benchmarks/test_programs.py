"""Programs are scored by running them: every form of test, every end, and what layers may see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import archon
from archon.backends.fake import Fake
from archon.base import ScoreContext, Scored
from archon.benchmarks.code_contests import CodeContests
from archon.benchmarks.evalplus import inputs_as_code, restored
from archon.benchmarks.humaneval import HumanEval, HumanEvalPlus
from archon.benchmarks.mbpp import MBPP, MBPPPlus
from archon.benchmarks.programs import ProgramBenchmark
from archon.code_tasks import CodeTask
from archon.errors import ConfigError
from archon.layers import Generate
from archon.model import Model
from archon.sandbox import SandboxFailed, SandboxUnavailable, SharedSandbox, ladder
from archon.session import Session
from tests.benchmarks.samples_code import SAMPLES, problem


def made(kind: Callable[..., ProgramBenchmark], folder: Path, **options: Any) -> ProgramBenchmark:
    SAMPLES[kind.name](folder)  # type: ignore[attr-defined]
    return kind(folder, **options)


def score(bench: ProgramBenchmark, text: str | None, place: int = 0) -> Scored:
    item = bench.items("test")[place]
    return asyncio.run(bench.score(item, text, ScoreContext()))


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("```python\ndef double(n):\n    return n + n\n```", "pass"),
        ("    return n + n", "pass"),
        ("    return 2 * math.floor(n)", "pass"),  # the prompt imports it
        ("def double(n):\n    return n + 2", "fail"),  # right for the example only
        ("def double(n):\n    return 1 / 0", "error"),
        ("def double(n):\n    while True: pass", "timeout"),
        ("import os\ndef double(n):\n    os._exit(0)", "killed"),
        ("class Any:\n    __eq__ = lambda *_: True\ndef double(n):\n    return Any()", "protocol"),
        ("def double(n:", "error"),
        ("I cannot do that.", "no program"),
        (None, "no program"),
    ],
)
def test_how_a_program_ends(
    tmp_path: Path, reply: str | None, outcome: str, monkeypatch: pytest.MonkeyPatch, executes: None
) -> None:
    if outcome == "timeout":
        monkeypatch.setattr(HumanEval, "seconds", 0.5)
    scored = score(made(HumanEval, tmp_path), reply)
    assert scored.value == float(outcome == "pass")
    assert scored.detail["outcome"] == outcome
    if outcome != "no program":
        assert scored.detail["level"] >= 2
        assert scored.detail["policy"]


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (HumanEvalPlus, "def double(n): return 2 * n", "def double(n): return 2 * min(n, 100)"),
        (MBPP, "def add(a, b): return a + b", "def add(a, b): return a - b"),
        (MBPPPlus, "def add(a, b): return a + b", "def add(a, b): return 3"),
        (CodeContests, "print(2 * int(input()))", "print(4)"),
    ],
)
def test_every_form_of_test(
    tmp_path: Path,
    kind: Callable[..., ProgramBenchmark],
    right: str,
    wrong: str,
    executes: None,
) -> None:
    bench = made(kind, tmp_path)
    assert score(bench, f"```python\n{right}\n```").value == 1
    assert score(bench, f"```python\n{wrong}\n```").value == 0


def test_a_program_that_reads_and_writes_named_files(tmp_path: Path, executes: None) -> None:
    import pyarrow
    from pyarrow import parquet

    row = problem("files", input_file="in.txt", output_file="out.txt")
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "test.parquet")
    bench = CodeContests(tmp_path)
    program = """```python
from __future__ import annotations
with open("in.txt") as source, open("out.txt", "w") as sink:
    print(2 * int(source.read()), file=sink)
```"""
    assert score(bench, program).value == 1
    assert score(bench, program.replace("in.txt", "other.txt")).value == 0


def test_time_limits_can_be_stretched(tmp_path: Path) -> None:
    bench = made(CodeContests, tmp_path, time_factor=4)
    [item, *_] = bench.items("test")
    assert CodeTask.of(item.task).seconds == 10
    assert bench.digest() != CodeContests(tmp_path).digest()
    with pytest.raises(ConfigError, match="time_factor"):
        CodeContests(tmp_path, time_factor=0)


def test_layers_are_told_what_the_task_shows(tmp_path: Path) -> None:
    told = CodeTask.of(made(HumanEval, tmp_path).items("test")[0].task)
    assert told.entry_point == "double"
    assert told.tests == [{"code": "assert double(2) == 4"}, {"code": "assert double(-1) == -2"}]
    assert "candidate(5)" not in repr(told)


def test_layers_get_no_test_where_those_shown_are_the_score(tmp_path: Path) -> None:
    [item, *_] = made(MBPP, tmp_path).items("test")
    assert "assert add(" in item.task.question
    assert CodeTask.of(item.task).tests == ()


@pytest.mark.parametrize(
    ("number", "arguments", "expected"),
    [
        (2, [[1, 2], [3]], [(1, 2), (3,)]),
        (63, [[[1, 2], [3, 4]]], [[(1, 2), (3, 4)]]),
        (75, [[[1, 2]], 3], [[(1, 2)], 3]),
        (106, [[1], [2]], [[1], (2,)]),
        (115, [[[1, 1], []]], [[{1}, {}]]),
        (124, ["1.5", "1j"], [1.5, 1j]),
        (252, ["1j"], [1j]),
        (259, [[[1], [2]]], [((1,), (2,))]),
        (307, [[1], 2, 3], [(1,), 2, 3]),
        (580, [[1, [2, [3]]]], [(1, (2, (3,)))]),
        (722, [{"a": [1, 2]}, 3, 4], [{"a": (1, 2)}, 3, 4]),
        (3, [[1, 2]], [[1, 2]]),
    ],
)
def test_arguments_that_json_cannot_hold(
    number: int, arguments: Sequence[Any], expected: Sequence[Any]
) -> None:
    assert restored(number, arguments) == expected


def test_arguments_of_another_form() -> None:
    with pytest.raises(ConfigError, match=r"task 63 of MBPP\+"):
        restored(63, [5])


def compare(name: str, reference: str, found: str, arguments: str, atol: float = 0) -> bool:
    """Run the comparison in this process: both functions are of this file."""
    target = {"prompt": "", "reference": f"def {name}(*a): return {reference}", "entry_point": name}
    test = {"inputs": eval(arguments), "atol": atol, "scored": True}
    names: dict[str, Any] = {}
    exec(f"def {name}(*a): return {found}", names)
    try:
        for code in inputs_as_code(target, test):
            exec(code["code"], names)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "reference", "found", "arguments", "atol", "right"),
    [
        ("f", "a[0]", "a[0]", "[[1], [2]]", 0, True),
        ("f", "a[0]", "1", "[[1], [2]]", 0, False),
        ("f", "0.1 + 0.2", "0.3", "[[]]", 0, True),
        ("f", "[0.1 + 0.2]", "[0.3]", "[[]]", 0, True),
        ("f", "[0.1 + 0.2]", "(0.3,)", "[[]]", 0, False),
        ("f", "[0.1 + 0.2]", "[0.3, 0.3]", "[[]]", 0, False),
        ("f", "1.0", "1.01", "[[]]", 0, False),
        ("f", "1.0", "1.01", "[[]]", 0.1, True),
        ("f", "float('nan')", "float('nan')", "[[]]", 0.1, True),
        ("f", "float('inf')", "1e300", "[[]]", 0.1, False),
        ("f", "1.0", "'1.0'", "[[]]", 0, False),
        ("f", "1.0", "None", "[[]]", 0, False),
        ("f", "[1, 2]", "[2, 1]", "[[]]", 0, False),
        ("Diff", "[1, 2]", "[2, 1, 1]", "[[]]", 0, True),
        ("check_str", "None", "False", "[[]]", 0, True),
        ("check_str", "'match'", "True", "[[]]", 0, True),
        ("check_str", "'match'", "None", "[[]]", 0, False),
        ("are_equivalent", "True", "False", "[[]]", 0, True),
        ("sum_div", "7", "0", "[[]]", 0, True),
        ("sum_div", "7", "1", "[[]]", 0, False),
        ("find_zero", "9.0", "-2.0", "[[[2, 1]]]", 1e-4, True),  # of 2 + x
        ("find_zero", "-2.0", "9.0", "[[[2, 1]]]", 1e-4, False),
        ("digit_distance_nums", "99", "2", "[[23, 14]]", 0, True),  # |2 - 1| + |3 - 4|
        ("digit_distance_nums", "99", "9", "[[23, 14]]", 0, False),
        ("surface_Area", "0", "33", "[[3, 4]]", 0, False),
    ],
)
def test_how_results_are_compared(
    name: str, reference: str, found: str, arguments: str, atol: float, *, right: bool
) -> None:
    assert compare(name, reference, found, arguments, atol) is right


def test_many_inputs_are_cut_into_tests() -> None:
    target = {"prompt": "", "reference": "", "entry_point": "f"}
    tests = list(
        inputs_as_code(target, {"inputs": [[n] for n in range(60)], "atol": 0, "scored": 1})
    )
    assert len(tests) == 3
    long = list(inputs_as_code(target, {"inputs": [["x" * 70_000]] * 3, "atol": 0, "scored": 1}))
    assert [len(test["code"]) < 120_000 for test in long] == [True] * 3


def test_nothing_is_asked_where_nothing_may_be_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "BACKENDS", ())
    fake = Fake(lambda *_: "def double(n): return 2 * n")
    bench = made(HumanEval, tmp_path)
    with (
        Session(pool=None, backends={"fake": fake}) as session,
        pytest.raises(SandboxUnavailable, match="archon sandbox"),
    ):
        archon.evaluate(Generate(model=Model("fake/x")), bench, session=session)
    assert not fake.requests


def test_a_sandbox_that_fails_is_not_the_programs_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executes: None
) -> None:
    async def fail(*_: object, **__: object) -> object:
        raise SandboxFailed("6 fresh sandboxes failed: no memory")

    monkeypatch.setattr(SharedSandbox, "check", fail)
    fake = Fake(lambda *_: "def double(n): return 2 * n")
    with Session(pool=None, backends={"fake": fake}) as session:
        found = archon.evaluate(
            Generate(model=Model("fake/x")), made(HumanEval, tmp_path), session=session
        )
    assert [row.lost for row in found.rows] == ["infrastructure"] * 2
    assert "no memory" in found.rows[0].error


def test_an_evaluation(tmp_path: Path, executes: None) -> None:
    def says(request: Any, draw: Any) -> str:
        if "double" in request.messages[-1].content:
            return "```python\ndef double(n):\n    return 2 * n\n```"
        return "```python\ndef negate(values):\n    return values\n```"

    with Session(pool=None, backends={"fake": Fake(says)}) as session:
        found = archon.evaluate(
            Generate(model=Model("fake/x")), made(HumanEval, tmp_path), session=session
        )
    assert [row.score for row in found.rows] == [1, 0]
    assert [(f.name, f.value) for f in found.figures] == [("fail", 50.0)]
    assert json.dumps(found.to_json())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_level": 4}, "humaneval: `min_level`"),
        ({"allow_unsafe_execution": "yes"}, "humaneval: `allow_unsafe_execution`"),
    ],
)
def test_options_of_the_sandbox(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(HumanEval, tmp_path, **options)
