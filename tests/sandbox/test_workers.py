"""Nothing stays: no process, no descriptor, no memory, whatever happens to the work."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from archon.sandbox import Backend, Limits, Sandbox, SandboxFailed
from archon.sandbox.backends import Kernel
from archon.sandbox.children import Ended, died
from archon.sandbox.containers import Container
from archon.sandbox.faults import Infrastructure
from archon.sandbox.workers import Worker
from tests.sandbox.attacks import children
from tests.sandbox.conftest import made

DOUBLE = "def f(x): return x * 2"
TESTS = ["assert f(1) == 2", "assert f(2) == 4"]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def rss() -> int:
    """Bytes of resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def gone(before: set[int], seconds: float = 5.0) -> set[int]:
    """Return the processes that are there beside `before`, after giving them a moment."""
    for _ in range(int(seconds / 0.05)):
        if not (left := children() - before):
            break
        await asyncio.sleep(0.05)
    return left


def test_closing_leaves_nothing(backend: Backend) -> None:
    async def work() -> None:
        before, files = children(), descriptors()
        sandbox = made(backend)
        checks = (sandbox.check(DOUBLE, TESTS, entry_point="f") for _ in range(6))
        assert all(report.passed for report in await asyncio.gather(*checks))
        assert children() - before
        sandbox.close()
        assert not await gone(before)
        assert descriptors() <= files

    asyncio.run(work())


def test_cancelling_leaves_nothing_but_the_workers(backend: Backend) -> None:
    endless = "import time\ndef f(x): time.sleep(99)"

    async def work() -> None:
        before = children()
        sandbox = made(backend)
        await sandbox.check(DOUBLE, TESTS, entry_point="f")
        await asyncio.sleep(0.2)
        files = descriptors()
        for delay in (0.0, 0.001, 0.005, 0.02, 0.05, 0.1):
            tasks = [
                asyncio.create_task(sandbox.check(endless, TESTS, entry_point="f")),
                asyncio.create_task(
                    sandbox.run_program("import time\ntime.sleep(99)", "x" * 10**6)
                ),
            ]
            await asyncio.sleep(delay)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        report = await sandbox.check(DOUBLE, TESTS, entry_point="f")
        assert report.passed  # the slots are free again
        await asyncio.sleep(0.3)
        assert descriptors() <= files + 8  # a second slot has its workers by now
        sandbox.close()
        assert not await gone(before)

    asyncio.run(work())


@pytest.mark.parametrize("level", [3, 2])
def test_a_start_that_is_cancelled_leaves_nothing(level: int, usable: dict[int, Backend]) -> None:
    if level not in usable:
        pytest.skip(f"no level {level} here")

    async def work() -> None:
        before, files = children(), descriptors()
        for delay in [n / 800 for n in range(16)]:
            starting = asyncio.create_task(Worker.start(usable[level].launch()))
            await asyncio.sleep(delay)
            starting.cancel()
            for done in await asyncio.gather(starting, return_exceptions=True):
                if isinstance(done, Worker):
                    done.close()
        assert not await gone(before)
        assert descriptors() <= files

    asyncio.run(work())


def test_a_killed_sandbox_is_never_the_candidates_failure(backend: Backend) -> None:
    """Everything below this process is shot at while honest candidates are checked."""

    async def work() -> None:
        sandbox = made(backend)
        before = children() - {os.getpid()}
        chance = random.Random(7)
        stop = asyncio.Event()

        async def shoot() -> int:
            shots = 0
            while not stop.is_set():
                if found := sorted(children() - before - {os.getpid()}):
                    with suppress(ProcessLookupError):
                        os.kill(chance.choice(found), signal.SIGKILL)
                        shots += 1
                await asyncio.sleep(0.4)
            return shots

        shooting = asyncio.create_task(shoot())
        reports = await asyncio.gather(
            *(sandbox.check(DOUBLE, TESTS, entry_point="f") for _ in range(60))
        )
        stop.set()
        assert await shooting > 0
        sandbox.close()
        assert [r.verdicts for r in reports if not r.passed] == []
        if not isinstance(backend, Container):  # an engine may lose what it was making when shot
            assert not await gone(before | {os.getpid()})

    asyncio.run(work())


