"""What a model is worth in each role that judges or rewrites answers.

Every function takes answered problems and gives cells. Prompts are those of the layers, replies are
read as the layers read them, and are greedy, so that all chance is in the answers.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from archon import parsing
from archon.layers.judging import labels
from archon.layers.verify import CORRECT, INCORRECT
from archon.nano.answering import LIMIT, Answer, Asked
from archon.nano.cells import Cell, Place, mean
from archon.nano.examples import prompts
from archon.nano.examples.family import Draft
from archon.nano.sampling import Speaker
from archon.nano.separating import auc, auc_interval

__all__ = ["JUDGED", "chances", "critique", "fuse", "ranks", "refine", "separation", "verify"]

SHOWN = 4
_LONG = 320


def verify(voice: Speaker, asked: Sequence[Asked], place: Place) -> list[Cell]:
    """Checks and verdicts on two answers to each problem."""
    found = chances(voice, asked, 2)
    cells = separation(found, place)
    for truth, what in ((True, "right ones accepted"), (False, "wrong ones accepted")):
        some = [(one.problem.key, p) for one, answer, p in found if answer.right is truth]
        cells += mean(place, what, [p > 0.5 for _, p in some], [key for key, _ in some])
    return cells


def chances(
    voice: Speaker, asked: Sequence[Asked], count: int
) -> list[tuple[Asked, Answer, float]]:
    """P([Correct]) of the first answers to each problem, after the model's own check."""
    pairs = [(one, answer) for one in asked for answer in one.answers[:count]]
    asks = [prompts.checking(one.question, answer.text) for one, answer in pairs]
    checks = voice.reply(asks, 0.0, LIMIT)
    asks = [
        prompts.judging(one.question, answer.text, check)
        for (one, answer), check in zip(pairs, checks, strict=True)
    ]
    given = voice.choice(asks, (CORRECT, INCORRECT))
    return [(one, answer, p) for (one, answer), p in zip(pairs, given, strict=True)]


def separation(
    found: Sequence[tuple[Asked, Answer, float]], place: Place, what: str = "AUC"
) -> list[Cell]:
    """How well scores tell right answers from wrong ones."""
    scores = [p for _, _, p in found]
    truths = [answer.right for _, answer, _ in found]
    keys = [one.problem.key for one, _, _ in found]
    area = auc(scores, truths)
    if area is None:
        return []
    return [Cell(place, what, area, *auc_interval(scores, truths, keys), len(set(keys)))]


def _labelled(answers: Sequence[Answer]) -> prompts.Labelled:
    return prompts.labelled([answer.text for answer in answers])


def _fitting(one: Asked, answers: Sequence[Answer]) -> bool:
    return len(one.question) + sum(len(answer.text) for answer in answers) <= 1700


def ranks(voice: Speaker, asked: Sequence[Asked], place: Place) -> list[Cell]:
    """A right and a wrong answer in both orders, and the best of several against their mean."""
    pairs = []
    for one in asked:
        right = next((a for a in one.answers if a.right), None)
        wrong = next((a for a in one.answers if not a.right), None)
        if right and wrong and _fitting(one, (right, wrong)):
            pairs.append((one, right, wrong))
    shown = [
        (one, pair) for one, right, wrong in pairs for pair in ((right, wrong), (wrong, right))
    ]
    wins, first, keys = [], [], []
    for (one, pair), order in zip(shown, _orders(voice, shown), strict=True):
        keys.append(one.problem.key)
        first.append(0.5 if order is None else float(order[0] == 0))
        wins.append(0.5 if order is None else float(pair[order[0]].right))
    cells = mean(place, "the right one of a pair first", wins, keys)
    cells += mean(place, "the one shown first preferred", first, keys)
    several = [(one, tuple(one.answers[:SHOWN])) for one in asked]
    several = [(one, some) for one, some in several if _fitting(one, some)]
    gains, keys = [], []
    for (one, some), order in zip(several, _orders(voice, several), strict=True):
        best = some[0] if order is None else some[order[0]]
        gains.append(best.right - sum(a.right for a in some) / len(some))
        keys.append(one.problem.key)
    return cells + mean(place, f"first of {SHOWN} minus their mean", gains, keys)


def _orders(
    voice: Speaker, shown: Sequence[tuple[Asked, Sequence[Answer]]]
) -> list[tuple[int, ...] | None]:
    """Places of the answers in the order of a ranking; None where it cannot be read."""
    asks = [prompts.ranking(one.question, _labelled(some)) for one, some in shown]
    found: list[tuple[int, ...] | None] = []
    for (_, some), said in zip(shown, voice.reply(asks, 0.0, _LONG), strict=True):
        names = labels(len(some))
        order = parsing.ranking(said, names)
        found.append(None if order is None else tuple(names.index(name) for name in order))
    return found


