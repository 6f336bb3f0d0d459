"""Functions on lists of integers, described in English: writing them is scored by running them.

A function is one to six steps: filters, maps, orders, slices, and at the end perhaps a number. The
key that decides the split is what the function does on fixed lists, so that two programs that
behave alike never stand in different splits, whatever their steps and words are.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from archon import coding
from archon.base import BENCHMARKS, Figure, Graded, Item, ScoreContext, Scored
from archon.benchmarks.listfn_steps import ENDS, INNER, OPS, Step, Value, program, run
from archon.benchmarks.listfn_tests import fingerprint, probes, shown, strong, told_apart, weak
from archon.benchmarks.listfn_words import PLAIN, Wording, describe, worded
from archon.benchmarks.procedural import Procedural, Split, drawn
from archon.benchmarks.programs import endings, run_tests, sandbox_settings
from archon.code_tasks import KEY, CodeTask
from archon.errors import ConfigError
from archon.types import Json, Task

__all__ = ["ENTRY", "LEVELS", "Function", "ListFn", "example", "problems"]

LEVELS = (1, 2, 3, 4, 5, 6)
ENTRY = "f"
_END = 0.6
"""Share of the functions that end in a number."""
_LARGEST = 100_000
"""What no function returns for the lists on which functions are compared."""
_FIRST = 9


@dataclass(frozen=True, slots=True)
class Function:
    """A function with its description.

    Attributes:
        steps: what it does.
        key: hash of what it does on fixed lists.
        level: how many steps.
        examples: lists that the description shows.
        wording: what of the description misleads.
        about: the description without the examples.
        id: the item's name.
    """

    steps: tuple[Step, ...]
    key: str
    level: int
    examples: tuple[tuple[int, ...], ...] = ()
    wording: Wording = PLAIN
    about: str = ""
    id: str = ""

    @property
    def question(self) -> str:
        """The whole task."""
        lines = [example(row, run(self.steps, row)) for row in self.examples]
        return "\n".join([self.about, *lines])

    @property
    def program(self) -> str:
        """The reference."""
        return program(self.steps)


def example(numbers: tuple[int, ...], value: Value) -> str:
    """A call and its value, as tasks and asserts write it."""
    return f"{ENTRY}({list(numbers)}) == {value}"


def draw(level: int, rng: random.Random) -> Function:
    """A function that tells lists apart, with numbers of a decent size."""
    while True:
        ends = rng.random() < _END and (level > 1 or rng.random() < 0.2)
        names = [rng.choice(INNER) for _ in range(level - ends)]
        names += [rng.choice(ENDS)] if ends else []
        steps = tuple(Step(name, _number(name, level, rng)) for name in names)
        # Most unfit functions show on a few lists already.
        if _dull(fingerprint(steps, _FIRST)):
            continue
        behaviour = fingerprint(steps)
        if not _dull(behaviour):
            digest = hashlib.blake2b(repr(behaviour).encode(), digest_size=8)
            return Function(steps, digest.hexdigest(), level)


def _number(name: str, level: int, rng: random.Random) -> int:
    op = OPS[name]
    if not op.numbered:
        return 0
    # Half of the numbers are small, to fit small lists, where there are functions enough.
    most = min(op.most, 10) if level > 2 and rng.random() < 0.5 else op.most
    return rng.randint(op.least, most)


def _dull(behaviour: Sequence[Value]) -> bool:
    """Whether most lists come to the same, or something to a huge number."""
    different = len(set(map(repr, behaviour)))
    return 2 * different < len(behaviour) or _size(behaviour) > _LARGEST


def every_step_matters(function: Function) -> bool:
    """Whether no step could be left out."""
    steps = function.steps
    return len(steps) == 1 or all(
        told_apart(steps, steps[:i] + steps[i + 1 :], probes()) is not None
        for i, step in enumerate(steps)
        if step.op.kind != "end"
    )


def _size(values: Iterable[Value]) -> int:
    """The largest magnitude among values."""
    numbers = (x for value in values for x in (value if isinstance(value, list) else [value]))
    return max((abs(x) for x in numbers), default=0)


def tell(found: Function, name: str, rng: random.Random) -> Function:
    """Put a function into words, and choose its examples."""
    wording = worded(found.steps, rng)
    about = describe(found.steps, wording, rng)
    examples = tuple(shown(found.steps, rng))
    return replace(found, wording=wording, about=about, examples=examples, id=name)


def problems(level: int, split: Split, seed: int = 0) -> Iterator[Function]:
    """Functions of one level and split, the same ones in every process; no task twice.

    At levels 1 and 2, where there are few functions, one may come again in other words.

    Raises:
        ValueError: The level does not exist.
        RuntimeError: The level has no further task within reach.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {LEVELS}, got {level}")
    return drawn(
        f"listfn-{level}-{split}-{seed}",
        split,
        lambda rng: draw(level, rng),
        tell,
        every_step_matters,
    )


