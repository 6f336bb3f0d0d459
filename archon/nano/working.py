"""Workings of arithmetic problems: the many right ones, realistic wrong ones, and their check.

A working is a list of lines ``x op y = z`` followed by ``#### answer``.  The order of the terms
does not matter for the answer, so one problem has many equally right workings; training on all of
them is what makes samples of the model err independently of each other.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from archon.benchmarks.arithmetic import Term, total_of

_ANSWER = re.compile(r"#### (\d+)")
_APPLY: dict[str, Callable[[int, int], int]] = {
    "+": int.__add__,
    "-": int.__sub__,
    "*": int.__mul__,
}


class Working(Protocol):
    """Writes a working of terms; with `slip_at` that line has a wrong result."""

    def __call__(self, terms: Sequence[Term], rng: random.Random, slip_at: int = -1) -> list[str]:
        """The lines."""


@dataclass(slots=True)
class _Pen:
    """Writes lines; may slip once, on the line numbered ``slip_at``."""

    rng: random.Random
    slip_at: int = -1
    lines: list[str] = field(default_factory=list)

    def write(self, left: int, sign: str, right: int) -> int:
        """Append one line and return the result as written."""
        result = _APPLY[sign](left, right)
        if len(self.lines) == self.slip_at:
            result = slipped(result, self.rng)
        self.lines.append(f"{left} {sign} {right} = {result}")
        return result


def slipped(number: int, rng: random.Random) -> int:
    """A wrong number near ``number``: a carry, one digit, or two neighbouring digits swapped."""
    digits = str(number)
    while True:
        kind = rng.random()
        place = rng.randrange(len(digits))
        if kind < 0.6:
            other = number + rng.choice((-1, 1)) * int(10**place)
        elif kind < 0.9:
            other = int(digits[:place] + rng.choice("0123456789") + digits[place + 1 :])
        else:
            head, pair, tail = digits[:place], digits[place : place + 2], digits[place + 2 :]
            other = int(head + pair[::-1] + tail)
        if other != number and other >= 0:
            return other


def _value(term: Term, pen: _Pen) -> int:
    """The value of a term, with a line for its product when it is one."""
    if term.count == 1:
        return term.size
    left, right = term.count, term.size
    if pen.rng.random() < 0.3:
        left, right = right, left
    return pen.write(left, "*", right)


def _chain(terms: Sequence[Term], pen: _Pen, products_first: bool) -> int:
    """Add and subtract the terms in a random order that keeps the total from going below 0."""
    rest = [(term.sign, term, None if not products_first else _value(term, pen)) for term in terms]
    total: int | None = None
    while rest:
        fits = [
            item
            for item in rest
            if item[0] > 0 or (total is not None and total >= (item[2] or item[1].value))
        ]
        # After a slip the losses may exceed the total; then the wrong working ends early.
        if not fits:
            break
        item = pen.rng.choice(fits)
        rest.remove(item)
        value = item[2] if item[2] is not None else _value(item[1], pen)
        if total is None:
            total = value
        elif item[0] > 0 or total >= value:
            total = pen.write(total, "+" if item[0] > 0 else "-", value)
    return total or 0


def _pooled(terms: Sequence[Term], pen: _Pen) -> int:
    """All gains, then all losses, then their difference."""
    gains = [term for term in terms if term.sign > 0]
    losses = [replace(term, sign=1) for term in terms if term.sign < 0]
    first = pen.rng.random() < 0.5
    up = _chain(gains, pen, first)
    if not losses:
        return up
    down = _chain(losses, pen, first)
    return pen.write(up, "-", down) if up >= down else up


def right_working(terms: Sequence[Term], rng: random.Random, slip_at: int = -1) -> list[str]:
    """One right working, drawn from all orders; with ``slip_at`` that line has a wrong result."""
    pen = _Pen(rng, slip_at)
    pooled = rng.random() < 0.25
    total = _pooled(terms, pen) if pooled else _chain(terms, pen, rng.random() < 0.5)
    return [*pen.lines, f"#### {total}"]


def told_working(terms: Sequence[Term], rng: random.Random, slip_at: int = -1) -> list[str]:
    """The working that follows the story; `terms` are in its order."""
    pen = _Pen(rng, slip_at)
    total: int | None = None
    for term in terms:
        value = pen.write(term.count, "*", term.size) if term.count > 1 else term.size
        if total is None:
            total = value
        elif term.sign > 0 or total >= value:
            total = pen.write(total, "+" if term.sign > 0 else "-", value)
    return [*pen.lines, f"#### {total}"]


def backward_working(terms: Sequence[Term], rng: random.Random) -> list[str]:
    """Gains from the last to the first, losses likewise, then the difference.

    A check in this form is no copy of an answer that follows the story.
    """
    pen = _Pen(rng)
    sums = []
    for sign in (1, -1):
        total: int | None = None
        for term in reversed([term for term in terms if term.sign == sign]):
            value = pen.write(term.size, "*", term.count) if term.count > 1 else term.size
            total = value if total is None else pen.write(total, "+", value)
        sums.append(total)
    up, down = sums
    answer = up if down is None else pen.write(up or 0, "-", down)
    return [*pen.lines, f"#### {answer}"]


def _misread(terms: Sequence[Term], rng: random.Random) -> list[Term]:
    """The terms with one misread: a wrong number, the wrong sign, one skipped, one used twice."""
    wrong = list(terms)
    place = rng.randrange(len(wrong))
    kind = rng.random()
    if kind < 0.35:
        wrong[place] = replace(wrong[place], size=max(1, slipped(wrong[place].size, rng)))
    elif kind < 0.6:
        wrong[place] = replace(wrong[place], sign=-wrong[place].sign)
    elif kind < 0.85:
        del wrong[place]
    else:
        wrong.insert(place, wrong[place])
    return wrong


def wrong_working(
    terms: Sequence[Term], rng: random.Random, working: Working = right_working
) -> list[str]:
    """A working with one realistic fault whose answer is wrong."""
    truth = total_of(tuple(terms))
    while True:
        kind = rng.random()
        if kind < 0.65:
            lines = working(terms, rng, slip_at=rng.randrange(len(terms) + 1))
        elif kind < 0.93:
            misread = _misread(terms, rng)
            if len(misread) < 2 or total_of(tuple(misread)) < 0:
                continue
            lines = working(misread, rng)
        else:
            lines = working(terms, rng)
            lines[-1] = f"#### {slipped(truth, rng)}"
        if len(lines) > 1 and lines[-1] != f"#### {truth}":
            return lines


def answer_of(text: str) -> int | None:
    """The number after ``####``, if there is one."""
    found = _ANSWER.search(text)
    return int(found[1]) if found else None


def recheck(terms: Sequence[Term], candidate: str, rng: random.Random) -> str:
    """A right working of the story, in another order than the candidate's where there is one.

    Checking is deriving again; the verdict then says whether both come to the same answer.
    """
    for _ in range(8):
        again = "\n".join(right_working(terms, rng))
        if again != candidate:
            break
    return again
