"""Budgets, and the ledger that reserves before a call and settles after it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archon.errors import BudgetExceeded, BudgetRefused, ConfigError, did_you_mean
from archon.types import Usage

__all__ = ["Budget", "Hold", "Ledger", "amount", "hold_all", "known"]


class Budget(BaseModel):
    """What may be spent. A limit left out is no limit.

    >>> Budget.parse("usd=1,calls=200")
    Budget(calls=200, usd=1.0)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int | None = Field(None, ge=0)
    tokens: int | None = Field(None, ge=0, description="input and output together")
    input_tokens: int | None = Field(None, ge=0)
    output_tokens: int | None = Field(None, ge=0)
    usd: float | None = Field(None, ge=0, allow_inf_nan=False)
    flops: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="floating-point operations of local models"
    )
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

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        """Show only the limits that are set."""
        return [(name, value) for name, value in super().__repr_args__() if value is not None]

    @property
    def microusd(self) -> int | None:
        """The dollar limit in micro-dollars; rounded down, but not below what was written."""
        # 0.29 * 1e6 is 289999.99…: a limit must not lose a micro-dollar to binary fractions.
        return None if self.usd is None else int(Decimal(repr(self.usd)) * 1_000_000)

    def limits(self) -> dict[str, int]:
        """Return the amounts that are limited, by name; the deadline is not one of them."""
        limits: dict[str, float | None] = {
            "calls": self.calls,
            "tokens": self.tokens,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "usd": self.microusd,
            "flops": self.flops,
        }
        return {name: int(limit) for name, limit in limits.items() if limit is not None}


_AMOUNTS: dict[str, Callable[[Usage], int | None]] = {
    name: attrgetter("microusd" if name == "usd" else name)
    for name in ("calls", "tokens", "input_tokens", "output_tokens", "usd", "flops")
}


def amount(usage: Usage, name: str) -> int | None:
    """Return what a limit of that name counts of a usage; dollars in micro-dollars.

    >>> amount(Usage(1, 10, 5, 70), "usd"), amount(Usage(1, None, 5), "tokens")
    (70, None)
    """
    return _AMOUNTS[name](usage)


@dataclass(slots=True, eq=False)
class Hold:
    """One open reservation."""

    upper: Usage


Counts = Literal["used", "paid"]

_LOCK = threading.Lock()
"""A session's ledger serves every event loop that uses the session, each in its own thread."""


@dataclass(eq=False)
class Ledger:
    """One scope of a budget: what is spent plus what is held never passes a limit.

    Attributes:
        limit: the budget.
        counts: `used` charges replies from the pool like new ones, `paid` only new ones.
        name: under which the pool's file keeps the total as well, so that a killed process's
            spending and that of a process beside this one count; empty for this process alone.
        before: what others spent under that name.
        broken: says which call used more than its upper bound; nothing is admitted after it.
    """

    limit: Budget = field(default_factory=Budget)
    counts: Counts = "used"
    name: str = ""
    before: Usage = field(default_factory=Usage)
    broken: str = ""
    _open: int = 0
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)
    _started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.limits = self.limit.limits()
        self._tally = _Tally()
        self._total = dict.fromkeys(self.limits, 0)
        self._booked = dict.fromkeys(self.limits, 0)
        self._others = {name: amount(self.before, name) or 0 for name in self.limits}

    @property
    def spent(self) -> Usage:
        """What was settled here so far."""
        return self._tally.usage()

    def refuses(self, upper: Usage) -> str:
        """Return the limit that `upper` does not fit now, or an empty string."""
        if self.limit.seconds is not None and self.elapsed > self.limit.seconds:
            return "seconds"
        for name, limit in self.limits.items():
            need = amount(upper, name)
            if need is None or self._taken(name) + need > limit or self.broken:
                return name
        return ""

    def _taken(self, name: str) -> int:
        return self._total[name] + self._others[name]

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

    @property
    def shared(self) -> bool:
        """Whether the pool's file keeps this scope's total."""
        return bool(self.name and self.limits)

    def check(self, upper: Usage, what: str) -> None:
        """Refuse a limit that cannot be enforced for a call like `upper`, before any is made.

        Raises:
            BudgetRefused: naming the limit and what is missing.
        """
        for name in self.limits:
            if amount(upper, name) is None:
                kind = {"usd": "dollar", "flops": "FLOPs"}.get(name, "token")
                missing = {"usd": "price", "flops": "price with flops"}.get(name, "max_tokens")
                if upper.output_tokens is None:
                    missing = "max_tokens"
                raise BudgetRefused(
                    f"a {kind} budget cannot be enforced: {what} has no {missing}; set it"
                )

    def open(self, hold: Hold) -> None:
        """Reserve; the caller has asked `refuses` under the same lock."""
        self._open += 1
        _add(self._total, hold.upper, 1)

    def settle(self, hold: Hold, actual: Usage | None) -> None:
        """Charge what a call used, or its whole reservation if that is not known."""
        charged = hold.upper if actual is None else known(actual, hold.upper)
        with _LOCK:
            for name in self.limits:
                held, used = amount(hold.upper, name) or 0, amount(charged, name) or 0
                self._total[name] += used - held
                self._booked[name] += used - held
                if used > held:
                    self._breach(name, held, used)
            self._tally.add(charged)
            self._close()

    def _breach(self, name: str, held: int, used: int) -> None:
        self.broken = self.broken or (
            f"a call used {used:,} {name}, more than the {held:,} it was limited to:"
            f" the limit of {self.limits[name]:,} cannot be kept with this model"
        )

    def release(self, hold: Hold) -> None:
        """Give a reservation back unspent: the call certainly cost nothing."""
        with _LOCK:
            _add(self._total, hold.upper, -1)
            self._close()

    def book(self, hold: Hold) -> None:
        """Note that a reservation is part of the shared total now."""
        with _LOCK:
            _add(self._booked, hold.upper, 1)

    def learn(self, total: Usage) -> bool:
        """Take over what all processes have spent and hold; return whether that makes room."""
        before = dict(self._others)
        for name in self.limits:
            self._others[name] = max(0, (amount(total, name) or 0) - self._booked[name])
        return any(self._others[name] < before[name] for name in self.limits)

    def _close(self) -> None:
        self._open -= 1
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            with suppress(RuntimeError):  # that loop was closed, and nobody waits there
                future.get_loop().call_soon_threadsafe(_resolve, future)

    async def changed(self) -> None:
        """Wait until a reservation ends or the deadline passes, for a second at most.

        For a second, because another thread's may have ended just before this one waits.
        """
        left = self.seconds_left
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await asyncio.wait([future], timeout=1.0 if left is None else min(max(left, 0.0), 1.0))

    def refusal(self, name: str, upper: Usage) -> BudgetExceeded:
        """Return the error that says why a call was refused."""
        if self.broken:
            return BudgetExceeded(self.broken, limit=name)
        if name == "seconds":
            seconds = self.limit.seconds
            return BudgetExceeded(f"the deadline of {seconds:g} s has passed", limit=name)
        need, limit = amount(upper, name), self.limits[name]
        said = "an unknown number of" if need is None else _shown(name, need)
        return BudgetExceeded(
            f"the next call may need {said} {name}, {_shown(name, self._taken(name))} of"
            f" {_shown(name, limit)} are spent",
            limit=name,
        )


