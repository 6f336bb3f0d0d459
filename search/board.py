"""The books in the terms of the race: `arms`, `measured`, `paid` and `surrogate`.

A board follows from the books alone. It is kept between rounds only to save time: a round costs
what its own trials and the trials that the model sees do, however many there were before. Fits are
made at the same marks of growth whoever makes them, so that a race that was taken up again believes
what an uninterrupted one does.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from heapq import nsmallest
from typing import TYPE_CHECKING

from archon.search.arms import Arms, Block, Paid
from archon.search.books import Books, Proposal, Told
from archon.search.measured import MODELLED, Measured
from archon.search.posterior import units_of
from archon.search.surrogate import Posterior, Surrogate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

__all__ = ["Board"]

GROWTH = 1.4
FIRST_FIT = 8
SEEN = MODELLED
"""Trials that the model sees: those of the leading arms and the latest."""


class Board:
    """Books as the race sees them; arms are numbered among the rows that are open.

    Attributes:
        rows: of the table, by arm.
        arms: what may be tried.
        whole: trials that count, in order.
        paid: calls on each block.
        blocks: in the order of their first trial.
        seen: arms that were measured.
    """

    def __init__(self, books: Books) -> None:
        import numpy as np

        self.table = books.table  # keeps its identity
        self.rows: Ints = np.flatnonzero(books.open)
        self.arms = _arms(books, self.rows)
        self._number = {int(row): number for number, row in enumerate(self.rows)}
        self.whole: list[Told] = []
        self.paid = Paid(self.arms)
        self.blocks: list[Block] = []
        self.seen: set[int] = set()
        self._known: set[Block] = set()
        self._best: list[tuple[float, int, int]] = []
        self._trials_of: dict[int, list[int]] = {}
        self._fits: dict[int, Surrogate] = {}
        self._posterior: Posterior | None = None
        self._told, self._revised = 0, len(books.revisions)
        self._refilled = books.refilled

    def holds(self, books: Books) -> bool:
        """Whether what was taken from the books still stands: nothing was closed or refilled."""
        return (
            self.table is books.table
            and len(self.rows) == int(books.open.sum())
            and self._refilled == books.refilled
        )

    def catch_up(self, books: Books) -> None:
        """Take what the books have and the board lacks."""
        self._forget(books)
        for told in books.trials[self._told :]:
            number = self._number.get(told.arm)
            if told.state != "done" or number is None:
                continue
            if books.some(told.arm, told.start, told.stop):
                self._take(told, number)
        self._told = len(books.trials)

    def _take(self, told: Told, number: int) -> None:
        block = _block(told)
        if block not in self._known:
            self._known.add(block)
            self.blocks.append(block)
        self.paid.pay(number, block)
        self.seen.add(number)
        place = len(self.whole)
        self.whole.append(told)
        self._trials_of.setdefault(told.arm, []).append(place)
        insort(self._best, (*_merit(told), place))
        del self._best[SEEN // 2 :]
        self._posterior = None

    def _forget(self, books: Books) -> None:
        """Drop the fits that saw scores which are others now."""
        first = len(self.whole)
        for arm, start, stop in books.revisions[self._revised :]:
            for place in self._trials_of.get(arm, ()):
                told = self.whole[place]
                if told.start < stop and start < told.stop:
                    first = min(first, place)
        self._revised = len(books.revisions)
        if first < len(self.whole):
            self._fits = {mark: fit for mark, fit in self._fits.items() if mark <= first}
            self._posterior = None

    def believed(self, books: Books) -> Posterior:
        """Return what is believed: fitted at the marks of growth, then given everything."""
        if self._posterior is None:
            # Given more than at the last mark it might fit anew, and must not do so for others.
            self._posterior = self._fitted(books).copied().given(self.measured(books))
        return self._posterior

    def _fitted(self, books: Books) -> Surrogate:
        """Return the fit of the last mark, each made from that of the mark before."""
        marks = _marks(len(self.whole))
        known = next((i for i, m in reversed([*enumerate(marks)]) if m in self._fits), -1)
        fit = self._fits[marks[known]] if known >= 0 else None
        for mark in marks[known + 1 :]:
            fit = Surrogate(self.arms) if fit is None else fit.copied()
            fit.given(self._as_measured(books, _shown(self.whole[:mark])))
            self._fits[mark] = fit
        assert fit is not None
        return fit

    @property
    def left(self) -> int:
        """How many more trials there can be before the model does not see them all."""
        return max(0, SEEN - len(self.whole))

    def measured(self, books: Books) -> Measured:
        """Return the trials that the model sees: all, or those of the best means and the latest."""
        return self._as_measured(books, self._visible())

    def _visible(self) -> list[Told]:
        count = len(self.whole)
        if count <= SEEN:
            return self.whole
        places = {place for *_, place in self._best} | {*range(count - SEEN // 2, count)}
        return [self.whole[place] for place in sorted(places)]

    @property
    def modelled(self) -> Ints:
        """Arms that the model sees measurements of, sorted."""
        import numpy as np

        return np.unique(np.array([self._number[told.arm] for told in self._visible()], np.int64))

    def _as_measured(self, books: Books, trials: Sequence[Told]) -> Measured:
        found = Measured()
        for told in trials:
            found.add(self._number[told.arm], _block(told), _scores(books, told))
        return found

    def proposals(self, arms: Sequence[int], block: Block) -> list[Proposal]:
        """Return arms on a block as proposals."""
        return [Proposal(int(self.rows[arm]), block.start, block.stop) for arm in arms]


def _marks(count: int) -> list[int]:
    """Return after how many trials the model is fitted.

    >>> _marks(20)
    [8, 12, 17]
    """
    marks, mark = [min(FIRST_FIT, count)], FIRST_FIT
    while (mark := math.ceil(GROWTH * mark)) <= count:
        marks.append(mark)
    return marks


def _block(told: Told) -> Block:
    return Block("dev", told.start, told.stop)


def _scores(books: Books, told: Told) -> NDArray[np.float64]:
    """Return a trial's scores; the mean stands for the few items that were left out."""
    import numpy as np

    row = books.of(told.arm)[told.start : told.stop]
    return np.where(np.isnan(row), np.nanmean(row), row)


