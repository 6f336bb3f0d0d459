"""Two processes on one pool: nothing is paid twice, and the dead hold nothing up."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from archon.pool import Pool
from archon.testing.provider import Provider
from tests.faults.conftest import at, question, right, rows, single, until, whole

WORKER = """
import asyncio, json, sys
from pathlib import Path
from archon.gateway import Gateway, Spending
from archon.model import Draw, Model, Request
from archon.pool import Pool
from archon.types import Message, Reply

url, path, count, seconds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
model = Model("openai/test", base_url=url + "/v1", max_tokens=32, concurrency=50, timeout=60)

async def main():
    pool = Pool(path)
    gate = Gateway(pool)
    print("ready", flush=True)
    sys.stdin.readline()
    requests = [Request(model, (Message("user", f"question {i}"),)) for i in range(count)]
    asked = asyncio.gather(*(gate.draw(r, [Draw(0, 0)], Spending()) for r in requests))
    outcomes = await asyncio.wait_for(asked, seconds)
    await gate.close()
    pool.close()
    print(json.dumps([o.text if isinstance(o, Reply) else repr(o) for [o] in outcomes]))

asyncio.run(main())
"""


class Worker:
    """A process that waits for its start."""

    def __init__(self, provider: Provider, path: Path, count: int, seconds: float = 60) -> None:
        command = [sys.executable, "-c", WORKER, provider.url, str(path), str(count), str(seconds)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def start(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self) -> Any:
        out, _ = self.process.communicate(timeout=90)
        assert self.process.returncode == 0
        return json.loads(out)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()
        assert self.process.returncode == -signal.SIGKILL


def _asked(provider: Provider) -> Counter[str]:
    return Counter(entry["text"] for entry in provider.log())


def test_the_same_200_draws_at_the_same_time_are_paid_once(
    provider: Provider, tmp_path: Path
) -> None:
    provider.set(latency=0.02, jitter=0.02)
    path = tmp_path / "pool.db"
    both = [Worker(provider, path, 200) for _ in range(2)]
    for worker in both:
        worker.ready()
    for worker in both:
        worker.start()
    got = [worker.result() for worker in both]
    model = at(provider)
    expected = [right(question(model, f"question {i}")) for i in range(200)]
    assert got == [expected, expected]
    assert set(_asked(provider).values()) == {1}
    assert provider.stats()["requests"] == 200
    assert rows(path, "SELECT state, count(*) FROM attempts GROUP BY state") == [("done", 200)]
    assert whole(path)


def test_the_living_take_over_from_the_dead(provider: Provider, tmp_path: Path) -> None:
    provider.set(latency=60)
    path = tmp_path / "pool.db"
    first, second = Worker(provider, path, 5), Worker(provider, path, 5)
    first.ready()
    first.start()
    until(lambda: provider.stats()["in_flight"] == 5)
    second.ready()
    second.start()
    time.sleep(0.5)
    assert provider.stats()["requests"] == 5, "nobody pays for what a living process pays for"
    first.kill()
    provider.set(latency=0)
    model = at(provider)
    assert second.result() == [right(question(model, f"question {i}")) for i in range(5)]
    assert set(_asked(provider).values()) == {2}
    states = rows(path, "SELECT state, count(*) FROM attempts GROUP BY state ORDER BY state")
    assert states == [("done", 5), ("indoubt", 5)]
    # What is in doubt keeps its whole reservation.
    assert single(path, "SELECT min(output_tokens) FROM attempts WHERE state = 'indoubt'") == 32


def test_a_process_that_hangs_is_not_taken_for_dead(provider: Provider, tmp_path: Path) -> None:
    provider.set(latency=0.5)
    path = tmp_path / "pool.db"
    first, second = Worker(provider, path, 3), Worker(provider, path, 3)
    first.ready()
    second.ready()
    first.start()
    until(lambda: provider.stats()["in_flight"] == 3)
    first.process.send_signal(signal.SIGSTOP)
    second.start()
    time.sleep(1.0)
    assert provider.stats()["requests"] == 3
    first.process.send_signal(signal.SIGCONT)
    assert first.result() == second.result()
    assert provider.stats()["requests"] == 3


def test_a_pool_opened_by_another_process_meanwhile_buries_nobody(
    provider: Provider, tmp_path: Path
) -> None:
    provider.set(latency=0.4)
    path = tmp_path / "pool.db"
    worker = Worker(provider, path, 4)
    worker.ready()
    worker.start()
    until(lambda: provider.stats()["in_flight"] == 4)
    Pool(path).close()
    assert len(worker.result()) == 4
    assert rows(path, "SELECT DISTINCT state FROM attempts") == [("done",)]


@pytest.mark.parametrize("count", [6])
def test_many_processes_may_make_the_same_file(
    provider: Provider, tmp_path: Path, count: int
) -> None:
    path = tmp_path / "new" / "pool.db"
    path.parent.mkdir()
    workers = [Worker(provider, path, 10) for _ in range(count)]
    for worker in workers:
        worker.ready()
    for worker in workers:
        worker.start()
    got = [worker.result() for worker in workers]
    assert got == [got[0]] * count
    assert provider.stats()["requests"] == 10
