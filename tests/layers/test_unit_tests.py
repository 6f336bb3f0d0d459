from __future__ import annotations

from typing import Any

import pytest

from archon.errors import NodeError
from archon.layers import UnitTests
from archon.types import State, Task


def test_tests_go_into_the_state_and_never_into_the_messages(drive: Any) -> None:
    task = Task.of("Q?", system="Be brief.")
    reply = 'Thinking.\n["The answer is short.", "The answer says 42."]'
    out = drive(UnitTests(model="fake/m", count=2), lambda r, d: reply, State(task))
    assert out.state.tests == ("The answer is short.", "The answer says 42.")
    assert out.state.task == task
    assert "Be brief." in out.prompts[0]


def test_too_few_are_asked_again(drive: Any) -> None:
    replies = iter(['["The answer a."]', "1. The answer a.\n2. The answer b.\n3. More."])
    out = drive(UnitTests(model="fake/m", count=2), lambda r, d: next(replies), ())
    assert out.state.tests == ("The answer a.", "The answer b.")
    assert out.unparsed == 1


def test_nothing_to_read(drive: Any) -> None:
    out = drive(UnitTests(model="fake/m"), lambda r, d: "No.", ())
    assert (out.state.tests, out.unparsed) == ((), 3)
    assert out.warnings
    with pytest.raises(NodeError, match="unparsed: fail"):
        drive(UnitTests(model="fake/m", unparsed="fail"), lambda r, d: "No.", ())


def test_a_range_takes_fewer_too(drive: Any) -> None:
    three = "1. The answer a.\n2. The answer b.\n3. The answer c."
    layer = UnitTests(model="fake/m", count=5, least=3)
    out = drive(layer, lambda r, d: three, ())
    assert len(out.state.tests) == 3
    assert "Write 3 to 5 statements" in out.prompts[0]
    assert drive(layer, lambda r, d: "1. The answer a.\n2. The answer b.", ()).state.tests == ()
    six = "\n".join(f"{i}. The answer {i}." for i in range(1, 7))
    assert len(drive(layer, lambda r, d: six, ()).state.tests) == 5


def test_the_range_is_in_order() -> None:
    with pytest.raises(ValueError, match=r"`least` \(6\) is more than `count` \(5\)"):
        UnitTests(model="fake/m", least=6)
