"""What a study may spend: a share for the search, and the whole, which holds the reserve too."""

from __future__ import annotations

from archon.attempts import AMOUNTS
from archon.base import Bound
from archon.budget import Budget, Ledger, amount
from archon.errors import BudgetRefused
from archon.pool import Mode, Pool
from archon.types import Usage

__all__ = ["Purse"]

WORTH = 0.02
"""Share of a limit below which widening the search's share is not worth a round."""


class Purse:
    """The two ledgers of a study, under names, so that they hold over restarts and processes.

    A call of the search must fit both; one of confirm and test only the whole. So nothing that the
    search does can eat the reserve.

    Args:
        budget: of the whole study.
        reserve: the share that is held for confirm, test and baselines.
        name: of the study.
        pool: whose file keeps the totals.
        mode: how the pool is used.

    Attributes:
        whole: the ledger of everything.
        share: the ledger of the search.
    """

    def __init__(self, budget: Budget, reserve: float, name: str, pool: Pool, mode: Mode) -> None:
        self.budget, self.name, self.pool = budget, name, pool
        self._named = mode != "off" and bool(budget.limits())
        self.whole = self._ledger(budget, name)
        self.share = self._ledger(scaled(budget, 1 - reserve), f"{name}/search")

    def _ledger(self, budget: Budget, name: str) -> Ledger:
        if not self._named:
            return Ledger(budget, "paid")
        return Ledger(budget, "paid", name, self.pool.spent(name))

    def check_pays(self, bound: Bound, items: int) -> None:
        """Refuse a budget whose share for the search measures nothing.

        Args:
            bound: of the smallest architecture, for one item.
            items: on which it would have to be measured. Tokens and dollars are bounds, so only
                those of one item count.

        Raises:
            BudgetRefused: before anything is paid.
        """
        least = {"calls": bound.calls * items, "tokens": bound.tokens, "usd": bound.microusd}
        for name, needed in least.items():
            limit = self.share.limits.get(name)
            if limit is not None and needed is not None and limit < needed:
                scale = 1e6 if name == "usd" else 1
                given = self.budget.limits()[name] / scale
                raise BudgetRefused(
                    f"the budget of {given:g} {name} pays for no measurement: its share for the"
                    f" search is {limit / scale:g}, and the smallest architecture needs"
                    f" {needed / scale:g}"
                )

    def widened(self, needed: float) -> Ledger | None:
        """Return a ledger that leaves confirm and test what they need, or None if it is no wider.

        Args:
            needed: calls that are still to come behind the search.
        """
        spent = self.spent()
        if not self._named or not spent.calls or self.whole.broken:
            return None
        limits = self.budget.limits()
        changes: dict[str, float] = {}
        for name, limit in limits.items():
            each = (amount(spent, name) or 0) / spent.calls
            left = limit - needed * each
            now = self.share.limits[name]
            if left < now + WORTH * limit:
                return None
            changes[name] = left / 1e6 if name == "usd" else int(left)
        wider = self.share.limit.model_copy(update=changes)
        made = self._ledger(wider, f"{self.name}/search")
        return made if wider.seconds is None else None

    def spent(self) -> Usage:
        """Return what all processes have newly spent for this study since it began."""
        sums = ", ".join(f"coalesce(sum({name}), 0)" for name in AMOUNTS)
        rows = self.pool.store.read(
            f"SELECT {sums} FROM attempts WHERE run = ? AND state <> 'inflight'",  # noqa: S608
            (self.name,),
        )
        return Usage(**dict(zip(AMOUNTS, rows[0], strict=True)))

    def room(self) -> float | None:
        """Return the least share of a limit that is left of the whole; None without a limit."""
        spent = self.spent()
        shares = [
            1 - (amount(spent, name) or 0) / limit
            for name, limit in self.budget.limits().items()
            if limit
        ]
        if self.whole.seconds_left is not None and self.budget.seconds:
            shares.append(self.whole.seconds_left / self.budget.seconds)
        return max(0.0, min(shares)) if shares else None

    @property
    def late(self) -> bool:
        """Whether the search's share of the seconds is over."""
        left = self.share.seconds_left
        return left is not None and left <= 0

    @property
    def unit(self) -> str:
        """The amount in which costs are weighed: the first that is limited."""
        limits = self.budget.limits()
        return next((name for name in ("usd", "tokens") if name in limits), "calls")

    def left(self, unit: str) -> float:
        """Return how much of a limit is left, dollars as such; infinite without that limit."""
        limit = self.budget.limits().get(unit)
        if limit is None:
            return float("inf")
        left = limit - (amount(self.spent(), unit) or 0)
        return left / 1e6 if unit == "usd" else float(left)

    def calls_left(self, ledger: Ledger) -> float:
        """Return how many calls a ledger can still pay for, by the mean price so far."""
        spent, rooms = self.spent(), [float("inf")]
        for name, limit in ledger.limits.items():
            each = 1.0 if name == "calls" else (amount(spent, name) or 0) / max(1, spent.calls)
            if each:
                rooms.append((limit - (amount(spent, name) or 0)) / each)
        return max(0.0, min(rooms))


def scaled(budget: Budget, share: float) -> Budget:
    """Return a share of every limit, whole numbers rounded down."""
    changes: dict[str, float | int] = {}
    for name, value in budget.model_dump(exclude_none=True).items():
        part = value * share
        changes[name] = int(part) if isinstance(value, int) else part
    return budget.model_copy(update=changes)
