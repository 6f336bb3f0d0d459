"""Whole programs: stdin in, stdout out, and whether an output is the right one."""

from __future__ import annotations

import asyncio
import math
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest

from archon.sandbox.children import BadFrame, Child, Gone, died
from archon.sandbox.faults import Infrastructure
from archon.sandbox.inside import codec
from archon.sandbox.reports import Limits, Outcome
from archon.sandbox.workers import Worker

__all__ = ["Output", "execute", "same_output"]

_ERRORS_KEPT = 4096
TOLERANCE = 1e-6
"""Relative and absolute difference below which two numbers of an output are the same."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a program wrote and how it ended; `pass` means that it ran to its end."""

    outcome: Outcome
    stdout: str
    detail: str
    seconds: float


def same_output(given: str, wanted: str, *, tolerance: float = TOLERANCE) -> bool:
    """Return whether two outputs are the same, token by token.

    Whitespace only separates. Tokens are the same as text, or as numbers where at least one of
    them is written with a decimal point or an exponent.

    Args:
        given: what the program wrote.
        wanted: what is expected.
        tolerance: relative and absolute; 0 compares text alone.

    >>> same_output("1  2.5000001", "1 2.5")
    True
    >>> same_output("10000001", "10000000")
    False
    """
    pairs = zip_longest(given.split(), wanted.split())
    return all(_same_token(a, b, tolerance) for a, b in pairs)


def _same_token(given: str | None, wanted: str | None, tolerance: float) -> bool:
    if given == wanted:
        return True
    if given is None or wanted is None or not tolerance:
        return False
    if not any(sign in wanted for sign in ".eE") and not any(sign in given for sign in ".eE"):
        return False
    if not _looks_like_number(given) or not _looks_like_number(wanted):
        return False
    a, b = float(given), float(wanted)
    if not (math.isfinite(a) and math.isfinite(b)):
        return False
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)


def _looks_like_number(text: str) -> bool:
    """Whether a token is a number as programs print them; `inf`, `nan` and `1_0` are not."""
    if len(text) > 400 or not text.isascii() or "_" in text:
        return False
    try:
        float(text)
    except ValueError:
        return False
    return any(char.isdigit() for char in text)


async def execute(source: str, stdin: str, limits: Limits, worker: Worker) -> Output:
    """Run a program once.

    Raises:
        Infrastructure: when the sandbox failed through no fault of the program.
    """
    start = time.perf_counter()
    run = _Run(limits)
    try:
        outcome, detail = await run.to_end(source, stdin.encode("utf-8", "replace"), worker)
    finally:
        run.close()
    text = bytes(run.out.kept).decode("utf-8", "replace")
    return Output(outcome, text, detail, time.perf_counter() - start)


class _Sink:
    """Reads a pipe to its end, keeping no more than a number of bytes."""

    def __init__(self, file: int, most: int, *, strict: bool) -> None:
        self.kept = bytearray()
        self.over: asyncio.Event = asyncio.Event()
        self._file = file
        self._most = most
        self._strict = strict
        self._loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()
        os.set_blocking(file, False)
        self._loop.add_reader(file, self._read)

    def _read(self) -> None:
        try:
            part = os.read(self._file, 1 << 16)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            self._loop.remove_reader(self._file)
            self.ended.set()
            return
        if len(self.kept) + len(part) > self._most:
            self.over.set()
            if self._strict:  # whoever writes more is ended, so reading stops here
                self._loop.remove_reader(self._file)
        self.kept += part[: max(0, self._most - len(self.kept))]

    def close(self) -> None:
        self._loop.remove_reader(self._file)
        os.close(self._file)


class _Run:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._child: Child | None = None
        self._feeding: asyncio.Task[None] | None = None
        out, self._out_end = os.pipe()
        errors, self._errors_end = os.pipe()
        self._in_end, self._in = os.pipe()
        self.out = _Sink(out, limits.output_bytes, strict=True)
        self._errors = _Sink(errors, _ERRORS_KEPT, strict=False)
        os.set_blocking(self._in, False)

    async def to_end(self, source: str, stdin: bytes, worker: Worker) -> tuple[Outcome, str]:
        ends = (self._in_end, self._out_end, self._errors_end)
        limits = self._limits
        try:
            self._child = await worker.fork(b"p", limits, limits.cpu_seconds, ends)
        finally:
            self._close_ends()
        try:
            await self._child.send(b"S", bytes(16), codec.encode(source))
        except Gone:
            raise Infrastructure("a child ended before it was given anything") from None
        self._feeding = asyncio.create_task(self._feed(stdin))
        over = asyncio.create_task(self.out.over.wait())
        said = asyncio.create_task(self._said(self._child))
        try:
            done, _ = await asyncio.wait(
                (over, said), timeout=limits.seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if said in done and not over.done():
                result = said.result()
                await self._rest()
                if not self.out.over.is_set():
                    return result
            if done:
                return "error", f"more than {limits.output_bytes:,} bytes of output"
            return "timeout", f"more than {limits.seconds:g} s"
        finally:
            await _cancelled(over, said)

    async def _said(self, child: Child) -> tuple[Outcome, str]:
        """Return how the program says that it ended, or how its process ended."""
        try:
            kind, _, body = await child.receive()
        except BadFrame as error:
            return "protocol", str(error)
        except Gone:
            ended = await child.ended()
            if ended.status == 0 and child.guarded:
                return "pass", ""  # it left by itself; what it wrote decides
            outcome, detail = died(ended, child.guarded, self._limits.cpu_seconds)
            return ("timeout" if outcome == "timeout" else "killed"), detail
        return ("pass", "") if kind == b"D" else _error(body)

    async def _rest(self) -> None:
        """Wait for what is still in the pipe; the program has ended or is about to."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                waiting = [
                    asyncio.create_task(event.wait()) for event in (self.out.ended, self.out.over)
                ]
                try:
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    await _cancelled(*waiting)

    async def _feed(self, data: bytes) -> None:
        """Write stdin, as far as the program reads it."""
        view = memoryview(data)
        try:
            while view:
                try:
                    view = view[os.write(self._in, view[: 1 << 16]) :]
                except BlockingIOError:
                    await _writable(self._in)
        except OSError:  # it does not read to the end
            pass
        finally:
            os.close(self._in)
            self._in = -1

    def _close_ends(self) -> None:
        for file in (self._in_end, self._out_end, self._errors_end):
            os.close(file)
        self._in_end = self._out_end = self._errors_end = -1

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
        if self._feeding is not None:
            self._feeding.cancel()
        if self._in >= 0 and (self._feeding is None or self._feeding.done()):
            os.close(self._in)
        self.out.close()
        self._errors.close()


async def _writable(file: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(file, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(file)


async def _cancelled(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _error(body: bytes) -> tuple[Outcome, str]:
    try:
        known, own, message, line = codec.decode(body)
        place = f" (line {int(line)})" if line else ""
        text = f"{own}: {message}{place}"[:1000]
    except (codec.Malformed, TypeError, ValueError):
        return "protocol", "malformed"
    return ("oom" if known == "MemoryError" else "error"), text
