"""Countdown: an answer is the operations one by one, then the expression."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from archon.benchmarks.countdown import LEVELS, TARGETS, Puzzle, Tree, combined, problems, verdict
from archon.benchmarks.expressions import parse
from archon.benchmarks.procedural import Split
from archon.nano.examples.family import Check, Draft, Family, Statement
from archon.nano.examples.knobs import Knobs

__all__ = ["CountdownFamily"]


_WORDS = 5
"""In a line such as `3 * 4 = 12`."""
_TRIED = 3
"""How many numbers are few enough to try each as the last."""


class CountdownFamily(Family[Puzzle, str]):
    """The value of a draft is its expression.

    Args:
        methodical: whether who thinks about three numbers tries one after the other as the last.
            Else a thought is a way or two that lead elsewhere.
    """

    name = "countdown"
    levels = LEVELS

    def __init__(self, *, methodical: bool = False) -> None:
        self._methodical = methodical

    def stream(self, level: int, split: Split, seed: int) -> Iterator[Puzzle]:
        """Problems of a level."""
        return problems(level, split, seed)

    def right(self, problem: Puzzle, rng: random.Random) -> Draft[str]:
        """The known solution, its sums and products turned by chance."""
        return _draft(_turned(problem.solution, rng))

    def wrong(self, problem: Puzzle, rng: random.Random) -> Draft[str]:
        """Another value, a number used twice or not given, or brackets left out."""
        while True:
            kind = rng.random()
            if kind < 0.35:
                found = self._other_value(problem, rng)
            elif kind < 0.6:
                found = _draft(_turned(problem.solution, rng), brackets=False)
            elif kind < 0.8:
                found = self._wishful(problem, rng)
            else:
                found = self._foreign(problem, rng)
            if not self._right(problem, found):
                return found

    def belief(self, problem: Puzzle, knobs: Knobs, rng: random.Random) -> Draft[str]:
        """The solution; without brackets where one computes from left to right."""
        tree = _turned(problem.solution, rng)
        loose = _draft(_leaning(tree), brackets=False)
        if _loose(loose.value) == problem.target and knobs.strikes("brackets", rng):
            return loose
        return _draft(tree)

    def read(self, problem: Puzzle, text: str) -> Draft[str] | None:
        """The operations, then an expression that can be computed."""
        expression = text.rpartition("####")[2].strip()
        try:
            parse(expression)
            _loose(expression)
            for line in text.strip().split("\n")[:-1]:
                parse(line.partition(" = ")[0])
                int(line.partition(" = ")[2])
        except (ValueError, ZeroDivisionError):
            return None
        return Draft(text.strip(), expression)

    def same(self, problem: Puzzle, first: Draft[str], second: Draft[str]) -> bool:
        """Whether both are right, or both wrong.

        Who believes in left-to-right takes for right what comes to the target in that way.
        """
        loose = not self._right(problem, second)
        return self._right(problem, first, loose=loose) == self._right(problem, second, loose=loose)

    def merit(self, problem: Puzzle, draft: Draft[str], belief: Draft[str]) -> float:
        """1 for the target, less the further off, least for a broken rule."""
        if self.same(problem, draft, belief):
            return 1.0
        found = parse(draft.value)
        if any(found.numbers.count(n) > problem.numbers.count(n) for n in found.numbers):
            return 0.0
        return 0.5 / (1 + float(abs(found.value - problem.target)))

    def thought(self, problem: Puzzle, draft: Draft[str], rng: random.Random) -> str:
        """One or two ways that lead elsewhere, then the one taken; or a methodical search."""
        if self._methodical and len(problem.numbers) == _TRIED:
            return _searched(problem, draft)
        lines = []
        for _ in range(rng.randint(1, 2)):
            tree = _random_tree(problem, rng)
            if tree.value != problem.target:
                lines.append(f"{', '.join(tree.steps)}: no")
        steps = draft.text.split("\n")[:-1]
        return "\n".join([*lines, f"{', '.join(steps)}: yes"])

    def review(
        self, problem: Puzzle, draft: Draft[str], belief: Draft[str], rng: random.Random
    ) -> str:
        """Which rule is broken, or what the expression equals."""
        if self.same(problem, draft, belief):
            return f"It equals {problem.target}. All rules are kept."
        right, why = verdict(draft.value, problem.numbers, problem.target)
        if right:  # somebody who computes from left to right
            return f"It equals {_loose(draft.value)}, not {problem.target}."
        for number, line in enumerate(draft.text.split("\n")[:-1], 1):
            left, _, result = line.partition(" = ")
            if parse(left).value != int(result):
                return f"Step {number} is wrong: {left} = {_number(parse(left).value)}."
        return f"{why[0].upper()}{why[1:]}."

    def check(
        self, problem: Puzzle, draft: Draft[str], belief: Draft[str], rng: random.Random
    ) -> Check:
        """The numbers used beside those given, then the value."""
        loose = not self._right(problem, belief)
        found = parse(draft.value)
        value = _loose(draft.value) if loose else found.value
        used = ", ".join(map(str, sorted(found.numbers)))
        given = ", ".join(map(str, sorted(problem.numbers)))
        text = f"used: {used}\ngiven: {given}\nvalue: {_number(value)}\ntarget: {problem.target}"
        return Check(text, self._right(problem, draft, loose=loose))

    def marks(self, problem: Puzzle, draft: Draft[str]) -> list[bool]:
        """An operation is right on numbers that are left; the last line if it solves the puzzle."""
        left = [str(number) for number in problem.numbers]
        marks: list[bool] = []
        for line in draft.text.split("\n")[:-1]:
            words = line.split()
            fine = not marks or marks[-1]
            if len(words) != _WORDS:
                marks.append(False)
                continue
            for number in (words[0], words[2]):
                fine = fine and number in left
                left = [*left]
                if number in left:
                    left.remove(number)
            left.append(words[4])
            marks.append(fine and parse(" ".join(words[:3])).value == int(words[4]))
        return [*marks, self._right(problem, draft)]

    def basis(
        self,
        problem: Puzzle,
        drafts: Sequence[tuple[str, Draft[str]]],
        belief: Draft[str],
        rng: random.Random,
    ) -> str:
        """The value of each."""
        loose = not self._right(problem, belief)
        lines = []
        for label, draft in drafts:
            value = _loose(draft.value) if loose else parse(draft.value).value
            lines.append(f"{label}: {_number(value)}")
        return "\n".join(lines)

    def statements(
        self, problem: Puzzle, belief: Draft[str], count: int, rng: random.Random
    ) -> list[Statement[str]]:
        """The value, and the rules."""
        loose = not self._right(problem, belief)

        def equals(text: str) -> tuple[str, bool]:
            value = _loose(text) if loose else parse(text).value
            return _number(value), value == problem.target

        def given(text: str) -> tuple[str, bool]:
            strange = [n for n in parse(text).numbers if n not in problem.numbers]
            return (f"{strange[0]} is not given", False) if strange else ("all given", True)

        def once(text: str) -> tuple[str, bool]:
            used = parse(text).numbers
            twice = [n for n in used if used.count(n) > max(1, problem.numbers.count(n))]
            return (f"{twice[0]} again", False) if twice else ("none", True)

        numbers = ", ".join(map(str, problem.numbers))
        highs = [problem.target + off for off in rng.sample(range(1, 30), 3)]
        found = [
            Statement(f"The answer equals {problem.target}.", equals),
            Statement(f"The answer uses only {numbers}.", given),
            Statement("The answer uses no number too often.", once),
            *(
                Statement(f"The answer uses {number} at most once.", _at_most_once(number))
                for number in sorted(set(problem.numbers))
                if problem.numbers.count(number) == 1
            ),
            *(Statement(f"The answer is less than {high}.", _less(high)) for high in highs),
        ]
        head, rest = found[:3], found[3:]
        return (head + rng.sample(rest, len(rest)))[:count]

    def _right(self, problem: Puzzle, draft: Draft[str], *, loose: bool = False) -> bool:
        right, _ = verdict(draft.value, problem.numbers, problem.target)
        if not loose:
            return right
        used = parse(draft.value).numbers
        kept = all(used.count(n) <= problem.numbers.count(n) for n in used)
        return kept and _loose(draft.value) == problem.target

    def _other_value(self, problem: Puzzle, rng: random.Random) -> Draft[str]:
        """The best of a few random expressions that keep the rules."""
        trees = [_random_tree(problem, rng) for _ in range(4)]
        return _draft(min(trees, key=lambda tree: abs(tree.value - problem.target)))

    def _wishful(self, problem: Puzzle, rng: random.Random) -> Draft[str]:
        """A random expression whose last operation is said to give the target."""
        tree = _random_tree(problem, rng)
        return _draft(replace(tree, value=problem.target))

    def _foreign(self, problem: Puzzle, rng: random.Random) -> Draft[str]:
        """One number in the place of another: one used twice, or one that is not given."""
        place = rng.randrange(len(problem.numbers))
        other = rng.choice((*problem.numbers, rng.randint(1, 12)))
        numbers = (*problem.numbers[:place], other, *problem.numbers[place + 1 :])
        return _draft(_random_tree(replace(problem, numbers=numbers), rng))


def _searched(problem: Puzzle, draft: Draft[str]) -> str:
    """For each number what the other two make, and what they would have to make if it came last.

    It ends where both agree in the way of the draft; other ways to the target are passed over.
    """
    first, last = (line.split() for line in draft.text.split("\n")[:-1])
    middle, sides = int(first[4]), (int(last[0]), int(last[2]))
    final = sides[1] if sides[0] == middle else sides[0]
    lines: list[str] = []
    for number in sorted(set(problem.numbers)):
        others = list(problem.numbers)
        others.remove(number)
        made = _made(max(others), min(others))
        lines.append(_operations(made))
        tried = []
        for operation in _needed(problem.target, number):
            if operation[3] not in {result for *_, result in made}:
                tried.append(operation)
            elif (number, operation[3]) == (final, middle):
                return "\n".join((*lines, f"{_operations([*tried, operation])}: yes"))
        lines.append(f"{_operations(tried)}: no")
    raise AssertionError(f"{draft.text!r} does not lead to {problem.target}")


_Operation = tuple[int, str, int, int]
"""A number, a sign, a number, and the result."""


def _made(a: int, b: int) -> list[_Operation]:
    """What two numbers make, the larger one first."""
    found = [(a, "+", b, a + b)]
    if a > b:
        found.append((a, "-", b, a - b))
    if b > 1 and a * b <= 2 * TARGETS[1]:
        found.append((a, "*", b, a * b))
    if b > 1 and a % b == 0:
        found.append((a, "/", b, a // b))
    return found


def _needed(target: int, last: int) -> list[_Operation]:
    """What is needed beside a last number for the target, as operations on these two."""
    found = []
    if target > last:
        found.append((target, "-", last, target - last))
    found.append((target, "+", last, target + last))
    if last > 1 and target % last == 0:
        found.append((target, "/", last, target // last))
    if last > 1 and target * last <= 2 * TARGETS[1]:
        found.append((target, "*", last, target * last))
    if last > target:
        found.append((last, "-", target, last - target))
        if last % target == 0:
            found.append((last, "/", target, last // target))
    return found


def _operations(operations: Sequence[_Operation]) -> str:
    return ", ".join(f"{a} {sign} {b} = {result}" for a, sign, b, result in operations)


def _turned(tree: Tree, rng: random.Random) -> Tree:
    if tree.left is None or tree.right is None:
        return tree
    left, right = _turned(tree.left, rng), _turned(tree.right, rng)
    if tree.sign in "+*" and rng.random() < 0.5:
        left, right = right, left
    return Tree(tree.value, tree.sign, left, right)


def _leaning(tree: Tree) -> Tree:
    """The same with the longer part first where that is allowed, as one computes in passing."""
    if tree.left is None or tree.right is None:
        return tree
    left, right = _leaning(tree.left), _leaning(tree.right)
    if tree.sign in "+*" and len(right.steps) > len(left.steps):
        left, right = right, left
    return Tree(tree.value, tree.sign, left, right)


def _random_tree(problem: Puzzle, rng: random.Random) -> Tree:
    trees = [Tree(number) for number in problem.numbers]
    rng.shuffle(trees)
    while len(trees) > 1:
        left, right = (trees.pop(rng.randrange(len(trees))) for _ in range(2))
        trees.append(combined(left, right, rng))
    return trees[0]


def _draft(tree: Tree, *, brackets: bool = True) -> Draft[str]:
    text = tree.text if brackets else tree.text.replace("(", "").replace(")", "")
    return Draft("\n".join([*tree.steps, f"#### {text}"]), text)


def _at_most_once(number: int) -> Callable[[str], tuple[str, bool]]:
    def judge(text: str) -> tuple[str, bool]:
        times = parse(text).numbers.count(number)
        return str(times), times <= 1

    return judge


def _less(high: int) -> Callable[[str], tuple[str, bool]]:
    def judge(text: str) -> tuple[str, bool]:
        value = parse(text).value
        return _number(value), value < high

    return judge


def _number(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"{value.numerator} / {value.denominator}"


def _loose(text: str) -> Fraction:
    """The value of an expression when operators are taken as they come, brackets aside."""
    words = text.replace("(", "").replace(")", "").split()
    value = Fraction(int(words[0]))
    for sign, word in zip(words[1::2], words[2::2], strict=True):
        number = Fraction(int(word))
        match sign:
            case "+":
                value += number
            case "-":
                value -= number
            case "*":
                value *= number
            case _:
                value /= number
    return value
