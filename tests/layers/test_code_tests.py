"""Tests as code: what is asked, what is read, and what becomes of several replies."""

from __future__ import annotations

from typing import Any

import pytest

from archon.errors import NodeError
from archon.layers import CodeTests
from archon.model import Draw, Request
from archon.types import State, Task

TASK = Task.of("Write `double`.", metadata={"code": {"entry_point": "double"}})


def test_the_prompt_names_the_function_and_quotes_the_task(drive: Any) -> None:
    out = drive(CodeTests(model="fake/m", count=3), lambda *_: "assert double(1) == 2", State(TASK))
    [prompt] = out.prompts
    assert "Write 3 assertions" in prompt
    assert "that call `double`" in prompt
    assert "\nWrite `double`.\n" in prompt
    assert out.state.asserts == ("assert double(1) == 2",)


def test_replies_are_put_together_and_equal_tests_count_once(drive: Any) -> None:
    def script(request: Request, draw: Draw) -> str:
        return f"assert double(0) == 0\nassert double({draw.number}) == {2 * draw.number}"

    out = drive(CodeTests(model="fake/m", samples=3), script, State(TASK))
    assert sorted(draw for _, draw in out.draws) == [0, 1, 2]
    assert out.state.asserts == (
        "assert double(0) == 0", "assert double(1) == 2", "assert double(2) == 4",
    )  # fmt: skip


def test_a_reply_without_tests_is_asked_again(drive: Any) -> None:
    def script(request: Request, draw: Draw) -> str:
        return "assert double(1) == 2" if request.retry == 2 else "assert triple(1) == 3"

    out = drive(CodeTests(model="fake/m"), script, State(TASK))
    assert (len(out.requests), out.unparsed) == (3, 2)
    assert out.state.asserts == ("assert double(1) == 2",)


def test_no_tests_at_all(drive: Any) -> None:
    out = drive(CodeTests(model="fake/m", reasks=0), lambda *_: "No.", State(TASK))
    assert out.state.asserts == ()
    assert "no tests could be read" in out.warnings[0]
    with pytest.raises(NodeError, match="no tests could be read"):
        drive(CodeTests(model="fake/m", reasks=0, unparsed="fail"), lambda *_: "No.", State(TASK))
