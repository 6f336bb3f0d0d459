"""No budget is overshot by what the provider itself counts, and hardly any of it is left unused."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from archon.budget import Budget, Ledger, amount
from archon.errors import BudgetExceeded
from archon.gateway import Gateway, Spending
from archon.model import Draw, Outcome, Request
from archon.pool import Mode, Pool
from archon.testing.provider import Provider
from archon.types import Reply, Usage
from tests.faults.conftest import PRICE, at, each, one, play, question, rows, texts

FAULTY = {"server_error": 0.08, "malformed_json": 0.06, "closed": 0.06, "missing_usage": 0.05}
"""Some billed and some not; of one, nobody says what it cost."""
BUDGETS = {"calls": 40, "tokens": 12_000, "usd": 1.2}
"""Each more than 20 times the largest reservation, and less than the calls here would use."""
CALLS = 400


def _usual(provider: Provider, in_flight: int) -> list[Request]:
    # A long limit and short replies: what is held is far from what is used, as in life.
    model = at(provider, max_tokens=100, concurrency=in_flight, timeout=60)
    return [question(model, f"question {i}") for i in range(CALLS)]


def _billed(provider: Provider) -> Usage:
    """Return what the provider would put on its bill."""
    stats = provider.stats()
    into, out = stats["tokens_in"], stats["tokens_out"]
    return Usage(stats["delivered"], into, out, PRICE.microusd(into, out))


def _kinds(outcomes: list[Outcome]) -> set[type]:
    return {type(outcome) for outcome in outcomes}


@pytest.mark.parametrize("what", BUDGETS)
@pytest.mark.parametrize(
    ("in_flight", "named"),
    [(1, False), (16, False), (64, False), (256, False), (1, True), (64, True)],
)
def test_no_overshoot_and_little_left(
    provider: Provider, tmp_path: Path, what: str, in_flight: int, named: bool
) -> None:
    provider.set(faults=FAULTY, latency=0.002)
    budget = Budget.model_validate({what: BUDGETS[what]})
    # One without a name is held in memory alone, the other in the pool's file as well.
    ledger = Ledger(budget, "paid", name="named" if named else "")
    requests = _usual(provider, in_flight)
    limit, upper = budget.limits()[what], requests[0].upper(PRICE)
    assert limit >= 20 * (amount(upper, what) or 0)
    outcomes = play(lambda gate: each(gate, requests, Spending((ledger,))), tmp_path / "pool.db")
    assert _kinds(outcomes) == {Reply, BudgetExceeded}
    billed, spent = amount(_billed(provider), what), amount(ledger.spent, what)
    assert billed is not None
    assert spent is not None
    assert billed <= spent <= limit
    assert spent >= 0.9 * limit
    assert not ledger.holding


def test_nested_scopes_hold_each(provider: Provider, tmp_path: Path) -> None:
    provider.set(faults=FAULTY, latency=0.002)
    whole = Ledger(Budget(tokens=6_000), "paid")
    parts = [Ledger(Budget(calls=30 + i, tokens=4_000), "used") for i in range(4)]
    requests = _usual(provider, 64)

    async def work(gate: Gateway) -> list[list[Outcome]]:
        asked = (each(gate, requests[i::4], Spending((parts[i], whole))) for i in range(4))
        return await asyncio.gather(*asked)

    play(work, tmp_path / "pool.db")
    assert (_billed(provider).tokens or 0) <= (whole.spent.tokens or 0) <= 6_000
    assert (whole.spent.tokens or 0) >= 0.9 * 6_000
    for part in parts:
        assert (part.spent.tokens or 0) <= 4_000
        assert part.spent.calls <= 34
        assert not part.holding


def test_an_unknown_bill_is_never_free(provider: Provider, tmp_path: Path) -> None:
    provider.set(faults={"missing_usage": 1.0}, max_in_a_row=1000)
    ledger = Ledger(Budget(tokens=10_000), "paid")
    requests = _usual(provider, 64)[:20]
    play(lambda gate: each(gate, requests, Spending((ledger,))), tmp_path / "pool.db")
    upper = sum(request.upper(PRICE).tokens or 0 for request in requests)
    assert ledger.spent.tokens == upper


def test_a_bill_above_the_reservation_ends_the_spending(provider: Provider) -> None:
    """A provider that does not keep to `max_tokens` is found out, and then nothing is admitted."""
    ledger = Ledger(Budget(tokens=1_000_000), "paid")
    # The prompt is billed as far more tokens than it has bytes.
    provider.set(script=lambda messages, i: "x" * 4000)
    model = at(provider, max_tokens=20, concurrency=1)
    loose = model.model_copy(update={"max_tokens": None})

    async def work(gate: Gateway) -> tuple[str, Outcome]:
        asked = question(loose, "how long?")
        spending = Spending((ledger,))
        real, gate.upper = gate.upper, lambda request: question(model, "how long?").upper(PRICE)  # type: ignore[method-assign]
        await one(gate, asked, spending)
        gate.upper = real  # type: ignore[method-assign]
        return ledger.broken, await one(gate, question(model, "more"), spending)

    broken, outcome = play(work)
    assert "more than" in broken
    assert isinstance(outcome, BudgetExceeded)
    assert provider.stats()["requests"] == 1


WORKER = """
import asyncio, sys
from pathlib import Path
from archon.budget import Budget, Ledger
from archon.gateway import Gateway, Spending
from archon.model import Draw, Model, Price, Request
from archon.pool import Pool
from archon.types import Message

url, path, first = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
model = Model("openai/test", base_url=url + "/v1", max_tokens=100, concurrency=5, timeout=60,
              price=Price(input=100, output=200))

