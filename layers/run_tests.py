"""Run tests: execute tests against every candidate, in a sandbox, and score them by the results."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from archon import code_tasks
from archon.asserts import asserts
from archon.base import Bound, Context, Layer, Ports, Shape, ports, register
from archon.code_tasks import CodeTask
from archon.errors import ConfigError
from archon.layers import judging
from archon.layers.executing import Grid, Test, stubs
from archon.layers.judging import Duplicates, Judged, Keep, NonePassed, Unit
from archon.sandbox import SandboxSettings, SharedSandbox, Stamp, Verdict, shared
from archon.types import Json, Note, State, Task

__all__ = ["RunTests"]

Source = Literal["asserts", "task", "candidates"]

SHOWN = 3
"""Failed tests that a note quotes."""
SHOWN_CHARS = 300
"""Of each, and of what came of it."""
FEEDBACK_TOKENS = 800
"""What a critique of failed tests can hold at most."""


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


@register("run_tests")
class RunTests(Layer):
    """Execute tests against each candidate's program; no model is asked.

    Tests come from `code_tests` (`asserts`), from what the task shows (`task`: the examples of a
    docstring, never the tests that score), or from the candidates' own replies (`candidates`). A
    candidate's own test counts for it only if another candidate passes it too. A written test
    that a stub passes, or that every candidate fails, carries no weight. The score is the share
    of tests passed, or with `method: agreement` how many candidates agree on how many tests
    (CodeT: Chen et al. 2022, arXiv 2207.10397). Candidate and tests run in separate processes, so
    that no program can forge its verdict.
    """

    needs = ports("candidates")
    uses = ports("asserts")
    gives = ports("scores")

    tests: Annotated[tuple[Source, ...], BeforeValidator(_listed)] = Field(
        ("asserts",), min_length=1, description="where tests come from, one or several"
    )
    method: Literal["passed", "agreement"] = Field(
        "passed", description="score by the share of tests passed, or by agreement (CodeT)"
    )
    threshold: float = Field(
        1.0, ge=0, le=1, description="share of the tests from which a candidate passes"
    )
    keep: Keep = Field("all", description="those that pass, all, or the best so many")
    first: int | None = Field(
        None, ge=1, description="stop when so many passed, in candidate order"
    )
    none: NonePassed = Field("all", description="with keep passed: what goes on when none passes")
    duplicates: Duplicates = Field("once", description="execute equal texts once or each")
    feedback: bool = Field(
        False, description="attach what failed as a critique too, for `refine` or `fuse`"
    )
    seconds: float | None = Field(
        None, gt=0, le=3600, description="limit of one test; the task's, or 5, if left out"
    )
    compatibility: bool = Field(
        False,
        description="run programs with classes or generators beside their tests, which they could"
        " then forge",
    )
    sandbox: SandboxSettings = Field(
        SandboxSettings(), description="how strong the sandbox has to be"
    )

    def required(self) -> Ports:
        """Need the port `asserts` where tests come from it."""
        return ports("candidates", "asserts") if "asserts" in self.tests else self.needs

    def provided(self) -> Ports:
        """Give critiques too with `feedback`."""
        return ports("scores", "critiques") if self.feedback else self.gives

    def check_task(self, task: Task) -> None:
        """Refuse a task that does not say what its programs are, where its tests are wanted.

        Raises:
            ConfigError: saying what would be right.
        """
        if self.tests == ("task",) and code_tasks.KEY not in task.metadata:
            raise ConfigError(
                f"run_tests: task {task.id!r} shows no tests; have a model write some with"
                " `code_tests` and leave out `tests: task`"
            )

    def ready(self) -> None:
        """Refuse where nothing may execute a model's code.

        Raises:
            SandboxUnavailable: saying why, and what mends it.
        """
        self.sandbox.choose()

    def bound(self, shape: Shape) -> Bound:
        """Bound nothing but the candidates: executing costs no call."""
        after = judging.kept(shape, self.keep, self.first, self.none)
        return Bound(shape=judging.noted(after, FEEDBACK_TOKENS) if self.feedback else after)

    async def run(self, state: State, ctx: Context) -> State:
        """Return the candidates that `keep` lets through, each with its results."""
        if not state.candidates:
            return state
        units = judging.units(state.candidates, self.duplicates)
        bench = await _Bench.open(self, state, units)
        if not bench.tests:
            ctx.warn("there are no tests, so nothing was executed")
            return state
        grid = await bench.grid()
        if unused := len(grid.tests) - sum(grid.weights):
            ctx.warn(
                f"{unused} of {len(grid.tests)} tests carry no weight: a stub passes them, or no"
                " candidate does"
            )
        judged = self._judged(state, units, grid, bench)
        candidates = judging.chosen(judged, self.keep, self.first, self.none)
        reason = "" if candidates else "no candidate passed the tests"
        return state.replace(candidates=candidates, reason=reason or state.reason)

    def _judged(
        self, state: State, units: Sequence[Unit], grid: Grid, bench: _Bench
    ) -> list[Judged]:
        agreement = grid.agreement() if self.method == "agreement" else ()
        notes: dict[int, tuple[Note, ...]] = {}
        for row, unit in enumerate(units[: len(grid.verdicts)]):
            score = agreement[row] if agreement else grid.share(row)
            passed = grid.passed(row, self.threshold)
            tests = Note(
                "tests", _summary(grid, row, bench.stamp), score, passed,
                tuple(_result(verdict) for verdict in grid.verdicts[row]),
            )  # fmt: skip
            critique = Note("critique", _feedback(grid, row))
            wanted = (critique, tests) if self.feedback else (tests,)
            notes.update((id(member), wanted) for member in unit.members)
        judged: list[Judged] = []
        for candidate in state.candidates:
            found = notes.get(id(candidate), ())
            noted = replace(candidate, notes=(*candidate.notes, *found))
            judged.append((noted, found[-1] if found else None))
        return judged


class _Bench:
    """Tests, candidates and a sandbox to try the ones on the others."""

    def __init__(self, layer: RunTests, task: CodeTask, units: Sequence[Unit]) -> None:
        self.layer = layer
        self.task = task
        self.units = units
        self.modules = [task.module(unit.text) for unit in units]
        self.groups: list[tuple[list[Test], list[Json]]] = []
        self.stamp: Stamp | None = None
        self.sandbox: SharedSandbox

    @classmethod
    async def open(cls, layer: RunTests, state: State, units: Sequence[Unit]) -> _Bench:
        """Collect the tests, and open the sandbox if there are any."""
        task = CodeTask.of(state.task)
        if layer.seconds is not None:
            task = replace(task, seconds=layer.seconds)
        bench = cls(layer, task, units)
        if "task" in layer.tests:
            bench.add([Test(str(t.get("code", t.get("stdin"))), given=True) for t in task.tests],
                      list(task.tests))  # fmt: skip
        if "asserts" in layer.tests:
            bench.add([Test(source) for source in state.asserts])
        if "candidates" in layer.tests:
            bench.add_own()
        if bench.tests:
            bench.sandbox = await asyncio.to_thread(shared, layer.sandbox)
        return bench

    def add(self, tests: list[Test], forms: list[Json] | None = None) -> None:
        """Add tests of one origin; those of different origins never share a process."""
        if tests:
            self.groups.append((tests, forms or [{"code": test.source} for test in tests]))

    def add_own(self) -> None:
        """Add the tests that candidates state themselves, each under the first that does."""
        owners: dict[str, list[int]] = {}
        for place, unit in enumerate(self.units):
            for source in asserts(unit.text, self.task.entry_point):
                owners.setdefault(source, []).append(place)
        for place in range(len(self.units)):
            self.add([Test(s, owners=frozenset(o)) for s, o in owners.items() if o[0] == place])

    @property
    def tests(self) -> list[Test]:
        """All tests, by origin."""
        return [test for tests, _ in self.groups for test in tests]

    async def grid(self) -> Grid:
        """Run everything; with `first`, only until enough candidates have passed."""
        idle = await self._idle()
        sizes = [len(unit.members) for unit in self.units]
        first, rows = self.layer.first, list[list[Verdict | None]]()
        while len(rows) < len(self.units):
            grid = Grid(self.tests, rows, sizes[: len(rows)], idle, whole=first is None)
            passed = sum(
                sizes[row] for row in range(len(rows)) if grid.passed(row, self.layer.threshold)
            )
            missing = len(self.units) if first is None else first - passed
            if missing <= 0:
                break
            wave = self.modules[len(rows) : len(rows) + missing]
            rows += await asyncio.gather(*map(self._row, wave))
        return Grid(self.tests, rows, sizes[: len(rows)], idle, whole=first is None)

    async def _idle(self) -> frozenset[int]:
        """Return the places of written tests that a stub passes."""
        names = [self.task.entry_point] if self.task.entry_point else self._names()
        rows = await asyncio.gather(*(self._row(stub, given=False) for stub in stubs(names)))
        return frozenset(
            place
            for row in rows
            for place, verdict in enumerate(row)
            if verdict is not None and verdict.outcome == "pass"
        )

    def _names(self) -> list[str]:
        """Return what the candidates define."""
        from archon import coding

        return list(dict.fromkeys(n for m in self.modules if m for n in coding.names(m)))

    async def _row(self, module: str | None, *, given: bool = True) -> list[Verdict | None]:
        """Return the verdicts on one module; without `given`, only on written tests."""
        row: list[Verdict | None] = []
        for tests, forms in self.groups:
            if module is None or (tests[0].given and not given):
                row += [None] * len(tests)
                continue
            report = await code_tasks.check(
                self.sandbox, self.task, module, forms, compatibility=self.layer.compatibility
            )
            self.stamp = report.stamp
            row += report.verdicts
        return row


def _result(verdict: Verdict | None) -> bool | None:
    return None if verdict is None else verdict.outcome == "pass"


def _summary(grid: Grid, row: int, stamp: Stamp | None) -> str:
    counted = grid.counted(row)
    passed = sum(grid.passes(row, column) for column in counted)
    lines = [f"{passed} of {len(counted)} tests passed"]
    if stamp is not None:
        unsafe = ", unsafe" if stamp.unsafe else ""
        lines[0] += f" ({stamp.backend}, level {stamp.level}{unsafe}, policy {stamp.policy})"
    return "\n".join([*lines, *_failed(grid, row)])


def _feedback(grid: Grid, row: int) -> str:
    failed = _failed(grid, row)
    if not failed:
        return "The program passes all tests that were run."
    return "\n".join(["The program was run and fails these tests:", *failed])


def _failed(grid: Grid, row: int) -> list[str]:
    """Return the first tests that a candidate failed, and how."""
    failed = []
    for column in grid.counted(row):
        verdict = grid.verdicts[row][column]
        if verdict is None:
            return ["no program could be read"]
        if verdict.outcome != "pass":
            source = grid.tests[column].source[:SHOWN_CHARS]
            failed.append(f"{source}\n  {verdict.outcome}: {verdict.detail[:SHOWN_CHARS]}")
    more = [f"and {len(failed) - SHOWN} more"] if len(failed) > SHOWN else []
    return [*failed[:SHOWN], *more]
