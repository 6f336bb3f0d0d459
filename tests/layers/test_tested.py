"""Layers that show the unit tests of the state with the question."""

from __future__ import annotations

from typing import Any

import pytest

from archon.base import Shape
from archon.errors import ArchitectureError
from archon.layers import Critique, Fuse, Generate, Rank, TestEval, UnitTests, Verify
from archon.model import Model
from archon.types import Note, State, Task

TESTS = ("The answer is MARK.", "The answer is short.")
MODEL = Model("fake/m", max_tokens=50)
LAYERS = [
    Generate(model=MODEL, with_tests=True),
    Fuse(model=MODEL, with_tests=True),
    Critique(model=MODEL, with_tests=True),
    Critique(model=MODEL, with_tests=True, per="candidate"),
    Rank(model=MODEL, with_tests=True),
    Rank(model=MODEL, with_tests=True, method="points"),
    Verify(model=MODEL, with_tests=True),
]


def name(layer: Any) -> str:
    return f"{layer.kind}-{layer.settings().get('method', layer.settings().get('per', ''))}"


@pytest.mark.parametrize("layer", LAYERS, ids=name)
def test_the_tests_stand_in_the_question_of_every_prompt(
    drive: Any, candidates: Any, layer: Any
) -> None:
    task = Task.of("Q?", system="Be brief.")
    state = State(task, candidates=candidates("a", "b"), tests=TESTS)
    out = drive(layer, lambda r, d: "[Correct]", state)
    assert out.prompts
    assert all(prompt.count("MARK") == 1 for prompt in out.prompts)
    assert all("Q?" in prompt for prompt in out.prompts)
    assert out.state.task == task
    plain = layer.model_copy(update={"with_tests": False})
    assert not any("MARK" in p for p in drive(plain, lambda r, d: "[Correct]", state).prompts)


def test_the_evaluator_shows_them_twice_on_request(drive: Any, candidates: Any) -> None:
    state = State(Task.of("Q?"), candidates=candidates("a"), tests=TESTS)
    for shown, times in ((False, 1), (True, 2)):
        out = drive(TestEval(model="fake/m", with_tests=shown), lambda r, d: "?", state)
        assert {prompt.count("MARK") for prompt in out.prompts} == {times}


@pytest.mark.parametrize("layer", LAYERS, ids=name)
def test_they_are_needed_and_cost_tokens(layer: Any) -> None:
    with pytest.raises(ArchitectureError, match=r"needs? 'tests'.*`unit_tests`"):
        (Generate(model="fake/m") >> layer).check()
    (UnitTests(model="fake/m") >> Generate(model="fake/m") >> layer).check()
    plain = layer.model_copy(update={"with_tests": False})
    shape = Shape(candidates=2, candidate_tokens=10, tests=2, test_tokens=500)
    more = layer.bound(shape).input_tokens - plain.bound(shape).input_tokens
    assert more >= 500
    unknown = shape.replace(test_tokens=None)
    assert layer.bound(unknown).input_tokens is None


def test_critiques_can_be_kept_from_a_fuser(drive: Any, candidates: Any) -> None:
    given = candidates("a", "b", notes=[Note("critique", text="MARK")] * 2)
    for shown in (True, False):
        [prompt] = drive(Fuse(model="fake/m", with_critiques=shown), None, given).prompts
        assert ("MARK" in prompt) is ("with reviews" in prompt) is shown
