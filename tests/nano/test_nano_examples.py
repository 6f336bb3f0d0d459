"""The examples of the nano family: true where they should be, wrong where they should be."""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import archon
from archon import parsing
from archon.asserts import asserts
from archon.backends.fake import Fake
from archon.base import Layer, ScoreContext
from archon.benchmarks import Arithmetic, Constraints, Countdown, ListFn
from archon.benchmarks.arithmetic import parse_key
from archon.benchmarks.expressions import parse
from archon.benchmarks.procedural import Split, split_of
from archon.errors import ConfigError
from archon.layers import (
    CodeTests,
    Critique,
    Fuse,
    Generate,
    Rank,
    Refine,
    RunTests,
    TestEval,
    UnitTests,
    Verify,
)
from archon.layers.judging import labels
from archon.layers.verify import CORRECT
from archon.model import Model, Request
from archon.nano.data import ASSISTANT, END, THINK, USER, Group
from archon.nano.examples import prompts
from archon.nano.examples.arithmetic import ArithmeticFamily
from archon.nano.examples.countdown import CountdownFamily
from archon.nano.examples.family import Draft, Family
from archon.nano.examples.knobs import HONEST, TAUGHT, Knobs
from archon.nano.examples.marking import marked, marked_answers
from archon.nano.examples.mixing import FAMILIES, GENERAL, MIXES, Mix, fingerprint, groups
from archon.nano.examples.roles import CODE_ROLES, ROLES, Case, drafts, grouped
from tests.benchmarks.test_listfn import executed, outside

ROOT = Path(__file__).resolve().parents[2]
LISTS = outside(8)[:60]
NAMES = list(FAMILIES)
SPLITS: tuple[Split, ...] = ("dev", "test")


