"""Racing by posterior: items in doubling blocks go to the architectures that may still be best.

Each round draws from the posterior (Thompson sampling): what is best in a draw is worth more
items, so architectures leave the race by their probability of being within a point of the best,
and no test decides. Of what is worth it, the cheapest goes first: only calls that are not paid yet
count, so that siblings of what was measured are nearly free.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archon.search.books import Books, Proposal, Standing
from archon.search.posterior import fit, standings
from archon.search.searchers import more_items

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

__all__ = ["Thompson"]


class Thompson:
    """Thompson sampling over architectures.

    Args:
        first: items of the first block; each further block doubles what an arm has seen.
        starts: architectures, spread by chance over the space, that are measured before any
            belief.
        near: how many unmeasured architectures a round thinks about.
        price: how much a call counts: 0 not at all, 1 in full.
    """

    def __init__(
        self, *, first: int = 32, starts: int = 16, near: int = 300, price: float = 0.5
    ) -> None:
        self.first, self.starts, self.near, self.price = first, starts, near, price

    def ask(self, books: Books) -> Sequence[Proposal]:
        """Return a round of proposals."""
        import numpy as np

        rng = np.random.default_rng(books.chance("race"))
        free = np.flatnonzero(books.open)
        free = free[[books.seen(int(arm)) < books.items for arm in free]]
        if not len(free):
            return []
        tried = books.arms
        if len(tried) < self.starts:
            fresh = np.setdiff1d(free, tried)
            wanted = min(books.batch, self.starts - len(tried), len(fresh))
            if wanted > 0:
                return self._proposals(books, rng.choice(fresh, wanted, replace=False).tolist())
        fresh = np.setdiff1d(free, tried)
        some = rng.choice(fresh, min(self.near, len(fresh)), replace=False)
        leading = [s.arm for s in standings(books)[: self.near]]
        posterior = fit(books, np.unique(np.concatenate([leading, some]).astype(np.int64)),
                        seed=books.chance("race draws"))  # fmt: skip
        return self._proposals(books, self._winners(books, posterior.arms, posterior.draws, free))

    def _winners(self, books: Books, arms: Places, draws: Floats, free: Places) -> list[int]:
        """Return the arms that draws find best, by how often for each new call."""
        import numpy as np

        allowed = np.isin(arms, free)
        if not allowed.any():
            return []
        best = np.where(allowed, draws, -np.inf).argmax(1)
        wins = np.bincount(best, minlength=len(arms)).astype(float)
        places = np.flatnonzero(wins)
        cost = np.array([max(1, self._cost(books, int(arms[place]))) for place in places], float)
        worth = wins[places] / cost**self.price
        order = places[np.argsort(-worth, kind="stable")]
        return [int(arms[place]) for place in order[: books.batch]]

    def _cost(self, books: Books, arm: int) -> int:
        proposal = more_items(books, arm, self.first)
        if proposal is None:
            return 0
        return int(books.new_calls([arm], proposal.start, proposal.stop)[0])

    def _proposals(self, books: Books, arms: Sequence[int]) -> list[Proposal]:
        found = (more_items(books, arm, min(self.first, books.items)) for arm in arms)
        return [proposal for proposal in found if proposal is not None]

    def recommend(self, books: Books) -> Sequence[Standing]:
        """Return the posterior's order."""
        return standings(books)
