"""List functions: an answer is the program, one line for each step."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, lru_cache

from archon.benchmarks.listfn import LEVELS, Function, example, problems
from archon.benchmarks.listfn_steps import ENDS, OPS, Op, Step, Value, mutants, program, run
from archon.benchmarks.listfn_tests import fingerprint
from archon.benchmarks.procedural import Split
from archon.nano.examples.family import Check, Draft, Family, Statement
from archon.nano.examples.knobs import Knobs

__all__ = ["ListFnFamily"]

Steps = tuple[Step, ...]
_FAILED = "assertion failed;"
_STRICT = {"at least": "more", "more": "at least", "at most": "less", "less": "at most"}


class ListFnFamily(Family[Function, Steps]):
    """The value of a draft is its steps."""

    name = "listfn"
    levels = LEVELS

    def stream(self, level: int, split: Split, seed: int) -> Iterator[Function]:
        """Problems of a level."""
        return problems(level, split, seed)

    def right(self, problem: Function, rng: random.Random) -> Draft[Steps]:
        """The reference."""
        return _draft(problem.steps)

    def wrong(self, problem: Function, rng: random.Random) -> Draft[Steps]:
        """A step dropped, swapped, mistaken or off by one, or what a trap leads to."""
        traps = [steps for _, steps in _traps(problem)]
        while True:
            if traps and rng.random() < 0.5:
                steps = rng.choice(traps)
            else:
                steps = rng.choice([steps for _, steps in mutants(problem.steps)] or [()])
            if steps != problem.steps and fingerprint(steps) != fingerprint(problem.steps):
                return _draft(steps)
            # Some functions have few forms that differ; then a step too many is the fault.
            extra = rng.choice((Step("reverse"), Step("add", rng.randint(1, 9))))
            steps = (extra, *problem.steps)
            if fingerprint(steps) != fingerprint(problem.steps):
                return _draft(steps)

    def belief(self, problem: Function, knobs: Knobs, rng: random.Random) -> Draft[Steps]:
        """The reference, or what the first trap that strikes makes of it."""
        for name, steps in _traps(problem):
            if knobs.strikes(name, rng):
                return _draft(steps)
        return _draft(problem.steps)

    def read(self, problem: Function, text: str) -> Draft[Steps] | None:
        """A program of known lines."""
        steps = []
        for line in text.strip().removeprefix("def f(xs):").strip().splitlines():
            step = _step(line.strip())
            if step is not None:
                steps.append(step)
            elif line.strip() != "return xs":
                return None
        known = tuple(steps)
        if any(step.name in ENDS for step in known[:-1]):
            return None  # lines that are never reached
        try:
            fingerprint(known)
        except (ArithmeticError, ValueError):
            return None  # `x % 0`, `xs[::0]`
        return Draft(text, known) if program(known) == text.strip() else None

    def merit(self, problem: Function, draft: Draft[Steps], belief: Draft[Steps]) -> float:
        """1 for the same steps, else less the later the first difference."""
        if draft.value == belief.value:
            return 1.0
        alike = _alike(draft.value, belief.value)
        return 0.9 * alike / max(len(draft.value), len(belief.value))

    def thought(self, problem: Function, draft: Draft[Steps], rng: random.Random) -> str:
        """The steps by name, then what becomes of an example."""
        row = problem.examples[0]
        states = [list(row), *(run(draft.value[:i], row) for i in range(1, len(draft.value) + 1))]
        return f"{_plan(draft.value)}\n{' > '.join(map(str, states))}"

    def review(
        self, problem: Function, draft: Draft[Steps], belief: Draft[Steps], rng: random.Random
    ) -> str:
        """The first line that differs from what is believed."""
        if draft.value == belief.value:
            return "All lines are right."
        place = _alike(draft.value, belief.value)
        mine, other = draft.value[place:], belief.value[place:]
        if not mine or mine == other[1:]:
            return f"A line is missing after line {place}: {other[0].code}"
        if not other or mine[1:] == other:
            return f"Line {place + 1} is not asked for: {mine[0].code}"
        return f"Line {place + 1} is wrong: it must be {other[0].code}"

    def check(
        self, problem: Function, draft: Draft[Steps], belief: Draft[Steps], rng: random.Random
    ) -> Check:
        """What is asked beside what the program does."""
        text = f"asked: {_plan(belief.value)}\nfound: {_plan(draft.value)}"
        return Check(text, draft.value == belief.value)

    def marks(self, problem: Function, draft: Draft[Steps]) -> list[bool]:
        """Right as long as the lines are those of the reference, or if all does the same."""
        reference = _draft(problem.steps).value
        if fingerprint(draft.value) == fingerprint(reference):
            return [True] * (draft.text.count("\n") + 1)
        alike = _alike(draft.value, reference)
        return [line <= alike for line in range(draft.text.count("\n") + 1)]

    def basis(
        self,
        problem: Function,
        drafts: Sequence[tuple[str, Draft[Steps]]],
        belief: Draft[Steps],
        rng: random.Random,
    ) -> str:
        """What is asked."""
        return f"asked: {_plan(belief.value)}"

    def feedback(self, problem: Function, draft: Draft[Steps]) -> str:
        """The examples that the program fails, and what it returns for them."""
        failed = []
        for row in problem.examples:
            wanted, found = run(problem.steps, row), run(draft.value, row)
            if found != wanted:
                call = f"f({list(row)})"
                failed.append(
                    f"assert {call} == {wanted}\n  fail: {_FAILED} {call} returned {found}"
                )
        if not failed:
            return "The program passes all tests that were run."
        return "\n".join(["The program was run and fails these tests:", *failed])

    def statements(
        self, problem: Function, belief: Draft[Steps], count: int, rng: random.Random
    ) -> list[Statement[Steps]]:
        """Calls with their values."""
        return [
            Statement(f"The answer gives {example(row, value)}.", _returns(row, value))
            for row, value in _calls(belief.value, count, rng)
        ]

    def asserts(
        self, problem: Function, belief: Draft[Steps], count: int, rng: random.Random
    ) -> tuple[str, ...]:
        """Calls with their values, as Python runs them."""
        return tuple(f"assert {example(*call)}" for call in _calls(belief.value, count, rng))


def _returns(row: tuple[int, ...], value: Value) -> Callable[[Steps], tuple[str, bool]]:
    def judge(steps: Steps) -> tuple[str, bool]:
        found = run(steps, row)
        return str(found), found == value

    return judge


def _draft(steps: Steps) -> Draft[Steps]:
    """A draft; steps of equal lines (`double`, and `multiply 2`) are named alike."""
    return Draft(program(steps), tuple(_step(step.code) or step for step in steps))


@cache
def _lines() -> tuple[tuple[re.Pattern[str], str], ...]:
    """How the line of each kind of step is recognised."""
    number = re.escape(r"{k}")
    return tuple(
        (re.compile(re.escape(op.code).replace(number, _digits(op))), name)
        for name, op in OPS.items()
    )


def _digits(op: Op) -> str:
    # `xs[:-3]` drops the last three; it does not take the first minus three.
    return r"(\d{1,6})" if op.kind == "slice" else r"(-?\d{1,6})"


@lru_cache(maxsize=8192)
def _step(line: str) -> Step | None:
    for pattern, name in _lines():
        if match := pattern.fullmatch(line):
            return Step(name, int(match.group(1)) if match.groups() else 0)
    return None


def _plan(steps: Sequence[Step]) -> str:
    return "; ".join(step.brief for step in steps)


def _alike(first: Sequence[Step], second: Sequence[Step]) -> int:
    """How many steps are the same before the first that differs."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(second)))