def cases(name: str, count: int, knobs: Knobs = TAUGHT, seed: int = 0) -> list[Case]:
    """Train problems of every level of a task."""
    family = FAMILIES[name]
    rng = random.Random(f"{name}/{seed}")
    each = max(1, count // len(family.levels))
    return [
        Case(family, problem, knobs, rng)
        for level in family.levels
        for problem in islice(family.stream(level, "train", seed), each)
    ]


def truly_right(case: Case, draft: Draft[Any]) -> bool:
    """What the benchmark itself says of a draft."""
    problem = case.problem
    match case.family.name:
        case "arithmetic":
            return Arithmetic().check(draft.text, problem.answer)
        case "countdown":
            gold = {"numbers": list(problem.numbers), "target": problem.target}
            return Countdown().check(draft.text, gold)
        case "constraints":
            rules = [[rule.name, rule.value] for rule in problem.rules]
            return Constraints().check(draft.text, {"form": problem.form, "rules": rules})
    mine, reference = executed(draft.text), executed(problem.program)
    return all(mine(list(row)) == reference(list(row)) for row in LISTS)


@pytest.mark.parametrize("name", NAMES)
def test_right_drafts_are_right_and_wrong_ones_wrong(name: str) -> None:
    for case in cases(name, 36):
        assert truly_right(case, case.right())
        assert truly_right(case, case.family.belief(case.problem, HONEST, case.rng))
        wrong = case.family.wrong(case.problem, case.rng)
        assert not truly_right(case, wrong)
        assert not case.family.same(case.problem, wrong, case.right())


@pytest.mark.parametrize("name", NAMES)
def test_drafts_are_read_as_what_they_are(name: str) -> None:
    for case in cases(name, 36):
        for draft in drafts(case, 3):
            again = case.family.read(case.problem, draft.text)
            assert again is not None
            assert again.text == draft.text
            assert again.value == draft.value
    for text in ("", "no idea", "def f(xs):\n    return x +", "#### )(", "1 + = 2\n#### 1 +"):
        assert case.family.read(case.problem, text) is None or name == "arithmetic"


@pytest.mark.parametrize("name", NAMES)
def test_honest_judges_judge_right(name: str) -> None:
    for case in cases(name, 36, HONEST):
        [draft] = drafts(case, 1)
        right = truly_right(case, draft)
        belief = case.belief()
        check = case.family.check(case.problem, draft, belief, case.rng)
        review = case.family.review(case.problem, draft, belief, case.rng)
        praise = re.search(r"(steps|lines) are right|All rules are (kept|met)", review)
        # Programs are compared by their lines: one that is right in another way is not praised.
        if name != "listfn" or draft.text == case.right().text or not right:
            assert check.right is right
            assert bool(praise) is right
        assert "\n" not in review
        merits = [case.family.merit(case.problem, d, belief) for d in (case.right(), draft)]
        assert merits[0] == 1.0 >= merits[1] >= 0.0
        for test in case.family.statements(case.problem, belief, 5, case.rng):
            assert test.judge(case.right().value)[1]


def test_a_judge_that_speaks_says_what_it_compares() -> None:
    """Its checks and rankings end with each number and whether it is the one derived again."""
    aloud = ArithmeticFamily(0.85, aloud=True)
    for case in cases("arithmetic", 24, HONEST):
        case = replace(case, family=aloud)
        shown = drafts(case, 4)
        belief = case.right()
        truth = case.problem.answer
        said = [
            f"{draft.value} is {'right' if draft.value == truth else 'wrong'}." for draft in shown
        ]
        check = aloud.check(case.problem, shown[0], belief, case.rng)
        assert check.text.split("\n")[-2:] == [f"#### {truth}", f"The answer {said[0]}"]
        assert check.right is (shown[0].value == truth)
        basis = aloud.basis(case.problem, list(zip("ABCD", shown, strict=True)), belief, case.rng)
        lines = [f"[{name}] {text}" for name, text in zip("ABCD", said, strict=True)]
        assert basis.split("\n")[-5:] == [f"#### {truth}", *lines]
    none = aloud.check(case.problem, Draft("Many.", None), belief, case.rng)
    assert none.text.endswith("The answer without a number is wrong.")


def test_a_judge_that_speaks_derives_before_it_reviews() -> None:
    aloud = ArithmeticFamily(0.85, aloud=True)
    for case in cases("arithmetic", 24, HONEST):
        plain = case.family
        case = replace(case, family=aloud)
        truth = case.problem.answer
        for role in ("review", "critique"):
            group = ROLES[role](case, 1)
            ((prompt, reply),) = group.branches
            *grounds, said = reply.removesuffix(END).split(f"#### {truth}\n")
            assert grounds, reply  # the answer derived again comes first
            shown = len(re.findall(r"^(Answer:|\[[A-H]\])$", group.prefix + prompt, re.MULTILINE))
            lines = said.split("\n")
            assert len(lines) == shown
            for line in lines:
                told = re.fullmatch(r"(?:\[[A-H]\] )?(.+?) is (right|wrong)\. (.+\.)", line)
                assert told, line
                assert (told[1] == str(truth)) is (told[2] == "right")
                assert (told[3] == "All steps are right.") is (told[2] == "right")
        draft = case.right()
        assert plain.grounds(case.problem, draft, case.rng) == ""
        assert plain.review(case.problem, draft, draft, case.rng) == "All steps are right."


def test_groups_are_misread_in_two_ways() -> None:
    """Counted once, or the two numbers added: each by its own knob, and every text agrees."""
    family = ArithmeticFamily(0.85)
    once, summed = replace(HONEST, groups=1.0), replace(HONEST, sums=1.0)
    misread = 0
    for case in cases("arithmetic", 160, HONEST):
        problem, rng = case.problem, case.rng
        truth = problem.answer
        if problem.level > 2:
            continue  # who misreads may come below zero there, and leaves something out
        drafts_ = [family.belief(problem, knobs, rng) for knobs in (HONEST, once, summed)]
        assert drafts_[0].value == truth
        for draft in drafts_:
            checked = family.check(problem, draft, draft, rng)
            assert checked.right
            assert checked.text.endswith(f"#### {draft.value}")
            told = family.thought(problem, draft, rng)
            assert eval_of(told.lstrip("+").replace(" ", "")) == draft.value
        if len({draft.value for draft in drafts_}) == 3:
            misread += 1
            gap = {draft.value - truth for draft in drafts_[1:] if draft.value is not None}
            assert 0 not in gap
    assert misread > 5


def test_a_methodical_thought_is_a_search() -> None:
    """Every line is true: what two numbers make, what they would have to make, and whether."""
    family = CountdownFamily(methodical=True)
    equation = re.compile(r"(\d+) [-+*/] (\d+) = (\d+)")
    tried = 0
    for case in cases("countdown", 120, TAUGHT):
        draft = family.belief(case.problem, case.knobs, case.rng)
        lines = family.thought(case.problem, draft, case.rng).split("\n")
        if case.problem.level > 3:
            assert lines[-1].endswith(": yes")
            assert len(lines) <= 3
            continue
        for made, needed in zip(lines[::2], lines[1::2], strict=True):
            results = {match[3] for match in equation.finditer(made)}
            wanted = [match[3] for match in equation.finditer(needed)]
            for match in equation.finditer(f"{made}\n{needed}"):
                assert eval_of(match[0].partition(" = ")[0]) == int(match[3])
            found = needed.endswith(": yes")
            assert found is (needed == lines[-1])
            assert found is bool(results & set(wanted[-1:]))
            assert not results & set(wanted[:-1])
            tried += 1
        first = draft.text.split("\n")[0]
        assert first.rpartition(" ")[2] == wanted[-1]
    assert tried > 40


def eval_of(text: str) -> int:
    """The value of an expression."""
    return int(parse(text).value)


def test_reviews_name_the_wrong_step() -> None:
    rng = random.Random(1)
    [case] = cases("listfn", 6, HONEST)[2:3]
    steps = case.right().value
    short = Draft("", steps[:1] + steps[2:])
    said = case.family.review(case.problem, short, case.right(), rng)
    assert said == f"A line is missing after line 1: {steps[1].code}"
    swapped = Draft("", (steps[1], steps[0], *steps[2:]))
    said = case.family.review(case.problem, swapped, case.right(), rng)
    assert said == f"Line 1 is wrong: it must be {steps[0].code}"
    [case] = cases("arithmetic", 5, HONEST)[:1]
    lines = case.right().text.split("\n")
    left, result = lines[0].split(" = ")
    broken = "\n".join([f"{left} = {int(result) + 1}", f"#### {int(result) + 1}"])
    draft = case.family.read(case.problem, broken)
    assert draft is not None
    said = case.family.review(case.problem, draft, case.right(), rng)
    assert said == f"Step 1 is wrong: {left} = {result}."


@pytest.mark.parametrize("name", NAMES)
def test_misconceptions_strike_where_their_traps_stand_and_agree(name: str) -> None:
    always = Knobs(lure=1, order=1, bound=1, groups=1, brackets=1, count=1)
    struck = alike = 0
    for case in cases(name, 160):
        first, second = (case.family.belief(case.problem, always, case.rng) for _ in range(2))
        wrong = not case.family.same(case.problem, first, case.right())
        struck += wrong
        if name in ("arithmetic", "listfn"):
            alike += wrong and first.value == second.value
        honest = case.family.belief(case.problem, HONEST, case.rng)
        assert case.family.same(case.problem, honest, case.right())
    assert struck >= 20
    if name in ("arithmetic", "listfn"):
        assert alike == struck  # the same mistake every time, so that wrong answers agree


@pytest.mark.parametrize(
    ("role", "name"),
    [(r, n) for r in ROLES for n in NAMES if r not in CODE_ROLES or n == "listfn"],
)
def test_replies_are_what_the_layers_can_read(name: str, role: str) -> None:
    for case in cases(name, 12, seed=3):
        group = ROLES[role](case, 2)
        assert group.keys == (case.problem.key,)
        for prompt, reply in group.branches:
            text = (group.prefix + prompt).removeprefix(USER)
            assert case.question in text
            assert reply.endswith(END)
            assert readable(role, text.removesuffix(ASSISTANT), reply.removesuffix(END)), reply


def readable(role: str, prompt: str, reply: str) -> bool:
    names = labels(len(re.findall(r"^\[[A-Z]\]$", prompt, re.MULTILINE)))
    wanted = re.match(r"Write (\d) ", prompt)
    match role:
        case "rank":
            return parsing.ranking(reply, names) is not None and len(names) >= 2
        case "critique":
            return set(parsing.critiques(reply, names) or ()) == set(names) != set()
        case "verdict":
            return parsing.verdict(reply) is (reply == CORRECT)
        case "unit_tests":
            assert wanted
            found = parsing.items(reply, int(wanted[1]))
            return found is not None and all(text.startswith("The answer") for text in found)
        case "code_tests":
            assert wanted
            return len(asserts(reply, "f", 9)) == int(wanted[1]) > 0
        case "test_eval":
            count = len(re.findall(r"^Test #", prompt, re.MULTILINE))
            results = parsing.passed(reply, count)
            return results is not None and None not in results
        case "generate":
            return THINK not in reply
        case _:
            return bool(reply.strip())


def test_python_tests_hold_for_the_reference() -> None:
    for case in cases("listfn", 30, HONEST):
        names: dict[str, Any] = {}
        exec(case.problem.program, names)
        found = case.family.asserts(case.problem, case.belief(), 5, case.rng)
        assert len(set(found)) == 5
        for line in found:
            exec(line, names)


def asked(layer: Layer, replies: Callable[[Request], str], wanted: str) -> None:
    """Check that a layer behind two drafts asks, among others, the wanted prompt."""
    fake = Fake(lambda request, draw: replies(request))
    with archon.Session(pool=None, backends={"fake": fake}) as session:
        generate = Generate(model=Model("fake/drafts"))
        other = Generate(model=Model("fake/others"))
        archon.run((generate | other) >> layer, "Why?", session=session)
    said = [request.messages[-1].content for request, _ in fake.requests]
    assert wanted in said, said


def test_prompts_are_those_that_the_layers_send() -> None:
    nano = Model("fake/judge", profile="nano")
    one = prompts.labelled(["the draft"])

    def replies(request: Request) -> str:
        return "the draft" if request.model.model != "fake/judge" else "All fine. [Correct]"

    # Two equal drafts, which judging layers show once.
    asked(Critique(model=nano), replies, prompts.critiquing("Why?", one))
    asked(Critique(model=nano, per="candidate"), replies, prompts.reviewing("Why?", "the draft"))
    asked(Verify(model=nano), replies, prompts.checking("Why?", "the draft"))
    reason = "All fine. [Correct]"
    asked(Verify(model=nano), replies, prompts.judging("Why?", "the draft", reason))
    asked(Refine(model=nano), replies, prompts.refining("Why?", "the draft", ""))
    asked(
        Critique(model=nano, per="candidate") >> Refine(model=nano),  # type: ignore[arg-type]
        replies,
        prompts.refining("Why?", "the draft", reason),
    )
    two = prompts.labelled(["the draft", "the draft"])
    asked(Fuse(model=nano), replies, prompts.fusing("Why?", two))
    asked(Rank(model=nano, duplicates="each"), replies, prompts.ranking("Why?", two))
    reviewed = prompts.labelled(["the draft"] * 2, [reason] * 2)
    asked(
        Critique(model=nano, per="candidate") >> Fuse(model=nano),  # type: ignore[arg-type]
        replies,
        prompts.fusing("Why?", reviewed),
    )

    def listing(request: Request) -> str:
        return replies(request) if request.model.model != "fake/judge" else "1. a\n2. b"

    asked(UnitTests(model=nano, count=2), listing, prompts.unit_tests("Why?", 2))
    asked(CodeTests(model=nano, count=3), listing, prompts.code_tests("Why?", 3))
    tests = UnitTests(model=nano, count=2) >> TestEval(model=nano)
    asked(tests, listing, prompts.trying("Why?", "the draft", ["a", "b"]))  # type: ignore[arg-type]
    shown = UnitTests(model=nano, count=2) >> Generate(model=nano, with_tests=True)
    asked(shown, listing, prompts.answering_tests("Why?", ["a", "b"]))  # type: ignore[arg-type]


def test_the_words_around_the_data_are_few() -> None:
    frame = [
        prompts.critiquing("", prompts.labelled(["", "", "", ""])),
        prompts.reviewing("", ""),
        prompts.ranking("", prompts.labelled(["", "", "", ""])),
        prompts.fusing("", prompts.labelled(["", "", "", ""])),
        prompts.refining("", "", "x"),
        prompts.checking("", ""),
        prompts.judging("", "", ""),
        prompts.unit_tests("", 5),
        prompts.code_tests("", 5),
        prompts.trying("", "", [""] * 5),
        prompts.answering_tests("", [""] * 5),
    ]
    for text in frame:
        assert len(re.findall(r"\w+|\S", text)) <= 35, text


def test_no_two_roles_begin_alike() -> None:
    shown = prompts.labelled(["x", "y"])
    frames = [
        prompts.critiquing("Q", shown), prompts.reviewing("Q", "x"), prompts.ranking("Q", shown),
        prompts.fusing("Q", shown), prompts.refining("Q", "x", ""), prompts.checking("Q", "x"),
        prompts.judging("Q", "x", "y"), prompts.unit_tests("Q", 5), prompts.code_tests("Q", 5),
        prompts.trying("Q", "x", ["y"]), prompts.answering_tests("Q", ["y"]),
    ]  # fmt: skip
    assert len({text.split("\n")[0] for text in frames}) == len(frames)


def always(text: str) -> Callable[[Request, Any], str]:
    return lambda request, draw: text


def test_feedback_is_what_running_the_program_says() -> None:
    layer = RunTests(tests=("task",), feedback=True)
    try:
        layer.ready()
    except ConfigError as error:
        pytest.skip(str(error).splitlines()[0])
    benchmark, family = ListFn(2), FAMILIES["listfn"]
    problem, rng = next(family.stream(2, "test", 0)), random.Random(0)
    for draft in (family.right(problem, rng), family.wrong(problem, rng)):
        fake = Fake(always(draft.text))
        with archon.Session(pool=None, backends={"fake": fake}) as session:
            arch = Generate(model=Model("fake/m")) >> layer
            result = archon.run(arch, benchmark.item(problem).task, session=session)
        note = result.candidates[0].note("critique")
        assert note is not None
        assert note.text == family.feedback(problem, draft)


def test_a_group_is_cut_where_no_token_is() -> None:
    group = grouped("k", [("Q 12\n\n[A]\n123", "x"), ("Q 12\n\n[A]\n124", "y")])
    assert group.prefix == f"{USER}Q 12\n\n[A]"
    assert group.branches[0] == (f"\n123{ASSISTANT}", f"x{END}")
    same = grouped("k", [("Q", "x"), ("Q", "y")])
    assert same == Group(("k",), f"{USER}Q", ((ASSISTANT, f"x{END}"), (ASSISTANT, f"y{END}")))


@pytest.mark.parametrize("name", list(MIXES))
def test_mixes_hold_train_problems_only_and_all_roles(name: str) -> None:
    found = list(islice(groups(MIXES[name], 5), 220))
    assert {split_of(key) for group in found for key in group.keys} == {"train"}
    asked_for = {group.prefix.removeprefix(USER).split("\n")[0] for group in found}
    openings = ("Rank the answers.", "Combine the answers.", "Review the answers.")
    assert all(opening in asked_for for opening in openings)
    thinking = sum(prompt == THINK for group in found for prompt, _ in group.branches)
    assert thinking > 12


def test_no_question_of_dev_or_test_is_in_training() -> None:
    for family in FAMILIES.values():
        level = family.levels[1]
        train = {p.question for p in islice(family.stream(level, "train", 0), 200)}
        for split in SPLITS:
            assert not train & {p.question for p in islice(family.stream(level, split, 0), 20)}


def test_the_same_examples_in_another_process() -> None:
    code = (
        "from itertools import islice\n"
        "from archon.nano.examples.mixing import GENERAL, groups\n"
        "print(list(islice(groups(GENERAL, 4), 60)))\n"
    )
    env = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{list(islice(groups(GENERAL, 4), 60))}\n"


def test_own_texts_are_judged_among_others() -> None:
    [case] = cases("countdown", 4)[:1]
    own = case.family.read(case.problem, "1 + 1 = 2\n#### 1 + 1")
    assert own is not None
    mine = Case(case.family, case.problem, case.knobs, random.Random(0), (own,))
    assert sum(draft is own for draft in drafts(mine, 50)) > 20


def test_names_and_rates_are_checked() -> None:
    with pytest.raises(ValueError, match=r"lure is a rate from 0 to 1, got 1\.5"):
        Knobs(lure=1.5)
    with pytest.raises(ValueError, match="unknown name 'sums'; known: arithmetic"):
        Mix({"sums": 1.0})
    half = TAUGHT.scaled(0.5)
    assert (half.lure, half.herd) == (TAUGHT.lure / 2, TAUGHT.herd)


def test_benchmarks_score_what_is_taught() -> None:
    """One worked answer of each task, through the public scorer."""
    benchmark = Countdown(4)
    item = benchmark.items("test", 1)[0]
    family: Family[Any, Any] = FAMILIES["countdown"]
    problem = next(family.stream(4, "test", 0))
    right = family.right(problem, random.Random(0))
    scored = asyncio.run(benchmark.score(item, right.text, ScoreContext()))
    assert scored.value == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_marks_end_in_the_truth_and_never_recover(name: str) -> None:
    wrong_before_the_end = 0
    for case in cases(name, 120, seed=5):
        for draft in (case.right(), *drafts(case, 2)):
            answer = marked(case.family, case.problem, draft)
            assert answer.right is truly_right(case, draft)
            assert "\n".join(answer.lines) == draft.text
            steps = answer.marks[:-1]
            assert list(steps) == sorted(steps, reverse=True)
            if answer.right and name != "countdown":
                assert all(answer.marks)
            wrong_before_the_end += not all(steps)
    assert (wrong_before_the_end > 10) == (name != "constraints")


def test_marks_by_hand() -> None:
    family = FAMILIES["arithmetic"]
    problem = next(
        p for p in family.stream(2, "train", 0) if p.key.count("+") == 2 and "*" not in p.key
    )
    a, b, c = (term.sign * term.size for term in parse_key(problem.key))
    gains, loss = [n for n in (a, b, c) if n > 0], next(-n for n in (a, b, c) if n < 0)
    both = sum(gains)
    text = f"{gains[0]} + {gains[1]} = {both}\n{both} + {loss} = {both + loss}\n#### {both + loss}"
    draft = family.read(problem, text)
    assert draft is not None
    assert family.marks(problem, draft) == [True, False, False]
    text = f"{gains[0]} + {gains[1]} = {both + 1}\n{both + 1} - {loss} = {both + 1 - loss}\n#### 0"
    draft = family.read(problem, text)
    assert draft is not None
    assert family.marks(problem, draft) == [False, False, False]


def test_marked_answers_are_of_train_problems() -> None:
    found = list(islice(marked_answers(GENERAL, 2), 60))
    assert {split_of(one.key) for group in found for one in group} == {"train"}
    share = sum(one.right for group in found for one in group) / 240
    assert 0.3 < share < 0.8


def test_a_changed_template_or_rate_changes_the_fingerprint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = fingerprint(GENERAL, 60)
    assert before == fingerprint(GENERAL, 60)
    assert before != fingerprint(Mix(GENERAL.tasks, GENERAL.levels, knobs=HONEST), 60)
    templates = {"fuse": {"default": "", "nano": "Fuse.\n{{ question }}"}}
    monkeypatch.setattr(Fuse, "templates", templates)
    assert fingerprint(GENERAL, 60) != before
