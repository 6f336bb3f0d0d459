"""Answers that a model wrote itself, of any form, can be marked and judged."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from archon.nano.examples.knobs import TAUGHT
from archon.nano.examples.marking import marked
from archon.nano.examples.mixing import FAMILIES, GENERAL
from archon.nano.examples.roles import ROLES, Case
from archon.nano.own import JUDGING, own_groups, truth
from archon.nano.sharpening import sharpened

ODD = ("", "    ", "####", "#### ", "a = b", "1 + 2", "0 / 0 = 3", "4 -1 = 3", "return xs")


@cache
def problems(name: str) -> list[Any]:
    family = FAMILIES[name]
    return [next(family.stream(level, "train", 3)) for level in family.levels]


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    cuts=st.lists(st.tuples(st.sampled_from(["drop", "twice", "odd", "char"]), st.randoms())),
)
def test_any_answer_that_is_read_can_be_marked_and_judged(
    name: str, seed: int, cuts: list[tuple[str, random.Random]]
) -> None:
    family, rng = FAMILIES[name], random.Random(seed)
    problem = rng.choice(problems(name))
    lines = rng.choice((family.right, family.wrong))(problem, rng).text.split("\n")
    for kind, chance in cuts[:4]:
        place = chance.randrange(len(lines)) if lines else 0
        if kind == "drop" and len(lines) > 1:
            del lines[place]
        elif kind == "twice":
            lines.insert(place, chance.choice(lines))
        elif kind == "odd":
            lines.insert(place, chance.choice(ODD))
        elif lines[place]:
            cut = chance.randrange(len(lines[place]))
            lines[place] = lines[place][:cut] + chance.choice("07-+ (#,") + lines[place][cut + 1 :]
    draft = family.read(problem, "\n".join(lines))
    if draft is None:
        return
    one = marked(family, problem, draft)
    assert len(one.marks) == len(one.lines)
    case = Case(family, problem, TAUGHT, rng, (draft,) * 3)
    for role in JUDGING:
        [(prompt, reply)] = ROLES[role](case, 1).branches
        assert prompt
        assert reply


class Parrot:
    """Answers every question with one text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def replies(
        self, prompts: list[str], copies: int, temperature: float, limit: int
    ) -> list[list[str]]:
        return [[self.text] * copies for _ in prompts]


def test_own_answers_stand_in_the_prompts_and_unreadable_ones_do_not() -> None:
    said = "3 + 4 = 7\n#### 7"
    groups = list(own_groups(GENERAL, 5, Parrot(said), problems=30, each=4))  # type: ignore[arg-type]
    assert len(groups) == 120
    shown = [group.prefix + group.branches[0][0] for group in groups]
    assert sum("3 + 4 = 7" in text for text in shown) > 20
    groups = list(own_groups(GENERAL, 5, Parrot("no ####"), 30, 4))  # type: ignore[arg-type]
    texts = [g.prefix + g.branches[0][0] for g in groups if "Write a Python" in g.prefix]
    assert not any("no ####" in text for text in texts)


def test_programs_that_cannot_run_are_not_read() -> None:
    family, [problem, *_] = FAMILIES["listfn"], problems("listfn")
    for lines in (
        ["xs = [x for x in xs if x % 0 != 0]", "return xs"],
        ["return sum(xs)", "return sum(xs)"],
        ["xs = xs[::0]", "return xs"],
    ):
        assert family.read(problem, "\n    ".join(["def f(xs):", *lines])) is None


def test_truth_is_what_the_reference_says() -> None:
    for name, family in FAMILIES.items():
        rng = random.Random(name)
        for problem in islice(family.stream(3, "train", 1), 5):
            assert truth(family, problem, family.right(problem, rng).text)
            assert not truth(family, problem, family.wrong(problem, rng).text)
            assert not truth(family, problem, "?")


class Undecided:
    """Says two numbers twice each and a third once, in every form."""

    def __init__(self, *said: str) -> None:
        self.said = said

    def replies(
        self, prompts: list[str], copies: int, temperature: float, limit: int
    ) -> list[list[str]]:
        return [[self.said[i % len(self.said)] for i in range(copies)] for _ in prompts]


def test_sharpening_teaches_what_most_samples_say_right_or_not() -> None:
    mix = replace(GENERAL, tasks={"arithmetic": 1.0})
    voice = Undecided("1 + 1 = 2\n#### 2", "2\n#### 2", "3\n#### 3", "no number")
    groups = list(sharpened(mix, 1, voice, 5))  # type: ignore[arg-type]
    assert len(groups) == 5
    for group in groups:
        replies = [reply for _, reply in group.branches]
        assert replies == ["1 + 1 = 2\n#### 2<|end|>", "2\n#### 2<|end|>"]
    alone = Undecided(*(f"#### {number}" for number in range(8)))
    assert not list(sharpened(mix, 1, alone, 5))  # type: ignore[arg-type]
