"""What benchmarks of programs share: the form of their tests, and a scorer that executes them.

The target of an item is an object:

    entry_point   the function under test; empty where the program reads stdin
    prompt        source that the program completes (see `archon.coding.complete`), or empty
    setup         source that runs before each test
    reference     the published solution, or empty
    public        tests that the task shows, so that a layer may use them
    hidden        tests that it does not show; no test stands in both lists
    seconds       time limit of one test
    memory_bytes  memory limit, or null

A test has the field `scored`, and one of three forms:

    {"code": …}                  source that runs behind the program and raises if it is wrong
    {"stdin": …, "stdout": …}    what the program reads and must write
    {"inputs": […], "atol": …}   lists of arguments; results must equal those of `reference`, as
                                 `archon.benchmarks.evalplus` compares them

A program is right if it passes all tests with `scored`, public and hidden: these together are the
published ones. A public test that the publication does not count is shown but not scored.
"""

from __future__ import annotations

import ast
import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from archon import coding
from archon.base import Figure, Graded, Item, ScoreContext, Scored
from archon.benchmarks.evalplus import inputs_as_code
from archon.benchmarks.files import FileBenchmark
from archon.code_tasks import KEY, CodeTask, check
from archon.errors import ConfigError
from archon.sandbox import OUTCOMES, Report, SandboxSettings, shared
from archon.types import Json, Task

__all__ = [
    "Call", "ProgramBenchmark", "calls_of", "endings", "examples", "run_tests", "sandbox_settings",
]  # fmt: skip


