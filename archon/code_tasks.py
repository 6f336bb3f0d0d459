"""A task whose answers are programs: what a layer may know of it, and how tests run against them.

A benchmark puts this beside the question, under `code` in the task's metadata. It holds what the
task shows and never what only the scorer may know.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from archon import coding
from archon.errors import ConfigError
from archon.sandbox import Example, Limits, Report, SharedSandbox, Test, TestFile
from archon.types import Json, Task

__all__ = ["KEY", "CodeTask", "check"]

_WORD = re.compile(r"[A-Za-z_]\w*")

KEY = "code"
"""Where it stands in a task's metadata."""


@dataclass(frozen=True, slots=True)
class CodeTask:
    """What is known of a program that is asked for.

    Attributes:
        entry_point: the function under test; empty where it is not known, or where the program
            reads stdin.
        prompt: source that the program completes, or empty.
        setup: source that runs before each test.
        tests: those that the task shows, each `{"code": …}` (source that raises if the program is
            wrong) or `{"stdin": …, "stdout": …}`.
        seconds: time limit of one test; None for the sandbox's own.
        memory_bytes: memory that the task allows; never below the sandbox's own limit, which an
            interpreter needs.
        input_file: file that the program reads in place of stdin, or empty.
        output_file: file that it writes in place of stdout, or empty.
    """

    entry_point: str = ""
    prompt: str = ""
    setup: str = ""
    tests: Sequence[Mapping[str, Json]] = field(default=())
    seconds: float | None = None
    memory_bytes: int | None = None
    input_file: str = ""
    output_file: str = ""

    @classmethod
    def of(cls, task: Task) -> CodeTask:
        """Return what a task says; an empty one where it says nothing.

        Raises:
            ConfigError: for fields that do not exist.
        """
        found = task.metadata.get(KEY, {})
        try:
            return cls(**found)
        except TypeError as error:
            raise ConfigError(f"the metadata {KEY!r} of task {task.id!r}: {error}") from None

    def module(self, text: str) -> str | None:
        """Return the whole module that a reply amounts to, or None if it gives no program."""
        code = coding.program(text, self.entry_point)
        if code is None:
            return None
        if self.prompt:
            code = coding.complete(code, self.prompt, self.entry_point)
        if self.input_file or self.output_file:
            code = coding.preceded(code, _FILES.format(self.input_file, self.output_file))
        return code

    @property
    def limits(self) -> Limits:
        """What one test may use."""
        limits = Limits()
        if self.seconds is not None:
            limits = replace(limits, seconds=self.seconds, cpu_seconds=math.ceil(self.seconds))
        memory = max(limits.memory_bytes, self.memory_bytes or 0)
        return replace(limits, memory_bytes=memory, source_bytes=1 << 19)


_FILES = """\
def _files(source, sink):
    import builtins, io, sys

    real, names = builtins.open, {{source: sys.stdin, sink: sys.stdout}}
    names.pop("", None)

    def open(file, *rest, **more):
        return names[file] if file in names else real(file, *rest, **more)

    sys.stdout.close = sys.stdout.flush
    builtins.open = io.open = open


_files({0!r}, {1!r})"""
"""Gives the named files to a program that has no folder to find them in."""


async def check(
    sandbox: SharedSandbox,
    task: CodeTask,
    module: str,
    tests: Sequence[Mapping[str, Json]],
    *,
    stop_at_first: bool = False,
    compatibility: bool = False,
) -> Report:
    """Run tests of one origin against a module, and return one verdict for each, in order.

    Args:
        sandbox: where.
        task: the setup and the limits.
        module: what `CodeTask.module` returned.
        tests: all with `code`, or all with `stdin` and `stdout`. Those that run together trust
            each other, so tests of another origin belong in another call.
        stop_at_first: leave out what follows a test that did not pass.
        compatibility: see `Sandbox.check`; does not concern programs that read stdin.

    Raises:
        SandboxFailed: when sandboxes failed again and again; the program is not to blame.
    """
    if tests and "stdin" in tests[0]:
        examples = [Example(t["stdin"], t["stdout"], str(n)) for n, t in enumerate(tests)]
        return await sandbox.check_program(
            module, examples, limits=task.limits, stop_at_first=stop_at_first
        )
    setup = "\n\n".join(part for part in (task.prompt, task.setup) if part)
    file = TestFile(tuple(Test(t["code"], str(n)) for n, t in enumerate(tests)), setup)
    return await sandbox.check(
        module,
        file,
        entry_point=_called(task, module, tests),
        limits=task.limits,
        stop_at_first=stop_at_first,
        compatibility=compatibility,
    )


def _called(task: CodeTask, module: str, tests: Sequence[Mapping[str, Json]]) -> tuple[str, ...]:
    """Return the functions that tests call; where the task does not say, those that they name."""
    if task.entry_point:
        return (task.entry_point,)
    words = set(_WORD.findall("\n".join(test["code"] for test in tests)))
    return tuple(name for name in coding.names(module) if name in words)
