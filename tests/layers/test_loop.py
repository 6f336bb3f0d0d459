from __future__ import annotations

from typing import Any

import pytest

from archon.base import Shape
from archon.errors import ArchitectureError
from archon.layers import Call, Critique, Loop, Refine, Verify
from archon.model import Draw, Request
from archon.types import State, Task

BODY = Critique(model="fake/c", per="candidate") >> Refine(model="fake/r")
LENGTHS = {"a": 0.3, "ab": 0.9, "abb": 0.5}


def script(request: Request, draw: Draw) -> str:
    if request.model.model == "fake/c":
        return "Longer."
    prompt = request.messages[-1].content
    return next(text for text in ("abb", "ab") if f"\n{text[:-1]}\n" in prompt)


def length(text: str) -> float:
    return LENGTHS[text]


def test_rounds_and_what_returns(drive: Any, candidates: Any) -> None:
    out = drive(Loop(body=BODY, rounds=2), script, candidates("a"))
    assert out.texts == ["abb"]
    assert len(out.requests) == 4
    every = drive(Loop(body=BODY, rounds=2, returns="all"), script, candidates("a"))
    assert every.texts == ["ab", "abb"]
    body = BODY >> Call(function=length, as_="score")
    best = drive(Loop(body=body, rounds=2, returns="best"), script, candidates("a"))
    assert best.texts == ["ab"]


def test_until(drive: Any, candidates: Any) -> None:
    body = BODY >> Call(function=length, as_="score")
    out = drive(Loop(body=body, rounds=2, until="score>=0.8"), script, candidates("a"))
    assert out.texts == ["ab"]

    def judge(request: Request, draw: Draw) -> str:
        if request.model.model == "fake/v":
            return "[Correct]" if "\nab\n" in request.messages[-1].content else "[Incorrect]"
        return script(request, draw)

    verified = BODY >> Verify(model="fake/v")
    out = drive(Loop(body=verified, rounds=2, until="passed"), judge, candidates("a"))
    assert out.texts == ["ab"]


def test_agreed_compares_answers_of_two_rounds(drive: Any, candidates: Any) -> None:
    task = Task.of("6 * 7?", answer="number")
    numbers = iter(["41", "it is 42", "42.0", "43"])
    layer = Loop(body=Refine(model="fake/m"), rounds=4, until="agreed")
    out = drive(layer, lambda r, d: next(numbers), State(task, candidates("0")))
    assert out.texts == ["42.0"]


def test_bound_sums_rounds_over_the_growing_shape() -> None:
    body = Refine(model="fake/m", keep=True)
    bound = Loop(body=body, rounds=3).bound(Shape(candidates=1))
    assert (bound.calls, bound.candidates) == (1 + 2 + 4, 8)


def test_a_condition_needs_its_port_and_a_form() -> None:
    with pytest.raises(ArchitectureError, match="verdicts"):
        (Loop(body=BODY, until="passed") >> BODY).check()
    with pytest.raises(ValueError, match="score>=x"):
        Loop(body=BODY, until="perfect")
