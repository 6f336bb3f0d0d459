"""Countdown: reach a number with given numbers, each used at most once.

The numbers game of the television programme, as a task for search with language models (Gandhi et
al. 2024, "Stream of Search"). A problem is made from an expression that uses all its numbers, so
there is always a solution; one that two of the numbers alone solve is not asked.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from archon import answers
from archon.base import BENCHMARKS, Item, ScoreContext, Scored
from archon.benchmarks.expressions import parse
from archon.benchmarks.procedural import Procedural, Split, drawn
from archon.types import AnswerKind, Json, Task

__all__ = ["LEVELS", "Countdown", "Puzzle", "Tree", "problems", "verdict"]

LEVELS = (3, 4, 5, 6)
LARGEST = {3: 20, 4: 20, 5: 25, 6: 25}
"""The largest number that a level gives."""
TARGETS = (10, 199)

_ASK = (
    "Use the numbers {numbers} to make {target}.",
    "Make {target} from the numbers {numbers}.",
    "Reach {target} with the numbers {numbers}.",
    "Find an expression that equals {target}, from the numbers {numbers}.",
)
_RULE = "Use each at most once, with + - * / and brackets. Give the expression after ####."


@dataclass(frozen=True, slots=True)
class Tree:
    """A number, or an operation on two trees."""

    value: int
    sign: str = ""
    left: Tree | None = None
    right: Tree | None = None

    @property
    def steps(self) -> list[str]:
        """The operations in an order in which they can be done: `3 * 8 = 24`."""
        if self.left is None or self.right is None:
            return []
        line = f"{self.left.value} {self.sign} {self.right.value} = {self.value}"
        return [*self.left.steps, *self.right.steps, line]

    @property
    def text(self) -> str:
        """The expression, with the brackets that it needs and no others."""
        if self.left is None or self.right is None:
            return str(self.value)
        return f"{self._part(self.left)} {self.sign} {self._part(self.right, last=True)}"

    def _part(self, part: Tree, *, last: bool = False) -> str:
        loose = part.sign in ("+", "-") and (self.sign in ("*", "/") or (last and self.sign == "-"))
        tight = last and self.sign == "/" and part.sign in ("*", "/")
        tight = tight or (last and self.sign == "*" and part.sign == "/")
        return f"({part.text})" if loose or tight else part.text


@dataclass(frozen=True, slots=True)
class Puzzle:
    """Numbers and the number to reach, with one way to reach it."""

    numbers: tuple[int, ...]
    target: int
    solution: Tree
    level: int
    id: str = ""
    question: str = ""

    @property
    def key(self) -> str:
        """The sorted numbers and the target."""
        return f"{','.join(map(str, sorted(self.numbers)))}={self.target}"


def combined(left: Tree, right: Tree, rng: random.Random) -> Tree:
    """One operation on two trees with a positive whole result, never one that changes nothing."""
    if left.value < right.value:
        left, right = right, left
    a, b = left.value, right.value
    choices = [("+", a + b)]
    if a > b:
        choices.append(("-", a - b))
    if b > 1 and a * b <= 2 * TARGETS[1]:
        choices += [("*", a * b)] * 2
    if b > 1 and a % b == 0:
        choices += [("/", a // b)] * 2
    sign, value = rng.choice(choices)
    if sign in "+*" and rng.random() < 0.5:
        left, right = right, left
    return Tree(value, sign, left, right)


def _draw(level: int, rng: random.Random) -> Puzzle:
    while True:
        numbers = tuple(rng.randint(1, LARGEST[level]) for _ in range(level))
        trees = [Tree(number) for number in numbers]
        rng.shuffle(trees)
        while len(trees) > 1:
            left, right = (trees.pop(rng.randrange(len(trees))) for _ in range(2))
            trees.append(combined(left, right, rng))
        target = trees[0].value
        if TARGETS[0] <= target <= TARGETS[1] and not _easy(numbers, target):
            return Puzzle(numbers, target, trees[0], level)


def _easy(numbers: Sequence[int], target: int) -> bool:
    """Whether one number, or two, reach the target."""
    return target in numbers or any(
        target in (a + b, abs(a - b), a * b) or target * b == a or target * a == b
        for a, b in combinations(numbers, 2)
    )


def _tell(puzzle: Puzzle, name: str, rng: random.Random) -> Puzzle:
    ask = rng.choice(_ASK).format(numbers=_listed(puzzle.numbers), target=puzzle.target)
    return Puzzle(
        puzzle.numbers, puzzle.target, puzzle.solution, puzzle.level, name, f"{ask} {_RULE}"
    )


def _listed(numbers: Sequence[int]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def problems(level: int, split: Split, seed: int = 0) -> Iterator[Puzzle]:
    """Distinct puzzles of one level and split, the same ones in every process.

    Raises:
        ValueError: The level does not exist.
        RuntimeError: The level has no further distinct puzzle within reach.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {LEVELS}, got {level}")
    stream = f"countdown-{level}-{split}-{seed}"
    return drawn(stream, split, lambda rng: _draw(level, rng), _tell)


def verdict(answer: str | None, numbers: Sequence[int], target: int) -> tuple[bool, str]:
    """Whether an expression reaches the target by the rules, and why not.

    >>> verdict("8 * 8", [8, 3, 2], 64), verdict("8 * 3 * 2", [8, 3, 2], 64)
    ((False, 'it uses 8 2 times, but 8 is given once'), (False, 'it equals 48, not 64'))
    """
    if answer is None:
        return False, "no expression"
    try:
        found = parse(answer.strip().rstrip(".").strip("`$ "))
    except ValueError as error:
        return False, str(error)
    given = Counter(numbers)
    for number, count in Counter(found.numbers).items():
        if number not in given:
            return False, f"it uses {number}, which is not given"
        if count > given[number]:
            times = "once" if given[number] == 1 else f"{given[number]} times"
            return False, f"it uses {number} {count} times, but {number} is given {times}"
    if found.value != Fraction(target):
        return False, f"it equals {found.value}, not {target}"
    return True, ""


class Countdown(Procedural[Puzzle]):
    """Puzzles of 3 to 6 numbers; any expression that keeps the rules is right.

    Args:
        level: how many numbers are given, 3 to 6, or `mixed` for all in turn.
    """

    name = "countdown"
    about = "reach a number with given numbers, generated; levels 3 to 6: how many numbers"
    answer: AnswerKind = "exact"
    levels = LEVELS
    stream = staticmethod(problems)

    def __init__(self, level: int | str = 4) -> None:
        super().__init__(level)

    def item(self, problem: Puzzle) -> Item:
        """Return a puzzle as an item."""
        task = Task.of(problem.question, id=problem.id, answer="exact")
        target = {"numbers": list(problem.numbers), "target": problem.target}
        return Item(task, target, group=f"level {problem.level}")

    def check(self, text: str, gold: Json) -> bool:
        """Return whether the expression reaches the target by the rules."""
        return verdict(self.extract(text), gold["numbers"], gold["target"])[0]

    async def score(self, item: Item, text: str | None, ctx: ScoreContext) -> Scored:
        """Score an expression; `why` in the detail says what is wrong with it."""
        answer = None if text is None else answers.extract(text, self.answer)
        right, why = verdict(answer, item.target["numbers"], item.target["target"])
        return Scored(float(right), detail={"why": why} if why else {})


BENCHMARKS.add("countdown", Countdown)