async def main():
    pool = Pool(path)
    gate = Gateway(pool)
    print("ready", flush=True)
    sys.stdin.readline()
    ledger = Ledger(Budget(tokens=8000), "paid", name="both")
    requests = [Request(model, (Message("user", f"question {first + i}"),)) for i in range(200)]
    await asyncio.gather(*(gate.draw(r, [Draw(0, 0)], Spending((ledger,))) for r in requests))
    await gate.close()
    pool.close()

asyncio.run(main())
"""


def test_one_budget_over_two_processes(provider: Provider, tmp_path: Path) -> None:
    provider.set(faults=FAULTY, latency=0.01)
    path = tmp_path / "pool.db"
    command = [sys.executable, "-c", WORKER, provider.url, str(path)]
    pipe = subprocess.PIPE
    workers = [
        subprocess.Popen([*command, str(first)], stdin=pipe, stdout=pipe) for first in (0, 1000)
    ]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=60)
    assert [worker.returncode for worker in workers] == [0, 0]
    [(into, out)] = rows(path, "SELECT input_tokens, output_tokens FROM scopes")
    spent = into + out
    assert (_billed(provider).tokens or 0) <= spent <= 8000
    assert spent >= 0.9 * 8000
    owners = rows(path, "SELECT owner, count(*) FROM attempts GROUP BY owner")
    assert len(owners) == 2, "both took part"
    [(booked,)] = rows(path, "SELECT sum(input_tokens + output_tokens) FROM attempts")
    assert booked == spent


def test_a_named_budget_remembers_what_was_spent_before(provider: Provider, tmp_path: Path) -> None:
    path = tmp_path / "pool.db"

    def ask(first: int) -> list[Outcome]:
        ledger = Ledger(Budget(calls=30), "paid", name="study")
        model = at(provider)
        requests = [question(model, f"question {first + i}") for i in range(20)]
        return play(lambda gate: each(gate, requests, Spending((ledger,))), path)

    assert _kinds(ask(0)) == {Reply}
    second = ask(100)
    assert sum(isinstance(outcome, Reply) for outcome in second) == 10
    assert provider.stats()["requests"] == 30
    pool = Pool(path)
    assert pool.spent("study").calls == 30
    pool.close()


# One draw under several budgets


def _under(
    provider: Provider, path: Path, *scopes: Ledger, modes: Sequence[Mode] = ()
) -> list[Outcome]:
    """Ask for the same draw under each scope at the same time."""
    request = question(at(provider), "the same")
    usual: Mode = "reuse"
    used = modes or [usual] * len(scopes)
    spendings = [Spending((scope,), mode) for scope, mode in zip(scopes, used, strict=True)]

    async def work(gate: Gateway) -> list[Outcome]:
        return await asyncio.gather(*(one(gate, request, spending) for spending in spendings))

    return play(work, path)


def test_an_empty_budget_takes_nothing_from_a_full_one(provider: Provider, tmp_path: Path) -> None:
    poor, rich = Ledger(Budget(calls=0)), Ledger(Budget(calls=5))
    refused, reply = _under(provider, tmp_path / "pool.db", poor, rich)
    assert isinstance(refused, BudgetExceeded)
    assert isinstance(reply, Reply)
    assert (poor.spent.calls, rich.spent.calls) == (0, 1)
    assert provider.stats()["requests"] == 1


def test_a_deadline_cuts_its_own_call_alone(provider: Provider, tmp_path: Path) -> None:
    provider.set(latency=0.3)
    hurried, patient = Ledger(Budget(seconds=0.1)), Ledger(Budget(calls=5))
    cut, reply = _under(provider, tmp_path / "pool.db", hurried, patient)
    assert isinstance(cut, BudgetExceeded)
    assert cut.limit == "seconds"
    assert isinstance(reply, Reply)


def test_a_shared_draw_is_used_by_all_and_paid_by_one(provider: Provider, tmp_path: Path) -> None:
    provider.set(latency=0.05)
    used = [Ledger(Budget(calls=5)) for _ in range(3)]
    texts(_under(provider, tmp_path / "pool.db", *used))
    assert [scope.spent.calls for scope in used] == [1, 1, 1]
    provider.set(script=lambda messages, i: "another")
    paid = [Ledger(Budget(calls=5), "paid") for _ in range(3)]
    texts(_under(provider, tmp_path / "other.db", *paid))
    assert sum(scope.spent.calls for scope in paid) == 1


def test_what_is_kept_out_of_the_pool_is_nobody_elses_reply(
    provider: Provider, tmp_path: Path
) -> None:
    provider.set(latency=0.05)
    path = tmp_path / "pool.db"
    texts(_under(provider, path, Ledger(), Ledger(), modes=("off", "reuse")))
    assert rows(path, "SELECT count(*) FROM replies") == [(1,)]


def test_draws_that_wait_for_room_have_their_own_time(provider: Provider, tmp_path: Path) -> None:
    """A small budget lets them in one by one; each has the whole `timeout` from then on."""
    provider.set(latency=0.2)
    model = at(provider, timeout=0.6)
    request = question(model, "several")
    room = (request.upper(PRICE).tokens or 0) + 6 * 20
    ledger = Ledger(Budget(tokens=room), "paid")

    async def work(gate: Gateway) -> list[Outcome]:
        return await gate.draw(request, [Draw(0, i) for i in range(6)], Spending((ledger,)))

    outcomes = play(work, tmp_path / "pool.db")
    assert [o.finish for o in outcomes if isinstance(o, Reply)] == ["stop"] * 6
