"""The posterior race as a searcher.

Items come in blocks that double every eight rounds, each round on fresh items while there are any.
A round measures plausible winners, of those the ones that add the fewest new calls. The state of
the race is what the books say: see `archon.search.board`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from archon.search import acquiring, racing
from archon.search.arms import Block
from archon.search.board import Board
from archon.search.books import Books, Proposal, Standing
from archon.search.measured import Measured
from archon.search.posterior import standings
from archon.search.surrogate import Surrogate
from archon.search.thompson import Thompson

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Race"]

DRAWS = 512


class Race:
    """The posterior race; what seeks no score first is left to `Thompson`.

    Args:
        items: of the blocks of the first rounds.
        width: architectures that a round measures.
        starts: that are measured before any belief, far from each other.
        free: most measurements of a round that cost no call, beside the others: they cost time.
    """

    def __init__(
        self, *, items: int = 16, width: int = 8, starts: int = 16, free: int = 32
    ) -> None:
        self.items, self.width, self.starts, self.free = items, width, starts, free
        self._boards: WeakKeyDictionary[Books, Board] = WeakKeyDictionary()
        """What was worked out of books: it saves time, and nothing depends on it."""

    @property
    def first(self) -> int:
        """Items that a seed is measured on."""
        return self.items

    def _board(self, books: Books) -> Board:
        """Return the books as a board, with everything that ended since it was last asked for."""
        board = self._boards.get(books)
        if board is None or not board.holds(books):
            board = self._boards[books] = Board(books)
        board.catch_up(books)
        return board

    def ask(self, books: Books) -> Sequence[Proposal]:
        """Return a round of proposals."""
        if books.objectives[0] != "score":
            return Thompson(first=self.items).ask(books)
        if not books.open.any():
            return []
        import numpy as np

        board = self._board(books)
        chance = np.random.default_rng(books.chance("race"))
        room = int(min(books.room, 1e15))
        if len(board.seen) < self.starts:
            surrogate = Surrogate(board.arms)
            given = sorted(board.seen)
            spread = acquiring.spread(board.arms, surrogate, given, self.starts, chance)
            fresh = [arm for arm in spread if arm not in board.seen][: self.width]
            block = self._fresh(books, board) or self._old(board, chance)
            if fresh and block is not None:
                return board.proposals(fresh, block)
        return self._round(books, board, room, chance)

    def _round(
        self, books: Books, board: Board, room: int, chance: np.random.Generator
    ) -> list[Proposal]:
        posterior = board.believed(books)
        front = len(books.objectives) > 1
        race = racing.field(board.arms, posterior, board.modelled, front, chance)
        measured = board.measured(books)
        fresh = self._fresh(books, board)
        blocks = [fresh] if fresh is not None else list(chance.permutation(len(board.blocks)))
        for found in blocks:
            block = found if isinstance(found, Block) else board.blocks[int(found)]
            chosen = acquiring.plausible_winners(
                race, board.paid, measured, block, self.width, room
            )
            if chosen:
                paying = board.proposals(chosen, block)
                return [*paying, *(p for p in self._free(board, race, measured) if p not in paying)]
        return self._free(board, race, measured)

    def _free(self, board: Board, race: racing.Field, measured: Measured) -> list[Proposal]:
        """Return measurements that cost nothing, on the latest blocks first."""
        count, blocks = min(self.free, board.left), reversed(board.blocks)
        rides = acquiring.free_rides(race, board.paid, measured, blocks, count)
        return [board.proposals([arm], block)[0] for arm, block in rides]

    def _fresh(self, books: Books, board: Board) -> Block | None:
        """Return the next items that no arm was measured on; None when there are none."""
        size = self.items * 2 ** (books.round // 8)
        start = max((block.stop for block in board.blocks), default=0)
        stop = min(start + size, books.items)
        return Block("dev", start, stop) if start < stop else None

    def _old(self, board: Board, chance: np.random.Generator) -> Block | None:
        return board.blocks[int(chance.integers(len(board.blocks)))] if board.blocks else None

    def recommend(self, books: Books) -> Sequence[Standing]:
        """Return the race's posterior of the arms that its model sees, best first."""
        if books.objectives[0] != "score" or not books.open.any():
            return standings(books)
        board = self._board(books)
        if not board.whole:
            return standings(books)
        import numpy as np

        seen = board.modelled
        means, cover = board.believed(books).joint(seen)
        cover[np.diag_indices_from(cover)] += 1e-9
        root = np.linalg.cholesky(cover)
        rng = np.random.default_rng(books.chance("standings"))
        draws = means[:, None] + root @ rng.standard_normal((len(means), DRAWS))
        chances = (draws >= draws.max(0) - racing.MARGIN).mean(1)
        order = np.lexsort((seen, -means))
        return [
            Standing(int(board.rows[seen[i]]), float(means[i]), float(np.sqrt(cover[i, i])),
                     float(chances[i]))
            for i in order
        ]  # fmt: skip
