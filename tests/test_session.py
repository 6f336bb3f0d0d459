"""A session works anywhere, shares a budget, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import archon
from archon.backends.fake import Fake
from archon.errors import BudgetExceeded, BudgetRefused
from archon.layers import Generate
from archon.store import home

ONE = Generate(model="fake/a")


_before: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def _others() -> None:
    """Other tests of the process may have left threads of their own."""
    _before.clear()
    _before.update(threading.enumerate())


def _threads() -> set[str]:
    new = set(threading.enumerate()) - _before
    return {thread.name for thread in new if thread.name.startswith("archon")}


def test_sync_calls_work_inside_a_running_loop() -> None:
    async def cell() -> str | None:
        with archon.Session(None, backends={"fake": Fake()}) as session:
            return archon.run(ONE, "hi", session=session).answer

    assert asyncio.run(cell())


def test_closing_leaves_no_thread() -> None:
    session = archon.Session(None, backends={"fake": Fake()})
    archon.run(ONE, "hi", session=session)
    assert _threads() == {"archon-loop", "archon-store"}
    session.close()
    assert _threads() == set()
    session.close()


def test_a_session_can_be_used_again_after_closing(tmp_path: Path) -> None:
    fake = Fake()
    session = archon.Session(tmp_path / "pool.db", backends={"fake": fake})
    first = archon.run(ONE, "hi", session=session)
    session.close()
    again = archon.run(ONE, "hi", session=session)
    session.close()
    assert again.answer == first.answer
    assert again.paid.calls == 0


def test_closing_cuts_what_runs() -> None:
    fake = Fake(latency=600)
    session = archon.Session(None, backends={"fake": fake})
    work = session.submit(archon.arun(ONE, "hi", session=session))
    for _ in range(2000):
        if fake.in_flight:
            break
        time.sleep(0.001)
    began = time.monotonic()
    session.close()
    assert time.monotonic() - began < 5
    assert work.done()
    assert not fake.in_flight


def test_one_session_serves_several_threads() -> None:
    fake = Fake(lambda request, draw: request.messages[-1].content, latency=0.01)
    answers: dict[int, str | None] = {}
    with archon.Session(None, backends={"fake": fake}) as session:

        def ask(i: int) -> None:
            answers[i] = archon.run(ONE, f"question {i}", session=session).answer

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == {i: f"question {i}" for i in range(8)}


def test_the_budget_of_a_session_holds_over_all_its_runs() -> None:
    fake = Fake()
    with archon.Session(None, budget="calls=3", backends={"fake": fake}) as session:
        for i in range(3):
            archon.run(ONE, f"question {i}", session=session)
        with pytest.raises((BudgetExceeded, BudgetRefused)):
            archon.run(ONE, "one more", session=session)
        # What is in the pool costs nothing new.
        assert archon.run(ONE, "question 1", session=session).paid.calls == 0
    assert len(fake.requests) == 3


def test_a_limit_that_cannot_be_enforced_is_refused_before_any_call() -> None:
    fake = Fake()
    with (
        archon.Session(None, backends={"fake": fake}) as session,
        pytest.raises(BudgetRefused, match="has no max_tokens; set it"),
    ):
        archon.run(ONE, "hi", budget="tokens=100", session=session)
    assert not fake.requests


def test_home_is_private(archon_home: Path) -> None:
    with archon.Session(backends={"fake": Fake()}) as session:
        archon.run(ONE, "hi", session=session)
    assert home() == archon_home
    assert archon_home.stat().st_mode & 0o777 == 0o700
    assert (archon_home / "pool.db").exists()


def test_async_calls_use_the_callers_loop() -> None:
    async def work() -> set[str]:
        session = archon.Session(None, backends={"fake": Fake()})
        await archon.arun(ONE, "hi", session=session)
        names = _threads()
        await session.aclose()
        return names

    assert asyncio.run(work()) == {"archon-store"}
    assert _threads() == set()


CTRL_C = """
import archon, sys, threading
from archon.backends.fake import Fake
from archon.layers import Generate
fake = Fake(latency=600)
session = archon.Session(None, backends={"fake": fake})
print("ready", flush=True)
try:
    archon.run(Generate(model="fake/a", samples=3), "hi", session=session)
except KeyboardInterrupt:
    print("flying", fake.in_flight, flush=True)
    session.close()
    print("threads", threading.active_count(), flush=True)
    sys.exit(130)
"""


def _hear_interrupts() -> None:
    """Let Ctrl-C through: a test run in the background hands its children a deaf ear."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_a_run_and_leaves_nothing() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CTRL_C],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_interrupts,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert out.splitlines() == ["flying 0", "threads 1"]
