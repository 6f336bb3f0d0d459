"""Limits against a provider that has its own: places come back, rates hold, outages end."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest

from archon.backends.fake import Fake
from archon.errors import ModelError, Stopped
from archon.gateway import Gateway, Spending
from archon.limits import Gate, Limits
from archon.model import Model
from archon.testing.provider import Provider
from archon.types import Reply
from tests.faults.conftest import at, each, one, play, question, texts

# Places


async def _cancelled_often(seed: int, gate: Gate) -> None:
    """Let many pass and cancel some of them at random steps."""
    chance = random.Random(seed)

    async def pass_() -> None:
        await gate.enter(10)
        try:
            await asyncio.sleep(chance.choice([0, 0, 0.0005]))
        finally:
            gate.leave(10)

    tasks = [asyncio.ensure_future(pass_()) for _ in range(60)]
    while not all(task.done() for task in tasks):
        chance.choice(tasks).cancel()
        for _ in range(chance.randint(0, 2)):
            await asyncio.sleep(0)
        if chance.random() < 0.2:
            await asyncio.sleep(0.0005)
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("places", [1, 3, 16])
@pytest.mark.parametrize("rates", [(None, None), (600_000, 6_000_000)])
def test_cancelled_waiters_take_no_place_along(
    places: int, rates: tuple[int | None, int | None]
) -> None:
    async def work() -> None:
        gate = Gate(places, *rates)
        for seed in range(25):
            await _cancelled_often(seed, gate)
            assert gate.busy == 0
        for _ in range(places):
            await asyncio.wait_for(gate.enter(1), 1)
        assert gate.busy == places
        late = asyncio.ensure_future(gate.enter(1))
        await asyncio.sleep(0.01)
        assert not late.done()
        gate.leave(1)
        await asyncio.wait_for(late, 1)

    asyncio.run(work())


def test_cancelled_calls_take_no_place_along(provider: Provider, tmp_path: Path) -> None:
    provider.set(latency=0.005, jitter=0.01)
    model = at(provider, concurrency=5, timeout=30)

    async def work(gate: Gateway) -> float:
        chance = random.Random(7)
        for round_ in range(12):
            asked = [question(model, f"{round_}.{i}") for i in range(30)]
            tasks = [asyncio.ensure_future(one(gate, request)) for request in asked]
            for task in chance.sample(tasks, 20):
                await asyncio.sleep(chance.choice([0, 0.002]))
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        provider.set(latency=0.1, jitter=0)
        provider.reset()
        began = time.monotonic()
        texts(await each(gate, [question(model, f"last {i}") for i in range(10)]))
        return time.monotonic() - began

    assert play(work, tmp_path / "pool.db", limits=Limits(concurrency=5)) < 0.6
    assert provider.stats()["peak"] == 5


def test_one_limit_over_two_models(provider: Provider, tmp_path: Path) -> None:
    provider.set(latency=0.02)
    models = [at(provider, name, concurrency=20) for name in ("openai/a", "openai/b")]
    requests = [question(models[i % 2], f"question {i}") for i in range(60)]
    limits = Limits(concurrency=7)
    texts(play(lambda gate: each(gate, requests), tmp_path / "pool.db", limits=limits))
    assert provider.stats()["peak"] == 7


# Rates


def _arrivals(model: Model, count: int) -> list[float]:
    times: list[float] = []

    class Timed(Fake):
        async def complete(self, request, draws):  # type: ignore[no-untyped-def]
            times.append(time.monotonic())
            return await super().complete(request, draws)

    fake = Timed(lambda request, draw: "word " * 8)
    requests = [question(model, f"question {i}") for i in range(count)]
    play(lambda gate: each(gate, requests), backends={"fake": fake})
    return times


def _most_in(times: list[float], window: float) -> int:
    return max(sum(start <= at < start + window for at in times) for start in times)


def test_requests_per_minute_hold() -> None:
    # 20 a second; what one second allows may come at once.
    times = _arrivals(Model("fake/a", rpm=1200, concurrency=64), 50)
    assert _most_in(times, 1.0) <= 20 + 20 + 1
    assert 1.3 <= times[-1] - times[0] <= 2.5


def test_tokens_per_minute_hold_by_what_was_used() -> None:
    # Each may use 250 tokens and uses 15: the rate is charged what was used.
    model = Model("fake/a", max_tokens=50, tpm=60 * 400, concurrency=8)
    times = _arrivals(model, 30)
    used = 30 * 15
    assert times[-1] - times[0] >= used / 400 - 1.5
    assert times[-1] - times[0] <= 4


def test_a_provider_with_its_own_rate_is_satisfied(tmp_path: Path) -> None:
    with Provider(rpm=3000, burst=60) as provider:
        model = at(provider, rpm=2700, concurrency=64)
        requests = [question(model, f"question {i}") for i in range(100)]
        texts(play(lambda gate: each(gate, requests), tmp_path / "pool.db"))
        assert not provider.stats()["refused"]


# Backing off


def test_a_provider_that_takes_16_at_once_is_not_flooded(
    provider: Provider, tmp_path: Path
) -> None:
    provider.set(max_in_flight=16, latency=0.02)
    model = at(provider, concurrency=64, timeout=60)
    requests = [question(model, f"question {i}") for i in range(200)]
    texts(play(lambda gate: each(gate, requests), tmp_path / "pool.db"))
    stats = provider.stats()
    assert stats["delivered"] == 200
    # The first 64 come at once and 48 of them are refused; then the places are found.
    assert stats["refused"]["max_in_flight"] < 120


def test_places_come_back_after_an_overload() -> None:
    async def work() -> None:
        gate = Gate(32)
        for _ in range(32):
            await gate.enter()
        busy = ModelError("429", kind="transient", retry_after=0.3, limited=True)
        for _ in range(32):
            gate.leave(0, busy)
        await asyncio.sleep(0.35)
        assert 8 < gate._allowed <= 16, "a burst of refusals counts once"
        for _ in range(600):
            await gate.enter()
            gate.leave(0, Reply.of("fine"))
        assert gate._allowed == 32

    asyncio.run(work())


@pytest.mark.parametrize("fault", ["unavailable", "closed"])
def test_an_outage_is_waited_for_by_few(
    provider: Provider, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archon.limits.BACKOFF", (0.05, 0.2))
    provider.set(faults={fault: 1.0}, max_in_a_row=10**6)
    model = at(provider, concurrency=10, timeout=60)
    requests = [question(model, f"question {i}") for i in range(100)]

    async def work(gate: Gateway) -> int:
        asked = asyncio.ensure_future(each(gate, requests))
        await asyncio.sleep(1.5)
        meanwhile = int(provider.stats()["requests"])
        provider.set(faults={})
        texts(await asyncio.wait_for(asked, 30))
        return meanwhile

    meanwhile = play(work, tmp_path / "pool.db")
    assert meanwhile <= 45
    assert provider.stats()["requests"] <= meanwhile + 100 + 5


def test_nobody_listening_is_an_outage_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archon.limits.BACKOFF", (0.05, 0.2))
    with Provider() as gone:
        url, port = gone.url, int(gone.url.rpartition(":")[2])
    model = at(url, concurrency=10, timeout=60)
    requests = [question(model, f"question {i}") for i in range(100)]

    async def work(gate: Gateway) -> None:
        asked = asyncio.ensure_future(each(gate, requests))
        await asyncio.sleep(1.0)
        with Provider(port=port) as back:
            texts(await asyncio.wait_for(asked, 30))
            assert back.stats()["requests"] == 100

    play(work, tmp_path / "pool.db")


def test_stopping_ends_the_wait_for_a_provider_that_is_down(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archon.limits.BACKOFF", (20.0, 60.0))
    provider.set(faults={"unavailable": 1.0}, max_in_a_row=10**6)
    model = at(provider, concurrency=10, timeout=60)
    requests = [question(model, f"question {i}") for i in range(30)]

    async def work(gate: Gateway) -> None:
        asked = asyncio.ensure_future(each(gate, requests))
        await asyncio.sleep(0.3)
        gate.stop()
        outcomes = await asyncio.wait_for(asked, 1)
        assert {type(outcome) for outcome in outcomes} <= {ModelError, Stopped}
        gate.go_on()

    play(work, tmp_path / "pool.db")


def test_a_waiting_model_does_not_hold_up_another(provider: Provider, tmp_path: Path) -> None:
    provider.set(latency=0.02)
    slow = at(provider, "openai/slow", rpm=6, concurrency=50)
    fast = at(provider, "openai/fast", concurrency=50)

    async def work(gate: Gateway) -> None:
        held = asyncio.ensure_future(each(gate, [question(slow, f"s {i}") for i in range(8)]))
        await asyncio.sleep(0.05)
        asked = each(gate, [question(fast, f"f {i}") for i in range(50)], Spending())
        texts(await asyncio.wait_for(asked, 2))
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)

    play(work, tmp_path / "pool.db", limits=Limits(concurrency=20))


def test_a_provider_that_is_down_does_not_hold_up_another(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archon.limits.BACKOFF", (20.0, 60.0))
    well = at(provider, "openai/well", concurrency=50)
    down = well.model_copy(update={"model": "openai/down", "base_url": "http://127.0.0.1:9/v1"})

    async def work(gate: Gateway) -> None:
        held = asyncio.ensure_future(each(gate, [question(down, f"d {i}") for i in range(12)]))
        await asyncio.sleep(0.3)
        asked = each(gate, [question(well, f"w {i}") for i in range(50)], Spending())
        texts(await asyncio.wait_for(asked, 5))
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)

    play(work, tmp_path / "pool.db", limits=Limits(concurrency=20))


def test_opening_a_gate_again_forgets_nobody() -> None:
    async def work() -> None:
        gate = Gate(1)
        await gate.enter()
        second = asyncio.ensure_future(gate.enter())
        await asyncio.sleep(0)
        gate.stop(None)
        gate.leave()
        await asyncio.wait_for(second, 1)

    asyncio.run(work())


def test_a_refusal_shows_that_the_provider_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archon.limits.BACKOFF", (0.01, 0.01))

    async def work() -> None:
        gate = Gate(8)
        for error in [ModelError("503", kind="transient")] * 5 + [ModelError("400")]:
            await asyncio.wait_for(gate.enter(), 1)
            gate.leave(0, error)
        await asyncio.sleep(0.02)
        assert gate._allowed == 8

    asyncio.run(work())