def fuse(voice: Speaker, asked: Sequence[Asked], place: Place) -> list[Cell]:
    """The fusion of several answers against their mean, and where all or none are right."""
    several = [(one, one.answers[:SHOWN]) for one in asked]
    several = [(one, some) for one, some in several if _fitting(one, some)]
    asks = [prompts.fusing(one.question, _labelled(some)) for one, some in several]
    gains, fused, hopeless, keys = [], [], [], []
    for (one, some), text in zip(several, voice.reply(asks, 0.0, LIMIT), strict=True):
        right = one.grade(text).right
        share = sum(answer.right for answer in some) / len(some)
        gains.append(right - share)
        fused.append(right)
        keys.append(one.problem.key)
        if share == 0:
            hopeless.append((one.problem.key, right))
    cells = mean(place, f"fusion of {SHOWN}", fused, keys)
    cells += mean(place, f"fusion of {SHOWN} minus their mean", gains, keys)
    said = [right for _, right in hopeless]
    return cells + mean(place, "right where all were wrong", said, [key for key, _ in hopeless])


def critique(voice: Speaker, asked: Sequence[Asked], place: Place) -> list[Cell]:
    """How often a review finds a fault, in wrong answers and in right ones, and names it."""
    firsts = [(one, one.answers[0]) for one in asked]
    said = _reviews(voice, firsts)
    cells = []
    for truth, what in (
        (False, "faults found in wrong ones"),
        (True, "faults found in right ones"),
    ):
        some = [
            (one.problem.key, not _praise(text))
            for (one, answer), text in zip(firsts, said, strict=True)
            if answer.right is truth
        ]
        cells += mean(place, what, [found for _, found in some], [key for key, _ in some])
    named = [
        (one.problem.key, _fault(one, answer.draft) in text)
        for (one, answer), text in zip(firsts, said, strict=True)
        if answer.draft is not None and not answer.right
    ]
    what = "the fault named in wrong ones"
    return cells + mean(place, what, [right for _, right in named], [key for key, _ in named])


def _fault(one: Asked, draft: Draft[Any]) -> str:
    """What somebody says of a draft who knows the right one."""
    rng = random.Random(one.problem.key)
    truth = one.family.right(one.problem, rng)
    return one.family.review(one.problem, draft, truth, rng)


def _reviews(voice: Speaker, firsts: Sequence[tuple[Asked, Answer]]) -> list[str]:
    asks = [prompts.reviewing(one.question, answer.text) for one, answer in firsts]
    return voice.reply(asks, 0.0, LIMIT)


_PRAISE = re.compile(r"All (steps|lines|rules) are (right|met|kept)\.")


def _praise(review: str) -> bool:
    return _PRAISE.search(review.split("\n")[-1]) is not None


def refine(voice: Speaker, asked: Sequence[Asked], place: Place) -> list[Cell]:
    """An answer after a review and a rewrite, against what it was."""
    firsts = [(one, one.answers[0]) for one in asked]
    said = _reviews(voice, firsts)
    asks = [
        prompts.refining(one.question, answer.text, review)
        for (one, answer), review in zip(firsts, said, strict=True)
    ]
    gains = [
        float(one.grade(text).right) - float(answer.right)
        for (one, answer), text in zip(firsts, voice.reply(asks, 0.0, LIMIT), strict=True)
    ]
    keys = [one.problem.key for one, _ in firsts]
    return mean(place, "rewritten minus first answer", gains, keys)


def tries(voice: Speaker, asked: Sequence[Asked], place: Place) -> list[Cell]:
    """Whether tests that are sound are said to pass where they pass, and to fail where not."""
    asks, truths, keys = [], [], []
    for one in asked:
        answer, rng = one.answers[0], random.Random(one.problem.key)
        if answer.draft is None:
            continue
        reference = one.family.right(one.problem, rng)
        tests = one.family.statements(one.problem, reference, 3, rng)
        asks.append(prompts.trying(one.question, answer.text, [test.text for test in tests]))
        truths.append([test.judge(answer.draft.value)[1] for test in tests])
        keys.append(one.problem.key)
    hits: dict[bool, list[tuple[str, bool]]] = {True: [], False: []}
    for key, truth, said in zip(keys, truths, voice.reply(asks, 0.0, _LONG), strict=True):
        seen = parsing.passed(said, len(truth)) or (None,) * len(truth)
        for holds, told in zip(truth, seen, strict=True):
            hits[holds].append((key, told is holds))
    cells = []
    for holds, what in (
        (True, "passing tests seen to pass"),
        (False, "failing tests seen to fail"),
    ):
        some = hits[holds]
        cells += mean(place, what, [hit for _, hit in some], [key for key, _ in some])
    return cells


JUDGED: dict[str, Callable[[Speaker, Sequence[Asked], Place], list[Cell]]] = {
    "verify": verify, "rank": ranks, "fuse": fuse, "critique": critique, "refine": refine,
    "test_eval": tries,
}  # fmt: skip
"""What measures each role."""