def _traps(problem: Function) -> list[tuple[str, Steps]]:
    """The misconceptions that the description invites, each with what it leads to."""
    steps, wording = problem.steps, problem.wording
    found: list[tuple[str, Steps]] = []
    if wording.turned >= 0:
        i = wording.turned
        found.append(("order", (*steps[:i], steps[i + 1], steps[i], *steps[i + 2 :])))
    if wording.lure:
        found.append(("lure", (Step(wording.lure), *steps)))
    for i, step in enumerate(steps):
        if step.name in _STRICT and f"{step.k} or " in problem.about:
            strict = replace(step, name=_STRICT[step.name])
            found.append(("bound", (*steps[:i], strict, *steps[i + 1 :])))
            break
    return [(name, wrong) for name, wrong in found if wrong != steps]


def _calls(steps: Steps, count: int, rng: random.Random) -> list[tuple[tuple[int, ...], Value]]:
    """Short lists with what the function returns for them; the empty one among them at times."""
    found: dict[tuple[int, ...], Value] = {}
    if count > 2 and rng.random() < 0.3:
        found[()] = run(steps, ())
    while len(found) < count:
        high = rng.choice((9, 20, 40))
        row = tuple(rng.randint(-high // 3, high) for _ in range(rng.randint(1, 4)))
        found[row] = run(steps, row)
    return list(found.items())
