"""Tests are read from whatever a model writes."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.asserts import asserts

FENCED = """First the edge cases.
```python
import math

values = [1, 2]
assert f([]) == 0, "empty"
assert f(values) == 3
assert math.isclose(f([0.5]), 0.5)
```
That is all: assert f([9]) == 9."""


def test_a_block_with_what_its_tests_use() -> None:
    first, second, third = asserts(FENCED, "f")
    assert "assert f([]) == 0" in first
    assert second.splitlines()[-1] == "assert f(values) == 3"
    for test in (first, second, third):
        assert test.startswith("import math\nvalues = [1, 2]\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("assert f(1) == 2\nassert f(2) == 3", ["assert f(1) == 2", "assert f(2) == 3"]),
        ("Tests:\nassert f(1) == 2\nDone.", ["assert f(1) == 2"]),
        ("```\nassert f(1)==2\n```", ["assert f(1) == 2"]),
        ("```python\nassert f(1) == 2\nassert f(1)  ==  2\n```", ["assert f(1) == 2"]),
        ("```python\nassert f(1) == 2\nassert f(2) ==\n```", ["assert f(1) == 2"]),
        ("```python\nassert f(\n    1,\n) == 2\n```", ["assert f(1) == 2"]),
        ("assert g(1) == 2", []),
        ("assert True", []),
        ("assert f", ["assert f"]),
        ("No tests, sorry.", []),
        ("", []),
    ],
)
def test_forms(text: str, expected: list[str]) -> None:
    assert list(asserts(text, "f")) == expected


def test_without_an_entry_point_anything_called_is_a_test() -> None:
    assert asserts("assert g(1) == 2\nassert 1 == 1") == ("assert g(1) == 2",)


def test_functions_named_test_are_one_test_each() -> None:
    [test] = asserts("```python\ndef test_one():\n    x = f(1)\n    assert x == 2\n```", "f")
    assert test.splitlines()[0] == "def test_one():"
    assert test.splitlines()[-1] == "test_one()"


def test_a_solution_does_not_come_along() -> None:
    reply = "```python\ndef f(x):\n    return x\n\nassert f(1) == 1\n```"
    assert asserts(reply, "f") == ("assert f(1) == 1",)


def test_no_more_than_wanted() -> None:
    assert len(asserts("\n".join(f"assert f({n}) == 1" for n in range(9)), "f", 4)) == 4


@pytest.mark.parametrize(
    "text",
    ["assert f(" + "(" * 5000, "assert " + "-" * 20_000 + "f(1)", "assert f(1)" + "+1" * 9_000,
     "```python\n" + "[" * 40_000, "assert f('\x00') == 1", "assert f('\ud800') == 1"],
)  # fmt: skip
def test_hostile_nesting(text: str) -> None:
    assert len(asserts(text, "f")) <= 1


@given(st.text(alphabet=" \n`assert=f()1:pythondef[]\"'#", max_size=200))
def test_anything_is_read_and_what_is_read_is_python(text: str) -> None:
    for test in asserts(text, "f"):
        ast.parse(test)
        assert "f" in test
