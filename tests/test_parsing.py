from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon import parsing

LABELS = ["A", "B", "C"]
PARSERS: dict[str, Callable[[str], Any]] = {
    "ranking": lambda text: parsing.ranking(text, LABELS),
    "verdict": parsing.verdict,
    "passed": lambda text: parsing.passed(text, 3),
    "items": lambda text: parsing.items(text, 3),
    "critiques": lambda text: parsing.critiques(text, LABELS),
    "choice_of": lambda text: parsing.choice_of(text, LABELS),
    "rating": lambda text: parsing.rating(text, 0, 10),
}


@pytest.mark.parametrize("parser", PARSERS)
@given(text=st.one_of(st.text(), st.text(alphabet="ABC[]{}()>,:\n#*`\"'12. correctTestScore/-")))
def test_total(parser: str, text: str) -> None:
    PARSERS[parser](text)


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    "text", ["", "I cannot say.", "\x00\ud800", "[1-3]", "{}", "[]", "}{", "]["]
)
def test_garbage_is_none(parser: str, text: str) -> None:
    assert PARSERS[parser](text) is None


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    "unit",
    ["a", " ", "\n", "[", "{", "A > ", "- x\n", "1. ", "[correct] ", "test 1:", "score: 1", "not ",
     "```\n", '[{"a":', "'", "*", "answer: "],
)  # fmt: skip
def test_linear(parser: str, unit: str) -> None:
    text = unit * (10**6 // len(unit))
    began = time.process_time()
    PARSERS[parser](text)
    assert time.process_time() - began < 20


@given(st.permutations(LABELS), st.sampled_from(["{}", "Answer: {}", "# Ranking: **{}**\nDone."]))
def test_rankings_round_trip(order: list[str], frame: str) -> None:
    for text in (" > ".join(order), ", ".join(f"[{x}]" for x in order), " >\t".join(order).lower()):
        assert parsing.ranking("First A is long.\n" + frame.format(text), LABELS) == tuple(order)
    numbered = "\n".join(f"{i + 1}. **Answer {x}** - fine" for i, x in enumerate(order))
    assert parsing.ranking(f"Ranking:\n{numbered}", LABELS) == tuple(order)
    assert parsing.ranking(f"```\n{' > '.join(order)}\n```", LABELS) == tuple(order)


@pytest.mark.parametrize(
    "text", ["A > B", "A > B > C > A", "Ranking: [A-C]", "A > B > D", "C > B > A\nRanking: A > B"]
)
def test_not_a_permutation(text: str) -> None:
    assert parsing.ranking(text, LABELS) is None


def test_the_last_marked_ranking_wins() -> None:
    assert parsing.ranking("Ranking: A > B > C\nNo.\nRanking: [2] > [1]", ["1", "2"]) == ("2", "1")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("so [Correct]", True), ("[Correct]\nno: [Incorrect]", False), ("**[ incorrect ]**", False),
        ('{"verdict": "Correct"}', True), ('```json\n{"verdict": false}\n```', False),
        ("Reasons.\nVerdict: Correct.", True), ("incorrect", False), ("[Not passed]", False),
        ("[Correct] or [Incorrect]", None), ("not [Correct]", None), ("It is not passed", None),
        ("It surpasses all", None), ("the passage is correct in part", None),
    ],
)  # fmt: skip
def test_verdicts(text: str, value: bool | None) -> None:
    assert parsing.verdict(text) is value


@given(st.lists(st.booleans(), min_size=1, max_size=20))
def test_results_round_trip(results: list[bool]) -> None:
    lines = [
        f"- Unit Test #{i + 1}: it [{'Passed' if r else 'Failed'}]" for i, r in enumerate(results)
    ]
    assert parsing.passed("Well.\n" + "\n".join(lines), len(results)) == tuple(results)
    assert parsing.passed(json.dumps(results), len(results)) == tuple(results)


@pytest.mark.parametrize("line", ["does not pass", "surpasses", "passage", "Failed, it passed not"])
def test_prose_is_no_result(line: str) -> None:
    assert parsing.passed(f"Test #1: {line}\nTest #2: failed", 2) == (None, False)


WORDS = st.lists(
    st.text(alphabet="abc d'\"\\,.", min_size=1, max_size=20).map(str.strip).filter(bool),
    min_size=1, max_size=9,
)  # fmt: skip


@given(WORDS)
def test_items_round_trip(words: list[str]) -> None:
    for text in (json.dumps(words), repr(words), f"Here:\n```python\n{words!r}\n```"):
        assert parsing.items(text) == tuple(words)
    assert parsing.items("\n".join(f"{i + 1}. {w}" for i, w in enumerate(words))) == tuple(words)
    assert parsing.items(json.dumps(words), len(words) + 1) is None


SAID = st.text(alphabet="ab [1]\n.", min_size=1).map(str.strip).filter(bool)


@given(st.lists(SAID, min_size=3, max_size=3))
def test_critiques_round_trip(texts: list[str]) -> None:
    labels = ["X1", "X2", "X3"]
    wanted = dict(zip(labels, texts, strict=True))
    for frame in ("[{}]\n{}\n", "### {}:\n{}\n"):
        text = "".join(frame.format(label, said) for label, said in wanted.items())
        assert parsing.critiques(text, labels) == wanted
    assert parsing.critiques(json.dumps(wanted), labels) == wanted
    assert parsing.critiques("[X1]\nonly", labels) is None


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Better: [B]", "B"), ("[[A]]", "A"), ("Winner: **C**", "C"), ("b", "B"),
        ('{"choice": "A"}', "A"), ("[A] is long, [B] short", None), ("Better: D", None),
        ("[A] first\nAnswer: B", "B"),
    ],
)  # fmt: skip
def test_choices(text: str, label: str | None) -> None:
    assert parsing.choice_of(text, LABELS) == label


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("Score: 7", 7), ("**Score:** 7.5/10", 7.5), ("8/10", 8), ("Score: 3\nScore: 4.", 4),
        ('{"score": 2}', 2), ("Score: 11", None), ("Score: -1", None), ("4/5", None), ("ten", None),
        ("Rating: 1e5", None), ('{"score": NaN}', None),
    ],
)  # fmt: skip
def test_ratings(text: str, points: float | None) -> None:
    assert parsing.rating(text, 0, 10) == points
