"""B6: kill -9 on the way, start again, and count what was asked twice."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archon.benchmarks.perf.figures import Benchmark, Found, Group, Line, Target
from archon.benchmarks.perf.rig import (
    CLIENT_CORE,
    MAX_TOKENS,
    PROMPT,
    Client,
    Options,
    environment,
    serving,
)
from archon.testing.provider import ProviderProcess

__all__ = ["resumes"]

KILLS = (0.2, 1 / 3, 0.5)
"""After which share of the samples is killed."""
SAMPLES = 8
_CLIENT = Client("archon", "ours_resume")
_LOOK = 0.003
"""Seconds between looks at the server's counters."""


def resumes(options: Options) -> Benchmark:
    """B6: 100 prompts x 8 samples, 64 in flight, 50 ms."""
    found = Benchmark("B6", "Resume after kill -9")
    prompts = options.count(100)
    total = prompts * SAMPLES
    kills = KILLS[1:2] if options.quick else KILLS
    lines = [Line(f"killed after {share:.0%}") for share in kills]
    whole = Line("not interrupted")
    with serving(latency=0.05) as provider:
        for repetition in range(options.repeat):
            options.tell(f"resume: {repetition + 1} of {options.repeat}")
            whole.runs.append(_uninterrupted(provider, prompts))
            for share, line in zip(kills, lines, strict=True):
                run = _killed(provider, prompts, int(share * total))
                same = run.pop("digest") == whole.runs[-1]["digest"]
                line.runs.append({**run, "same_results": int(same)})
    shown = (
        "killed_at", "stored", "in_doubt", "repeated", "stored_asked", "first_call_s",
        "same_results", "wall",
    )  # fmt: skip
    settings = {"prompts": prompts, "samples": SAMPLES, "concurrency": 64, "latency": 0.05}
    found.groups.append(Group(f"{total} samples", settings, [whole, *lines], shown))
    every = [line.figures() for line in lines]
    found.targets += [
        Target("stored replies asked again", max(f["stored_asked"].high for f in every), 0),
        Target("stored replies changed", max(f["changed"].high for f in every), 0),
        Target(
            "results equal to an uninterrupted run",
            min(f["same_results"].low for f in every), 1, at_most=False,
        ),
        Target(
            "calls repeated beyond those in doubt",
            max(f["repeated_beyond_doubt"].high for f in every), 0,
        ),
    ]  # fmt: skip
    return found


def _job(provider: ProviderProcess, folder: str, prompts: int) -> dict[str, Any]:
    return {
        "client": _CLIENT.program, "whole": True, "prompt": PROMPT, "max_tokens": MAX_TOKENS,
        "core": CLIENT_CORE, "url": f"{provider.url}/v1", "folder": folder, "n": prompts,
        "samples": SAMPLES, "concurrency": 64,
    }  # fmt: skip


def _uninterrupted(provider: ProviderProcess, prompts: int) -> Found:
    provider.reset()
    with tempfile.TemporaryDirectory(prefix="archon-perf-") as folder:
        found = _CLIENT.run(_job(provider, folder, prompts))
    return {**found, "requests": provider.stats()["requests"]}


def _killed(provider: ProviderProcess, prompts: int, after: int) -> dict[str, Any]:
    """Kill a run when the server has delivered so much, finish it, and compare."""
    provider.reset()
    with tempfile.TemporaryDirectory(prefix="archon-perf-") as folder:
        job = _job(provider, folder, prompts)
        process = _spawn(job)
        while provider.stats()["delivered"] < after:
            if process.poll() is not None:
                raise RuntimeError("the run ended before it could be killed")
            time.sleep(_LOOK)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        _wait_idle(provider)
        asked, stored = provider.stats()["requests"], _replies(folder)
        doubtful = _count(folder, "attempts WHERE state = 'inflight'")
        found = _restart(provider, job, asked)
        again = provider.stats()["requests"] - asked
        after_all = _replies(folder)
        changed = sum(after_all.get(place) != text for place, text in stored.items())
        marked = _count(folder, "attempts WHERE state = 'indoubt'")
    total = prompts * SAMPLES
    repeated = asked + again - total
    return {
        **found, "killed_at": asked, "stored": len(stored), "in_doubt": doubtful,
        "counted_in_doubt": marked, "repeated": repeated,
        "stored_asked": again - (total - len(stored)), "changed": changed,
        "repeated_beyond_doubt": max(0, repeated - doubtful),
    }  # fmt: skip


def _spawn(job: Mapping[str, Any]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(  # noqa: S603 (ours)
        _CLIENT.command(), stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment()
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(job))
    process.stdin.close()
    process.stdin = None  # or `communicate` would flush it
    return process


def _restart(provider: ProviderProcess, job: Mapping[str, Any], asked: int) -> dict[str, Any]:
    """Finish a run; also the seconds from its start to the first request at the server."""
    first: list[float] = []
    started = time.perf_counter()
    process = _spawn(job)

    def watch() -> None:
        while process.poll() is None:
            if provider.stats()["requests"] > asked:
                first.append(time.perf_counter() - started)
                return
            time.sleep(_LOOK)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, said = process.communicate()
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"the second run failed:\n{said[-3000:]}")
    found: dict[str, Any] = json.loads(out)
    return {**found, "first_call_s": first[0] if first else None}


def _wait_idle(provider: ProviderProcess) -> None:
    """Wait until the server has ended what the killed run asked."""
    while provider.stats()["in_flight"]:
        time.sleep(_LOOK)


def _replies(folder: str) -> dict[tuple[str, int, int], str]:
    with contextlib.closing(sqlite3.connect(Path(folder) / "pool.db")) as db:
        rows = db.execute("SELECT key, member, draw, reply FROM replies").fetchall()
    return {(key, member, draw): text for key, member, draw, text in rows}


def _count(folder: str, rows: str) -> int:
    with contextlib.closing(sqlite3.connect(Path(folder) / "pool.db")) as db:
        return int(db.execute(f"SELECT count(*) FROM {rows}").fetchone()[0])  # noqa: S608 (ours)
