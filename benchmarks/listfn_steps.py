"""The steps of list functions: what each does, how Python says it and how English does.

A step takes a list of integers to a list, or at the end of a function to one integer. `run` is
written apart from `code`, so that each can be tested by the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

__all__ = ["OPS", "Op", "Step", "body", "mutants", "program", "run"]

Value = list[int] | int


@dataclass(frozen=True, slots=True)
class Op:
    """One kind of step.

    Attributes:
        kind: filter, map, order, slice, other, or end: what makes one number of the list.
        code: the line of Python; `{k}` is the number.
        apply: the step itself, of a list and k.
        phrases: English, in the imperative; for an end, what is to be returned.
        near: what it is mistaken for, the likeliest first.
        least: smallest k; 0 with `most` 0 for a step without a number.
        most: largest k.
    """

    kind: str
    code: str
    apply: Callable[[list[int], int], Value]
    phrases: tuple[str, ...]
    near: tuple[str, ...] = ()
    least: int = 0
    most: int = 0

    @property
    def numbered(self) -> bool:
        """Whether the step has a number."""
        return self.most > self.least


def _keep(condition: str, test: Callable[[int, int], bool], *phrases: str, **more: object) -> Op:
    code = f"xs = [x for x in xs if {condition}]"
    return Op("filter", code, lambda xs, k: [x for x in xs if test(x, k)], phrases, **more)  # type: ignore[arg-type]


def _each(result: str, function: Callable[[int, int], int], *phrases: str, **more: object) -> Op:
    code = f"xs = [{result} for x in xs]"
    return Op("map", code, lambda xs, k: [function(x, k) for x in xs], phrases, **more)  # type: ignore[arg-type]


OPS: dict[str, Op] = {
    "even": _keep(
        "x % 2 == 0", lambda x, _: x % 2 == 0,
        "keep only the even numbers", "drop all odd numbers", "keep the even numbers",
        near=("odd",),
    ),
    "odd": _keep(
        "x % 2 == 1", lambda x, _: x % 2 == 1,
        "keep only the odd numbers", "drop all even numbers", "keep the odd numbers",
        near=("even",),
    ),
    "more": _keep(
        "x > {k}", lambda x, k: x > k,
        "keep the numbers greater than {k}", "keep only numbers above {k}",
        "drop all numbers that are {k} or less",
        near=("at least", "less"), least=-20, most=50,
    ),
    "at least": _keep(
        "x >= {k}", lambda x, k: x >= k,
        "keep the numbers that are at least {k}", "keep numbers that are {k} or more",
        "drop all numbers below {k}",
        near=("more", "at most"), least=-20, most=50,
    ),
    "less": _keep(
        "x < {k}", lambda x, k: x < k,
        "keep the numbers less than {k}", "keep only numbers below {k}",
        "drop all numbers that are {k} or more",
        near=("at most", "more"), least=-20, most=50,
    ),
    "at most": _keep(
        "x <= {k}", lambda x, k: x <= k,
        "keep the numbers that are at most {k}", "keep numbers that are {k} or less",
        "drop all numbers above {k}",
        near=("less", "at least"), least=-20, most=50,
    ),
    "multiples": _keep(
        "x % {k} == 0", lambda x, k: x % k == 0,
        "keep the multiples of {k}", "keep only numbers divisible by {k}",
        near=("not multiples",), least=3, most=12,
    ),
    "not multiples": _keep(
        "x % {k} != 0", lambda x, k: x % k != 0,
        "drop the multiples of {k}", "keep only numbers not divisible by {k}",
        near=("multiples",), least=3, most=12,
    ),
    "without": _keep(
        "x != {k}", lambda x, k: x != k,
        "remove every {k}", "drop all numbers equal to {k}",
        least=0, most=20,
    ),
    "add": _each(
        "x + {k}", lambda x, k: x + k,
        "add {k} to each number", "increase every number by {k}",
        near=("subtract", "multiply"), least=1, most=50,
    ),
    "subtract": _each(
        "x - {k}", lambda x, k: x - k,
        "subtract {k} from each number", "decrease every number by {k}",
        near=("add",), least=1, most=50,
    ),
    "subtract from": _each(
        "{k} - x", lambda x, k: k - x,
        "replace each number by {k} minus it", "subtract each number from {k}",
        near=("subtract",), least=1, most=50,
    ),
    "multiply": _each(
        "x * {k}", lambda x, k: x * k,
        "multiply each number by {k}", "replace each number by {k} times it",
        near=("add",), least=2, most=12,
    ),
    "square": _each(
        "x * x", lambda x, _: x * x,
        "square each number", "replace each number by its square",
        near=("double",),
    ),
    "double": _each(
        "x * 2", lambda x, _: x * 2,
        "double each number", "replace each number by its double",
        near=("square",),
    ),
    "negate": _each(
        "-x", lambda x, _: -x,
        "negate each number", "flip the sign of each number",
        near=("absolute",),
    ),
    "absolute": _each(
        "abs(x)", lambda x, _: abs(x),
        "take the absolute value of each number", "drop the sign of each number",
        near=("negate",),
    ),
    "remainder": _each(
        "x % {k}", lambda x, k: x % k,
        "replace each number by its remainder modulo {k}", "take each number modulo {k}",
        near=("quotient",), least=2, most=12,
    ),
    "quotient": _each(
        "x // {k}", lambda x, k: x // k,
        "divide each number by {k}, rounding down", "floor-divide each number by {k}",
        near=("remainder",), least=2, most=12,
    ),
    "cap": _each(
        "min(x, {k})", min,
        "replace numbers above {k} by {k}", "cap every number at {k}",
        near=("floor",), least=0, most=50,
    ),
    "floor": _each(
        "max(x, {k})", max,
        "replace numbers below {k} by {k}", "raise numbers below {k} to {k}",
        near=("cap",), least=-10, most=20,
    ),
    "ascending": Op(
        "order", "xs = sorted(xs)", lambda xs, _: sorted(xs),
        ("sort the list", "sort the numbers in ascending order", "sort from smallest to largest"),
        near=("descending",),
    ),
    "descending": Op(
        "order", "xs = sorted(xs, reverse=True)", lambda xs, _: sorted(xs, reverse=True),
        ("sort the numbers in descending order", "sort the list from largest to smallest"),
        near=("ascending", "reverse"),
    ),
    "reverse": Op(
        "order", "xs = xs[::-1]", lambda xs, _: xs[::-1],
        ("reverse the list", "turn the order around"),
        near=("descending",),
    ),
    "first": Op(
        "slice", "xs = xs[:{k}]", lambda xs, k: xs[:k],
        ("take the first {k} numbers", "keep only the first {k} numbers"),
        near=("last", "drop first"), least=2, most=6,
    ),
    "last": Op(
        "slice", "xs = xs[-{k}:]", lambda xs, k: xs[-k:],
        ("take the last {k} numbers", "keep only the last {k} numbers"),
        near=("first", "drop last"), least=2, most=6,
    ),
    "drop first": Op(
        "slice", "xs = xs[{k}:]", lambda xs, k: xs[k:],
        ("drop the first {k} numbers", "skip the first {k} numbers"),
        near=("drop last", "first"), least=2, most=5,
    ),
    "drop last": Op(
        "slice", "xs = xs[:-{k}]", lambda xs, k: xs[:-k],
        ("drop the last {k} numbers", "leave out the last {k} numbers"),
        near=("drop first", "last"), least=2, most=5,
    ),
    "every second": Op(
        "slice", "xs = xs[::2]", lambda xs, _: xs[::2],
        ("keep every second number, beginning with the first", "keep the numbers at even indices"),
        near=("odd places",),
    ),
    "odd places": Op(
        "slice", "xs = xs[1::2]", lambda xs, _: xs[1::2],
        ("keep every second number, beginning with the second", "keep the numbers at odd indices"),
        near=("every second",),
    ),
    "distinct": Op(
        "other", "xs = list(dict.fromkeys(xs))", lambda xs, _: list(dict.fromkeys(xs)),
        ("remove repeated numbers", "keep only the first of equal numbers"),
    ),
    "append": Op(
        "other", "xs = xs + [{k}]", lambda xs, k: [*xs, k],
        ("append {k}", "add {k} at the end of the list"),
        near=("prepend",), least=0, most=50,
    ),
    "prepend": Op(
        "other", "xs = [{k}] + xs", lambda xs, k: [k, *xs],
        ("put {k} in front", "add {k} at the beginning of the list"),
        near=("append",), least=0, most=50,
    ),
    "sum": Op(
        "end", "return sum(xs)", lambda xs, _: sum(xs),
        ("the sum", "the sum of the numbers"),
        near=("count",),
    ),
    "count": Op(
        "end", "return len(xs)", lambda xs, _: len(xs),
        ("how many numbers there are", "the count of the numbers"),
        near=("sum",),
    ),
    "largest": Op(
        "end", "return max(xs, default=0)", lambda xs, _: max(xs, default=0),
        ("the largest number, or 0 if there is none", "the maximum, 0 for none"),
        near=("smallest",),
    ),
    "smallest": Op(
        "end", "return min(xs, default=0)", lambda xs, _: min(xs, default=0),
        ("the smallest number, or 0 if there is none", "the minimum, 0 for none"),
        near=("largest",),
    ),
    "range": Op(
        "end", "return max(xs, default=0) - min(xs, default=0)",
        lambda xs, _: max(xs, default=0) - min(xs, default=0),
        ("the largest minus the smallest number, 0 for none",),
        near=("largest",),
    ),
}  # fmt: skip

ENDS = tuple(name for name, op in OPS.items() if op.kind == "end")
INNER = tuple(name for name, op in OPS.items() if op.kind != "end")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a function: the name of its kind and its number, 0 without one."""

    name: str
    k: int = 0

    @property
    def op(self) -> Op:
        """Its kind."""
        return OPS[self.name]

    @property
    def code(self) -> str:
        """The line of Python."""
        return self.op.code.replace("{k}", str(self.k))

    @property
    def brief(self) -> str:
        """Its name with its number, as short as can be: `at least 5`."""
        return f"{self.name} {self.k}" if self.op.numbered else self.name


