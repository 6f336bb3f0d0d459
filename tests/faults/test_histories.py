"""Random histories: faults, cancellations, stops and budgets at once, and the books still agree."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from archon.budget import Budget, Ledger
from archon.errors import ArchonError
from archon.gateway import Gateway, Spending
from archon.limits import Limits
from archon.model import Draw, Request
from archon.testing.provider import Provider
from archon.types import Reply
from tests.faults.conftest import PRICE, at, play, question, right, rows, single, whole

FAULTY = {
    "server_error": 0.08,
    "malformed_json": 0.05,
    "closed": 0.05,
    "missing_usage": 0.04,
    "rate_limit": 0.03,
    "context_length": 0.03,
    "no_choices": 0.03,
    "reset_in_body": 0.03,
}


class History:
    """One gateway, and users who ask, change their minds, stop it and go on."""

    def __init__(self, seed: int, provider: Provider, gate: Gateway) -> None:
        self.chance, self.gate = random.Random(seed), gate
        self.models = [
            at(provider, "openai/a", concurrency=6, timeout=20),
            at(provider, "openai/b", concurrency=3, timeout=20, tpm=6_000_000),
        ]
        self.shared = Ledger(Budget(tokens=30_000), "paid", name="shared")
        self.wrong: list[object] = []

    async def user(self) -> None:
        """Ask a few times under a budget of one's own."""
        chance = self.chance
        own = Ledger(Budget(calls=chance.choice([0, 3, 20])), "used")
        scopes = chance.choice([(), (own,), (self.shared,), (own, self.shared)])
        for _ in range(chance.randint(1, 4)):
            request = question(chance.choice(self.models), f"question {chance.randrange(40)}")
            draws = [Draw(0, i) for i in range(chance.choice([1, 1, 2, 5]))]
            await self._ask(request, draws, Spending(scopes))

    async def _ask(self, request: Request, draws: Sequence[Draw], spending: Spending) -> None:
        asked = self.gate.draw(request, draws, spending)
        if self.chance.random() < 0.25:
            try:
                outcomes = await asyncio.wait_for(asked, self.chance.uniform(0, 0.03))
            except TimeoutError:
                return
        else:
            outcomes = await asked
        for outcome in outcomes:
            if isinstance(outcome, Reply):
                if outcome.text[:-2] != right(request)[:-2]:
                    self.wrong.append(outcome)
            elif not isinstance(outcome, ArchonError):
                self.wrong.append(outcome)

    async def play(self) -> None:
        """Let users come and go, stop now and then, and wait for the end."""
        users = []
        for _ in range(80):
            users.append(asyncio.ensure_future(self.user()))
            if self.chance.random() < 0.3:
                self.chance.choice(users).cancel()
            if self.chance.random() < 0.05:
                self.gate.stop()
                await asyncio.sleep(self.chance.uniform(0, 0.02))
                self.gate.go_on()
            await asyncio.sleep(self.chance.choice([0, 0, 0.002, 0.01]))
        ends = await asyncio.wait_for(asyncio.gather(*users, return_exceptions=True), 30)
        self.wrong += [end for end in ends if isinstance(end, Exception)]


def _check(history: History, provider: Provider, path: Path) -> None:
    assert not history.wrong
    assert not history.shared.holding
    assert all(gate.busy == 0 for gate in history.gate._providers.values())
    assert all(gate.busy == 0 for gate in history.gate._overall)
    assert whole(path)
    stats = provider.stats()
    assert single(path, "SELECT count(*) FROM attempts WHERE state = 'inflight'") == 0
    # A call that is cut before it is out is a row without a request, never the other way round.
    assert stats["requests"] <= single(path, "SELECT count(DISTINCT sent) FROM attempts")
    billed = PRICE.microusd(stats["tokens_in"], stats["tokens_out"]) or 0
    assert billed <= single(path, "SELECT sum(microusd) FROM attempts")
    [(total, booked)] = rows(
        path,
        "SELECT (SELECT input_tokens + output_tokens FROM scopes WHERE name = 'shared'),"
        " (SELECT sum(input_tokens + output_tokens) FROM attempts WHERE scopes <> '')",
    )
    assert total == booked == history.shared.spent.tokens
    assert total <= 30_000
    done = rows(path, "SELECT key, member, draw FROM attempts WHERE state = 'done'")
    assert len(done) == len(set(done)) == single(path, "SELECT count(*) FROM replies")


def _histories(provider: Provider, folder: Path, seeds: Sequence[int]) -> None:
    for seed in seeds:
        provider.reset()
        provider.set(faults=FAULTY, latency=0.003, jitter=0.01, seed=seed)
        path = folder / f"{seed}.db"

        async def work(gate: Gateway, seed: int = seed) -> History:
            history = History(seed, provider, gate)
            await history.play()
            # What was cut ends in the background.
            await asyncio.sleep(0.05)
            return history

        history = play(work, path, limits=Limits(concurrency=7))
        _check(history, provider, path)


@pytest.mark.parametrize("part", range(3))
def test_the_books_agree_after_any_history(provider: Provider, tmp_path: Path, part: int) -> None:
    _histories(provider, tmp_path, range(part * 3, part * 3 + 3))


@pytest.mark.slow
def test_the_books_agree_after_200_histories(provider: Provider, tmp_path: Path) -> None:
    _histories(provider, tmp_path, range(100, 300))
