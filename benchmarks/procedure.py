"""Procedures on a short text: steps to be followed one by one, with the text after each.

Scored by the final text; step-aware figures beside it, as in ProcBench (Fujisawa et al. 2024,
section 3): how far the states are right from the beginning (prefix accuracy), and whether all are
(sequential match).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from archon import stats
from archon.base import BENCHMARKS, Figure, Graded, Item, ScoreContext, Scored
from archon.benchmarks.procedural import Procedural, Split, drawn
from archon.plain import canonical
from archon.types import AnswerKind, Json, Task

__all__ = ["LEVELS", "Plan", "Procedure", "prefix", "problems", "states_in"]

LEVELS = (2, 4, 6, 8, 12)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SHORTEST, _LONGEST = 4, 9
_STATE = re.compile(
    r"^\s{0,8}(\d{1,3})[.):]\s{0,8}[\"'`*]{0,3}([a-z]{1,80})[\"'`*]{0,3}\.?\s*$", re.I
)
_RULE = (
    'Write the text after each step on a line of its own, such as "1. abc", and the final text'
    " after ####."
)


@dataclass(frozen=True, slots=True)
class Move:
    """One step, as it is told and as a function of the text."""

    told: str
    apply: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Plan:
    """A text, the steps to be done, and the text after each."""

    start: str
    told: tuple[str, ...]
    states: tuple[str, ...]
    level: int
    id: str = ""
    question: str = ""

    @property
    def key(self) -> str:
        """The text and its steps."""
        return canonical([self.start, *self.told])


def _rotate(text: str, rng: random.Random) -> Move:
    count = rng.randint(1, 3)
    if rng.random() < 0.5:
        letters = "letter" if count == 1 else f"{count} letters"
        return Move(f"Move the first {letters} to the end.", lambda t: t[count:] + t[:count])
    letters = "letter" if count == 1 else f"{count} letters"
    return Move(f"Move the last {letters} to the front.", lambda t: t[-count:] + t[:-count])


def _swap(text: str, rng: random.Random) -> Move:
    i, j = sorted(rng.sample(range(len(text)), 2))

    def swapped(t: str) -> str:
        return t[:i] + t[j] + t[i + 1 : j] + t[i] + t[j + 1 :]

    return Move(f"Swap letters {i + 1} and {j + 1}.", swapped)


def _delete(text: str, rng: random.Random) -> Move:
    i = rng.randrange(len(text))
    return Move(f"Delete letter {i + 1}.", lambda t: t[:i] + t[i + 1 :])


def _insert(text: str, rng: random.Random) -> Move:
    letter = rng.choice(_LETTERS)
    if rng.random() < 0.5:
        return Move(f"Add {letter} at the end.", lambda t: t + letter)
    return Move(f"Put {letter} in front.", lambda t: letter + t)


def _replace(text: str, rng: random.Random) -> Move:
    old, new = rng.choice(text), rng.choice(_LETTERS)
    return Move(f"Replace every {old} by {new}.", lambda t: t.replace(old, new))


def _double(text: str, rng: random.Random) -> Move:
    i = rng.randrange(len(text))
    return Move(f"Write letter {i + 1} twice.", lambda t: t[: i + 1] + t[i:])


def _reverse(text: str, rng: random.Random) -> Move:
    count = rng.randint(3, 5)
    if rng.random() < 0.5:
        return Move("Reverse the text.", lambda t: t[::-1])
    return Move(f"Reverse the first {count} letters.", lambda t: t[:count][::-1] + t[count:])


def _sort(text: str, rng: random.Random) -> Move:
    return Move("Sort the letters.", lambda t: "".join(sorted(t)))


_MOVES = (_rotate, _swap, _swap, _delete, _insert, _replace, _double, _reverse, _sort)


def _draw(level: int, rng: random.Random) -> Plan:
    """Steps of which each changes the text; its length stays within bounds."""
    start = "".join(rng.choice(_LETTERS) for _ in range(rng.randint(5, 7)))
    text, told, states = start, list[str](), list[str]()
    while len(states) < level:
        move = rng.choice(_MOVES)(text, rng)
        after = move.apply(text)
        if after != text and _SHORTEST <= len(after) <= _LONGEST:
            told.append(move.told)
            states.append(after)
            text = after
    return Plan(start, tuple(told), tuple(states), level)


def _tell(plan: Plan, name: str, rng: random.Random) -> Plan:
    ask = rng.choice(("Do these steps in order:", "Follow these steps one by one:"))
    steps = "\n".join(f"{number}. {told}" for number, told in enumerate(plan.told, 1))
    question = f'Begin with the text "{plan.start}". {ask}\n{steps}\n{_RULE}'
    return replace(plan, id=name, question=question)


def problems(level: int, split: Split, seed: int = 0) -> Iterator[Plan]:
    """Distinct procedures of one level and split, the same ones in every process.

    Raises:
        ValueError: The level does not exist.
        RuntimeError: The level has no further distinct procedure within reach.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {LEVELS}, got {level}")
    stream = f"procedure-{level}-{split}-{seed}"
    return drawn(stream, split, lambda rng: _draw(level, rng), _tell)


