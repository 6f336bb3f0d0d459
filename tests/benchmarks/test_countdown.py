"""Expressions, and puzzles whose answers are expressions."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archon.base import ScoreContext
from archon.benchmarks import Countdown
from archon.benchmarks.countdown import LEVELS, problems, verdict
from archon.benchmarks.expressions import LONGEST, parse

Part = tuple[str, Fraction, list[int]]


def joined(pair: tuple[Part, str, Part]) -> Part:
    """A bracketed operation with its value and numbers, computed apart from the parser."""
    (left, x, first), sign, (right, y, second) = pair
    value = {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y else None}[sign]
    assert value is not None
    return f"({left} {sign} {right})", value, first + second


numbers = st.integers(0, 999).map(lambda n: (str(n), Fraction(n), [n]))
expressions = st.recursive(
    numbers,
    lambda part: (
        st.tuples(part, st.sampled_from("+-*/"), part)
        .filter(lambda pair: pair[1] != "/" or pair[2][1] != 0)
        .map(joined)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(expressions)
def test_bracketed_expressions_are_computed_exactly(part: Part) -> None:
    text, value, used = part
    found = parse(text)
    assert found.value == value
    assert list(found.numbers) == used


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 99)), max_size=9))
def test_precedence_is_that_of_python(parts: list[tuple[str, int]]) -> None:
    text = "7" + "".join(f" {sign} {number}" for sign, number in parts)
    assert parse(text).value == eval(text)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="0123456789+-*/() =x.\u00d7[]", max_size=40) | st.text(max_size=60))
def test_any_text_is_an_expression_or_a_reason(text: str) -> None:
    try:
        found = parse(text)
    except ValueError as error:
        reason = str(error)
    else:
        reason = "" if found.numbers else "no numbers"
    assert reason != "no numbers"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8 - 2 - 1", 5),
        ("100 / 5 / 2", 10),
        ("2 * (3 + 4) = 14", 14),
        ("[3 + 1] \u00d7 2", 8),
        ("9 \u00f7 2", Fraction(9, 2)),
        ("((((7))))", 7),
        ("(" * 190 + "1" + ")" * 190, 1),
    ],
)
def test_values_by_hand(text: str, value: Fraction) -> None:
    assert parse(text).value == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no expression"),
        (" = 5", "no expression"),
        ("3 + x", "cannot read 'x'"),
        ("3 ** 2", "a number is missing before '*'"),
        ("-3 + 5", "a number is missing before '-'"),
        ("3 4", "an operator is missing before 4"),
        ("3 (4)", r"an operator is missing before \("),
        ("(3 + 4", "an opening bracket without a closing one"),
        ("3 + 4)", "a closing bracket without an opening one"),
        ("3 +", "it ends without a number"),
        ("3 / (2 - 2)", "a division by zero"),
        ("1+" * LONGEST + "1", "longer than 400 characters"),
    ],
)
def test_reasons(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(text)


@pytest.mark.parametrize(
    ("answer", "right", "why"),
    [
        ("(8 - 3) * 4", True, ""),
        ("4 * (8 - 3) = 20", True, ""),
        ("`4 * (8 - 3)`.", True, ""),
        ("8 + 8 + 4", False, "it uses 8 2 times, but 8 is given once"),
        ("5 * 4", False, "it uses 5, which is not given"),
        ("20", False, "it uses 20, which is not given"),
        ("8 - 3 * 4", False, "it equals -4, not 20"),
        ("8 / 3 * 4", False, "it equals 32/3, not 20"),
        ("twenty", False, "cannot read 't'"),
        (None, False, "no expression"),
    ],
)
def test_verdicts_by_hand(answer: str | None, right: bool, why: str) -> None:
    assert verdict(answer, [8, 3, 4], 20) == (right, why)


def test_a_number_given_twice_may_be_used_twice() -> None:
    assert verdict("8 + 8", [8, 8, 3], 16)[0]
    assert verdict("8 + 8 + 8", [8, 8, 3], 24)[1] == ("it uses 8 3 times, but 8 is given 2 times")


def reachable(numbers: tuple[Fraction, ...]) -> set[Fraction]:
    """Every value of every expression over some of the numbers, by trying all."""
    found = set(numbers)
    for i, a in enumerate(numbers):
        for j, b in enumerate(numbers):
            if i == j:
                continue
            rest = tuple(n for k, n in enumerate(numbers) if k not in (i, j))
            values = [a + b, a - b, a * b, *([a / b] if b else [])]
            for value in values:
                found |= reachable((*rest, value))
    return found


def test_puzzles_can_be_solved_but_not_by_two_numbers() -> None:
    for puzzle in islice(problems(3, "test"), 25):
        numbers = tuple(Fraction(n) for n in puzzle.numbers)
        assert puzzle.target in reachable(numbers)
        for i in range(3):
            assert puzzle.target not in reachable(numbers[:i] + numbers[i + 1 :])


@pytest.mark.parametrize("level", LEVELS)
def test_the_known_solution_is_right_and_its_steps_lead_there(level: int) -> None:
    for puzzle in islice(problems(level, "dev"), 60):
        assert verdict(puzzle.solution.text, puzzle.numbers, puzzle.target) == (True, "")
        assert len(puzzle.numbers) == level
        assert len(puzzle.solution.steps) == level - 1
        for step in puzzle.solution.steps:
            left, _, result = step.partition(" = ")
            assert parse(left).value == int(result) > 0
        assert int(result) == puzzle.target
        for number in puzzle.numbers:
            assert str(number) in puzzle.question


def test_scores_and_their_reasons() -> None:
    benchmark = Countdown(3)
    item = benchmark.items("test", 1)[0]
    solution = next(problems(3, "test")).solution.text

    def score(text: str | None) -> Any:
        return asyncio.run(benchmark.score(item, text, ScoreContext()))

    assert score(f"Let me see.\n#### {solution}").value == 1.0
    assert score(f"#### {solution}").detail == {}
    wrong = score(f"#### {solution} + 1")
    assert wrong.value == 0.0
    assert wrong.detail["why"]
    assert score(None).detail == {"why": "no expression"}
    assert benchmark.check(f"#### {solution}", item.target)
    assert solution not in item.task.question