class ProgramBenchmark(FileBenchmark):
    """A benchmark whose answers are programs; scoring them executes code.

    Args:
        path: the published file, or its folder.
        dev: share of the items that becomes the split `dev`.
        min_level: the weakest sandbox that will do, 2 or 3.
        packages: folders of packages that programs may import, separated by colons.
        allow_unsafe_execution: `I understand` accepts a sandbox that keeps code from nothing.
    """

    metric = "pass@1"
    needs = ("sandbox",)

    def __init__(
        self,
        path: str | Path | None = None,
        dev: float = 0.0,
        *,
        min_level: int = 2,
        packages: str = "",
        allow_unsafe_execution: str = "",
    ) -> None:
        super().__init__(path, dev)
        self.sandbox = sandbox_settings(
            self.name,
            min_level=min_level,
            packages=tuple(filter(None, packages.split(os.pathsep))),
            allow_unsafe_execution=allow_unsafe_execution,
        )

    def settings(self) -> Json:
        """Return what programs may import; how strong the sandbox is changes no score."""
        return list(self.sandbox.packages) or None

    def item(self, task: Task, target: Mapping[str, Json], group: str = "") -> Item:
        """Return an item whose task tells layers what it shows: never what only scores.

        Where every test is shown, layers get none of them: whoever chose by them would choose by
        the score itself.
        """
        told = {name: target[name] for name in _TOLD if target.get(name)}
        if any(test["scored"] for test in target["hidden"]):
            told["tests"] = [_shown(test) for test in target["public"]]
        return Item(replace(task, metadata={**task.metadata, KEY: told}), target, group)

    def extract(self, text: str) -> str | None:
        """Return the program that a reply gives."""
        return coding.program(text)

    def module(self, item: Item, text: str) -> str | None:
        """Return the whole module that a reply to an item amounts to, for whoever runs it."""
        return CodeTask.of(item.task).module(text)

    def ready(self) -> None:
        """Refuse where nothing may execute a model's code.

        Raises:
            SandboxUnavailable: saying why, and what mends it.
        """
        self.sandbox.choose()

    def check(self, text: str, gold: Json) -> bool:
        """Refuse: whether a program is right shows only when it runs.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{self.name}: only `score` can tell whether a program is right")

    def tests(self, item: Item) -> Sequence[Mapping[str, Json]]:
        """Return the tests that score an item, each with `code`, or with `stdin` and `stdout`."""
        target = item.target
        found: list[Mapping[str, Json]] = []
        for test in (*target["public"], *target["hidden"]):
            if test["scored"]:
                found += inputs_as_code(target, test) if "inputs" in test else [test]
        return found

    async def score(self, item: Item, text: str | None, ctx: ScoreContext) -> Scored:
        """Run the program's tests; it is right if it passes all of them.

        Raises:
            SandboxUnavailable: where nothing may execute it.
            SandboxFailed: when sandboxes failed again and again.
        """
        return await run_tests(self.sandbox, CodeTask.of(item.task), text, self.tests(item))

    def summary(self, rows: Sequence[Graded]) -> Sequence[Figure]:
        """Return how the programs that are not right ended, as shares of all."""
        return endings(rows)


_TOLD = (
    "entry_point", "prompt", "setup", "seconds", "memory_bytes", "input_file", "output_file",
)  # fmt: skip
"""What of a target a task tells layers, beside the tests that it shows."""


def sandbox_settings(name: str, **options: object) -> SandboxSettings:
    """Return the options of a benchmark that concern its sandbox.

    Raises:
        ConfigError: naming the benchmark, the option and what would be right.
    """
    try:
        return SandboxSettings.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(map(str, first["loc"]))
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise ConfigError(f"{name}: `{option}`: {message}, got {first['input']!r}") from None


def endings(rows: Sequence[Graded]) -> list[Figure]:
    """Return how the programs that are not right ended, as shares of all."""
    ends = Counter(str(row.detail["outcome"]) for row in rows if "outcome" in row.detail)
    return [
        Figure(name, 100 * ends[name] / len(rows), unit="%", about="of all items")
        for name in (*OUTCOMES, "no program")
        if name != "pass" and ends[name]
    ]


async def run_tests(
    sandbox: SandboxSettings,
    task: CodeTask,
    text: str | None,
    tests: Sequence[Mapping[str, Json]],
) -> Scored:
    """Score a reply by tests: 1 if its program passes all of them.

    Raises:
        SandboxUnavailable: where nothing may execute it.
        SandboxFailed: when sandboxes failed again and again.
    """
    module = None if text is None else task.module(text)
    if module is None:
        return Scored(0.0, detail={"outcome": "no program"})
    box = await asyncio.to_thread(shared, sandbox)
    return _scored(await check(box, task, module, tests, stop_at_first=True))


def _shown(test: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in test.items() if name != "scored"}


def _scored(report: Report) -> Scored:
    bad = next((v for v in report.verdicts if v.outcome != "pass"), None)
    stamp = report.stamp
    detail: dict[str, Json] = {
        "outcome": bad.outcome if bad else "pass",
        "passed": sum(v.outcome == "pass" for v in report.verdicts),
        "backend": stamp.backend,
        "level": stamp.level,
        "policy": stamp.policy,
    }
    if stamp.unsafe:
        detail["unsafe"] = True
    if bad:
        detail["why"] = bad.detail
    return Scored(float(report.passed), detail=detail)


class Call:
    """A call and its expected value, comparable with others whatever their layout.

    Attributes:
        source: `assert` statement.
        arguments: of the call, None where they are not literals.
    """

    def __init__(self, call: ast.Call, wanted: ast.expr) -> None:
        self.source = f"assert {ast.unparse(call)} == {ast.unparse(wanted)}"
        words = [ast.dump(part) for part in [*call.args, *(k.value for k in call.keywords)]]
        self.identity = (*words, ast.dump(wanted))
        try:
            self.arguments: Json = [ast.literal_eval(argument) for argument in call.args]
        except (ValueError, TypeError):
            self.arguments = None


def examples(prompt: str, entry_point: str) -> list[Call]:
    """Return the examples of a docstring that call the function and show a literal value."""
    import doctest  # loads the debugger

    function = next(
        (node for node in _parsed(prompt).body if getattr(node, "name", "") == entry_point), None
    )
    text = ast.get_docstring(function) if isinstance(function, ast.FunctionDef) else None
    try:
        found = doctest.DocTestParser().get_examples(text or "")
    except ValueError:  # not every published docstring is well formed
        return []
    return [
        call
        for example in found
        if example.want.strip()  # None shows nothing
        for node in _parsed(f"assert ({example.source.strip()}) == ({example.want.strip()})").body
        for call in _call(node, entry_point)
    ]


def calls_of(node: ast.stmt, entry_point: str) -> Iterator[Call]:
    """Yield the call of `assert f(…) == value`; nothing for any other statement."""
    yield from _call(node, entry_point)


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _call(node: ast.stmt, name: str) -> Iterator[Call]:
    match node:
        case ast.Assert(
            test=ast.Compare(
                left=ast.Call(func=ast.Name(id=found)) as call, ops=[ast.Eq()], comparators=[wanted]
            )
        ) if found == name:
            yield Call(call, wanted)
