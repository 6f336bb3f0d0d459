"""The books of a study: all that was measured so far, and what a searcher answers with.

Searchers see nothing else and keep nothing themselves, so that a study goes on from its rows in
the pool's file, after whatever ended it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archon.search.entries import Cells, Ground, Proposal, Standing, Told, own_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

__all__ = [
    "AMOUNTS",
    "INFRASTRUCTURE",
    "Books",
    "Cells",
    "Ground",
    "Proposal",
    "Standing",
    "Told",
    "own_rows",
]

AMOUNTS = ("calls", "tokens", "usd", "flops", "latency")
"""What an item can cost; `latency` in seconds."""
INFRASTRUCTURE = "(infrastructure)"
"""Stands in the reason of a trial that failed by no fault of its architecture."""
CLEARLY = 1.645
"""Standard errors above a limit of kind `mean` from which it counts as broken (one-sided 5 %)."""


class Books:
    """What was measured so far, on items in one order for all.

    Args:
        table: what is searched.
        items: how many there are.
        objectives: what is sought; `score` as high, everything else as low as possible.
        open: which rows may be proposed; all of them if left out.
        limits: means that an architecture must keep to, by name.
        least: the mean score that it must reach.
        seeds: rows to try first.
        seed: of everything that chance decides.
        batch: how many proposals a round should have.

    Attributes:
        round: number of the next ask.
        room: calls that can still be paid, as far as that is known.
        trials: those that ended, in order.
        revisions: arm, first item and end of scores that were replaced, in order.
        refilled: how often an item that had no score got one after all.
    """

    def __init__(
        self,
        table: Ground,
        items: int,
        *,
        objectives: Sequence[str] = ("score",),
        open: NDArray[np.bool_] | None = None,  # noqa: A002 (what it is)
        limits: Mapping[str, float] | None = None,
        least: float | None = None,
        seeds: Sequence[int] = (),
        seed: int = 0,
        batch: int = 4,
    ) -> None:
        import numpy as np

        self.table, self.items = table, items
        self.objectives = tuple(objectives)
        self.open = np.ones(len(table), bool) if open is None else open.copy()
        self.limits, self.least = dict(limits or {}), least
        self.seeds, self.seed, self.batch = tuple(seeds), seed, batch
        self.round, self.room = 0, float("inf")
        self.trials: list[Told] = []
        self.revisions: list[tuple[int, int, int]] = []
        self.refilled = 0
        self._place: dict[int, int] = {}
        self._arms: list[int] = []
        self._scores = np.full((16, items), np.nan)
        self._totals = np.zeros((16, 2))  # of each row of scores: how many, and their sum
        self._sums: dict[str, Floats] = {name: np.zeros((16, 3)) for name in AMOUNTS}
        self._seen = np.zeros((16, items), bool)
        self._asked = np.zeros((table.node_count, -(-items // 8)), np.uint8)

    def __contains__(self, arm: int) -> bool:
        return arm in self._place

    @property
    def arms(self) -> Places:
        """Rows that were measured, in order of their first trial."""
        import numpy as np

        return np.array(self._arms, np.int64)

    @property
    def scores(self) -> Floats:
        """One row for each of `arms`, one column for each item; NaN where not measured."""
        return self._scores[: len(self._arms)]

    @property
    def counts(self) -> Places:
        """How many items each of `arms` has a score on."""
        import numpy as np

        return self._totals[: len(self._arms), 0].astype(np.int64)

    def of(self, arm: int) -> Floats:
        """Return an arm's scores by item; NaN where not measured."""
        import numpy as np

        place = self._place.get(arm)
        return np.full(self.items, np.nan) if place is None else self._scores[place]

    def some(self, arm: int, start: int, stop: int) -> bool:
        """Return whether an arm has a score on any of some items."""
        import numpy as np

        return bool((~np.isnan(self.of(arm)[start:stop])).any())

    def seen(self, arm: int) -> int:
        """Return how many items from the first one on an arm was tried on without a gap."""
        place = self._place.get(arm)
        if place is None:
            return 0
        row = self._seen[place]
        return self.items if row.all() else int(row.argmin())

    def values(self, name: str) -> Floats:
        """Return the mean of an objective for each of `arms`; NaN where nothing is known."""
        import numpy as np

        if name == "score":
            counts, sums = self._totals[: len(self._arms)].T
            return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        if name == "cost_of_pass":
            score = self.values("score")
            return np.where(score > 0, self.values("usd") / np.where(score > 0, score, 1), np.nan)
        count, total, _ = self._sums[name][: len(self._arms)].T
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def merits(self, name: str) -> Floats:
        """Return `values` such that higher is better."""
        found = self.values(name)
        return found if name == "score" else -found

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """For each of `arms`, whether it may keep to the limits of kind `mean` after all."""
        import numpy as np

        good = self.open[self.arms].copy() if self._arms else np.zeros(0, bool)
        for excess in self.excesses().values():
            good &= ~(excess > 0)
        return good

    def excesses(self) -> dict[str, Floats]:
        """Return by limit how clearly each of `arms` breaks it: above 0 it does, by 95 %."""
        import numpy as np

        found = {}
        for name, limit in self.limits.items():
            mean = self.values(name)
            error = np.zeros(len(mean))
            if name in self._sums:
                count, total, squares = self._sums[name][: len(mean)].T
                n = np.maximum(count, 1)
                error = np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0) / n)
            found[name] = mean - CLEARLY * error - limit
        if self.least is not None:
            mean, n = self.values("score"), np.maximum(self.counts, 1)
            error = np.sqrt(np.maximum(mean * (1 - mean), 0.25 / n) / n)
            found["score"] = self.least - CLEARLY * error - mean
        return found

    def chance(self, what: str) -> int:
        """Return a seed for one purpose in this round."""
        text = f"{self.seed}/{self.round}/{what}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def tell(self, told: Told, cells: Cells | None = None) -> Told:
        """Take a trial into the books and return it with the arm's values.

        What failed closes its arm, at the second time where only the provider was to blame.
        """
        if told.state == "done" and cells is not None:
            self._enter(told.arm, told.start, cells)
            place = self._place[told.arm]
            values = tuple(float(self.values_of(name, place)) for name in self.objectives)
            items = int(self.counts_of(place))
            told = replace(told, values=values, items=items)
        elif told.state == "failed":
            self._fail(told)
        self.trials.append(told)
        return told

    def _fail(self, told: Told) -> None:
        before = any(t.arm == told.arm and t.state == "failed" for t in self.trials)
        if before or INFRASTRUCTURE not in told.reason:
            self.open[told.arm] = False

    def values_of(self, name: str, place: int) -> float:
        """Return the mean of an objective for one of `arms`, by its place."""
        if name == "score":
            count, total = self._totals[place]
            return float(total / count) if count else float("nan")
        if name == "cost_of_pass":
            score = self.values_of("score", place)
            return self.values_of("usd", place) / score if score > 0 else float("nan")
        count, total, _ = self._sums[name][place]
        return float(total / count) if count else float("nan")

    def counts_of(self, place: int) -> int:
        """Return how many items one of `arms` has a score on, by its place."""
        return int(self._totals[place, 0])

    def _enter(self, arm: int, start: int, cells: Cells) -> None:
        import numpy as np

        if arm not in self._place:
            self._place[arm] = len(self._arms)
            self._arms.append(arm)
            self._grow(len(self._arms))
        place, stop = self._place[arm], start + len(cells.scores)
        fresh = ~self._seen[place, start:stop]
        row = self._scores[place, start:stop]
        row[fresh] = cells.scores[fresh]
        # A judge that gave no verdict may give one when it is asked again.
        again = ~fresh & np.isnan(row)
        row[again] = cells.scores[again]
        self.refilled += bool((~np.isnan(row[again])).any())
        whole = self._scores[place]
        self._totals[place] = (~np.isnan(whole)).sum(), np.nansum(whole)
        for name, amounts in cells.amounts.items():
            known = amounts[fresh & ~np.isnan(amounts)]
            self._sums[name][place] += (len(known), known.sum(), (known**2).sum())
        self._seen[place, start:stop] = True
        bits = np.packbits(self._seen[place])
        nodes = self.table.nodes[self.table.indptr[arm] : self.table.indptr[arm + 1]]
        self._asked[nodes] |= bits

    def value(self, arm: int, start: int, scores: Floats) -> None:
        """Replace the scores of an arm by what the same items are worth by more draws.

        Args:
            arm: one that was measured.
            start: the first item.
            scores: from there on; NaN leaves an item as it is, as one that was not measured is.
        """
        import numpy as np

        place = self._place[arm]
        row = self._scores[place, start : start + len(scores)]
        known = ~np.isnan(row) & ~np.isnan(scores)
        if np.array_equal(row[known], scores[known]):
            return
        row[known] = scores[known]
        self.revisions.append((arm, start, start + len(scores)))
        whole = self._scores[place]
        self._totals[place] = (~np.isnan(whole)).sum(), np.nansum(whole)

    def refresh(self, since: int) -> None:
        """Bring the values of the latest trials up to date, from a place in `trials` on."""
        for number, told in enumerate(self.trials[since:], since):
            if told.state == "done" and told.arm in self._place:
                place = self._place[told.arm]
                values = tuple(float(self.values_of(name, place)) for name in self.objectives)
                self.trials[number] = replace(told, values=values, items=self.counts_of(place))

    def _grow(self, needed: int) -> None:
        import numpy as np

        have = len(self._scores)
        if needed <= have:
            return
        self._scores = np.concatenate([self._scores, np.full((have, self.items), np.nan)])
        self._totals = np.concatenate([self._totals, np.zeros((have, 2))])
        self._seen = np.concatenate([self._seen, np.zeros((have, self.items), bool)])
        self._sums = {
            name: np.concatenate([sums, np.zeros((have, 3))]) for name, sums in self._sums.items()
        }

    def unpaid(self, start: int, stop: int) -> Places:
        """Return for each node how many of the items it was not asked on yet."""
        import numpy as np

        first = start // 8
        bits = np.unpackbits(self._asked[:, first : -(-stop // 8)], axis=1)
        asked = bits[:, start - 8 * first : stop - 8 * first].sum(1, dtype=np.int64)
        left: Places = (stop - start) - asked
        return left

    def new_calls(self, arms: Iterable[int], start: int, stop: int) -> Places:
        """Return for each arm how many calls the items would newly cost, at most."""
        import numpy as np

        left, table = self.unpaid(start, stop), self.table
        return np.array(
            [left[table.nodes[table.indptr[a] : table.indptr[a + 1]]].sum() for a in arms],
            np.int64,
        )

    def restricted(self, keep: NDArray[np.bool_]) -> Books:
        """Return the books as if only some of the items had been measured; costs stay.

        The order of the items is kept: those left out count as never tried.
        """
        import copy

        import numpy as np

        other = copy.copy(self)
        other._scores = np.where(keep, self._scores, np.nan)
        known = ~np.isnan(other._scores)
        other._totals = np.column_stack([known.sum(1), np.nansum(other._scores, axis=1)])
        other._seen = self._seen & keep
        other._place, other._arms = dict(self._place), list(self._arms)
        other.open, other.trials = self.open.copy(), list(self.trials)
        other.revisions = list(self.revisions)
        other._sums = {name: sums.copy() for name, sums in self._sums.items()}
        other._asked = self._asked & np.packbits(keep)
        return other

    def to_json(self) -> dict[str, Any]:
        """Return the trials, in order."""
        return {"round": self.round, "trials": [told.to_json() for told in self.trials]}
