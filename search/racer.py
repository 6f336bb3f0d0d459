"""The posterior race as a searcher: the books in the terms of `arms`, `measured` and `surrogate`.

Items come in blocks that double every eight rounds, each round on fresh items while there are any.
A round measures plausible winners, of those the ones that add the fewest new calls. The state of
the race is what the books say; the model's fit is repeated at the same marks of growth, so that a
resumed race believes what an uninterrupted one does.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archon.search import acquiring, racing
from archon.search.arms import Arms, Block, Paid
from archon.search.books import Books, Proposal, Standing, Told
from archon.search.measured import Measured
from archon.search.posterior import standings
from archon.search.surrogate import Posterior, Surrogate
from archon.search.thompson import Thompson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

__all__ = ["Race"]

GROWTH = 1.4
FIRST_FIT = 8
SEEN = 600
"""Measurements that the model sees: those of the leading arms and the latest."""
DRAWS = 512


class Race:
    """The posterior race; what seeks no score first is left to `Thompson`.

    Args:
        items: of the blocks of the first rounds.
        width: architectures that a round measures.
        starts: that are measured before any belief, far from each other.
    """

    def __init__(self, *, items: int = 16, width: int = 8, starts: int = 16) -> None:
        self.items, self.width, self.starts = items, width, starts
        self._fits: dict[tuple[object, ...], Surrogate] = {}
        """Fits by what they were made of: they save time, and nothing depends on them."""

    @property
    def first(self) -> int:
        """Items that a seed is measured on."""
        return self.items

    def ask(self, books: Books) -> Sequence[Proposal]:
        """Return a round of proposals."""
        if books.objectives[0] != "score":
            return Thompson(first=self.items).ask(books)
        board = _Board.of(books)
        if not len(board.rows):
            return []
        import numpy as np

        chance = np.random.default_rng(books.chance("race"))
        room = int(min(books.room, 1e15))
        if len(board.seen) < self.starts:
            surrogate = Surrogate(board.arms)
            given = [int(arm) for arm in board.seen]
            spread = acquiring.spread(board.arms, surrogate, given, self.starts, chance)
            fresh = [arm for arm in spread if arm not in given][: self.width]
            block = self._fresh(books, board) or self._old(board, chance)
            if fresh and block is not None:
                return board.proposals(fresh, block)
        return self._round(books, board, room, chance)

    def _round(
        self, books: Books, board: _Board, room: int, chance: np.random.Generator
    ) -> list[Proposal]:
        posterior = self._believed(board)
        race = racing.field(board.arms, posterior, board.seen, len(books.objectives) > 1, chance)
        fresh = self._fresh(books, board)
        blocks = [fresh] if fresh is not None else list(chance.permutation(len(board.blocks)))
        for found in blocks:
            block = found if isinstance(found, Block) else board.blocks[int(found)]
            chosen = acquiring.plausible_winners(
                race, board.paid, board.measured, block, self.width, room
            )
            if chosen:
                return board.proposals(chosen, block)
        return []

    def _fresh(self, books: Books, board: _Board) -> Block | None:
        """Return the next items that no arm was measured on; None when there are none."""
        size = self.items * 2 ** (books.round // 8)
        start = max((block.stop for block in board.blocks), default=0)
        stop = min(start + size, books.items)
        return Block("dev", start, stop) if start < stop else None

    def _old(self, board: _Board, chance: np.random.Generator) -> Block | None:
        return board.blocks[int(chance.integers(len(board.blocks)))] if board.blocks else None

    def _believed(self, board: _Board) -> Posterior:
        """Return what is believed: fitted at the marks of growth, then given everything."""
        whole = board.whole
        mark, marks = FIRST_FIT, [min(FIRST_FIT, len(whole))]
        while (mark := math.ceil(GROWTH * mark)) <= len(whole):
            marks.append(mark)
        surrogate: Surrogate | None = None
        for mark in marks:
            key = (id(board.table), len(board.rows), mark, *board.marked(mark))
            if key not in self._fits:
                surrogate = Surrogate(board.arms) if surrogate is None else copy.deepcopy(surrogate)
                surrogate.given(board.measured_of(whole[:mark]))
                self._fits[key] = surrogate
            surrogate = self._fits[key]
        # Given more than at the last mark it might fit anew, and must not do so for others.
        return copy.deepcopy(surrogate).given(board.measured)  # type: ignore[union-attr]

    def recommend(self, books: Books) -> Sequence[Standing]:
        """Return the race's posterior of the measured arms, best first."""
        board = _Board.of(books)
        if books.objectives[0] != "score" or not len(board.measured):
            return standings(books)
        import numpy as np

        posterior = self._believed(board)
        means, cover = posterior.joint(board.seen)
        cover[np.diag_indices_from(cover)] += 1e-9
        root = np.linalg.cholesky(cover)
        rng = np.random.default_rng(books.chance("standings"))
        draws = means[:, None] + root @ rng.standard_normal((len(means), DRAWS))
        chances = (draws >= draws.max(0) - racing.MARGIN).mean(1)
        order = np.lexsort((board.seen, -means))
        return [
            Standing(int(board.rows[board.seen[i]]), float(means[i]),
                     float(np.sqrt(cover[i, i])), float(chances[i]))
            for i in order
        ]  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Board:
    """The books in the race's terms; arms are numbered among the rows that are open.

    Attributes:
        table: the books'.
        rows: of the table, by arm.
        arms: what may be tried.
        whole: trials that count, in order.
        measured: what the model sees of them.
        paid: calls on each block.
        blocks: in the order of their first trial.
        seen: arms that were measured, sorted.
    """

    table: object
    rows: Ints
    arms: Arms
    books: Books
    whole: list[Told]
    measured: Measured
    paid: Paid
    blocks: list[Block]
    seen: Ints

    @classmethod
    def of(cls, books: Books) -> _Board:
        """Return the books as a board."""
        import numpy as np

        table = books.table
        rows = np.flatnonzero(books.open)
        arms = _arms(books, rows)
        place = {int(row): number for number, row in enumerate(rows)}
        whole = [
            told for told in books.trials
            if told.state == "done" and told.arm in place
            and books.some(told.arm, told.start, told.stop)
        ]  # fmt: skip
        paid, blocks = Paid(arms), dict.fromkeys(_block(told) for told in whole)
        for told in whole:
            paid.pay(place[told.arm], _block(told))
        seen = np.unique(np.array([place[told.arm] for told in whole], np.int64))
        board = cls(table, rows, arms, books, whole, Measured(), paid, list(blocks), seen)
        for told in _shown(whole, books):
            board.measured.add(place[told.arm], _block(told), board.scores(told))
        return board

    def scores(self, told: Told) -> NDArray[np.float64]:
        """Return a trial's scores; the mean stands for the few items that were left out."""
        import numpy as np

        row = self.books.of(told.arm)[told.start : told.stop]
        return np.where(np.isnan(row), np.nanmean(row), row)

    def measured_of(self, trials: Sequence[Told]) -> Measured:
        """Return some of the trials as the model sees them."""
        import numpy as np

        found = Measured()
        for told in _shown(trials, self.books):
            arm = int(np.searchsorted(self.rows, told.arm))
            found.add(arm, _block(told), self.scores(told))
        return found

    def marked(self, mark: int) -> tuple[int, float]:
        """Return what tells apart the trials up to a mark."""
        told = self.whole[:mark]
        return (
            (told[-1].number, sum(float(self.scores(t).sum()) for t in told)) if told else (0, 0.0)
        )

    def proposals(self, arms: Sequence[int], block: Block) -> list[Proposal]:
        """Return arms on a block as proposals."""
        return [Proposal(int(self.rows[arm]), block.start, block.stop) for arm in arms]


def _block(told: Told) -> Block:
    return Block("dev", told.start, told.stop)


def _shown(trials: Sequence[Told], books: Books) -> list[Told]:
    """Return the trials that the model sees: all, or those of the best means and the latest."""
    if len(trials) <= SEEN:
        return list(trials)
    best = sorted(trials, key=lambda t: (-(t.values[0] if t.values else 0.0), t.number))
    kept = {told.number for told in (*best[: SEEN // 2], *trials[-SEEN // 2 :])}
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
    _ARMS.update(key=key, table=table, arms=Arms(_units(books)[rows], kinds, indptr, nodes))
    return _ARMS["arms"]  # type: ignore[return-value]


_ARMS: dict[str, object] = {}
"""The latest arms with the table that they are of, which so keeps its identity."""


def _units(books: Books) -> NDArray[np.float64]:
    from archon.search.posterior import units_of

    return units_of(books)[0]