class _Tally:
    """A running sum of usages; adding to it makes no new object."""

    __slots__ = ("_calls", "_flops", "_input", "_microusd", "_output", "_seconds")

    def __init__(self) -> None:
        self._calls = 0
        self._input: int | None = 0
        self._output: int | None = 0
        self._microusd: int | None = 0
        self._seconds: float | None = 0.0
        self._flops: int | None = 0

    def add(self, usage: Usage) -> None:
        self._calls += usage.calls
        self._input = _plus(self._input, usage.input_tokens)
        self._output = _plus(self._output, usage.output_tokens)
        self._microusd = _plus(self._microusd, usage.microusd)
        self._flops = _plus(self._flops, usage.flops)
        if self._seconds is not None and usage.seconds is not None:
            self._seconds += usage.seconds
        else:
            self._seconds = None

    def usage(self) -> Usage:
        return Usage(
            self._calls, self._input, self._output, self._microusd, self._seconds, self._flops
        )


def _plus(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


def _add(totals: dict[str, int], usage: Usage, sign: int) -> None:
    for name in totals:
        totals[name] += sign * (amount(usage, name) or 0)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _shown(name: str, value: int) -> str:
    return f"{value / 1e6:g}" if name == "usd" else f"{value:g}"


def known(actual: Usage, upper: Usage) -> Usage:
    """Put the reserved amount where the provider said nothing: unknown is never zero."""
    if None not in (
        actual.input_tokens, actual.output_tokens, actual.microusd, actual.flops
    ):  # fmt: skip
        return actual
    return Usage(
        actual.calls,
        upper.input_tokens if actual.input_tokens is None else actual.input_tokens,
        upper.output_tokens if actual.output_tokens is None else actual.output_tokens,
        upper.microusd if actual.microusd is None else actual.microusd,
        actual.seconds,
        upper.flops if actual.flops is None else actual.flops,
    )


async def hold_all(scopes: Sequence[Ledger], upper: Usage) -> Hold:
    """Reserve `upper` in every scope or in none; wait while a full one holds something.

    Raises:
        BudgetExceeded: when it does not fit a scope that holds nothing.
    """
    while True:
        with _LOCK:
            scope, name = _full(scopes, upper)
            if scope is None:
                hold = Hold(upper)
                for scope in scopes:
                    scope.open(hold)
                return hold
        if name == "seconds" or not scope.holding:
            raise scope.refusal(name, upper)
        await scope.changed()


def _full(scopes: Sequence[Ledger], upper: Usage) -> tuple[Ledger | None, str]:
    """Return the first scope without room and the limit that it lacks."""
    for scope in scopes:
        if name := scope.refuses(upper):
            return scope, name
    return None, ""
