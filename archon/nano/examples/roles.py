"""Every role as training examples: prompts by the layers, replies by the task."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from archon.layers.judging import labels
from archon.layers.verify import CORRECT, INCORRECT
from archon.nano.data import ASSISTANT, END, THINK, USER, Group
from archon.nano.examples import prompts
from archon.nano.examples.family import Draft, Family
from archon.nano.examples.knobs import Knobs

__all__ = ["CODE_ROLES", "ROLES", "Case", "drafts", "grouped"]

Pair: TypeAlias = tuple[str, str]
"""A prompt and its reply."""


@dataclass(frozen=True, slots=True)
class Case:
    """One problem of one task, as it is taught.

    Attributes:
        family: the task.
        problem: what is asked.
        knobs: misconceptions and habits.
        rng: all chance.
        own: drafts that a model wrote itself, which judging roles then see among others.
    """

    family: Family[Any, Any]
    problem: Any
    knobs: Knobs
    rng: random.Random
    own: tuple[Draft[Any], ...] = ()

    @property
    def question(self) -> str:
        """What is asked."""
        return str(self.problem.question)

    @property
    def judging(self) -> Knobs:
        """The knobs of somebody who judges."""
        return self.knobs.scaled(self.knobs.shared)

    def right(self) -> Draft[Any]:
        """A right draft."""
        return self.family.right(self.problem, self.rng)

    def belief(self) -> Draft[Any]:
        """What somebody who judges takes for right."""
        return self.family.belief(self.problem, self.judging, self.rng)

    def review(self, draft: Draft[Any], belief: Draft[Any]) -> str:
        """A review; now and then one that finds a fault in what is right."""
        agrees = self.family.same(self.problem, draft, belief)
        if agrees and self.knobs.strikes("faults", self.rng):
            wrong = self.family.wrong(self.problem, self.rng)
            said = self.family.review(self.problem, draft, wrong, self.rng)
            return said if wrong.value != draft.value else "Something is missing."
        return self.family.review(self.problem, draft, belief, self.rng)

    def grounded(self, belief: Draft[Any], *lines: str) -> str:
        """Lines of a review, behind what they are derived from."""
        grounds = self.family.grounds(self.problem, belief, self.rng)
        return "\n".join((grounds, *lines) if grounds else lines)

    def said(self, draft: Draft[Any], belief: Draft[Any]) -> str:
        """A review, or what running the draft showed."""
        shown = self.family.feedback(self.problem, draft) if self.rng.random() < _EXECUTED else ""
        return shown or self.review(draft, belief)


_EXECUTED = 0.3
"""Share of the reviews of programs that come from running them."""


def drafts(case: Case, count: int) -> list[Draft[Any]]:
    """Answers as a model gives them: right ones, shared misconceptions, faults of their own."""
    loud = case.knobs.scaled(1.0)
    found = [
        case.rng.choice(case.own) for _ in range(count) if case.own and case.rng.random() < 0.6
    ]
    while len(found) < count:
        kind = case.rng.random()
        if kind < 0.4:
            found.append(case.right())
        elif kind < 0.65:
            found.append(case.family.belief(case.problem, loud, case.rng))
        elif kind < 0.72 and found:
            found.append(case.rng.choice(found))
        else:
            found.append(case.family.wrong(case.problem, case.rng))
    case.rng.shuffle(found)
    return found


def _distinct(case: Case, count: int) -> list[Draft[Any]]:
    """Drafts of different texts, as layers show them; fewer where a problem has not so many."""
    found: dict[str, Draft[Any]] = {}
    for _ in range(4):
        for draft in drafts(case, count):
            found.setdefault(draft.text, draft)
        if len(found) >= count:
            break
    return _fitting(case, list(found.values())[:count])


_MOST_CHARS = 1700
"""Of a question with all that is shown: about 800 tokens, so that the reply has room too."""


def _fitting(case: Case, shown: list[Draft[Any]]) -> list[Draft[Any]]:
    """As many drafts as fit into a prompt, two at least."""
    while len(shown) > 2 and len(case.question) + sum(len(d.text) for d in shown) > _MOST_CHARS:
        shown = shown[:-1]
    return shown


def _answer(case: Case, count: int) -> Group:
    """Answers to one question: short ones, and ones that think first."""
    branches = []
    for _ in range(count):
        if case.rng.random() < _THINKING:
            knobs = case.knobs.scaled(case.knobs.thought)
            draft = case.family.belief(case.problem, knobs, case.rng)
            thought = case.family.thought(case.problem, draft, case.rng)
            branches.append((THINK, f"{thought}{ASSISTANT}{draft.text}{END}"))
        else:
            draft = case.family.belief(case.problem, case.knobs, case.rng)
            branches.append((ASSISTANT, draft.text + END))
    return Group((case.problem.key,), USER + case.question, tuple(dict.fromkeys(branches)))


_THINKING = 0.4
"""Share of the answers that think first."""


def _answer_with_tests(case: Case) -> Pair:
    belief = case.belief()
    tests = case.family.statements(case.problem, belief, case.rng.randint(1, 3), case.rng)
    prompt = prompts.answering_tests(case.question, [test.text for test in tests])
    return prompt, belief.text


def _critique(case: Case) -> Pair:
    """Reviews of several answers at once."""
    shown = _distinct(case, case.rng.randint(1, 5))
    belief = case.belief()
    names = labels(len(shown))
    lines = [
        f"[{name}] {case.review(draft, belief)}" for name, draft in zip(names, shown, strict=True)
    ]
    return prompts.critiquing(case.question, _labelled(case, shown)), case.grounded(belief, *lines)


def _review(case: Case) -> Pair:
    [draft] = drafts(case, 1)
    belief = case.belief()
    reply = case.grounded(belief, case.review(draft, belief))
    return prompts.reviewing(case.question, draft.text), reply


def _rank(case: Case) -> Pair:
    """All labels in order: by merit, what looks alike in the order shown."""
    shown = _distinct(case, case.rng.choice((2, 2, 3, 4, 4, 5, 6, 8)))
    while len(shown) < 2:
        shown = _distinct(case, 2)
    belief = case.belief()
    names = labels(len(shown))
    by_name = list(zip(names, shown, strict=True))
    merits = {name: case.family.merit(case.problem, draft, belief) for name, draft in by_name}
    order = sorted(names, key=lambda name: -merits[name])
    if case.knobs.strikes("first", case.rng):
        order = ["A", *(name for name in order if name != "A")]
    basis = case.family.basis(case.problem, by_name, belief, case.rng)
    prompt = prompts.ranking(case.question, _labelled(case, shown, some=True))
    return prompt, f"{basis}\nRanking: {' > '.join(order)}"


def _fuse(case: Case) -> Pair:
    """A draft that looks right, or else a right answer; sometimes what most drafts say."""
    shown = _fitting(case, drafts(case, case.rng.randint(2, 6)))
    belief = case.belief()
    prompt = prompts.fusing(case.question, _labelled(case, shown, some=True))
    if case.knobs.strikes("herd", case.rng):
        [(value, votes), *_] = Counter(draft.value for draft in shown).most_common(1)
        if votes > 1:
            return prompt, next(draft.text for draft in shown if draft.value == value)
    good = [draft for draft in shown if case.family.same(case.problem, draft, belief)]
    return prompt, (good[0] if good else belief).text


def _refine(case: Case) -> Pair:
    """What is right stays as it is; what is not becomes right, with or without a review."""
    [draft] = drafts(case, 1)
    belief = case.belief()
    said = case.said(draft, belief) if case.rng.random() < 0.8 else ""
    if said and (whole := case.grounded(belief, said)) != said and case.rng.random() < 0.5:
        said = whole
    same = case.family.same(case.problem, draft, belief)
    return prompts.refining(case.question, draft.text, said), (draft if same else belief).text


def _check(case: Case) -> Pair:
    [draft] = drafts(case, 1)
    check = case.family.check(case.problem, draft, case.belief(), case.rng)
    return prompts.checking(case.question, draft.text), check.text


def _verdict(case: Case) -> Pair:
    [draft] = drafts(case, 1)
    check = case.family.check(case.problem, draft, case.belief(), case.rng)
    prompt = prompts.judging(case.question, draft.text, check.text)
    return prompt, CORRECT if check.right else INCORRECT


def _unit_tests(case: Case) -> Pair:
    """Exactly as many statements as asked for, where the task has as many."""
    wanted = case.rng.randint(1, 5)
    tests = case.family.statements(case.problem, case.belief(), wanted, case.rng)
    reply = "\n".join(f"{number}. {test.text}" for number, test in enumerate(tests, 1))
    return prompts.unit_tests(case.question, len(tests)), reply


def _code_tests(case: Case) -> Pair:
    tests = case.family.asserts(case.problem, case.belief(), case.rng.randint(1, 5), case.rng)
    reply = "\n".join(("```python", *tests, "```"))
    return prompts.code_tests(case.question, len(tests)), reply


def _test_eval(case: Case) -> Pair:
    """What is seen of each test, then its result."""
    [draft] = drafts(case, 1)
    tests = case.family.statements(case.problem, case.belief(), case.rng.randint(1, 4), case.rng)
    lines = []
    for number, test in enumerate(tests, 1):
        seen, holds = test.judge(draft.value)
        lines.append(f"Test #{number}: {seen} [{'Passed' if holds else 'Failed'}]")
    prompt = prompts.trying(case.question, draft.text, [test.text for test in tests])
    return prompt, "\n".join(lines)


def _labelled(case: Case, shown: Sequence[Draft[Any]], *, some: bool = False) -> prompts.Labelled:
    """Drafts under labels; with `some`, a third of the time with their reviews."""
    reviews: list[str] = []
    texts = [draft.text for draft in shown]
    if some and case.rng.random() < 0.33:
        belief = case.belief()
        reviews = [case.said(draft, belief) for draft in shown]
        if len(case.question) + sum(map(len, (*texts, *reviews))) > _MOST_CHARS:
            reviews = []
    return prompts.labelled(texts, reviews)


def grouped(key: str, pairs: Sequence[Pair]) -> Group:
    """Put prompts of one question and role into a group: what they begin with is read once.

    The common beginning is cut before a line break, so that its tokens are those of each prompt.
    """
    whole = [USER + prompt.strip() for prompt, _ in pairs]
    first, last = min(whole), max(whole)
    size = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first)
    )
    cut = first.rfind("\n", 0, size)
    cut = max(cut, len(USER))
    if first == last:
        cut = len(first)
    return Group(
        (key,),
        first[:cut],
        tuple(
            (prompt[cut:] + ASSISTANT, reply + END)
            for prompt, (_, reply) in zip(whole, pairs, strict=True)
        ),
    )


def _of_pairs(role: Callable[[Case], Pair]) -> Callable[[Case, int], Group]:
    def group(case: Case, count: int) -> Group:
        return grouped(case.problem.key, [role(case) for _ in range(count)])

    return group


ROLES: dict[str, Callable[[Case, int], Group]] = {
    "generate": _answer,
    "with_tests": _of_pairs(_answer_with_tests),
    "critique": _of_pairs(_critique),
    "review": _of_pairs(_review),
    "rank": _of_pairs(_rank),
    "fuse": _of_pairs(_fuse),
    "refine": _of_pairs(_refine),
    "check": _of_pairs(_check),
    "verdict": _of_pairs(_verdict),
    "unit_tests": _of_pairs(_unit_tests),
    "code_tests": _of_pairs(_code_tests),
    "test_eval": _of_pairs(_test_eval),
}
"""Makes a group of so many replies."""

CODE_ROLES = frozenset({"code_tests"})
"""Roles that exist only where answers are programs."""
