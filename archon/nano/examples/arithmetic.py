"""Arithmetic stories: an answer is a line for each operation, then the number."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from archon.benchmarks.arithmetic import LEVELS, Problem, Term, parse_key, problems, total_of
from archon.benchmarks.procedural import Split
from archon.nano.examples.family import Check, Draft, Family, Statement
from archon.nano.examples.knobs import Knobs
from archon.nano.working import (
    answer_of,
    backward_working,
    recheck,
    right_working,
    told_working,
    wrong_working,
)

__all__ = ["ArithmeticFamily"]

Value = int | None
_LINE = re.compile(r"(\d{1,12}) ([-+*]) (\d{1,12}) = (\d{1,12})")
_GROUPS = re.compile(
    r"(\d+) \w+ to each of (\d+)|(\d+) \w+ with (\d+) \w+ in each|(\d+) \w+ \w+ (\d+) \w+ each"
)
"""Wordings of groups in which the number of groups is easily overlooked."""


class ArithmeticFamily(Family[Problem, Value]):
    """The value of a draft is its number.

    Args:
        in_order: share of the workings that follow the story, and so are learnt soon; the rest are
            in any order. Above 0, checks and rankings derive the answer backwards.
        aloud: whether checks and rankings end with every number judged and its judgement, so that
            what is compared stands side by side, and reviews derive the answer and judge it first.
    """

    name = "arithmetic"
    levels = LEVELS

    def __init__(self, in_order: float = 0.0, *, aloud: bool = False) -> None:
        self._in_order = in_order
        self._aloud = aloud

    def stream(self, level: int, split: Split, seed: int) -> Iterator[Problem]:
        """Problems of a level."""
        return problems(level, split, seed)

    def right(self, problem: Problem, rng: random.Random) -> Draft[Value]:
        """One of the many right workings."""
        return self._draft(problem, parse_key(problem.key), rng)

    def wrong(self, problem: Problem, rng: random.Random) -> Draft[Value]:
        """A working with a slip, a number misread, or a wrong last line."""
        terms = self._told(problem, parse_key(problem.key))
        return _draft(wrong_working(terms, rng, self._working))

    def belief(self, problem: Problem, knobs: Knobs, rng: random.Random) -> Draft[Value]:
        """A right working, or one that counts groups once."""
        return self._draft(problem, _believed(problem, knobs, rng), rng)

    def read(self, problem: Problem, text: str) -> Draft[Value] | None:
        """Any text; without a number it is wrong."""
        return Draft(text.strip(), answer_of(text))

    def thought(self, problem: Problem, draft: Draft[Value], rng: random.Random) -> str:
        """The signed quantities, in the order of the story."""
        return " ".join(_told(problem, _as_read(problem, draft.value)))

    def review(
        self,
        problem: Problem,
        draft: Draft[Value],
        belief: Draft[Value],
        rng: random.Random,
    ) -> str:
        """The first line that is wrong, or the number that is misread."""
        fault = self._fault(problem, draft, belief)
        return f"{self._judged(problem, draft, belief)}. {fault}" if self._aloud else fault

    def grounds(self, problem: Problem, belief: Draft[Value], rng: random.Random) -> str:
        """The working again."""
        return _backward(problem, belief, rng) if self._aloud else ""

    def _fault(self, problem: Problem, draft: Draft[Value], belief: Draft[Value]) -> str:
        if self.same(problem, draft, belief):
            return "All steps are right."
        lines = draft.text.split("\n")
        for number, line in enumerate(lines, 1):
            match = _LINE.fullmatch(line)
            if match and _result(match) != int(match[4]):
                right = f"{match[1]} {match[2]} {match[3]} = {_result(match)}"
                return f"Step {number} is wrong: {right}."
        return _misread(problem, lines, draft, belief)

    def check(
        self,
        problem: Problem,
        draft: Draft[Value],
        belief: Draft[Value],
        rng: random.Random,
    ) -> Check:
        """The working again, in another order where there is one."""
        text = belief.text
        if self._in_order:
            text = _backward(problem, belief, rng)
        elif belief.value == problem.answer:
            text = recheck(parse_key(problem.key), draft.text, rng)
        if self._aloud:
            text += f"\nThe answer {self._judged(problem, draft, belief)}."
        return Check(text, self.same(problem, draft, belief))

    def _judged(self, problem: Problem, draft: Draft[Value], belief: Draft[Value]) -> str:
        said = "without a number" if draft.value is None else str(draft.value)
        return f"{said} is {'right' if self.same(problem, draft, belief) else 'wrong'}"

    def marks(self, problem: Problem, draft: Draft[Value]) -> list[bool]:
        """A line is right if it joins parts of the story with their signs, without a slip."""
        ledger = _Ledger(parse_key(problem.key))
        marks: list[bool] = []
        for line in draft.text.split("\n")[:-1]:
            match = _LINE.fullmatch(line)
            fine = match is not None and _result(match) == int(match[4]) and ledger.joins(match)
            marks.append(fine and all(marks))
        return [*marks, draft.value == problem.answer]

    def basis(
        self,
        problem: Problem,
        drafts: Sequence[tuple[str, Draft[Value]]],
        belief: Draft[Value],
        rng: random.Random,
    ) -> str:
        """The working again."""
        working = _backward(problem, belief, rng) if self._in_order else belief.text
        lines = [f"[{name}] {self._judged(problem, draft, belief)}." for name, draft in drafts]
        return "\n".join((working, *lines)) if self._aloud else working

    def statements(
        self, problem: Problem, belief: Draft[Value], count: int, rng: random.Random
    ) -> list[Statement[Value]]:
        """The number, and what is true of it: sound and cheap, but weak."""
        value = belief.value or 0
        lows = [value - off for off in rng.sample(range(1, 30), 3)]
        highs = [value + off for off in rng.sample(range(1, 30), 3)]
        parity = "odd" if value % 2 else "even"
        found: list[Statement[Value]] = [
            Statement(f"The answer is {value}.", _judge(lambda x: x == value)),
            Statement(f"The answer is {parity}.", _judge(lambda x: x % 2 == value % 2)),
            Statement(f"The answer ends in {value % 10}.", _judge(lambda x: x % 10 == value % 10)),
            *(Statement(f"The answer is more than {low}.", _more(low)) for low in lows),
            *(Statement(f"The answer is less than {high}.", _less(high)) for high in highs),
        ]
        return rng.sample(found, min(count, len(found)))

    def _draft(self, problem: Problem, terms: Sequence[Term], rng: random.Random) -> Draft[Value]:
        return _draft(self._working(self._told(problem, terms), rng))

    def _told(self, problem: Problem, terms: Sequence[Term]) -> Sequence[Term]:
        return _as_told(problem, terms) if self._in_order else terms

    def _working(self, terms: Sequence[Term], rng: random.Random, slip_at: int = -1) -> list[str]:
        told = self._in_order and rng.random() < self._in_order and terms[0].sign > 0
        return (told_working if told else right_working)(terms, rng, slip_at)


class _Ledger:
    """Which terms of a story stand behind each number that a working has come to."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self._signs = [term.sign for term in terms]
        self._products = {
            tuple(sorted(term.numbers)): {place: 1}
            for place, term in enumerate(terms)
            if term.count > 1
        }
        self._known: dict[int, list[dict[int, int]]] = {}
        for place, term in enumerate(terms):
            if term.count == 1:
                self._known.setdefault(term.size, []).append({place: 1})

    def joins(self, line: re.Match[str]) -> bool:
        """Take a line whose result is right; whether it joins what belongs together."""
        left, right, result = int(line[1]), int(line[3]), int(line[4])
        found = []
        if line[2] == "*":
            product = self._products.get(tuple(sorted((left, right))))
            found = [product] if product else []
        else:
            sign = 1 if line[2] == "+" else -1
            for one in self._known.get(left, ()):
                for other in self._known.get(right, ()):
                    joint = one | {place: sign * there for place, there in other.items()}
                    if not one.keys() & other.keys() and self._fits(joint):
                        found.append(joint)
        self._known.setdefault(result, []).extend(found)
        return bool(found)

    def _fits(self, joint: dict[int, int]) -> bool:
        """Whether the signs are those of the story, or all turned around."""
        return len({there * self._signs[place] for place, there in joint.items()}) == 1