class ListFn(Procedural[Function]):
    """List functions of 1 to 6 steps; a program is right if it passes all hidden tests.

    Args:
        level: how many steps, 1 to 6, or `mixed` for all in turn.
        tests: `strong` hidden tests fail typical wrong programs; `weak` ones let many through.
        min_level: the weakest sandbox that will do, 2 or 3.
        allow_unsafe_execution: `I understand` accepts a sandbox that keeps code from nothing.
    """

    name = "listfn"
    about = "Python functions on lists of integers, generated; levels 1 to 6: how many steps"
    metric = "pass@1"
    needs = ("sandbox",)
    levels = LEVELS
    stream = staticmethod(problems)

    def __init__(
        self,
        level: int | str = 3,
        tests: str = "strong",
        *,
        min_level: int = 2,
        allow_unsafe_execution: str = "",
    ) -> None:
        super().__init__(level)
        if tests not in ("strong", "weak"):
            raise ConfigError(f"listfn: unknown tests {tests!r}; known: strong, weak")
        self.tier = tests
        self.sandbox = sandbox_settings(
            self.name, min_level=min_level, allow_unsafe_execution=allow_unsafe_execution
        )

    def item(self, problem: Function) -> Item:
        """Return a function as an item: a task that shows its examples, and hidden tests."""
        public = [_test(problem, row) for row in problem.examples]
        hidden = [_test(problem, row) for row in _hidden(problem, self.tier)]
        told = {"entry_point": ENTRY, "tests": public}
        task = Task.of(problem.question, id=problem.id, metadata={KEY: told})
        target = {
            "entry_point": ENTRY,
            "reference": problem.program,
            "public": public,
            "hidden": hidden,
        }
        return Item(task, target, group=f"level {problem.level}")

    def extract(self, text: str) -> str | None:
        """Return the program that a reply gives."""
        return coding.program(text, ENTRY)

    def check(self, text: str, gold: Json) -> bool:
        """Refuse: whether a program is right shows only when it runs.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("listfn: only `score` can tell whether a program is right")

    def ready(self) -> None:
        """Refuse where nothing may execute a model's code.

        Raises:
            SandboxUnavailable: saying why, and what mends it.
        """
        self.sandbox.choose()

    async def score(self, item: Item, text: str | None, ctx: ScoreContext) -> Scored:
        """Run the program's tests, those that the task shows included.

        Raises:
            SandboxUnavailable: where nothing may execute it.
            SandboxFailed: when sandboxes failed again and again.
        """
        tests = [*item.target["public"], *item.target["hidden"]]
        return await run_tests(self.sandbox, CodeTask.of(item.task), text, tests)

    def summary(self, rows: Sequence[Graded]) -> Sequence[Figure]:
        """Return how the programs that are not right ended, as shares of all."""
        return endings(rows)


@lru_cache(maxsize=8192)
def _hidden(problem: Function, tier: str) -> tuple[tuple[int, ...], ...]:
    """The lists of a tier, without those that the task shows."""
    rng = random.Random(f"archon-listfn-tests/{problem.key}/{problem.about}")
    lists = strong(problem.steps, rng) if tier == "strong" else weak(rng)
    return tuple(row for row in lists if row not in problem.examples)


def _test(problem: Function, row: tuple[int, ...]) -> dict[str, Json]:
    return {"code": f"assert {example(row, run(problem.steps, row))}"}


BENCHMARKS.add("listfn", ListFn)
