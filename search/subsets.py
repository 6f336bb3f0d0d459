"""What a selection is worth on average over every choice of its draws from those that are stored.

An architecture of k draws was measured on draws 0 to k - 1. With n stored draws, all of one
distribution, its mean over all subsets of k is the same expectation with less luck: a U-statistic
(Hoeffding 1948, "A class of statistics with asymptotically normal distribution"), as the unbiased
pass@k is one (Chen et al. 2021, "Evaluating Large Language Models Trained on Code", section 2.1).

Best-of-n is exact for any number of sources: the best p draws are all missed with the probability
C(n - p, k) / C(n, k), a product over sources. A vote over one source is exact as well; over several
it is the mean over orders drawn by chance, whose first draws are subsets without replacement.

Arrays have the shape (items, draws), without gaps; a list has one for each source.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import comb
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.integer]

__all__ = ["Bests", "Votes", "missed", "vote_shares"]

ORDERS = 32
"""Orders of the draws that votes over several sources are averaged over."""


@lru_cache(maxsize=4096)
def missed(n: int, k: int) -> Floats:
    """Return for p from 0 to n the probability that k of n draws hold none of p given ones.

    >>> missed(4, 2).tolist()
    [1.0, 0.5, 0.16666666666666666, 0.0, 0.0]
    """
    import numpy as np

    places = np.arange(n)
    steps = np.maximum(0, n - k - places) / np.maximum(1, n - places)
    found: Floats = np.concatenate([[1.0], np.cumprod(steps)])
    return found


class Bests:
    """The draw that a judge scores highest.

    Of equal judgements within a source each is the first of them equally often; between sources
    the first listed one wins. A draw without a judgement comes last.

    Args:
        scores: what the draws are worth, by source.
        signals: what the judge says of them, nan where it said nothing.
    """

    def __init__(self, scores: Sequence[Floats], signals: Sequence[Floats]) -> None:
        import numpy as np

        self.sizes = [part.shape[1] for part in scores]
        worth = np.concatenate(scores, axis=1)
        said = np.concatenate(signals, axis=1)
        said = np.where(np.isnan(said), -np.inf, said)
        whose = np.repeat(np.arange(len(scores)), self.sizes)
        # A stable sort: columns stand by source already.
        order = np.argsort(-said, axis=1, kind="stable")
        said = np.take_along_axis(said, order, axis=1)
        whose = whose[order]
        self.worth = _shared(np.take_along_axis(worth, order, axis=1), said, whose)
        self.above = [_before(whose == number) for number in range(len(scores))]

    def mean(self, ks: Sequence[int]) -> Floats:
        """Return each item's mean for k draws of each source, at least one and at most all."""
        miss: Floats | None = None
        for n, k, above in zip(self.sizes, ks, self.above, strict=True):
            part = missed(n, k)[above]
            miss = part if miss is None else miss * part
        assert miss is not None
        import numpy as np

        found: Floats = np.einsum("ij,ij->i", miss[:, :-1] - miss[:, 1:], self.worth)
        return found


def _shared(worth: Floats, said: Floats, whose: Ints) -> Floats:
    """Return worths in which neighbours of equal judgement and source share theirs."""
    import numpy as np

    new = np.ones(worth.shape, bool)
    new[:, 1:] = (said[:, 1:] != said[:, :-1]) | (whose[:, 1:] != whose[:, :-1])
    group = (np.cumsum(new.ravel()) - 1).reshape(worth.shape)
    total = np.bincount(group.ravel(), weights=worth.ravel())
    found: Floats = (total / np.bincount(group.ravel()))[group]
    return found