def _merit(told: Told) -> tuple[float, int]:
    """Return what trials are sorted by, the best first."""
    return -(told.values[0] if told.values else 0.0), told.number


def _shown(trials: Sequence[Told]) -> list[Told]:
    """Return the trials that the model sees of some, as `Board._visible` does of all."""
    if len(trials) <= SEEN:
        return list(trials)
    kept = {told.number for told in nsmallest(SEEN // 2, trials, key=_merit)}
    kept |= {told.number for told in trials[-SEEN // 2 :]}
    return [told for told in trials if told.number in kept]


def _arms(books: Books, rows: Ints) -> Arms:
    """Return the open rows as the race takes them; made once for the same rows."""
    import numpy as np

    key = (id(books.table), len(rows), int(rows.sum()))
    if _ARMS.get("key") == key:
        return _ARMS["arms"]  # type: ignore[return-value]
    table = books.table
    kinds = tuple(column.kind for column in table.columns)
    parts = [table.nodes[table.indptr[row] : table.indptr[row + 1]] for row in rows]
    lengths = np.array([len(part) for part in parts], np.int64)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    nodes = np.concatenate(parts) if parts else np.zeros(0, np.int32)
    units = units_of(books)[0]
    _ARMS.update(key=key, table=table, arms=Arms(units[rows], kinds, indptr, nodes))
    return _ARMS["arms"]  # type: ignore[return-value]


_ARMS: dict[str, object] = {}
"""The latest arms with the table that they are of, which so keeps its identity."""
