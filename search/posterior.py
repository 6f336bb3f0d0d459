"""What is believed of every architecture, measured or not: a Gaussian process over the encoding.

Few items make a noisy mean, so the model knows how many there were (heteroscedastic noise), and
all arms share the items' own difficulty, which is taken out first (common random numbers). Its
recommendation is shrunk towards the neighbours': the raw maximum of many means would be the
luckiest arm, not the best one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archon.search.books import Books, Standing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

__all__ = ["MARGIN", "Posterior", "distances", "fit", "standings", "units_of"]

MARGIN = 0.01
"""A point: architectures this close count as equally good."""
MOST = 300
"""Arms that the model is fitted to: the best half and the latest half of more."""
DRAWS = 512


@dataclass(frozen=True, eq=False)
class Posterior:
    """Beliefs about some arms.

    Attributes:
        arms: rows of the table.
        mean: of each.
        sd: of each.
        draws: (draws, arms) joint samples.
    """

    arms: Places
    mean: Floats
    sd: Floats
    draws: Floats

    def chances(self, margin: float) -> Floats:
        """Return for each arm the probability of being within a margin of the best."""
        found: Floats = (self.draws >= self.draws.max(1, keepdims=True) - margin).mean(0)
        return found


def distances(units: Floats, others: Floats, kinds: NDArray[np.bool_]) -> Floats:
    """Return the mean distance over columns: of places on a scale, or whether labels differ.

    Args:
        units: (arms, columns) from 0 to 1, NaN where absent; absent is 1 from everything else.
        others: the same of other arms.
        kinds: which columns are labels without an order.
    """
    import numpy as np

    total = np.zeros((len(units), len(others)))
    for column in range(units.shape[1]):
        a, b = units[:, column][:, None], others[:, column][None]
        gap = np.abs(a - b)
        if kinds[column]:
            gap = (gap > 0).astype(float)
        gone, missing = np.isnan(a), np.isnan(b)
        gap = np.where(gone & missing, 0.0, np.where(gone | missing, 1.0, gap))
        total += gap
    mean: Floats = total / max(1, units.shape[1])
    return mean


def _chosen(books: Books, merit: Floats) -> Places:
    """Return the places of the arms to fit: all of them, or the best and the latest."""
    import numpy as np

    known = np.flatnonzero(~np.isnan(merit) & books.feasible)
    if len(known) <= MOST:
        return known
    best = known[np.argsort(-merit[known], kind="stable")[: MOST // 2]]
    return np.unique(np.concatenate([best, known[-MOST // 2 :]]))


def _means(books: Books, places: Places, name: str) -> tuple[Floats, Floats]:
    """Return each arm's mean, freed of how hard its items were, and its error's variance."""
    import numpy as np

    if name != "score":
        merit = books.merits(name)[places]
        return merit, np.full(len(places), 1e-6 * max(1e-12, float(np.nanvar(merit))))
    scores = books.scores[places]
    known = ~np.isnan(scores)
    n = known.sum(1)
    filled = np.where(known, scores, 0.0)
    hard = filled.sum(0) / np.maximum(known.sum(0), 1)  # how easy each item is
    level = float(hard[known.any(0)].mean())
    # One step of alternation is enough: arms on the same items lose nothing by it.
    arm = (filled - np.where(known, hard, 0.0)).sum(1) / n
    rest = np.where(known, scores - hard - arm[:, None], 0.0)
    spread = float((rest**2).sum() / max(1, known.sum() - len(places) - 1)) or 0.05
    return level + arm, max(spread, 0.01) / n


def fit(books: Books, arms: Places | None = None, *, seed: int | None = None) -> Posterior:
    """Return what is believed of some arms; of those that were measured if none are named.

    The kernel is a constant, a smooth part (exponential in the mean distance over holes) and a
    part of each arm alone; its scales are those of greatest likelihood on a small grid, with the
    mean known (Rasmussen & Williams 2006, section 5.4).
    """
    import numpy as np
    from scipy.linalg import solve_triangular

    name = books.objectives[0]
    merit = books.merits(name)
    places = _chosen(books, merit)
    if not len(places):
        wanted = np.zeros(0, np.int64) if arms is None else arms
        flat = np.zeros(len(wanted))
        return Posterior(wanted, flat + 0.5, flat + 0.3, np.tile(flat + 0.5, (DRAWS, 1)))
    seen = books.arms[places]
    y, noise = _means(books, places, name)
    units, kinds = units_of(books)
    near = distances(units[seen], units[seen], kinds)
    wanted = seen if arms is None else np.asarray(arms, np.int64)
    apart = among = near
    if arms is not None:
        apart = distances(units[wanted], units[seen], kinds)
        among = distances(units[wanted], units[wanted], kinds)
    centre, scale = float(np.average(y, weights=1 / noise)), max(1e-9, float(np.var(y)))
    smooth, own, reach = _likeliest(near, y - centre, noise, scale)
    kernel = smooth * np.exp(-near / reach) + own * np.eye(len(y)) + np.diag(noise)
    lower = np.linalg.cholesky(kernel + 1e-9 * np.trace(kernel) / len(y) * np.eye(len(y)))
    cross = smooth * np.exp(-apart / reach)
    cross = cross + own * (wanted[:, None] == seen[None])
    half = solve_triangular(lower, cross.T, lower=True, check_finite=False)
    mean = centre + half.T @ solve_triangular(lower, y - centre, lower=True, check_finite=False)
    prior = smooth * np.exp(-among / reach)
    cover = prior + own * np.eye(len(wanted)) - half.T @ half
    sd = np.sqrt(np.maximum(np.diag(cover), 1e-12))
    rng = np.random.default_rng(books.chance("posterior") if seed is None else seed)
    jitter = 1e-8 * max(1e-12, float(np.trace(cover))) / len(wanted)
    root = np.linalg.cholesky(cover + (jitter + 1e-10) * np.eye(len(wanted)))
    draws = mean + rng.standard_normal((DRAWS, len(wanted))) @ root.T
    return Posterior(wanted, mean, sd, draws)


def _likeliest(near: Floats, y: Floats, noise: Floats, scale: float) -> tuple[float, float, float]:
    """Return smooth variance, own variance and reach of greatest likelihood on a grid."""
    import numpy as np
    from scipy.linalg import solve_triangular

    best, found = -np.inf, (scale / 2, scale / 2, 0.3)
    for reach in (0.1, 0.3, 1.0):
        shape = np.exp(-near / reach)
        for signal in (0.3 * scale, scale, 3 * scale):
            for share in (0.5, 0.9):
                kernel = signal * share * shape + np.diag(signal * (1 - share) + noise)
                lower = np.linalg.cholesky(kernel)
                half = solve_triangular(lower, y, lower=True, check_finite=False)
                value = -0.5 * float(half @ half) - float(np.log(np.diag(lower)).sum())
                if value > best:
                    best, found = value, (signal * share, signal * (1 - share), reach)
    return found


def units_of(books: Books) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the encoded rows and which columns are labels; computed once for a table."""
    import numpy as np

    cached = _CACHE.get(id(books.table))
    if cached is None or cached[0] is not books.table:
        kinds = np.array([column.kind == "categorical" for column in books.table.columns], bool)
        cached = (books.table, books.table.units(), kinds)
        _CACHE.clear()
        _CACHE[id(books.table)] = cached
    return cached[1], cached[2]


_CACHE: dict[int, tuple[object, Floats, NDArray[np.bool_]]] = {}


def standings(books: Books) -> list[Standing]:
    """Return what is believed of the arms that were measured, best first."""
    import numpy as np

    found = fit(books)
    margin = (
        MARGIN
        if books.objectives[0] == "score"
        else 0.01 * float(np.abs(found.mean).max(initial=0))
    )
    chances = found.chances(margin) if len(found.arms) else np.zeros(0)
    order = np.lexsort((found.arms, -found.mean))
    return [
        Standing(int(found.arms[i]), float(found.mean[i]), float(found.sd[i]), float(chances[i]))
        for i in order
    ]