def states_in(text: str) -> list[str]:
    r"""Read the states of a reply: lines numbered 1, 2, 3 … with one word each.

    Where a number comes again, a later attempt replaces what began there.

    >>> states_in("1. abc\n2. bca\n#### bca")
    ['abc', 'bca']
    """
    found: list[str] = []
    for line in text.splitlines():
        match = _STATE.match(line)
        if match and 1 <= int(match.group(1)) <= len(found) + 1:
            del found[int(match.group(1)) - 1 :]
            found.append(match.group(2).lower())
    return found


def prefix(states: Sequence[str], wanted: Sequence[str]) -> int:
    """How many states are right before the first wrong one."""
    pairs = enumerate(zip(states, wanted, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(states), len(wanted)))


class Procedure(Procedural[Plan]):
    """Procedures of 2 to 12 steps on a short text; the final text counts.

    Args:
        level: how many steps, 2, 4, 6, 8 or 12, or `mixed` for all in turn.
    """

    name = "procedure"
    about = "steps on a short text, generated; levels 2 to 12: how many steps"
    answer: AnswerKind = "exact"
    levels = LEVELS
    stream = staticmethod(problems)

    def __init__(self, level: int | str = 4) -> None:
        super().__init__(level)

    def item(self, problem: Plan) -> Item:
        """Return a procedure as an item."""
        task = Task.of(problem.question, id=problem.id, answer="exact")
        target = {"states": list(problem.states)}
        return Item(task, target, group=f"level {problem.level}")

    def check(self, text: str, gold: Json) -> bool:
        """Return whether the final text is right."""
        answer = self.extract(text) or ""
        return answer.strip("\"'`. ").lower() == str(gold["states"][-1])

    async def score(self, item: Item, text: str | None, ctx: ScoreContext) -> Scored:
        """Score the final text; the detail has how far the states before it are right."""
        wanted = item.target["states"]
        states = states_in(text or "")
        right = prefix(states, wanted)
        detail = {
            "prefix": right,
            "states": len(states),
            "prefix_accuracy": right / max(len(states), len(wanted)),
            "sequential": right == len(wanted) == len(states),
        }
        final = text is not None and self.check(text, item.target)
        return Scored(float(final), detail=detail)

    def summary(self, rows: Sequence[Graded]) -> Sequence[Figure]:
        """Return prefix accuracy and sequential match."""
        scored = [row for row in rows if row.score is not None and "sequential" in row.detail]
        return [
            _figure("prefix accuracy", [float(row.detail["prefix_accuracy"]) for row in scored]),
            _figure("sequential match", [float(row.detail["sequential"]) for row in scored]),
        ]


def _figure(name: str, scores: Sequence[float]) -> Figure:
    if not scores:
        return Figure(name, None, unit="%", about="no scored item")
    span = stats.interval(scores)
    mean = 100 * sum(scores) / len(scores)
    about = f"mean over {len(scores)} items"
    return Figure(name, mean, 100 * span.low, 100 * span.high, "%", about)


BENCHMARKS.add("procedure", Procedure)