def run(steps: Iterable[Step], numbers: Sequence[int]) -> Value:
    """What the function returns."""
    value: Value = list(numbers)
    for step in steps:
        assert isinstance(value, list)
        value = OPS[step.name].apply(value, step.k)
    return value


def body(steps: Sequence[Step]) -> list[str]:
    """The lines of the function, the last of which returns."""
    lines = [step.code for step in steps]
    return lines if steps and steps[-1].op.kind == "end" else [*lines, "return xs"]


def program(steps: Sequence[Step]) -> str:
    """The whole function.

    >>> print(program([Step("even"), Step("sum")]))
    def f(xs):
        xs = [x for x in xs if x % 2 == 0]
        return sum(xs)
    """
    return "\n".join(["def f(xs):", *(f"    {line}" for line in body(steps))])


def mutants(steps: Sequence[Step]) -> list[tuple[str, tuple[Step, ...]]]:
    """Typical wrong functions, each with what is wrong; some may be right all the same.

    A step dropped, two neighbours swapped, a number off by one, a step mistaken for a near one.
    """
    found: list[tuple[str, tuple[Step, ...]]] = []
    for place, step in enumerate(steps):
        before, after = tuple(steps[:place]), tuple(steps[place + 1 :])
        if len(steps) > 1:
            found.append(("dropped", (*before, *after)))
        for off in (-1, 1) if step.op.numbered else ():
            found.append(("off by one", (*before, replace(step, k=step.k + off), *after)))
        for name in step.op.near:
            found.append(("mistaken", (*before, Step(name, step.k), *after)))
        if after and after[0].op.kind != "end" and after[0] != step:
            found.append(("swapped", (*before, after[0], step, *after[1:])))
    return found
