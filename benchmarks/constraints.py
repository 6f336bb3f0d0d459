"""Short lists that meet several rules, each checked by code.

Every problem is made from a list that meets its rules, so they never contradict each other. Most
attempts meet some of them, which is what fusing and refining can build on. An item's score is
strict: 1 if all rules are met; the share of rules met stands in the detail and in the summary.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from archon import answers, stats
from archon.base import BENCHMARKS, Figure, Graded, Item, ScoreContext, Scored
from archon.benchmarks.constraint_rules import VOCABULARY, Entries, Form, Rule, read, true_rules
from archon.benchmarks.procedural import Procedural, Split, drawn
from archon.plain import canonical
from archon.types import AnswerKind, Json, Task

__all__ = ["LEVELS", "Brief", "Constraints", "problems"]

LEVELS = (2, 3, 4, 5, 6)
_ASK = (
    "Write a list of {form} that meets all these rules: {rules}.",
    "Give a list of {form}. Rules: {rules}.",
    "Find a list of {form} with these properties: {rules}.",
)
_FORMS = {"numbers": "whole numbers", "words": "English words"}
_RULE = "Write the list after ####, with commas."


@dataclass(frozen=True, slots=True)
class Brief:
    """Rules for a list, with a list that meets them."""

    form: Form
    rules: tuple[Rule, ...]
    witness: Entries
    level: int
    told: tuple[str, ...] = ()
    id: str = ""
    question: str = ""

    @property
    def key(self) -> str:
        """The rules, in sorted order."""
        return canonical([self.form, *sorted([rule.name, rule.value] for rule in self.rules)])


def _witness(form: Form, level: int, rng: random.Random) -> Entries:
    size = rng.randint(3, 5 if level < 5 else 6)
    if form == "words":
        words = rng.sample(VOCABULARY, size)
        if rng.random() < 0.3:
            length = rng.choice((3, 4))
            words = rng.sample([word for word in VOCABULARY if len(word) == length], size)
        return tuple(sorted(words) if rng.random() < 0.5 else words)
    high = rng.choice((10, 20, 30))
    numbers = [rng.randint(1, high) for _ in range(size)]
    shape = rng.random()
    if shape < 0.3:
        numbers = sorted(rng.sample(range(1, high + 1), size))
    elif shape < 0.45:
        numbers = sorted(rng.sample(range(1, high + 1), size), reverse=True)
    elif shape < 0.6:
        odd = rng.random() < 0.5
        numbers = [2 * rng.randint(1, high // 2) - odd for _ in range(size)]
    return tuple(numbers)


def _draw(level: int, rng: random.Random) -> Brief:
    """Rules that a list meets: its length, and others of which none says what another does."""
    while True:
        form: Form = "numbers" if rng.random() < 0.6 else "words"
        witness = _witness(form, level, rng)
        found: list[Rule] = []
        for rule in true_rules(witness, form, rng):
            if not any(rule.name in other.kind.against for other in found):
                found.append(rule)
        if len(found) >= level:
            return Brief(form, tuple(found[:level]), witness, level)


def _tell(brief: Brief, name: str, rng: random.Random) -> Brief:
    told = tuple(rule.told(rng) for rule in brief.rules)
    ask = rng.choice(_ASK).format(form=_FORMS[brief.form], rules="; ".join(told))
    return replace(brief, told=told, id=name, question=f"{ask} {_RULE}")


def problems(level: int, split: Split, seed: int = 0) -> Iterator[Brief]:
    """Distinct problems of one level and split, the same ones in every process.

    Raises:
        ValueError: The level does not exist.
        RuntimeError: The level has no further distinct problem within reach.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {LEVELS}, got {level}")
    stream = f"constraints-{level}-{split}-{seed}"
    return drawn(stream, split, lambda rng: _draw(level, rng), _tell)


class Constraints(Procedural[Brief]):
    """Lists of numbers or words that meet 2 to 6 rules; only all of them count.

    Args:
        level: how many rules, 2 to 6, or `mixed` for all in turn.
    """

    name = "constraints"
    about = "short lists that meet several rules, generated; levels 2 to 6: how many rules"
    metric = "all rules met"
    answer: AnswerKind = "exact"
    levels = LEVELS
    stream = staticmethod(problems)

    def __init__(self, level: int | str = 4) -> None:
        super().__init__(level)

    def item(self, problem: Brief) -> Item:
        """Return a problem as an item."""
        task = Task.of(problem.question, id=problem.id, answer="exact")
        rules = [[rule.name, rule.value] for rule in problem.rules]
        target = {"form": problem.form, "rules": rules}
        return Item(task, target, group=f"level {problem.level}")

    def check(self, text: str, gold: Json) -> bool:
        """Return whether the list of a reply meets all rules."""
        return all(self._met(text, gold))

    async def score(self, item: Item, text: str | None, ctx: ScoreContext) -> Scored:
        """Score a list: 1 if it meets all rules; `met` in the detail says which it meets."""
        met = self._met(text or "", item.target)
        detail = {"rules": [name for name, _ in item.target["rules"]], "met": met}
        return Scored(float(all(met)), detail={**detail, "share": sum(met) / len(met)})

    def _met(self, text: str, gold: Json) -> list[bool]:
        entries = read(answers.extract(text, self.answer), gold["form"])
        return [Rule(name, value).met(entries) for name, value in gold["rules"]]

    def summary(self, rows: Sequence[Graded]) -> Sequence[Figure]:
        """Return the share of rules met; rules of one list are one cluster."""
        scored = [row for row in rows if row.score is not None and "met" in row.detail]
        each = [float(met) for row in scored for met in row.detail["met"]]
        if not each:
            return [Figure("rules met", None, unit="%", about="no scored item")]
        span = stats.interval(each, [row.id for row in scored for _ in row.detail["met"]])
        about = f"{len(each)} rules, clustered by list"
        mean = 100 * sum(each) / len(each)
        return [Figure("rules met", mean, 100 * span.low, 100 * span.high, "%", about)]


BENCHMARKS.add("constraints", Constraints)
