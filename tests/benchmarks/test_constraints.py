"""Rules for lists, each by hand, and the problems that are made of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.base import ScoreContext
from archon.benchmarks import Constraints
from archon.benchmarks.constraint_rules import NUMBERS, RULES, WORDS, Form, Rule, read
from archon.benchmarks.constraints import LEVELS, problems

MET: dict[str, tuple[Any, str, str]] = {
    "count": (3, "1, 2, 3", "1, 2"),
    "ascending": (None, "1, 2, 9", "1, 1, 2"),
    "descending": (None, "9, 2, 1", "9, 9, 1"),
    "sum": (20, "5, 15", "5, 16"),
    "contains": (7, "1, 7", "17, 77"),
    "no even": (None, "1, 3", "1, 2"),
    "no odd": (None, "0, -2", "-1, 2"),
    "evens": (2, "2, 4, 5", "2, 3, 5"),
    "within": ([3, 8], "3, 8", "3, 9"),
    "first": (4, "4, 1", "1, 4"),
    "last": (4, "1, 4", "4, 1"),
    "distinct": (None, "1, 2", "1, 2, 1"),
    "largest": (9, "9, 1", "9, 10"),
    "smallest": (1, "9, 1", "1, 0"),
    "gap": (3, "1, 4, 1", "1, 3"),
    "ends": (10, "4, 99, 6", "4, 6, 99"),
    "words": (2, "sun, moon", "sun"),
    "alphabetical": (None, "moon, sun", "sun, moon"),
    "length": (3, "sun, cat", "sun, moon"),
    "letters": (7, "sun, moon", "sun, moons"),
    "longest": (4, "sun, moon", "sun, moons"),
    "has word": ("sun", "moon, sun", "moon, sunny"),
    "begins": ("s", "sun, moon", "moon, sun"),
    "closes": ("n", "star, sun", "sun, star"),
    "without": ("e", "sun, moon", "sun, sea"),
    "initials": (None, "sun, moon", "sun, sea"),
}


@pytest.mark.parametrize("name", list(RULES))
def test_each_rule_by_hand(name: str) -> None:
    value, met, missed = MET[name]
    rule = Rule(name, value)
    form = RULES[name].form
    assert rule.met(read(met, form))
    assert not rule.met(read(missed, form))
    assert not rule.met(None)
    assert not rule.met(())


def test_kinds_that_exclude_each_other_do_so_both_ways() -> None:
    for name, kind in RULES.items():
        for other in kind.against:
            assert name in RULES[other].against, f"{name} against {other}"
    assert {RULES[name].form for name in NUMBERS} == {"numbers"}
    assert {RULES[name].form for name in WORDS} == {"words"}


@pytest.mark.parametrize(
    ("text", "form", "entries"),
    [
        ("3, 7, 9", "numbers", (3, 7, 9)),
        ("[3, 7, -9].", "numbers", (3, 7, -9)),
        ("3 7\n9", "numbers", (3, 7, 9)),
        ("3, seven", "numbers", None),
        ("3.5, 2", "numbers", None),
        ("", "numbers", None),
        ("Sun, 'moon'", "words", ("sun", "moon")),
        ("sun, m00n", "words", None),
        ("1, " * 400, "numbers", None),
    ],
)
def test_lists_are_read(text: str, form: Form, entries: Any) -> None:
    assert read(text, form) == entries


@given(st.text(max_size=80), st.sampled_from(["numbers", "words"]))
def test_any_text_is_a_list_or_nothing(text: str, form: Form) -> None:
    entries = read(text, form)
    assert entries is None or (entries and len(entries) <= len(text))
    for name in NUMBERS if form == "numbers" else WORDS:
        assert Rule(name, MET[name][0]).met(entries) in (True, False)


@pytest.mark.parametrize("level", LEVELS)
def test_every_problem_has_a_list_that_meets_its_rules(level: int) -> None:
    forms = set()
    for brief in islice(problems(level, "test"), 60):
        forms.add(brief.form)
        assert all(rule.met(brief.witness) for rule in brief.rules)
        assert len(brief.rules) == len({rule.name for rule in brief.rules}) == level
        assert {rule.kind.form for rule in brief.rules} == {brief.form}
        assert brief.rules[0].name in ("count", "words")
        assert all(told in brief.question for told in brief.told)
        names = {rule.name for rule in brief.rules}
        assert not any(names & set(rule.kind.against) for rule in brief.rules)
    assert forms == {"numbers", "words"}


def test_scores_are_strict_and_the_share_stands_beside() -> None:
    benchmark = Constraints(4)
    item = benchmark.items("test", 1)[0]
    brief = next(problems(4, "test"))
    witness = ", ".join(map(str, brief.witness))

    def score(text: str | None) -> Any:
        return asyncio.run(benchmark.score(item, text, ScoreContext()))

    assert score(f"I try.\n#### {witness}").value == 1.0
    partly = score(f"#### {witness}, {brief.witness[0]}")  # one entry too many
    assert partly.value == 0.0
    assert partly.detail["met"][0] is False
    assert partly.detail["share"] == sum(partly.detail["met"]) / 4
    assert score("none").detail["share"] == score(None).detail["share"] == 0.0
    assert benchmark.check(f"#### {witness}", item.target)


@dataclass(frozen=True)
class Row:
    id: str
    score: float | None
    detail: dict[str, Any] = field(default_factory=dict)
    group: str = ""


def test_the_summary_counts_rules() -> None:
    rows = [
        Row("a", 1.0, {"met": [True, True]}),
        Row("b", 0.0, {"met": [True, False]}),
        Row("c", None),
    ]
    [figure] = Constraints().summary(rows)
    assert figure.value == 75.0
    assert figure.low is not None
    assert figure.low < 75 < (figure.high or 0)
    assert Constraints().summary([])[0].value is None
