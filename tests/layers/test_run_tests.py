"""Tests that are executed: scores, which tests count, early exit, agreement, feedback."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archon
from archon.backends.fake import Fake
from archon.base import LAYERS
from archon.base.build import parse
from archon.errors import ArchitectureError, ConfigError
from archon.layers import Generate, RunTests
from archon.layers.executing import Grid
from archon.layers.executing import Test as Column
from archon.model import Model
from archon.sandbox import SandboxUnavailable, SharedSandbox, Verdict, ladder
from archon.session import Session
from archon.testing import check_layer
from archon.types import State, Task

pytestmark = pytest.mark.usefixtures("executes")

GOOD = "```python\ndef f(x):\n    return x * x\n```"
SAME = "def f(n): return n ** 2"
HALF = "def f(x): return 2 * x"  # right for 2
BAD = "def f(x): return x"  # right for 1
NONE = "I cannot."
TESTS = ("assert f(2) == 4", "assert f(3) == 9")
SHOWN = Task.of("Square.", metadata={"code": {"entry_point": "f", "tests": [{"code": TESTS[1]}]}})


def state(candidates: Any, *texts: str, tests: tuple[str, ...] = TESTS, **rest: Any) -> State:
    task = rest.get("task", Task.of("Square.", metadata={"code": {"entry_point": "f"}}))
    return State(task, candidates(*texts), asserts=tests)


def notes(driven: Any) -> list[Any]:
    return [candidate.note("tests") for candidate in driven.state.candidates]


def test_scores_are_shares_of_tests_passed(drive: Any, candidates: Any) -> None:
    out = drive(RunTests(), None, state(candidates, GOOD, HALF, BAD, NONE))
    assert [(n.score, n.passed, n.results) for n in notes(out)] == [
        (1.0, True, (True, True)),
        (0.5, False, (True, False)),
        (0.0, False, (False, False)),
        (0.0, False, (None, None)),
    ]
    assert "2 of 2 tests passed (" in notes(out)[0].text
    assert "level" in notes(out)[0].text
    assert "assert f(3) == 9\n  fail: assertion failed; f(3) returned 6" in notes(out)[1].text
    assert not out.requests


def test_keep_threshold_and_none(drive: Any, candidates: Any) -> None:
    before = state(candidates, BAD, HALF, GOOD)
    assert drive(RunTests(keep="passed"), None, before).texts == [GOOD]
    assert drive(RunTests(keep="passed", threshold=0.5), None, before).texts == [HALF, GOOD]
    assert drive(RunTests(keep=2), None, before).texts == [GOOD, HALF]
    hopeless = state(candidates, BAD, NONE)
    assert drive(RunTests(keep="passed"), None, hopeless).texts == [BAD, NONE]
    out = drive(RunTests(keep="passed", none="nothing"), None, hopeless)
    assert (out.texts, out.state.reason) == ([], "no candidate passed the tests")


def test_a_test_that_a_stub_passes_carries_no_weight(drive: Any, candidates: Any) -> None:
    idle = ("assert f(0) == 0", "assert f(7) is None", "try: f(2)\nexcept Exception: pass")
    out = drive(RunTests(), None, state(candidates, GOOD, BAD, tests=(*idle, TESTS[0])))
    assert [n.score for n in notes(out)] == [1.0, 0.0]
    assert "3 of 4 tests carry no weight" in out.warnings[0]


def test_a_test_that_every_candidate_fails_carries_no_weight(drive: Any, candidates: Any) -> None:
    wrong = ("assert f(2) == 5", *TESTS)
    out = drive(RunTests(), None, state(candidates, GOOD, HALF, tests=wrong))
    assert [n.score for n in notes(out)] == [1.0, 0.5]
    # One candidate alone says nothing about the test.
    out = drive(RunTests(), None, state(candidates, GOOD, tests=wrong))
    assert notes(out)[0].score == pytest.approx(2 / 3)
    # What the task shows always counts.
    out = drive(RunTests(tests="task"), None, state(candidates, HALF, BAD, task=SHOWN))
    assert [(n.score, n.passed) for n in notes(out)] == [(0, False), (0, False)]


def test_without_a_test_that_counts_nobody_passes(drive: Any, candidates: Any) -> None:
    out = drive(RunTests(threshold=0), None, state(candidates, GOOD, tests=("assert f(0) == 0",)))
    assert (notes(out)[0].score, notes(out)[0].passed) == (0.0, False)


def test_tests_of_the_task_and_written_ones(drive: Any, candidates: Any) -> None:
    both = RunTests(tests=("task", "asserts"))
    before = state(candidates, HALF, GOOD, task=SHOWN, tests=(TESTS[0],))
    assert [n.score for n in notes(drive(both, None, before))] == [0.5, 1.0]


def test_own_tests_do_not_count_for_oneself_alone(drive: Any, candidates: Any) -> None:
    boast = "```python\ndef f(x): return x + 1\n```\n```python\nassert f(5) == 6\n```"
    honest = f"{GOOD}\n```python\nassert f(3) == 9\nassert f(5) == 25\n```"
    other = f"```python\n{HALF}\n```\n```python\nassert f(1) == 2\n```"
    layer = RunTests(tests="candidates")
    # What only its author passes tells nothing; nobody else passes the tests of `honest`.
    assert [n.score for n in notes(drive(layer, None, state(candidates, boast, honest)))] == [0, 0]
    # `boast` passes the test of `other` too, so that it counts for both, and against `honest`.
    out = drive(layer, None, state(candidates, boast, honest, other))
    assert [n.score for n in notes(out)] == [1, 0, 1]
    out = drive(layer, None, state(candidates, boast, honest, SAME))
    assert [n.score for n in notes(out)] == [0, 1, 1]


def test_agreement(drive: Any, candidates: Any) -> None:
    lone = "def f(x): return 9 if x == 3 else 0"
    tests = (*TESTS, "assert f(4) == 16", "assert f(1) == 7")
    before = state(candidates, HALF, GOOD, SAME, lone, tests=tests)
    out = drive(RunTests(method="agreement"), None, before)
    # Two of four agree on three of the three tests that count (nobody passes the last).
    assert [n.score for n in notes(out)] == [
        pytest.approx(1 * 1 / 12), pytest.approx(2 * 3 / 12), pytest.approx(2 * 3 / 12),
        pytest.approx(1 * 1 / 12),
    ]  # fmt: skip


def test_first_stops_early(drive: Any, candidates: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    check = SharedSandbox.check

    async def spy(self: SharedSandbox, module: str, *rest: Any, **more: Any) -> Any:
        tried.append(module)
        return await check(self, module, *rest, **more)

    monkeypatch.setattr(SharedSandbox, "check", spy)
    before = state(candidates, BAD, GOOD, HALF, SAME)
    out = drive(RunTests(first=1, keep="passed"), None, before)
    assert out.texts == [GOOD]
    assert [m for m in tried if "args" not in m] == [BAD, "def f(x):\n    return x * x"]
    out = drive(RunTests(first=1), None, before)
    assert [n is not None for n in notes(out)] == [True, True, False, False]


def test_equal_texts_run_once(drive: Any, candidates: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    check = SharedSandbox.check

    async def spy(self: SharedSandbox, module: str, *rest: Any, **more: Any) -> Any:
        tried.append(module)
        return await check(self, module, *rest, **more)

    monkeypatch.setattr(SharedSandbox, "check", spy)
    out = drive(RunTests(), None, state(candidates, GOOD, GOOD, BAD))
    assert len([m for m in tried if "args" not in m]) == 2
    assert [n.score for n in notes(out)] == [1, 1, 0]


def test_feedback_for_whoever_rewrites(drive: Any, candidates: Any) -> None:
    out = drive(RunTests(feedback=True), None, state(candidates, HALF, GOOD, NONE))
    said = [candidate.note("critique").text for candidate in out.state.candidates]
    assert "fails these tests:\nassert f(3) == 9\n  fail:" in said[0]
    assert said[1] == "The program passes all tests that were run."
    assert "no program could be read" in said[2]


def test_programs_with_classes_need_consent(drive: Any, candidates: Any) -> None:
    generator = "def f(x):\n    yield x * x"
    tests = ("assert next(f(2)) == 4",)
    strict = drive(RunTests(), None, state(candidates, generator, tests=tests))
    assert notes(strict)[0].passed is False
    loose = drive(RunTests(compatibility=True), None, state(candidates, generator, tests=tests))
    assert notes(loose)[0].passed is True


def test_programs_that_read(drive: Any, candidates: Any) -> None:
    shown = {"tests": [{"stdin": "3\n", "stdout": "9\n"}, {"stdin": "4\n", "stdout": "16\n"}]}
    before = state(
        candidates, "```python\nprint(int(input()) ** 2)\n```", "```python\nprint(9)\n```",
        task=Task.of("Square.", metadata={"code": shown}),
    )  # fmt: skip
    out = drive(RunTests(tests="task"), None, before)
    assert [n.score for n in notes(out)] == [1.0, 0.5]


def test_a_program_in_an_endless_loop(drive: Any, candidates: Any) -> None:
    endless = "def f(x):\n    while True: pass"
    out = drive(RunTests(seconds=0.3), None, state(candidates, endless, tests=TESTS[:1]))
    assert "timeout" in notes(out)[0].text


def test_without_tests_nothing_is_executed(drive: Any, candidates: Any) -> None:
    out = drive(RunTests(), None, state(candidates, GOOD, tests=()))
    assert out.warnings == ["there are no tests, so nothing was executed"]
    assert notes(out) == [None]


def test_what_is_missing_is_said_when_it_is_built() -> None:
    with pytest.raises(ArchitectureError, match="asserts"):
        parse({"stages": [{"generate": {"model": "fake/m"}}, "run_tests"]})
    with pytest.raises(ConfigError, match=r"shows no tests.*code_tests"):
        RunTests(tests="task").check_task(Task.of("Why?"))
    with pytest.raises(ConfigError, match="min_level"):
        parse(
            {"stages": [{"generate": {"model": "fake/m"}},
                        {"run_tests": {"tests": "task", "sandbox": {"min_level": 9}}}]}
        )  # fmt: skip


def test_it_is_refused_before_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "BACKENDS", ())
    fake = Fake()
    whole = Generate(model=Model("fake/m")) >> RunTests(tests="task")
    assert whole.bound().calls == 1  # planning needs no sandbox
    with (
        Session(pool=None, backends={"fake": fake}) as session,
        pytest.raises(SandboxUnavailable, match="archon sandbox"),
    ):
        archon.run(whole, SHOWN, session=session)
    with pytest.raises(SandboxUnavailable):
        whole.compile()
    assert not fake.requests


def test_every_contract_holds_for_tests_of_candidates() -> None:
    assert LAYERS.get("run_tests") is RunTests
    check_layer(RunTests(tests=("candidates",)), ["keeps_its_bound", "survives_garbage"])


outcomes = st.sampled_from([Verdict("", "pass"), Verdict("", "fail"), Verdict("", "oom"), None])


@given(st.data())
def test_a_row_never_changes_the_order_of_the_others(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(2, 5)), data.draw(st.integers(1, 5))
    verdicts = [[data.draw(outcomes) for _ in range(columns)] for _ in range(rows)]
    grid = Grid([Column(str(c), given=True) for c in range(columns)], verdicts, [1] * rows)
    order = data.draw(st.permutations(range(rows)))
    moved = Grid(grid.tests, [verdicts[row] for row in order], [1] * rows)
    assert [moved.share(place) for place in range(rows)] == [grid.share(row) for row in order]
    assert moved.agreement() == [grid.agreement()[row] for row in order]
    assert all(0 <= score <= 1 for score in (*grid.agreement(), *map(grid.share, range(rows))))