def test_who_loses_every_sandbox_is_to_blame_only_if_harmless_code_is_not(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    from archon.sandbox import protocol, supervisor

    async def lost(*args: object, **rest: object) -> None:
        raise Infrastructure("killed from outside")

    monkeypatch.setattr(protocol, "execute", lost)
    monkeypatch.setattr(supervisor, "ATTEMPTS", 2)
    monkeypatch.setattr(supervisor, "HARMLESS", 1)

    async def work() -> None:
        sandbox = made(backend, size=1)
        report = await sandbox.check(DOUBLE, TESTS, entry_point="f")
        assert [v.outcome for v in report.verdicts] == ["killed", "killed"]
        assert "every fresh sandbox" in report.verdicts[0].detail
        monkeypatch.setattr("archon.sandbox.programs.execute", lost)
        with pytest.raises(SandboxFailed, match="fresh sandboxes failed: killed from outside"):
            await sandbox.check(DOUBLE, TESTS, entry_point="f")
        sandbox.close()

    asyncio.run(work())


def test_how_an_end_is_explained() -> None:
    def status(number: int) -> Ended:
        return Ended(number, 0, 0.0)

    assert died(status(signal.SIGSEGV), True, 4)[0] == "killed"
    assert died(status(signal.SIGXCPU), True, 4)[0] == "timeout"
    assert died(Ended(signal.SIGKILL, 0, 4.0), True, 4)[0] == "timeout"
    assert died(status(3 << 8), True, 4) == ("killed", "the process ended itself with exit code 3")
    for ended, guarded in ((status(signal.SIGKILL), True), (status(0), False)):
        with pytest.raises(Infrastructure):
            died(ended, guarded, 4)


def test_workers_are_replaced_when_worn_out(backend: Backend) -> None:
    async def work() -> None:
        sandbox = made(backend, size=1, recycled=4)
        seen = set()
        for _ in range(9):
            report = await sandbox.check(DOUBLE, TESTS, entry_point="f")
            assert report.passed
            assert not report.retries
            seen |= {id(w) for w in sandbox._slots[0]._workers.values()}
        assert len(seen) >= 4
        sandbox.close()

    asyncio.run(work())


def test_everything_ends_with_the_supervisor(backend: Backend, tmp_path: Path) -> None:
    """Killed without warning, it leaves no process behind: neither worker nor candidate."""
    script = f"""
import asyncio
from archon.sandbox import BACKENDS, Limits, Sandbox
async def main():
    backend = next(b for b in BACKENDS if b.level == {backend.level})
    sandbox = Sandbox(backend, Limits(seconds=100, cpu_seconds=100), size=1)
    await sandbox.run_program('pass')
    print('ready', flush=True)
    await sandbox.run_program('import time, signal\\nwhile True: time.sleep(1)')
asyncio.run(main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(0.3)
    below = _below(process.pid)
    assert len(below) >= 2
    process.kill()
    process.wait()
    process.stdout.close()
    end = time.monotonic() + 5
    while any(map(_alive, below)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [pid for pid in below if _alive(pid)]


def _below(parent: int) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                stat = Path(f"/proc/{entry}/stat").read_text()
                if int(stat.rpartition(")")[2].split()[1]) == parent:
                    found += [int(entry), *_below(int(entry))]
    return found


def _alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_a_worker_that_cannot_start_says_why() -> None:
    import dataclasses

    async def work() -> None:
        launch = dataclasses.replace(
            Kernel().launch(), command=["/bin/sh", "-c", "echo no such luck >&2; exit 1"]
        )
        before, files = children(), descriptors()
        with pytest.raises(Infrastructure, match="no such luck"):
            await Worker.start(launch)
        assert descriptors() <= files
        assert not await gone(before)

    asyncio.run(work())


HOSTILE = (
    "import os\nos._exit(0)",
    "import ctypes\nctypes.string_at(0)",
    "print('x' * 10**6)",
    "raise SystemExit",
    "x = bytearray(1 << 30)",
    "import os\nos.close(3)\nos.close(1)",
    "import os\nfor n in range(16):\n    try: os.write(n, bytes(10**5))\n    except OSError: pass",
)


async def hostile(sandbox: Sandbox, count: int) -> None:
    async def one(number: int) -> None:
        source = HOSTILE[number % len(HOSTILE)]
        if number % 2:
            await sandbox.run_program(source, limits=Limits(seconds=5))
        else:
            await sandbox.check(source, TESTS, entry_point="f", limits=Limits(seconds=5))

    for start in range(0, count, 50):
        await asyncio.gather(*map(one, range(start, min(start + 50, count))))


@pytest.mark.parametrize(
    "count", [42, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_hostile_runs_leave_the_supervisor_as_it_was(backend: Backend, count: int) -> None:
    async def work() -> None:
        sandbox = made(backend)
        before = children()
        await hostile(sandbox, 28)  # everything is loaded
        await asyncio.sleep(0.3)
        files, memory = descriptors(), rss()
        await hostile(sandbox, count)
        await asyncio.sleep(0.3)
        assert descriptors() <= files + 4  # a spare may be on its way
        assert rss() - memory < 50 << 20
        sandbox.close()
        assert not await gone(before)

    asyncio.run(work())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_runaways_leave_no_survivor(backend: Backend) -> None:
    source = "import os\nwhile True: pass"

    async def work() -> None:
        before = children()
        sandbox = made(backend)
        limits = Limits(seconds=0.05)
        took = []
        for _ in range(1000):
            ran = await sandbox.run_program(source, limits=limits)
            assert ran.outcome == "timeout"
            took.append(ran.seconds)
        sandbox.close()
        assert not await gone(before)
        assert sorted(took)[990] < 0.05 + 0.5

    asyncio.run(work())
