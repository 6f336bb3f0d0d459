"""Budgets, and the ledger that reserves before a call and settles after it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archon.errors import BudgetExceeded, BudgetRefused, ConfigError, did_you_mean
from archon.types import Usage

__all__ = ["Budget", "Hold", "Ledger", "hold_all"]


class Budget(BaseModel):
    """What may be spent. A limit left out is no limit.

    >>> Budget.parse("usd=1,calls=200")
    Budget(calls=200, tokens=None, usd=1.0, seconds=None)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int | None = Field(None, ge=0)
    tokens: int | None = Field(None, ge=0, description="input and output together")
    usd: float | None = Field(None, ge=0, allow_inf_nan=False)
    seconds: float | None = Field(None, gt=0, allow_inf_nan=False, description="a deadline")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read `usd=1,calls=200`.

        Raises:
            ConfigError: naming the limit that is unknown or the value that is not a number.
        """
        values: dict[str, str] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            name, equals, value = (part.strip() for part in item.partition("="))
            if not equals:
                raise ConfigError(f"a budget is written like 'usd=1,calls=200', got {item!r}")
            if name not in cls.model_fields:
                known = did_you_mean(name, cls.model_fields)
                raise ConfigError(f"unknown limit {name!r} in the budget{known}")
            values[name] = value
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise ConfigError(
                f"budget {first['loc'][0]}: {first['msg']}, got {first['input']!r}"
            ) from None

    @property
    def microusd(self) -> int | None:
        """The dollar limit in micro-dollars."""
        return None if self.usd is None else int(self.usd * 1e6)


@dataclass(slots=True, eq=False)
class Hold:
    """One open reservation."""

    upper: Usage


Counts = Literal["used", "paid"]


@dataclass(eq=False)
class Ledger:
    """One scope of a budget: what is spent plus what is held never passes a limit.

    Attributes:
        limit: the budget.
        counts: `used` charges replies from the pool like new ones, `paid` only new ones.
        spent: what was settled so far.
    """

    limit: Budget = field(default_factory=Budget)
    counts: Counts = "used"
    spent: Usage = field(default_factory=Usage)
    _open: int = 0
    _held: Usage = field(default_factory=Usage)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _started: float = field(default_factory=time.monotonic)

    def refuses(self, upper: Usage) -> str:
        """Return the limit that `upper` does not fit now, or an empty string."""
        if self.limit.seconds is not None and self.elapsed > self.limit.seconds:
            return "seconds"
        total = self.spent + self._held + upper
        amounts = {"calls": total.calls, "tokens": total.tokens, "usd": total.microusd}
        for name, limit in self._limits.items():
            amount = amounts[name]
            if amount is None or amount > limit:
                return name
        return ""

    @property
    def _limits(self) -> dict[str, int]:
        limits = {
            "calls": self.limit.calls,
            "tokens": self.limit.tokens,
            "usd": self.limit.microusd,
        }
        return {name: limit for name, limit in limits.items() if limit is not None}

    @property
    def elapsed(self) -> float:
        """Seconds since this scope was opened."""
        return time.monotonic() - self._started

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the deadline; None without one."""
        return None if self.limit.seconds is None else self.limit.seconds - self.elapsed

    @property
    def holding(self) -> bool:
        """Whether any reservation is open."""
        return self._open > 0

    def check(self, upper: Usage, what: str) -> None:
        """Refuse a limit that cannot be enforced for a call like `upper`, before any is made.

        Raises:
            BudgetRefused: naming the limit and what is missing.
        """
        if self.limit.tokens is not None and upper.tokens is None:
            raise BudgetRefused(
                f"a token budget cannot be enforced: {what} has no max_tokens; set it"
            )
        if self.limit.usd is not None and upper.microusd is None:
            missing = "max_tokens" if upper.output_tokens is None else "price"
            raise BudgetRefused(
                f"a dollar budget cannot be enforced: {what} has no {missing}; set it"
            )

    def open(self, hold: Hold) -> None:
        """Reserve; the caller has asked `refuses` in the same step of the loop."""
        self._open += 1
        self._held = self._held + hold.upper if self._limits else self._held

    def settle(self, hold: Hold, actual: Usage | None) -> None:
        """Charge what a call used, or its whole reservation if that is not known."""
        self._close(hold)
        self.charge(_known(actual, hold.upper) if actual is not None else hold.upper)

    def release(self, hold: Hold) -> None:
        """Give a reservation back unspent: the call certainly cost nothing."""
        self._close(hold)
        self._wake()

    def _close(self, hold: Hold) -> None:
        self._open -= 1
        if self._limits:
            self._held = _minus(self._held, hold.upper)

    def charge(self, actual: Usage) -> None:
        """Add what was used without a reservation, as a reply from the pool is."""
        self.spent = self.spent + actual
        self._wake()

    async def changed(self) -> None:
        """Wait until a reservation ends or the deadline passes."""
        left = self.seconds_left
        timeout = None if left is None else max(left, 0.0)
        try:
            await asyncio.wait_for(self._changed.wait(), timeout)
        except TimeoutError:
            return

    def _wake(self) -> None:
        event, self._changed = self._changed, asyncio.Event()
        event.set()


def _minus(total: Usage, part: Usage) -> Usage:
    """Take a reservation off a running total; amounts unknown in either stay unknown."""

    def less(a: int | None, b: int | None) -> int | None:
        return None if a is None or b is None else a - b

    return Usage(
        total.calls - part.calls,
        less(total.input_tokens, part.input_tokens),
        less(total.output_tokens, part.output_tokens),
        less(total.microusd, part.microusd),
    )


def _known(actual: Usage, upper: Usage) -> Usage:
    """Put the reserved amount where the provider said nothing: unknown is never zero."""
    return Usage(
        actual.calls,
        upper.input_tokens if actual.input_tokens is None else actual.input_tokens,
        upper.output_tokens if actual.output_tokens is None else actual.output_tokens,
        upper.microusd if actual.microusd is None else actual.microusd,
        actual.seconds,
    )


async def hold_all(scopes: Sequence[Ledger], upper: Usage) -> Hold:
    """Reserve `upper` in every scope or in none; wait while a full one holds something.

    Raises:
        BudgetExceeded: when it does not fit a scope that holds nothing.
    """
    while True:
        full = next(((s, name) for s in scopes if (name := s.refuses(upper))), None)
        if full is None:
            hold = Hold(upper)
            for scope in scopes:
                scope.open(hold)
            return hold
        scope, name = full
        if name == "seconds" or not scope.holding:
            raise BudgetExceeded(_refusal(scope, name, upper), limit=name)
        await scope.changed()


def _refusal(scope: Ledger, name: str, upper: Usage) -> str:
    limit = getattr(scope.limit, name)
    if name == "seconds":
        return f"the deadline of {limit:g} s has passed"
    need, spent = getattr(upper, name), getattr(scope.spent, name)
    return f"the next call may need {_amount(need)} {name}, {_amount(spent)} of {limit} are spent"


def _amount(value: float | None) -> str:
    return "an unknown number of" if value is None else f"{value:g}"
