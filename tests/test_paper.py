"""The paper's architectures: each loads, costs what its header says, and runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import archon
from archon.config import shipped
from tests.original.passing import fake

FILES = {name: path for name, path in shipped().items() if name.startswith("paper/")}

# Calls that the paper prints (Table 5), by what stands behind the eight models. Three of them are
# not what the parts add up to: one call for the tests and one for each candidate, two for each
# candidate of a verifier, one for a critic or a fuser.
TABLE_5 = {
    "single": 1, "fuser": 9, "critic-fuser": 10, "ranker": 9, "verifier": 24, "tests": 18,
    "ranker-fuser": 10, "verifier-fuser": 25, "tests-fuser": 17, "critic-verifier-fuser": 25,
    "critic-ranker-fuser": 11,
}  # fmt: skip
SUMS = {"tests": 8 + 1 + 8, "tests-fuser": 8 + 1 + 8 + 1, "critic-verifier-fuser": 8 + 1 + 16 + 1}
# Ten answers of one model, counted in the same way; the paper prints no calls for Table 6.
TABLE_6 = {
    "single": 1, "fuser": 11, "critic-fuser": 12, "ranker": 11, "verifier": 30, "tests": 21,
    "ranker-fuser": 12, "verifier-fuser": 31, "tests-fuser": 22, "critic-verifier-fuser": 32,
    "critic-ranker-fuser": 13,
}  # fmt: skip
# 10 + (1 + 8) + (1 + 6) + (1 + 4) + (1 + 1); 10 + 1 + 1 + 6 + 2 * 6 + 1; 10 + 1 + 10 + 1 + 1
OTHERS = {"funnel": 33, "figure-3": 31, "quickstart": 23}
CALLS = {
    **{f"paper/ensemble-{name}": calls for name, calls in (TABLE_5 | SUMS).items()},
    **{f"paper/gpt-4o-{name}": calls for name, calls in TABLE_6.items()},
    **{f"paper/{name}": calls for name, calls in OTHERS.items()},
}


def test_both_tables_are_complete() -> None:
    assert set(FILES) == set(CALLS)


@pytest.mark.parametrize("name", FILES)
def test_each_costs_what_the_paper_and_its_header_say(name: str) -> None:
    arch = archon.load(name)
    bound = arch.bound()
    text = FILES[name].read_text(encoding="utf-8")
    stated = re.search(r"^# Calls for one question: (\d+)$", text, re.MULTILINE)
    assert stated
    assert bound.calls == int(stated.group(1)) == CALLS[name]
    assert bound.usd
    assert bound.usd > 0
    assert arch.name == Path(name).name
    assert not list(arch.lint())
    assert archon.loads(archon.dumps(arch)) == arch
    assert re.search(r"^# Source: \S.{10,}", text, re.MULTILINE)


def test_where_the_paper_prints_another_sum_the_file_says_so() -> None:
    for name, calls in TABLE_5.items():
        text = FILES[f"paper/ensemble-{name}"].read_text(encoding="utf-8")
        assert (f"prints {calls} calls" in text) is (name in SUMS)


@pytest.mark.parametrize("name", FILES)
def test_each_runs_with_those_calls(name: str) -> None:
    model = fake()
    with archon.Session(pool=None, backends={"http": model, "litellm": model}) as session:
        result = archon.run(name, "What is 6 * 7?", session=session)
    assert (result.used.calls, result.unparsed) == (CALLS[name], 0)
    assert result.answer
