"""The sandbox as callers see it: a pool of warm workers, retries, and stamped reports."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from archon.errors import ConfigError
from archon.sandbox import ladder, programs, protocol
from archon.sandbox.backends import Backend
from archon.sandbox.faults import Infrastructure, SandboxFailed
from archon.sandbox.reports import (
    Example,
    Limits,
    Outcome,
    ProgramRun,
    Report,
    Stamp,
    TestFile,
    Verdict,
)
from archon.sandbox.workers import Worker

__all__ = ["Sandbox"]

ATTEMPTS = 6
"""Fresh sandboxes that a piece of work may lose before somebody is to blame."""

PAUSE = 0.01
"""Seconds after the first loss; twice as much after each further one."""

HARMLESS = 3
"""Harmless programs that have to survive before the work is blamed for its losses."""

RECYCLED = 500
"""Children after which a worker is replaced."""

T = TypeVar("T")


class _Slot:
    """A worker for candidates and one for tests, used by one piece of work at a time."""

    def __init__(self, backend: Backend, packages: Sequence[str], recycled: int) -> None:
        self._backend = backend
        self._packages = packages
        self._recycled = recycled
        self._workers: dict[str, Worker] = {}

    async def worker(self, kind: str) -> Worker:
        """Return a live worker, a fresh one where the last is worn out."""
        worker = self._workers.get(kind)
        if worker is not None and (not worker.alive or worker.forks >= self._recycled):
            worker.close()
            worker = None
        if worker is None:
            try:
                launch = self._backend.launch(self._packages)
            except OSError as error:
                raise Infrastructure(str(error)) from None
            worker = self._workers[kind] = await Worker.start(launch)
        return worker

    async def both(self) -> tuple[Worker, Worker]:
        """Return the workers for candidates and for tests, started at the same time."""
        kinds = ("candidates", "tests")
        if not all(kind in self._workers for kind in kinds):
            starts = [asyncio.create_task(self.worker(kind)) for kind in kinds]
            for found in await asyncio.gather(*starts, return_exceptions=True):
                if isinstance(found, BaseException):
                    raise found
        return await self.worker("candidates"), await self.worker("tests")

    def close(self) -> None:
        """End its workers."""
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()


class Sandbox:
    """Executes code that nobody has read, and says what came of it.

    Made by `Sandbox.open`. Methods may run concurrently, in the event loop that opened it; as much
    runs at a time as there are slots. Cancelling one ends its processes.

    Attributes:
        stamp: where and under which policy code runs.
        limits: those of calls that name none.
    """

    def __init__(
        self,
        backend: Backend,
        limits: Limits,
        *,
        size: int,
        packages: Sequence[str] = (),
        recycled: int = RECYCLED,
    ) -> None:
        self.limits = limits
        self._backend = backend
        self._packages = _granted(packages)
        self.stamp = self._stamp(limits)
        self._slots = [_Slot(backend, self._packages, recycled) for _ in range(size)]
        self._free: asyncio.LifoQueue[_Slot] = asyncio.LifoQueue()
        for slot in self._slots:
            self._free.put_nowait(slot)
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        min_level: int = 2,
        limits: Limits | None = None,
        size: int | None = None,
        packages: Sequence[str] = (),
        allow_unsafe_execution: str = "",
        backends: Sequence[Backend] | None = None,
    ) -> AsyncIterator[Sandbox]:
        """Open the strongest sandbox that this machine offers; leave it and nothing runs on.

        Args:
            min_level: the weakest that will do, 3 or 2.
            limits: what a candidate may use.
            size: how much runs at a time; the number of cores if left out.
            packages: folders of packages that candidates may import, such as a site-packages with
                numpy. They become readable to every candidate.
            allow_unsafe_execution: `I understand` lets code run that nothing keeps from harming
                the machine, where there is no better way; everything is stamped unsafe.
            backends: those to choose from, for tests.

        Raises:
            SandboxUnavailable: when nothing is strong enough; says why and what mends it.
        """
        # In a thread, which may take a moment: the probe starts processes and waits for them.
        backend = await asyncio.to_thread(
            ladder.choose,
            min_level,
            allow_unsafe_execution=allow_unsafe_execution,
            backends=backends,
        )
        sandbox = cls.on(backend, limits, size=size, packages=packages)
        try:
            yield sandbox
        finally:
            sandbox.close()

    @classmethod
    def on(
        cls,
        backend: Backend,
        limits: Limits | None = None,
        *,
        size: int | None = None,
        packages: Sequence[str] = (),
    ) -> Sandbox:
        """Return a sandbox on a backend that `choose` returned; whoever has it closes it."""
        count = len(os.sched_getaffinity(0)) if size is None else size
        if count < 1:
            raise ConfigError(f"size must be at least 1, got {size!r}")
        return cls(backend, limits or Limits(), size=count, packages=packages)

    def close(self) -> None:
        """End everything that runs in here."""
        self._closed = True
        for slot in self._slots:
            slot.close()

    async def check(
        self,
        candidate: str,
        tests: TestFile | Sequence[str],
        *,
        entry_point: str | Sequence[str],
        limits: Limits | None = None,
        compatibility: bool = False,
        stop_at_first: bool = False,
    ) -> Report:
        """Run tests against a candidate's functions.

        Args:
            candidate: source of a module.
            tests: tests, or their source.
            entry_point: the function that they call, or several.
            limits: for this candidate.
            compatibility: where a value cannot cross between processes (a class, a generator, a
                callback), run everything again in one process. Such a report is `forgeable`.
            stop_at_first: leave out what follows a test that did not pass.

        Raises:
            SandboxFailed: when sandboxes failed again and again; the candidate is not to blame.
        """
        file = tests if isinstance(tests, TestFile) else TestFile.of(tests)
        names = (entry_point,) if isinstance(entry_point, str) else tuple(entry_point)
        limits = limits or self.limits
        start = time.perf_counter()
        if reason := _refusal(candidate, file, limits):
            refused = tuple(Verdict(test.id, "refused", reason) for test in file.tests)
            return Report(refused, self._stamp(limits), 0.0)
        case = protocol.Case(candidate, file, names, limits, stop_at_first)
        verdicts, retries = await self._checked(case, together=False)
        forgeable = compatibility and any(v.outcome == "protocol" for v in verdicts)
        if forgeable:
            verdicts, more = await self._checked(case, together=True)
            retries += more
        seconds = time.perf_counter() - start
        return Report(tuple(verdicts), self._stamp(limits), seconds, forgeable, retries)

    async def _checked(
        self, case: protocol.Case, *, together: bool
    ) -> tuple[Sequence[Verdict], int]:
        async def work(slot: _Slot) -> Sequence[Verdict]:
            candidates, tests = await slot.both()
            return await protocol.execute(case, candidates, tests, together=together)

        def blamed() -> Sequence[Verdict]:
            return [Verdict(test.id, "killed", _AGAIN) for test in case.file.tests]

        return await self._with_retries(work, blamed)

    async def run_program(
        self, source: str, stdin: str = "", *, limits: Limits | None = None
    ) -> ProgramRun:
        """Run a whole program once.

        Args:
            source: the program.
            stdin: what it reads.
            limits: for this run.

        Raises:
            SandboxFailed: when sandboxes failed again and again; the program is not to blame.
        """
        limits = limits or self.limits
        stamp = self._stamp(limits)
        if reason := _too_large(source, limits):
            return ProgramRun("refused", "", reason, 0.0, stamp)
        found = await self._program(source, stdin, limits)
        return ProgramRun(found.outcome, found.stdout, found.detail, found.seconds, stamp)

    async def _program(self, source: str, stdin: str, limits: Limits) -> programs.Output:
        async def work(slot: _Slot) -> programs.Output:
            worker = await slot.worker("candidates")
            return await programs.execute(source, stdin, limits, worker)

        def blamed() -> programs.Output:
            return programs.Output("killed", "", _AGAIN, 0.0)

        return (await self._with_retries(work, blamed))[0]

    async def check_program(
        self,
        source: str,
        examples: Sequence[Example],
        *,
        limits: Limits | None = None,
        tolerance: float = programs.TOLERANCE,
        stop_at_first: bool = False,
    ) -> Report:
        """Run a program on examples and compare what it writes, token by token.

        Args:
            source: the program.
            examples: each runs in a fresh process.
            limits: for each example.
            tolerance: relative and absolute, for numbers with a decimal point; 0 for none.
            stop_at_first: leave out what follows an example that did not pass.

        Raises:
            SandboxFailed: when sandboxes failed again and again; the program is not to blame.
        """
        limits = limits or self.limits
        start = time.perf_counter()
        verdicts: list[Verdict] = []
        for place, example in enumerate(examples):
            name = example.id or str(place)
            if reason := _too_large(source, limits):
                verdicts.append(Verdict(name, "refused", reason))
                continue
            found = await self._program(source, example.stdin, limits)
            verdicts.append(await _compared(name, found, example, tolerance))
            if stop_at_first and verdicts[-1].outcome != "pass":
                break
        seconds = time.perf_counter() - start
        return Report(tuple(verdicts), self._stamp(limits), seconds)

    def _stamp(self, limits: Limits) -> Stamp:
        policy = ladder.policy(self._backend, limits, self._packages)
        return Stamp(self._backend.name, self._backend.level, policy, self._packages)

    async def _with_retries(
        self, work: Callable[[_Slot], Awaitable[T]], blamed: Callable[[], T]
    ) -> tuple[T, int]:
        """Do work in a slot, and again in fresh workers where a sandbox failed under it.

        Work that loses every sandbox although harmless code survives in the next ones is to blame
        itself; otherwise nobody could be kept from being retried for ever.
        """
        slot = await self._free.get()
        try:
            reason = ""
            for attempt in range(ATTEMPTS):
                if self._closed:
                    raise SandboxFailed("the sandbox is closed")
                try:
                    return await work(slot), attempt
                except Infrastructure as error:
                    reason = str(error)
                    slot.close()
                    await asyncio.sleep(PAUSE * 2**attempt)
            if await self._harmless(slot):
                return blamed(), ATTEMPTS
            raise SandboxFailed(f"{ATTEMPTS} fresh sandboxes failed: {reason}")
        finally:
            self._free.put_nowait(slot)

    async def _harmless(self, slot: _Slot) -> bool:
        """Return whether harmless programs survive, each in a fresh worker."""
        for _ in range(HARMLESS):
            try:
                worker = await slot.worker("candidates")
                found = await programs.execute("print(6 * 7)", "", Limits(), worker)
            except Infrastructure:
                return False
            finally:
                slot.close()
            if found.stdout != "42\n":
                return False
        return True


_AGAIN = "the process was killed in every fresh sandbox, and harmless code was not"


def _granted(packages: Sequence[str]) -> tuple[str, ...]:
    """Return folders of packages as they are passed on.

    Raises:
        ConfigError: for what is no folder, or one that another user cannot read where there has to
            be another one.
    """
    for path in packages:
        if not os.path.isabs(path) or not os.path.isdir(path):
            raise ConfigError(f"packages: {path!r} must be the absolute path of a folder")
        if os.geteuid() == 0 and os.stat(path).st_mode & 0o005 != 0o005:
            raise ConfigError(
                f"packages: {path!r} can be read by root alone, and code runs as another user; "
                f"chmod o+rx {path}"
            )
    return tuple(map(os.path.realpath, packages))


def _too_large(source: str, limits: Limits) -> str:
    size = len(source.encode("utf-8", "surrogatepass"))
    if size > limits.source_bytes:
        return f"{size:,} bytes of source; the limit is {limits.source_bytes:,}"
    try:
        source.encode()
    except UnicodeEncodeError:
        return "the source has lone surrogates"
    return ""


def _refusal(candidate: str, file: TestFile, limits: Limits) -> str:
    if reason := _too_large(candidate, limits):
        return reason
    for text in (file.setup, *(test.code for test in file.tests)):
        if reason := _too_large(text, limits):
            return f"the tests: {reason}"
    return ""


async def _compared(
    name: str, found: programs.Output, example: Example, tolerance: float
) -> Verdict:
    verdict = Verdict(name, found.outcome, found.detail, found.seconds)
    if found.outcome != "pass":
        return verdict
    texts = (found.stdout, example.stdout)
    large = sum(map(len, texts)) > 1 << 15
    compare = programs.same_output
    same = (
        await asyncio.to_thread(compare, *texts, tolerance=tolerance)
        if large
        else compare(*texts, tolerance=tolerance)
    )
    if same:
        return verdict
    outcome: Outcome = "fail"
    return replace(verdict, outcome=outcome, detail="another output than expected")
