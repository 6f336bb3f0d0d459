"""The verdict protocol: supervisor, tests and candidate, in three processes.

The candidate's process gets source and then one call at a time, under a fresh random id; never a
test, an expected value or the nonce. The tests' process knows no candidate, only values. The
supervisor hands bodies on unread, holds every deadline, and takes a verdict only from the tests'
process, under the nonce, for the test that it has just asked for.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import Any

from archon.sandbox.children import BadFrame, Child, Gone, died
from archon.sandbox.faults import Infrastructure
from archon.sandbox.inside import codec
from archon.sandbox.reports import OUTCOMES, Limits, Outcome, Test, TestFile, Verdict
from archon.sandbox.workers import Worker

__all__ = ["Case", "execute"]

_DETAIL = 1000
_ANSWERS = (b"r", b"x", b"u")


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be checked.

    Attributes:
        source: the candidate.
        file: the tests.
        names: functions of the candidate that the tests call.
        limits: for each test.
        stop_at_first: leave out what follows a test that did not pass.
    """

    source: str
    file: TestFile
    names: tuple[str, ...]
    limits: Limits
    stop_at_first: bool = False

    @property
    def cpu_seconds(self) -> int:
        """CPU seconds of a process that lives through all tests.

        In steps of powers of two, so that a process can be made ready before its tests are known.
        """
        steps = len(self.file.tests).bit_length()
        return self.limits.cpu_seconds << steps


