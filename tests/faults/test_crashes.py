"""Killed at any point, or drained: the books stay true, and what was stored is not paid again."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import archon
from archon.backends.http import HTTP
from archon.base import Node
from archon.budget import Budget, Ledger
from archon.crashing import POINTS
from archon.errors import Stopped
from archon.gateway import Gateway, Spending
from archon.layers import Critique, Generate
from archon.model import Draw, Outcome, Request
from archon.session import Session
from archon.testing.provider import Provider, ProviderProcess
from archon.types import Reply
from tests.faults import campaign
from tests.faults.campaign import Campaign, Plan, Tally, Workers
from tests.faults.conftest import at, each, play, question, rows, single, until, whole


@pytest.fixture(scope="module")
def survivor() -> Iterator[ProviderProcess]:
    with ProviderProcess() as made:
        yield made


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers() as made:
        yield made


def test_every_point_of_a_call_is_in_the_campaign() -> None:
    assert {*campaign.POINTS, "run.recorded"} == {*POINTS}


@pytest.mark.parametrize("point", campaign.POINTS)
def test_killed_at_a_named_point(
    survivor: ProviderProcess, workers: Workers, tmp_path: Path, point: str
) -> None:
    plan, tally = Plan(requests=24, in_flight=4), Tally()
    (tmp_path / "whole").mkdir()
    expected = campaign.uninterrupted(plan, survivor, workers, tmp_path / "whole")
    killed = Campaign(plan, survivor, workers, tmp_path, tally)
    for times in (1, 5):
        assert killed.work(crash=f"{point}:{times}"), "this point is never reached"
    assert killed.finish() == expected
    assert not tally.broken
    assert tally.kills == 2
    if point in ("reserve.before", "reserve.written"):
        # At the first time nothing was durable, so nothing can be in doubt; others may have been.
        assert tally.in_doubt <= 4
    if point in ("reserve.after", "sent", "received", "settle.written"):
        assert tally.in_doubt >= 2, "what was reserved must stay on the books"


def test_20_kills_at_random() -> None:
    tally = campaign.run(20, seed=int.from_bytes(os.urandom(4), "big"), per_campaign=7)
    assert not tally.broken
    assert tally.kills >= 20


@pytest.mark.slow
def test_200_kills_at_random() -> None:
    tally = campaign.run(200, seed=1)
    assert not tally.broken
    assert tally.in_doubt > 200, "kills must have hit calls in flight"


RECORDED = """
import sys, archon
from archon.layers import Generate
url, path = sys.argv[1:]
model = archon.Model("openai/test", base_url=url + "/v1", max_tokens=32)
with archon.Session(path) as session:
    result = archon.run(Generate(model=model, samples=3), "hi", session=session)
    print([c.text for c in result.candidates], result.paid.calls)