def _judge(test: Callable[[int], bool]) -> Callable[[Value], tuple[str, bool]]:
    return lambda value: (str(value), value is not None and test(value))


def _more(low: int) -> Callable[[Value], tuple[str, bool]]:
    return _judge(lambda value: value > low)


def _less(high: int) -> Callable[[Value], tuple[str, bool]]:
    return _judge(lambda value: value < high)


def _draft(lines: Sequence[str]) -> Draft[Value]:
    text = "\n".join(lines)
    return Draft(text, answer_of(text))


def _result(line: re.Match[str]) -> int:
    left, right = int(line[1]), int(line[3])
    return left + right if line[2] == "+" else left - right if line[2] == "-" else left * right


def _believed(problem: Problem, knobs: Knobs, rng: random.Random) -> tuple[Term, ...]:
    """The terms as a reader with the misconceptions reads them."""
    once, terms = _once(problem), parse_key(problem.key)
    if once != terms and knobs.strikes("groups", rng):
        return once
    # Chance is drawn only where the knob is on: the examples of the others stay as they are.
    if knobs.sums and (summed := _summed(problem)) != terms and knobs.strikes("sums", rng):
        return summed
    return terms


def _once(problem: Problem) -> tuple[Term, ...]:
    """The terms with groups counted once where the story invites it; else as they are."""
    return _misled(problem, lambda term: (Term(term.sign, 1, term.size),))


