from __future__ import annotations

from typing import Any

from archon.layers import TestEval
from archon.model import Draw, Request
from archon.types import State, Task

RESULTS = {
    "all": "Test #1: [Passed]\nTest #2: [Passed]",
    "half": "Test #1: it holds [Passed]\nTest #2: Failed, does not pass. [Failed]",
    "none": "Test #1: [Failed]\nTest #2: [Failed]",
    "lost": "This passage surpasses everything.",
    "part": "Test #1: [Passed]",
}


def script(request: Request, draw: Draw) -> str:
    prompt = request.messages[-1].content
    return next(reply for text, reply in RESULTS.items() if f"\n{text}\n" in prompt)


def state(candidates: Any, *texts: str) -> State:
    return State(Task.of("Q?"), candidates(*texts), tests=("The answer a.", "The answer b."))


def test_matrix_and_one_unscorable_shifts_no_other(drive: Any, candidates: Any) -> None:
    out = drive(TestEval(model="fake/m"), script, state(candidates, "lost", "all", "half", "part"))
    notes = [c.note("tests") for c in out.state.candidates]
    assert notes[0] is None
    assert [(n.score, n.passed, n.results) for n in notes[1:]] == [
        (1.0, True, (True, True)), (0.5, False, (True, False)), (0.5, False, (True, None)),
    ]  # fmt: skip
    assert out.unparsed == 6  # the lost and the partial one, three times each


def test_keep_first_and_threshold(drive: Any, candidates: Any) -> None:
    before = state(candidates, "none", "half", "all", "lost")
    best = drive(TestEval(model="fake/m", keep=2), script, before)
    assert best.texts == ["all", "half"]
    lower = drive(TestEval(model="fake/m", keep="passed", threshold=0.5), script, before)
    assert lower.texts == ["half", "all"]
    first = drive(TestEval(model="fake/m", first=1), script, before)
    assert len(first.requests) == 3  # the lost one is never asked
    only = drive(TestEval(model="fake/m", first=1, keep="passed"), script, before)
    assert only.texts == ["all"]


def test_without_tests_nothing_is_judged(drive: Any, candidates: Any) -> None:
    out = drive(TestEval(model="fake/m"), script, State(Task.of("Q?"), candidates("all")))
    assert (len(out.requests), len(out.warnings)) == (0, 1)