"""


def test_killed_when_the_run_is_on_record(survivor: ProviderProcess, tmp_path: Path) -> None:
    survivor.set(latency=0, jitter=0, faults={})
    command = [sys.executable, "-c", RECORDED, survivor.url, str(tmp_path / "pool.db")]
    armed = {**os.environ, "ARCHON_CRASH": "run.recorded"}
    assert subprocess.run(command, env=armed, check=False).returncode == -signal.SIGKILL
    assert single(tmp_path / "pool.db", "SELECT status FROM runs") == "done"
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.strip().endswith(" 0"), "everything was in the pool"


# Stopping in good order


def _drained(provider: Provider, path: Path, after: float) -> None:
    """Stop a session with 32 calls in flight and more waiting, and look at what is left."""
    model = at(provider, concurrency=32)
    requests = [question(model, f"question {i}") for i in range(300)]
    with Session(path) as session:

        async def work() -> list[object]:
            return list(await each(session.gateway(), requests, Spending()))

        stopper = threading.Timer(after, session.stop)
        stopper.start()
        outcomes = session.wait(work())
        stopper.join()
    stored = sum(isinstance(outcome, Reply) for outcome in outcomes)
    assert all(isinstance(outcome, Reply | Stopped) for outcome in outcomes), outcomes
    stats = provider.stats()
    # Whatever was sent was waited for and kept, and after the stop nothing was sent.
    assert stats["requests"] == stats["delivered"] == stored < 300
    assert rows(path, "SELECT state, count(*) FROM attempts GROUP BY state") in (
        [("done", stored)],
        [],
    )
    assert single(path, "SELECT count(*) FROM replies") == stored
    assert whole(path)


def _drain_often(provider: Provider, folder: Path, trials: int) -> None:
    chance = random.Random(trials)
    provider.set(latency=0.03, jitter=0.03)
    for trial in range(trials):
        provider.reset()
        _drained(provider, folder / f"{trial}.db", chance.uniform(0, 0.12))


def test_a_stop_leaves_nothing_in_doubt(provider: Provider, tmp_path: Path) -> None:
    _drain_often(provider, tmp_path, 20)


@pytest.mark.slow
def test_200_stops_leave_nothing_in_doubt(provider: Provider, tmp_path: Path) -> None:
    _drain_often(provider, tmp_path, 200)


def _stop_when(session: Session, holds: Callable[[], bool]) -> threading.Thread:
    """Stop a session from another thread once something holds, however long that takes."""

    def work() -> None:
        until(holds)
        session.stop()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_stopped_run_ends_with_what_it_has(provider: Provider, tmp_path: Path) -> None:
    provider.set(latency=0.8)
    model = at(provider, concurrency=32)
    arch = Generate(model=model, samples=4) >> Critique(model=model)
    with Session(tmp_path / "pool.db") as session:
        stopper = _stop_when(session, lambda: provider.stats()["in_flight"] == 1)
        result = archon.run(arch, "hi", session=session)
        stopper.join()
        provider.set(latency=0.1)
        assert result.cut_short == "stopped"
        assert len(result.candidates) == 4
        sent = provider.stats()["requests"]
        # After the stop the session works again, and takes up where it was cut.
        assert archon.run(arch, "hi", session=session).cut_short == ""
        assert provider.stats()["requests"] > sent
    assert rows(tmp_path / "pool.db", "SELECT DISTINCT state FROM attempts") == [("done",)]


def test_a_stop_holds_for_all_threads_until_the_last_one_ends(
    provider: Provider, tmp_path: Path
) -> None:
    # The one has nothing left to do when it is stopped, the other has a stage to go.
    model = at(provider)
    short, long = Generate(model=model), Generate(model=model, samples=3) >> Critique(model=model)
    results: dict[str, archon.Result] = {}
    with Session(tmp_path / "pool.db") as session:

        def run(name: str, arch: Node) -> threading.Thread:
            def work() -> None:
                results[name] = archon.run(arch, name, session=session)

            thread = threading.Thread(target=work)
            thread.start()
            return thread

        provider.set(latency=0.8)
        first = run("long", long)
        until(lambda: provider.stats()["in_flight"] == 1)
        provider.set(latency=0.2)
        second = run("short", short)
        until(lambda: provider.stats()["in_flight"] == 2)
        session.stop()
        second.join()
        first.join()
    assert results["long"].cut_short == "stopped"
    assert {entry["text"] for entry in provider.log()} == {"short", "long"}


def test_a_stop_refuses_those_who_wait_for_the_budget(provider: Provider, tmp_path: Path) -> None:
    """Room that comes free while draining admits nobody."""
    provider.set(latency=0.8)
    model = at(provider)
    requests = [question(model, f"question {i}") for i in range(6)]
    room = (requests[0].upper(model.price).tokens or 0) + 60
    ledger = Ledger(Budget(tokens=room), "paid")
    with Session(tmp_path / "pool.db") as session:

        async def work() -> list[object]:
            return list(await each(session.gateway(), requests, Spending((ledger,))))

        stopper = _stop_when(session, lambda: provider.stats()["in_flight"] == 1)
        outcomes = session.wait(work())
        stopper.join()
    assert [type(outcome) for outcome in outcomes[1:]] == [Stopped] * 5
    assert provider.stats()["requests"] == 1


def test_a_stop_does_not_wait_for_a_rate(provider: Provider, tmp_path: Path) -> None:
    model = at(provider, rpm=6)
    requests = [question(model, f"question {i}") for i in range(5)]
    with Session(tmp_path / "pool.db") as session:

        async def work() -> list[object]:
            return list(await each(session.gateway(), requests))

        threading.Timer(0.1, session.stop).start()
        began = time.monotonic()
        outcomes = session.wait(work())
        assert time.monotonic() - began < 3
    assert sum(isinstance(outcome, Stopped) for outcome in outcomes) >= 3


def test_cutting_instead_of_draining_is_on_the_books(provider: Provider, tmp_path: Path) -> None:
    """What a second signal does: calls in flight are cut, and each is in doubt and charged."""
    provider.set(latency=30)
    model = at(provider, concurrency=16)
    requests = [question(model, f"question {i:02}") for i in range(40)]
    path = tmp_path / "pool.db"
    with Session(path) as session:

        async def work() -> list[object]:
            return list(await each(session.gateway(), requests))

        future = session.submit(work())
        while provider.stats()["in_flight"] < 16:
            time.sleep(0.01)
        future.cancel()
        while session.in_flight:
            time.sleep(0.01)
    assert rows(path, "SELECT state, count(*) FROM attempts GROUP BY state") == [("indoubt", 16)]
    upper = requests[0].upper(model.price)
    assert single(path, "SELECT sum(microusd) FROM attempts") == 16 * (upper.microusd or 0)
    assert provider.stats()["requests"] == 16


def test_asking_again_after_a_cancellation(provider: Provider, tmp_path: Path) -> None:
    provider.set(latency=0.05)
    request = question(at(provider), "?")
    with Session(tmp_path / "pool.db") as session:

        async def work() -> list[object]:
            gate = session.gateway()
            first = asyncio.ensure_future(each(gate, [request]))
            await asyncio.sleep(0.02)
            first.cancel()
            await asyncio.sleep(0)
            return list(await each(gate, [request]))

        [outcome] = session.wait(work())
    assert isinstance(outcome, Reply), outcome


class _CutAtTheLastMoment(HTTP):
    """Cancels whoever called it in the very step in which the reply arrives."""

    async def complete(self, request: Request, draws: tuple[Draw, ...]) -> list[Outcome]:
        outcomes = await super().complete(request, draws)
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)
        return outcomes


@pytest.mark.parametrize("count", [1, 3])
def test_a_call_that_is_cut_with_its_reply_in_hand_is_settled(
    provider: Provider, tmp_path: Path, count: int
) -> None:
    path, ledger = tmp_path / "pool.db", Ledger(Budget(calls=10))
    draws = [Draw(0, number) for number in range(count)]
    request = question(at(provider), "?")

    async def work(gate: Gateway) -> None:
        await gate.draw(request, draws, Spending((ledger,)))
        await asyncio.sleep(0.05)
        assert not ledger.holding

    play(work, path, {"openai": _CutAtTheLastMoment()})
    states = rows(path, "SELECT state, count(*) FROM attempts GROUP BY state")
    assert states == [("done", count)]
    assert single(path, "SELECT count(*) FROM replies") == count
    assert ledger.spent.calls == count