def _summed(problem: Problem) -> tuple[Term, ...]:
    """The terms with the numbers of groups added where the story invites it; else as they are."""
    return _misled(
        problem, lambda term: (Term(term.sign, 1, term.count), Term(term.sign, 1, term.size))
    )


def _misled(problem: Problem, read: Callable[[Term], tuple[Term, ...]]) -> tuple[Term, ...]:
    terms = parse_key(problem.key)
    found = _GROUPS.findall(problem.question)
    pairs = [{int(number) for number in numbers if number} for numbers in found]
    misled = tuple(
        part for term in terms for part in (read(term) if set(term.numbers) in pairs else (term,))
    )
    return misled if total_of(misled) >= 0 and len(misled) > 1 else terms


def _as_read(problem: Problem, value: Value) -> tuple[Term, ...]:
    """The terms as somebody read them who came to a value."""
    readings = (parse_key(problem.key), _once(problem), _summed(problem))
    return next((terms for terms in readings if total_of(terms) == value), readings[1])


def _as_told(problem: Problem, terms: Sequence[Term]) -> tuple[Term, ...]:
    """The terms in the order of the story, and so the factors of each."""

    def place(number: int) -> int:
        found = re.search(rf"\b{number}\b", problem.question)
        return found.start() if found else -1

    turned = (
        Term(term.sign, *sorted(term.numbers, key=place)) if term.count > 1 else term
        for term in terms
    )
    return tuple(sorted(turned, key=lambda term: min(map(place, term.numbers))))


def _told(problem: Problem, terms: Sequence[Term]) -> list[str]:
    """Terms as `+3*8`, in the order in which the story names their numbers."""
    return [term.text for term in _as_told(problem, terms)]


def _backward(problem: Problem, belief: Draft[Value], rng: random.Random) -> str:
    """How somebody of that belief derives the answer again."""
    terms = _as_told(problem, _as_read(problem, belief.value))
    return "\n".join(backward_working(terms, rng))


def _misread(
    problem: Problem, lines: Sequence[str], draft: Draft[Value], belief: Draft[Value]
) -> str:
    """What of the story is not in a working whose lines are all right."""
    parts = [match.groups() for line in lines if (match := _LINE.fullmatch(line))]
    results = Counter(part[3] for part in parts)
    used = Counter(number for part in parts for number in (part[0], part[2]))
    if parts and draft.value is not None and str(draft.value) != parts[-1][3]:
        return f"The last line must repeat {parts[-1][3]}."
    leaves = used - results
    stated = Counter(str(n) for term in parse_key(problem.key) for n in term.numbers)
    if strange := leaves - stated:
        return f"The story has no {next(iter(strange))}."
    if missing := stated - used:
        return f"The {next(iter(missing))} is not used."
    for term in parse_key(problem.key):
        if (
            draft.value is not None
            and draft.value - (belief.value or 0) == -2 * term.sign * term.value
        ):
            return f"{term.value} must be {'added' if term.sign > 0 else 'subtracted'}."
    return f"The answer must be {belief.value}."