class _Broken(Exception):
    """A process is of no further use; the test at hand has this outcome."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome: Outcome = outcome
        self.detail = detail


async def execute(
    case: Case, candidates: Worker, tests: Worker, *, together: bool = False
) -> list[Verdict]:
    """Run all tests; after one that took a process with it, go on with fresh ones.

    Args:
        case: what is to be checked.
        candidates: whose children hold candidates.
        tests: whose children hold tests.
        together: run both in one process. Whoever reads such verdicts must not trust them.

    Raises:
        Infrastructure: when a sandbox failed through no fault of the code in it.
    """
    done: list[Verdict] = []
    while len(done) < len(case.file.tests):
        pair = _Pair(case)
        try:
            if together:
                await pair.start_together(tests)
            else:
                await pair.start(candidates, tests)
            await _some(pair, case, done)
        except _Broken as broken:  # while loading: it would be the same each time
            rest = case.file.tests[len(done) :]
            done += [Verdict(test.id, broken.outcome, broken.detail) for test in rest]
        finally:
            pair.close()
        if case.stop_at_first and done and done[-1].outcome != "pass":
            break
    return done


async def _some(pair: _Pair, case: Case, done: list[Verdict]) -> None:
    """Run tests until one breaks the pair."""
    for test in case.file.tests[len(done) :]:
        start = time.perf_counter()
        try:
            outcome, detail = await pair.run(test)
        except _Broken as broken:
            done.append(Verdict(test.id, broken.outcome, broken.detail, _since(start)))
            return
        done.append(Verdict(test.id, outcome, detail, _since(start)))
        if case.stop_at_first and outcome != "pass":
            return


def _since(start: float) -> float:
    return time.perf_counter() - start


class _Pair:
    """One process with the candidate and one with the tests."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._nonce = os.urandom(16)
        self._candidate: Child | None = None
        self._tests: Child | None = None
        self._calling = False

    async def start(self, candidates: Worker, tests: Worker) -> None:
        """Have both born and loaded.

        Raises:
            _Broken: where the candidate or the setup cannot be loaded.
        """
        case = self._case
        source = codec.encode(case.source)
        setup = codec.encode((case.file.setup, case.names))
        self._candidate = await candidates.fork(b"c", case.limits, case.cpu_seconds)
        await self._load(self._candidate, bytes(16), source)
        self._tests = await tests.fork(b"t", case.limits, case.cpu_seconds)
        await self._load(self._tests, self._nonce, setup)
        await self._loaded(self._candidate, bytes(16), "the candidate")
        await self._loaded_tests()

    async def start_together(self, tests: Worker) -> None:
        """Have one process born that holds candidate and tests.

        Raises:
            _Broken: where the candidate or the setup cannot be loaded.
        """
        case = self._case
        body = codec.encode((case.source, case.file.setup, case.names))
        self._tests = await tests.fork(b"g", case.limits, case.cpu_seconds)
        await self._load(self._tests, self._nonce, body)
        await self._loaded_tests()

    async def _load(self, child: Child, name: bytes, body: bytes) -> None:
        try:
            await child.send(b"S", name, body)
        except Gone:
            raise Infrastructure("a child ended before it was given anything") from None

    async def _loaded(self, child: Child, name: bytes, what: str) -> None:
        try:
            async with asyncio.timeout(self._case.limits.seconds):
                kind, found, body = await child.receive()
        except TimeoutError:
            raise _Broken("timeout", f"loading {what}") from None
        except BadFrame as error:
            raise _Broken("protocol", str(error)) from None
        except Gone:
            raise await self._death(child, f"loading {what}") from None
        if found != name or kind not in (b"L", b"E"):
            raise _Broken("protocol", f"loading {what}: an answer that was not asked for")
        if kind == b"E":
            raise _failed(body, what)

    async def _loaded_tests(self) -> None:
        """See that the setup is through; it may already have called the candidate."""
        assert self._tests is not None
        try:
            async with asyncio.timeout(self._case.limits.seconds):
                kind, body = await self._relayed()
        except TimeoutError:
            raise _Broken("timeout", "the setup of the tests") from None
        if kind == b"E":
            raise _failed(body, "the setup of the tests")
        if kind != b"L":
            raise _Broken("protocol", "the tests answered what was not asked")

    async def run(self, test: Test) -> tuple[Outcome, str]:
        """Run one test.

        Raises:
            _Broken: with the outcome, when a process is lost by it.
        """
        assert self._tests is not None
        name = os.urandom(16)
        self._calling = False
        try:
            async with asyncio.timeout(self._case.limits.seconds):
                await self._tests.send(b"t", self._nonce, codec.encode((name, test.code)))
                kind, body = await self._relayed()
        except TimeoutError:
            where = "" if self._calling else " (in the test)"
            limit = self._case.limits.seconds
            raise _Broken("timeout", f"more than {limit:g} s{where}") from None
        except Gone:
            raise await self._death(self._tests, "the tests", own=False) from None
        if kind != b"t":
            raise _Broken("protocol", "the tests answered what was not asked")
        return _verdict(body, name)

    async def _relayed(self) -> tuple[bytes, bytes]:
        """Hand calls on and answers back until the tests say something else."""
        assert self._tests is not None
        while True:
            try:
                kind, name, body = await self._tests.receive()
            except BadFrame as error:
                raise _Broken("protocol", f"the tests: {error}") from None
            except Gone:
                raise await self._death(self._tests, "the tests", own=False) from None
            if name != self._nonce:
                raise _Broken("protocol", "the tests answered without the nonce")
            if kind != b"c":
                return kind, body
            answer, body = await self._call(body)
            try:
                await self._tests.send(answer, self._nonce, body)
            except Gone:
                raise await self._death(self._tests, "the tests", own=False) from None

    async def _call(self, body: bytes) -> tuple[bytes, bytes]:
        if self._candidate is None:
            raise _Broken("protocol", "a call where there is nobody to call")
        name = os.urandom(16)
        self._calling = True
        try:
            await self._candidate.send(b"c", name, body)
            kind, found, answer = await self._candidate.receive()
        except BadFrame as error:
            raise _Broken("protocol", str(error)) from None
        except Gone:
            raise await self._death(self._candidate, "") from None
        self._calling = False
        if found != name or kind not in _ANSWERS:
            raise _Broken("protocol", "an answer to a call that was not made")
        return kind, answer

    async def _death(self, child: Child, what: str, *, own: bool = True) -> _Broken:
        """Return what became of a child that is gone.

        Raises:
            Infrastructure: where it is not the doing of the code in it.
        """
        ended = await child.ended()
        outcome, detail = died(ended, child.guarded, self._case.cpu_seconds)
        text = f"{what}: {detail}" if what else detail
        if not own and outcome == "killed":
            return _Broken("error", text)
        return _Broken(_known(outcome), text)

    def close(self) -> None:
        """End both."""
        for child in (self._candidate, self._tests):
            if child is not None:
                child.close()


def _known(outcome: object) -> Outcome:
    """Let only outcomes through."""
    return next((known for known in OUTCOMES if known == outcome), "protocol")


def _failed(body: bytes, what: str) -> _Broken:
    """Return what an exception while loading means."""
    try:
        known, own, message, line = codec.decode(body)
        place = f" (line {int(line)})" if line else ""
        text = f"{what}: {own}: {message}{place}"
    except (codec.Malformed, TypeError, ValueError):
        return _Broken("protocol", f"{what}: malformed")
    return _Broken("oom" if known == "MemoryError" else "error", text[:_DETAIL])


def _verdict(body: bytes, wanted: bytes) -> tuple[Outcome, str]:
    """Return what the tests say; only of the test that was asked for."""
    found: Any = None
    if len(body) <= 16_384:
        try:
            found = codec.decode(body)
        except codec.Malformed:
            found = None
    match found:
        case (bytes(name), str(outcome), str(detail)) if name == wanted and outcome in OUTCOMES:
            return _known(outcome), detail[:_DETAIL]
    raise _Broken("protocol", "the tests' verdict is malformed")
