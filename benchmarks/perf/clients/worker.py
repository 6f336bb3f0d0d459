"""Runs one client on one job: JSON on stdin, JSON on stdout.

    python worker.py < job.json

A job names its `client`; the keys that every client knows are `url`, `concurrency`, `n` calls
after `warm` that are not measured, `max_tokens`, and `folder` for files. Measured are wall clock,
CPU of all threads of this process, and the largest resident memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["load", "main", "megabytes", "run"]

Job = dict[str, Any]
Call = Callable[[int], Awaitable[str]]
Calls = Callable[[Job], AbstractAsyncContextManager[Call]]


def load(name: str) -> ModuleType:
    """Load a client by the name of its file."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"perf_client_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def megabytes() -> float:
    """Return the largest resident memory of this program so far, in MB.

    `ru_maxrss` would count the process that started this one, whose memory it had until `exec`.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    peak = next(line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024 / 1e6


async def run(job: Job) -> Job:
    """Do a job and return what was measured."""
    client = load(job["client"])
    if job.get("whole"):
        started = _clocks()
        found: Job = await client.work(job)
        return {**_since(started), **found, "mb": megabytes()}
    return {**await _measured(client.calls, job), "mb": megabytes()}


async def _measured(calls: Calls, job: Job) -> Job:
    n, warm, concurrency = job["n"], job.get("warm", 0), job["concurrency"]
    texts: list[str] = []
    async with calls(job) as call:
        await _pump(call, iter(range(warm)), concurrency, texts)
        texts.clear()
        gc.collect()
        started = _clocks()
        await _pump(call, iter(range(warm, warm + n)), concurrency, texts)
        found = _since(started)
    if len(texts) != n or not all(texts):
        raise RuntimeError(f"{n} calls gave {sum(map(bool, texts))} texts")
    return {**found, "cpu_ms": 1000 * found["cpu"] / n, "per_second": n / found["wall"]}


async def _pump(call: Call, numbers: Iterator[int], concurrency: int, texts: list[str]) -> None:
    """Keep so many calls in flight until all numbers are used."""

    async def work() -> None:
        for number in numbers:
            texts.append(await call(number))

    if concurrency == 1:
        await work()
    else:
        await asyncio.gather(*(work() for _ in range(concurrency)))


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(started: tuple[float, float]) -> Job:
    wall, cpu = _clocks()
    return {"wall": wall - started[0], "cpu": cpu - started[1]}


def _settle_in(core: int) -> None:
    """Keep to one core, and allow a connection for every call."""
    if hasattr(os, "sched_setaffinity") and core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError):  # some systems allow less than they say
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    """Read a job, do it, write the result."""
    # The folder of this file holds clients, which must not stand in for packages.
    sys.path[:] = [path for path in sys.path if path != str(Path(__file__).parent)]
    job = json.load(sys.stdin)
    _settle_in(job.get("core", 0))
    out = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints, the result stays readable
    result = asyncio.run(run(job))
    out.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
