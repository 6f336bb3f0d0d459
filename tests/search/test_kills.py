"""Studies whose workers are killed: nothing lost, nothing twice, nothing left running."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.search.killing import Workers, schedule


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """One process for all tests: it imports everything once."""
    made = Workers()
    yield made
    made.close()


def test_a_killed_worker_is_missed_by_nobody(workers: Workers, tmp_path: Path) -> None:
    assert schedule(workers, tmp_path / "study", seed=1, kills=4, count=3) >= 1


@pytest.mark.slow
def test_fifty_kills(workers: Workers, tmp_path: Path) -> None:
    killed, seed = 0, 0
    while killed < 50:
        killed += schedule(workers, tmp_path / str(seed), seed=seed, kills=50 - killed)
        seed += 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_forty_schedules(workers: Workers, tmp_path: Path) -> None:
    # A thousand take over an hour: `python tests/search/killing.py`, whose result is kept.
    chance = random.Random(0)
    for number in range(40):
        schedule(workers, tmp_path / str(number), seed=chance.randrange(10**6), kills=3)
