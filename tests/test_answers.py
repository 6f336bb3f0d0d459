from __future__ import annotations

import time
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon import answers
from archon.plain import canonical
from archon.types import AnswerKind

KINDS: tuple[AnswerKind, ...] = ("text", "exact", "number", "choice", "json")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("#### 4\n#### 5", "5"),
        ("#### Result\nIt is \\boxed{\\frac{3}{4}}.", "3/4"),
        ("\\boxed{1{,}234}", "1234"),
        ("The answer is: $1,234.50 per year.\nBye 7", "1234.50"),
        ("First 3.\nThen 5 and 6 apples.\n", "6"),
        ("5-3", "3"),
        ("it is \u22127", "-7"),
        ("\u0663\u066b\u0665", "3.5"),
        ("\uff14\uff12", "42"),
        ("50%", "50"),
        ("2e3", "2000"),
    ],
)
def test_numbers(text: str, answer: str) -> None:
    assert answers.key(answers.extract(text, "number"), "number") == Fraction(answer)


@pytest.mark.parametrize(
    "text", ["", "none", "1/0", "9" * 10**6, "1e999999999", "(1,2)", "10\u00b2"]
)
def test_no_numbers(text: str) -> None:
    assert answers.key(answers.extract(text, "number"), "number") is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: C", "C"), ("I pick (b).", "B"), ("\\boxed{\\text{D}}", "D"), ("**E**", "E"),
        ("The answer is **(A) Paris**", "A"), ("B. Because", "B"), ("A dog is B", "B"),
        ("The answer is I think", None), ("A dog", None), ("A or B, C", None), ("", None),
    ],
)  # fmt: skip
def test_choices(text: str, answer: str | None) -> None:
    assert answers.extract(text, "choice") == answer


def test_text_json_and_same() -> None:
    assert answers.same("The Nile!", "nile", "text")
    assert not answers.same("The Nile", "nile", "exact")
    assert answers.same('{"b": 1.0, "a": [2]}', 'So:\n```json\n{"a": [2], "b": 1}\n```', "json")
    assert answers.extract('I say {"a": 1} then {"b": 2}', "json") == '{"b":2}'
    assert not any(answers.same(None, None, kind) for kind in KINDS)


@given(st.one_of(st.text(), st.text(alphabet="0123456789.,-/eE%$ #\\boxed{}[]()answer:is\n`")))
def test_total(text: str) -> None:
    for kind in KINDS:
        answer = answers.extract(text, kind)
        hash(answers.key(answer, kind))
        answers.key(text, kind)


@given(st.integers(-(10**30), 10**30))
def test_integers_round_trip(number: int) -> None:
    for text in (f"so #### {number}", f"{number:,}", f"\\boxed{{{number}}}"):
        assert answers.key(answers.extract(text, "number"), "number") == number


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_json_round_trip(value: Any) -> None:
    assert answers.extract(canonical(value), "json") == canonical(value)


@pytest.mark.parametrize(
    "unit",
    ["a", " ", "\n", "[", "{", "1,", "answer is ", "#### ", "\\boxed{", "\\frac{", "(A", "A ", "-",
     "$", "1.1e1", "\u0315\u0300", "```\n"],
)  # fmt: skip
def test_linear(unit: str) -> None:
    text = unit * (10**6 // len(unit))
    for kind in KINDS:
        began = time.process_time()
        answers.key(answers.extract(text, kind), kind)
        assert time.process_time() - began < 20
