"""Procedures on a text: their states, how replies are read, and the step-aware figures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.base import Item, ScoreContext
from archon.benchmarks import Procedure
from archon.benchmarks.procedure import LEVELS, prefix, problems, states_in

# Each step as it is told, done again here with lists of letters.
STEPS: list[tuple[str, Callable[..., list[str]]]] = [
    (r"Move the first letter to the end\.", lambda t: [*t[1:], t[0]]),
    (r"Move the last letter to the front\.", lambda t: [t[-1], *t[:-1]]),
    (r"Move the first (\d) letters to the end\.", lambda t, k: t[int(k) :] + t[: int(k)]),
    (r"Move the last (\d) letters to the front\.", lambda t, k: t[-int(k) :] + t[: -int(k)]),
    (r"Delete letter (\d)\.", lambda t, i: [c for n, c in enumerate(t, 1) if n != int(i)]),
    (r"Add (\w) at the end\.", lambda t, c: [*t, c]),
    (r"Put (\w) in front\.", lambda t, c: [c, *t]),
    (r"Replace every (\w) by (\w)\.", lambda t, a, b: [b if c == a else c for c in t]),
    (r"Write letter (\d) twice\.", lambda t, i: [*t[: int(i)], t[int(i) - 1], *t[int(i) :]]),
    (r"Reverse the text\.", lambda t: list(reversed(t))),
    (r"Reverse the first (\d) letters\.", lambda t, k: [*reversed(t[: int(k)]), *t[int(k) :]]),
    (r"Sort the letters\.", sorted),
]


def done(told: str, text: str) -> str:
    swap = re.fullmatch(r"Swap letters (\d) and (\d)\.", told)
    letters = list(text)
    if swap:
        i, j = int(swap[1]) - 1, int(swap[2]) - 1
        letters[i], letters[j] = letters[j], letters[i]
        return "".join(letters)
    for pattern, step in STEPS:
        if match := re.fullmatch(pattern, told):
            return "".join(step(letters, *match.groups()))
    raise AssertionError(told)


@pytest.mark.parametrize("level", LEVELS)
def test_the_states_are_those_of_the_steps_as_told(level: int) -> None:
    for plan in islice(problems(level, "test"), 60):
        text = plan.start
        assert len(plan.told) == len(plan.states) == level
        for number, (told, state) in enumerate(zip(plan.told, plan.states, strict=True), 1):
            assert f"{number}. {told}" in plan.question
            assert done(told, text) == state != text
            text = state
        assert f'"{plan.start}"' in plan.question


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("1. abc\n2. cab\n#### cab", ["abc", "cab"]),
        ('1) "abc"\n2: `cab`.', ["abc", "cab"]),
        ("1. Delete letter 1.\n1. bc", ["bc"]),
        ("1. abc\n3. cab", ["abc"]),
        ("1. abc\n2. cab\n1. xyz", ["xyz"]),  # begun again
        ("abc", []),
    ],
)
def test_states_are_read(text: str, states: list[str]) -> None:
    assert states_in(text) == states


@given(st.text(max_size=80))
def test_any_text_has_states_or_none(text: str) -> None:
    assert all(state.isalpha() for state in states_in(text))


def test_prefixes_by_hand() -> None:
    assert prefix(["a", "b"], ["a", "b", "c"]) == 2
    assert prefix(["a", "x", "c"], ["a", "b", "c"]) == 1
    assert prefix(["a", "b", "c", "d"], ["a", "b", "c"]) == 3
    assert prefix([], ["a"]) == 0


def test_scores_and_step_aware_figures() -> None:
    benchmark = Procedure(4)
    item = Item(benchmark.items("test", 1)[0].task, {"states": ["ab", "abc", "cab", "ca"]})

    def score(text: str | None) -> Any:
        return asyncio.run(benchmark.score(item, text, ScoreContext()))

    whole = score("1. ab\n2. abc\n3. cab\n4. ca\n#### ca")
    assert (whole.value, whole.detail["sequential"], whole.detail["prefix"]) == (1.0, True, 4)
    assert whole.detail["prefix_accuracy"] == 1.0
    lucky = score("1. ab\n2. xyz\n#### ca")
    assert (lucky.value, lucky.detail["sequential"]) == (1.0, False)
    assert lucky.detail["prefix_accuracy"] == 0.25  # one right of the longer list's four
    long = score("1. ab\n2. abc\n3. cab\n4. ca\n5. a\n#### a")
    assert (long.value, long.detail["prefix_accuracy"], long.detail["sequential"]) == (
        0,
        0.8,
        False,
    )
    assert score(None).value == 0.0
    assert score('#### "CA".').value == 1.0


@dataclass(frozen=True)
class Row:
    id: str
    score: float | None
    detail: dict[str, Any] = field(default_factory=dict)
    group: str = ""


def test_the_summary_has_both_figures() -> None:
    rows = [
        Row("a", 1.0, {"prefix_accuracy": 1.0, "sequential": True}),
        Row("b", 1.0, {"prefix_accuracy": 0.5, "sequential": False}),
        Row("c", None),
    ]
    accuracy, match = Procedure().summary(rows)
    assert (accuracy.name, accuracy.value) == ("prefix accuracy", 75.0)
    assert (match.name, match.value) == ("sequential match", 50.0)
    assert [figure.value for figure in Procedure().summary([])] == [None, None]
