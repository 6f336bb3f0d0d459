"""Archon on one architecture: `rounds` questions after one to open connections and build it."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import archon
from archon.session import Session


async def work(job: dict[str, Any]) -> dict[str, Any]:
    """Run the architecture on one question after the other."""
    arch = archon.loads(job["architecture"].replace("URL", job["url"]))
    session = Session(Path(job["folder"]) / "pool.db")
    walls, calls = [], set()
    for turn in range(job["rounds"] + 1):
        started = time.perf_counter()
        result = await archon.arun(
            arch, job["prompt"].format(turn), budget="calls=1000", session=session
        )
        walls.append(time.perf_counter() - started)
        assert result.answer
        assert not result.warnings, result.warnings
        calls.add(result.usage.calls)
    await session.aclose()
    [asked] = calls
    return {"first": walls[0], "wall": statistics.median(walls[1:]), "calls": asked}
