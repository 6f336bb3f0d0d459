"""A session's budget holds over event loops in several threads."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest

from archon.budget import Budget, Ledger, hold_all
from archon.types import Usage

EACH = Usage(1, 5, 5, 0)


@pytest.fixture
def _restless() -> Iterator[None]:
    """Let threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_restless")
def test_loops_in_four_threads_never_overshoot() -> None:
    ledger = Ledger(Budget(calls=3))
    seen: list[int] = []

    async def borrow(times: int) -> None:
        for _ in range(times):
            hold = await hold_all([ledger], EACH)
            seen.append(ledger._total["calls"])
            await asyncio.sleep(0)
            ledger.release(hold)

    def work() -> None:
        async def several() -> None:
            await asyncio.gather(*(borrow(200) for _ in range(8)))

        asyncio.run(several())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(seen) == 4 * 8 * 200
    assert max(seen) <= 3
    assert not ledger.holding
