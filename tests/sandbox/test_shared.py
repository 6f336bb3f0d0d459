"""One sandbox for a process: any loop, any thread, cancelled callers, nothing left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from archon.errors import ConfigError
from archon.sandbox import SandboxSettings, close_shared, shared

pytestmark = pytest.mark.usefixtures("executes")


async def passes(source: str) -> bool:
    report = await shared().check(source, ["assert f(2) == 4"], entry_point="f")
    return report.passed


def test_it_stays_warm_from_one_loop_to_the_next() -> None:
    assert asyncio.run(passes("def f(x): return 2 * x"))
    first = shared()
    assert not asyncio.run(passes("def f(x): return x"))
    assert shared() is first
    assert shared(SandboxSettings(min_level=2)) is first


def test_from_several_threads_at_once() -> None:
    found: list[bool] = []

    def work() -> None:
        found.append(asyncio.run(passes("def f(x): return 2 * x")))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 6


def test_a_cancelled_caller_frees_its_place() -> None:
    async def whole() -> float:
        endless = [asyncio.create_task(passes("while True: pass")) for _ in range(8)]
        await asyncio.sleep(0.3)
        for task in endless:
            task.cancel()
        await asyncio.gather(*endless, return_exceptions=True)
        began = time.monotonic()
        assert await passes("def f(x): return 2 * x")
        return time.monotonic() - began

    assert asyncio.run(whole()) < 4  # less than one of the endless programs would have taken


def test_closed_and_opened_again() -> None:
    first = shared()
    close_shared()
    assert asyncio.run(passes("def f(x): return 2 * x"))
    assert shared() is not first


def test_nothing_outlives_the_process() -> None:
    script = """
import asyncio
from archon.sandbox import shared
report = asyncio.run(shared().check("def f(x): return 4", ["assert f(2) == 4"], entry_point="f"))
print(report.passed)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="min_level"):
        SandboxSettings(min_level=1)
    with pytest.raises(ConfigError, match="absolute path"):
        shared(SandboxSettings(packages=("here",)))
