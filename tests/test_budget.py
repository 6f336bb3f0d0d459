"""What is spent plus what is held never passes a limit, however many calls wait at once."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.budget import Budget, Hold, Ledger, hold_all
from archon.errors import BudgetExceeded, BudgetRefused, ConfigError
from archon.types import Usage

ONE = Usage(1, 10, 10, 5)


def test_budget_is_read_from_text() -> None:
    assert Budget.parse("usd=1, calls=200") == Budget(usd=1, calls=200)
    assert Budget.parse("tokens=5,seconds=1.5,") == Budget(tokens=5, seconds=1.5)
    assert Budget.parse("") == Budget()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("usd", "a budget is written like 'usd=1,calls=200', got 'usd'"),
        ("cals=1", "unknown limit 'cals' in the budget; did you mean 'calls'?"),
        ("calls=many", "budget calls:"),
        ("calls=-1", "budget calls:"),
        ("usd=nan", "budget usd:"),
        ("usd=inf", "budget usd:"),
        ("seconds=0", "budget seconds:"),
        ("calls=1.5", "budget calls:"),
    ],
)
def test_bad_budget_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Budget.parse(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_hold_settle_and_release() -> None:
    async def work() -> None:
        ledger = Ledger(Budget(calls=2))
        first = await hold_all([ledger], ONE)
        second = await hold_all([ledger], ONE)
        assert ledger.refuses(ONE) == "calls"
        ledger.release(first)
        assert ledger.refuses(ONE) == ""
        ledger.settle(second, Usage(1, 3, None, 2))
        # What the provider did not say is charged as it was held: unknown is never zero.
        assert ledger.spent == Usage(1, 3, 10, 2)
        assert not ledger.holding

    asyncio.run(work())


def test_in_doubt_is_charged_whole() -> None:
    async def work() -> None:
        ledger = Ledger(Budget(usd=1))
        ledger.settle(await hold_all([ledger], ONE), None)
        assert ledger.spent == ONE

    asyncio.run(work())


@pytest.mark.parametrize(
    ("budget", "upper", "limit"),
    [
        (Budget(calls=0), ONE, "calls"),
        (Budget(tokens=19), ONE, "tokens"),
        (Budget(usd=4e-6), ONE, "usd"),
        (Budget(tokens=100), Usage(1, 1, None, 0), "tokens"),
        (Budget(usd=100), Usage(1, 1, 1, None), "usd"),
    ],
)
def test_what_does_not_fit_an_empty_scope_is_refused(
    budget: Budget, upper: Usage, limit: str
) -> None:
    with pytest.raises(BudgetExceeded) as caught:
        asyncio.run(hold_all([Ledger(budget)], upper))
    assert caught.value.limit == limit


def test_a_hold_takes_every_scope_or_none() -> None:
    async def work() -> None:
        wide, narrow = Ledger(Budget(calls=5)), Ledger(Budget(calls=0))
        with pytest.raises(BudgetExceeded):
            await hold_all([wide, narrow], ONE)
        assert not wide.holding

    asyncio.run(work())


def test_a_full_scope_that_holds_something_is_waited_for() -> None:
    async def work() -> None:
        ledger = Ledger(Budget(calls=1))
        first = await hold_all([ledger], ONE)
        second = asyncio.ensure_future(hold_all([ledger], ONE))
        await asyncio.sleep(0.01)
        assert not second.done()
        ledger.release(first)
        assert isinstance(await asyncio.wait_for(second, 1), Hold)

    asyncio.run(work())


def test_the_deadline_ends_waiting() -> None:
    async def work() -> None:
        ledger = Ledger(Budget(calls=1, seconds=0.05))
        await hold_all([ledger], ONE)
        with pytest.raises(BudgetExceeded) as caught:
            await asyncio.wait_for(hold_all([ledger], ONE), 5)
        assert caught.value.limit == "seconds"

    asyncio.run(work())


def test_a_limit_that_cannot_be_enforced_is_refused() -> None:
    with pytest.raises(BudgetRefused, match="'m' has no max_tokens"):
        Ledger(Budget(tokens=9)).check(Usage(1, 5, None, None), "'m'")
    with pytest.raises(BudgetRefused, match="'m' has no price"):
        Ledger(Budget(usd=9)).check(Usage(1, 5, 5, None), "'m'")
    Ledger(Budget(calls=9)).check(Usage(1, 5, None, None), "'m'")


@given(
    limit=st.integers(0, 40),
    calls=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(0, 3)), max_size=25),
)
def test_concurrent_calls_never_overshoot(limit: int, calls: list[tuple[int, int, int]]) -> None:
    """Each call holds `upper` tokens, uses no more, and ends after some turns of the loop."""

    async def work() -> None:
        ledgers = [Ledger(Budget(tokens=limit)), Ledger(Budget(tokens=limit + 5, calls=12))]

        async def call(upper: int, used: int, turns: int) -> bool:
            try:
                hold = await hold_all(ledgers, Usage(1, upper, 0, 0))
            except BudgetExceeded:
                return False
            for _ in range(turns):
                await asyncio.sleep(0)
            for ledger in ledgers:
                ledger.settle(hold, Usage(1, min(used, upper), 0, 0))
            return True

        made = await asyncio.wait_for(asyncio.gather(*(call(*c) for c in calls)), 10)
        for ledger in ledgers:
            assert ledger.spent.calls == sum(made)
            assert ledger.spent.tokens is not None
            assert ledger.limit.tokens is not None
            assert ledger.spent.tokens <= ledger.limit.tokens
            assert ledger.spent.calls <= 12
            assert not ledger.holding
        # A call is refused only when it cannot fit what is left for good.
        left = limit - (ledgers[0].spent.tokens or 0)
        refused = [c[0] for c, ok in zip(calls, made, strict=True) if not ok]
        assert all(upper > left for upper in refused) or sum(made) == 12

    asyncio.run(work())
