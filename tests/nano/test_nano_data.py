"""The arithmetic problems, and workings and drills made of them."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archon.benchmarks.arithmetic import (
    INSTRUCTION,
    LEVELS,
    SPECS,
    Term,
    key_of,
    parse_key,
    problem,
    problems,
    reference_steps,
    total_of,
)
from archon.benchmarks.procedural import Split, split_of
from archon.nano.data import ASSISTANT, END, drill_group
from archon.nano.working import (
    answer_of,
    backward_working,
    recheck,
    right_working,
    told_working,
    wrong_working,
)

ROOT = Path(__file__).resolve().parents[2]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")


def run_line(line: str) -> tuple[int, int]:
    """The true and the written result of ``x op y = z``, computed apart from the code."""
    left, sign, right, equals, result = line.split()
    assert equals == "="
    x, y = int(left), int(right)
    return {"+": x + y, "-": x - y, "*": x * y}[sign], int(result)


def numbers_of(text: str) -> list[int]:
    """All numbers of a text, sorted."""
    return sorted(int(number) for number in re.findall(r"\d+", text))


def stated(key: str) -> list[int]:
    """The numbers that the story of this key has to state, sorted."""
    return sorted(number for term in parse_key(key) for number in term.numbers)


@pytest.mark.parametrize("level", LEVELS)
def test_splits_never_share_a_key(level: int) -> None:
    keys = {
        split: {p.key for seed in range(4) for p in islice(problems(level, split, seed), 700)}
        for split in SPLITS
    }
    assert all(len(found) > 700 for found in keys.values())
    assert not keys["train"] & keys["dev"]
    assert not keys["train"] & keys["test"]
    assert not keys["dev"] & keys["test"]


@pytest.mark.parametrize("level", LEVELS)
def test_a_listing_repeats_no_problem_and_no_question(level: int) -> None:
    listed = list(islice(problems(level, "test", 3), 1000))
    assert len({p.key for p in listed}) == 1000
    assert len({p.question for p in listed}) == 1000
    assert len({p.id for p in listed}) == 1000


def test_the_key_ignores_order_and_decides_the_split() -> None:
    terms = (Term(1, 1, 48), Term(1, 8, 3), Term(-1, 1, 17))
    assert key_of(terms) == key_of(terms[::-1]) == "+3*8+48-17"
    assert key_of(terms) == key_of((Term(1, 3, 8), Term(-1, 1, 17), Term(1, 1, 48)))
    shares = [split_of(f"+{n}+7") for n in range(10_000)]
    assert 0.77 < shares.count("train") / 10_000 < 0.83
    assert 0.08 < shares.count("test") / 10_000 < 0.12


def test_problem_is_the_item_of_its_listing() -> None:
    listed = list(islice(problems(3, "dev", 5), 40))
    assert problem(3, "dev", 39, seed=5) == listed[39]
    assert problem(3, "dev", 7, seed=5) == listed[7]
    assert problem(3, "dev", 7, seed=6) != listed[7]
    with pytest.raises(IndexError):
        problem(3, "dev", -1)


def test_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="level"):
        next(problems(6, "test"))


@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_same_problems_in_another_process(hash_seed: str) -> None:
    code = (
        "from itertools import islice\n"
        "from archon.benchmarks.arithmetic import problem\n"
        "print([problem(l, s, 25) for l in (1, 3, 5) for s in ('train', 'test')])\n"
    )
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    here = [problem(level, split, 25) for level in (1, 3, 5) for split in ("train", "test")]
    assert done.stdout == f"{here}\n"


@pytest.mark.parametrize("level", LEVELS)
def test_reference_steps_lead_to_the_answer(level: int) -> None:
    for one in islice(problems(level, "test", 1), 500):
        for line in one.steps:
            truth, written = run_line(line)
            assert truth == written >= 0
        assert one.answer == written
        assert one.answer == total_of(parse_key(one.key)) >= 0
        assert one.question.endswith(INSTRUCTION)
        assert numbers_of(one.question) == stated(one.key)


def test_levels_get_longer() -> None:
    def lines(level: int) -> float:
        return sum(len(p.steps) for p in islice(problems(level, "test"), 300)) / 300

    sizes = [lines(level) for level in LEVELS]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 3 * sizes[0]
    assert list(SPECS) == list(LEVELS)


def test_drills_are_right_and_of_the_train_split() -> None:
    rng = random.Random(5)
    for group in (drill_group(rng) for _ in range(40)):
        assert {split_of(key) for key in group.keys} == {"train"}
        for key, (asked, reply) in zip(group.keys, group.branches, strict=True):
            line, last = reply.removesuffix(END).split("\n")
            truth, written = run_line(line)
            assert line.startswith(asked.removesuffix(ASSISTANT) + " = ")
            assert truth == written == total_of(parse_key(key))
            assert last == f"#### {written}"


plain = st.builds(Term, st.just(1), st.just(1), st.integers(1, 2000))
grouped = st.builds(Term, st.just(1), st.integers(2, 9), st.integers(10, 60))


@st.composite
def stories(draw: st.DrawFn) -> tuple[Term, ...]:
    """Terms with a total that never goes below zero, values all different."""
    found = draw(
        st.lists(plain | grouped, min_size=2, max_size=7, unique_by=lambda term: term.value)
    )
    terms, total = [found[0]], found[0].value
    for term in found[1:]:
        sign = draw(st.sampled_from((1, -1))) if term.value <= total else 1
        terms.append(Term(sign, term.count, term.size))
        total += sign * term.value
    return tuple(terms)


@settings(max_examples=300, deadline=None)
@given(stories(), st.integers(0, 2**32))
def test_every_right_working_computes_the_total(terms: tuple[Term, ...], seed: int) -> None:
    lines = right_working(terms, random.Random(seed))
    for line in lines[:-1]:
        truth, written = run_line(line)
        assert truth == written >= 0
    assert lines[-1] == f"#### {total_of(terms)}"
    assert total_of(parse_key(key_of(terms))) == total_of(terms)
    assert [run_line(line)[0] for line in reference_steps(terms)][-1] == total_of(terms)


@settings(max_examples=300, deadline=None)
@given(stories(), st.integers(0, 2**32))
def test_every_wrong_working_is_wrong(terms: tuple[Term, ...], seed: int) -> None:
    text = "\n".join(wrong_working(terms, random.Random(seed)))
    assert answer_of(text) not in (None, total_of(terms))


def test_one_problem_has_many_right_workings() -> None:
    terms = parse_key(problem(3, "train", 0).key)
    rng = random.Random(0)
    assert len({"\n".join(right_working(terms, rng)) for _ in range(64)}) >= 12


def test_a_check_derives_the_answer_again_in_another_order() -> None:
    terms, rng = parse_key("+3*8+48-17"), random.Random(0)
    candidate = "3 * 8 = 24\n48 + 24 = 72\n72 - 17 = 55\n#### 55"
    checks = {recheck(terms, candidate, rng) for _ in range(32)}
    assert len(checks) > 2
    assert candidate not in checks
    assert {answer_of(said) for said in checks} == {55}


@settings(max_examples=300, deadline=None)
@given(stories(), st.integers(0, 2**32))
def test_the_working_that_follows_the_story(terms: tuple[Term, ...], seed: int) -> None:
    lines = told_working(terms, random.Random(seed))
    assert lines == [*reference_steps(terms), f"#### {total_of(terms)}"]
    slipped = told_working(terms, random.Random(seed), slip_at=len(lines) - 2)
    assert slipped[:-2] == lines[:-2]
    assert answer_of(slipped[-1]) != total_of(terms)


@settings(max_examples=300, deadline=None)
@given(stories())
def test_a_check_backwards_comes_to_the_total_and_is_no_copy(terms: tuple[Term, ...]) -> None:
    lines = backward_working(terms, random.Random(0))
    for line in lines[:-1]:
        truth, written = run_line(line)
        assert truth == written >= 0
    assert lines[-1] == f"#### {total_of(terms)}"
    gains = [term for term in terms if term.sign > 0]
    if len(gains) > 1:
        assert lines != told_working(terms, random.Random(0))
