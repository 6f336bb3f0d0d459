"""What a verdict costs: milliseconds per candidate, warm and cold, and candidates per second.

    python -m archon.benchmarks.perf.sandbox --json --quick

Every figure is taken beside bare interpreters started in the same run, turn by turn, so that the
ratio means something on a busy machine too.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from archon.benchmarks.perf import machine
from archon.sandbox import Backend, Limits, Sandbox, TestFile, known, survey

__all__ = ["main", "measure"]

CANDIDATE = """\
def total(values):
    result = 0
    for value in values:
        result += value
    return result
"""
TESTS = TestFile.of([f"assert total(list(range({n}))) == {n * (n - 1) // 2}" for n in range(5)])
TARGETS = {
    "warm_ms": 10.0,
    "ratio": 1.5,
    "candidates_per_second": 80.0,
    "cold_ms": 40.0,
}
"""At most, except candidates per second: at least. For two quiet cores."""

_SETTLE = 1.5
"""Seconds after which a worker has loaded its modules."""


async def _once(sandbox: Sandbox) -> float:
    start = time.perf_counter()
    report = await sandbox.check(CANDIDATE, TESTS, entry_point="total")
    took = 1e3 * (time.perf_counter() - start)
    if not report.passed:
        raise RuntimeError(f"a right candidate was not accepted: {report.verdicts}")
    return took


def _bare(*options: str) -> float:
    start = time.perf_counter()
    subprocess.run(  # noqa: S603 (our own interpreter)
        [sys.executable, *options, "-c", "pass"],
        check=True,
        stdin=subprocess.DEVNULL,
        env={"LC_ALL": "C.UTF-8"},
    )
    return 1e3 * (time.perf_counter() - start)


async def _warm(backend: Backend, rounds: int) -> dict[str, float]:
    sandbox = Sandbox(backend, Limits(), size=1)
    try:
        await _once(sandbox)
        await asyncio.sleep(_SETTLE)
        ours, bare, barest = [], [], []
        for _ in range(rounds):
            ours.append(await _once(sandbox))
            bare.append(_bare("-I"))
            barest.append(_bare("-I", "-S"))
    finally:
        sandbox.close()
    return {
        "warm_ms": statistics.median(ours),
        "warm_ms_p90": statistics.quantiles(ours, n=10)[-1],
        "python_ms": statistics.median(bare),
        "python_without_site_ms": statistics.median(barest),
        "ratio": statistics.median(ours) / statistics.median(bare),
        "ratio_without_site": statistics.median(ours) / statistics.median(barest),
    }


async def _throughput(backend: Backend, count: int) -> dict[str, float]:
    sandbox = Sandbox(backend, Limits(), size=len(os.sched_getaffinity(0)))
    try:
        await asyncio.gather(*(_once(sandbox) for _ in range(20)))
        await asyncio.sleep(_SETTLE)
        start = time.perf_counter()
        await asyncio.gather(*(_once(sandbox) for _ in range(count)))
        seconds = time.perf_counter() - start
    finally:
        sandbox.close()
    return {"candidates_per_second": count / seconds}


async def _cold(backend: Backend, rounds: int) -> dict[str, float]:
    """Time from nothing to the end of one program: a worker is started, a child guarded."""
    programs, checks = [], []

    async def timed(work: Callable[[Sandbox], Awaitable[object]]) -> float:
        sandbox = Sandbox(backend, Limits(), size=1)
        start = time.perf_counter()
        try:
            await work(sandbox)
            return 1e3 * (time.perf_counter() - start)
        finally:
            sandbox.close()

    for turn in range(rounds + 1):
        program = await timed(lambda sandbox: sandbox.run_program("print(1)"))
        check = await timed(_once)
        if turn:  # the first only fills caches
            programs.append(program)
            checks.append(check)
    return {"cold_ms": statistics.median(programs), "cold_check_ms": statistics.median(checks)}


def measure(*, quick: bool) -> dict[str, Any]:
    """Measure every backend of level 2 or better that works here."""
    working = {answer.backend for answer in survey() if answer.works and answer.level >= 2}
    found: dict[str, Any] = {"machine": machine.describe(), "targets": TARGETS, "backends": {}}
    scale = 1 if quick else 6

    async def whole(backend: Backend) -> dict[str, float]:
        return {
            **await _warm(backend, 40 * scale),
            **await _throughput(backend, 100 * scale),
            **await _cold(backend, 5 * scale),
        }

    for backend in known():
        if backend.name in working:
            figures = asyncio.run(whole(backend))
            rounded = {name: round(value, 3) for name, value in figures.items()}
            found["backends"][backend.name] = {"level": backend.level, **rounded}
    return found


def main(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, no table")] = False,
    quick: Annotated[bool, typer.Option(help="measure little: some seconds")] = False,
) -> None:
    """Measure what executing a candidate with five tests costs."""
    found = measure(quick=quick)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    typer.echo(", ".join(f"{key} {value}" for key, value in found["machine"].items()))
    for name, figures in found["backends"].items():
        typer.echo(f"\n{name} (level {figures['level']})")
        for key, value in figures.items():
            if key != "level":
                goal = f"   target {TARGETS[key]:g}" if key in TARGETS else ""
                typer.echo(f"  {key:24} {value:10.2f}{goal}")


if __name__ == "__main__":
    typer.run(main)