def _before(mine: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many of the best 0, 1, 2 … are of a source."""
    import numpy as np

    found: NDArray[np.int64] = np.zeros((mine.shape[0], mine.shape[1] + 1), np.int64)
    np.cumsum(mine, axis=1, out=found[:, 1:])
    return found


class Votes:
    """The answer that most draws give; tied ones count their share, no answer at all counts 0.

    Wang et al. 2022, "Self-consistency", section 2.

    Args:
        scores: what the draws are worth, by source; an answer is worth the mean of its draws.
        answers: a number for each distinct answer of an item, the same one for all sources; -1
            where none could be read, which does not vote.
        orders: how many orders stand for all where there are several sources.
        seed: of the orders.
    """

    def __init__(
        self,
        scores: Sequence[Floats],
        answers: Sequence[Ints],
        *,
        orders: int = ORDERS,
        seed: int = 0,
    ) -> None:
        import numpy as np

        self.sizes = [part.shape[1] for part in scores]
        codes = _dense(np.concatenate(answers, axis=1))
        worth = np.concatenate(scores, axis=1)
        self.kinds = int(codes.max(initial=-1)) + 1
        cells = np.arange(self.kinds) == codes[:, :, None]
        counts = cells.sum(axis=1)
        each: Floats = (cells * worth[:, :, None]).sum(axis=1) / np.maximum(1, counts)
        self._exact: Floats | None = None
        self._votes: list[NDArray[np.int16]] = []
        if not self.kinds:
            self._exact = np.zeros((len(worth), max(self.sizes) + 1))
            return
        if len(scores) == 1:
            self._exact = _voted(self.sizes[0], counts, each)
            return
        self._worth = each.T.astype(np.float32)[:, :, None]
        parts = np.split(codes, np.cumsum(self.sizes)[:-1], axis=1)
        for number, part in enumerate(parts):
            # The same orders for every item: no item's value depends on those beside it.
            rng = np.random.default_rng([seed, number, part.shape[1]])
            places = np.argsort(rng.random((orders, part.shape[1])), axis=1)
            self._votes.append(_running(part[:, places], self.kinds))

    def mean(self, ks: Sequence[int]) -> Floats:
        """Return each item's mean for k draws of each source, at least one and at most all."""
        import numpy as np

        if self._exact is not None:
            return self._exact[:, ks[0]]
        votes = self._votes[0][ks[0]]
        for part, k in zip(self._votes[1:], ks[1:], strict=True):
            votes = votes + part[k]
        # Without any vote nothing leads, and the score is 0.
        leads = votes == np.maximum(1, votes.max(axis=0))
        ties = np.maximum(1, leads.sum(axis=0, dtype=np.int16))
        won = np.zeros(ties.shape, np.float32)
        for lead, worth in zip(leads, self._worth, strict=True):
            won += lead * worth
        shared: Floats = (won / ties).mean(axis=1, dtype=float)
        return shared


def _voted(n: int, counts: Ints, worth: Floats) -> Floats:
    """Return the means of votes over 0 to n draws of one source, shape (items, n + 1)."""
    import numpy as np

    order = np.argsort(-counts, axis=1, kind="stable")
    patterns, place = np.unique(
        np.take_along_axis(counts, order, axis=1), axis=0, return_inverse=True
    )
    shares = np.array([vote_shares(n, tuple(row)) for row in patterns.tolist()])
    worth = np.take_along_axis(worth, order, axis=1)
    found: Floats = np.einsum("ika,ia->ik", shares[place.ravel()], worth)
    return found


def _dense(answers: Ints) -> NDArray[np.int64]:
    """Return each item's answers as 0, 1, 2 …, and -1 for those that could not be read."""
    import numpy as np

    order = np.argsort(answers, axis=1, kind="stable")
    ranked = np.take_along_axis(answers, order, axis=1)
    new = np.ones(ranked.shape, bool)
    new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    rank = np.cumsum(new & (ranked >= 0), axis=1) - 1
    dense = np.empty(answers.shape, np.int64)
    np.put_along_axis(dense, order, np.where(ranked >= 0, rank, -1), axis=1)
    return dense


def _running(drawn: Ints, kinds: int) -> NDArray[np.int16]:
    """Return the votes among the first 0, 1, 2 … draws, shape (n + 1, answers, items, orders).

    Answers come before items: what is done for every answer is then done in long rows.
    """
    import numpy as np

    items, orders, n = drawn.shape
    votes = np.zeros((n + 1, kinds, items, orders), np.int16)
    given = drawn.transpose(2, 0, 1)[:, None] == np.arange(kinds)[:, None, None]
    np.cumsum(given, axis=0, out=votes[1:])
    return votes


@lru_cache(maxsize=100_000)
def vote_shares(n: int, counts: tuple[int, ...]) -> Floats:
    """Return the probability of each answer to win a vote of k of n draws, shape (n + 1, answers).

    Exact, by generating functions. Answer a wins with j votes beside t equals with the weight
    1 / (t + 1), which is the integral of y^t from 0 to 1; so y marks equals, x marks draws, and the
    integral is a sum over Gauss-Legendre nodes that is exact for polynomials.

    Args:
        n: stored draws.
        counts: how many of them give each answer; the rest do not vote.

    >>> [round(share, 3) for share in vote_shares(3, (2, 1))[2].tolist()]
    [0.667, 0.333]
    """
    import numpy as np

    shares = np.zeros((n + 1, len(counts)))
    whole = np.array([comb(n, k) for k in range(n + 1)], float)
    for count in set(counts) - {0}:
        ways = np.zeros(n + 1)
        for j in range(1, count + 1):
            ways += comb(count, j) * _others(n, counts, count, j)
        for place, mine in enumerate(counts):
            if mine == count:
                shares[:, place] = ways / whole
    return shares


def _others(n: int, counts: tuple[int, ...], count: int, j: int) -> Floats:
    """Return the ways, by draws in all, to draw the rest so that nobody has more than j votes.

    One answer of `count` draws has j votes; ways in which t others have as many weigh 1 / (t + 1).
    """
    import numpy as np

    rest = list(counts)
    rest.remove(count)
    rivals = [other for other in rest if other >= j]
    free = n - count - sum(rivals)  # draws that cannot reach j votes, or do not vote
    nodes, weights = np.polynomial.legendre.leggauss(len(rivals) // 2 + 1)
    y = (nodes + 1) / 2
    total = np.zeros((len(y), n + 1))
    total[:, j : j + free + 1] = [comb(free, i) for i in range(free + 1)]
    for other in rivals:
        made = total.copy()  # with none of its draws
        for i in range(1, j):
            made[:, i:] += comb(other, i) * total[:, : n + 1 - i]
        made[:, j:] += comb(other, j) * y[:, None] * total[:, : n + 1 - j]
        total = made
    found: Floats = (weights / 2) @ total
    return found
