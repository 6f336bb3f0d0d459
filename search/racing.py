"""Which architectures are still in the race, by what is believed about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archon.search.arms import Arms
    from archon.search.surrogate import Posterior

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["MARGIN", "Field", "best_within", "field"]

MARGIN = 0.01
"""Two architectures less than one point apart are as good as each other."""

_TOP = 60
_LIKELY = 240
_DRAWN = 1_500
_SAMPLES = 256


@dataclass(frozen=True, eq=False)
class Field:
    """The architectures still in the race, and joint draws of what they may be worth.

    Attributes:
        arms: in the race.
        means: believed mean scores.
        draws: `[arms, samples]`, from their joint posterior.
        near: probability of each to be within `MARGIN` of the best one. For a front: of the best
            one that costs as little.
        winners: `[samples]`, the place in `arms` of the best of each draw. For a front: the best
            among those within a price drawn for it.
    """

    arms: Ints
    means: Floats
    draws: Floats
    near: Floats
    winners: Ints


def best_within(values: Floats, calls: Ints) -> Floats:
    """Return for each arm the best value among those that cost at most as much, on axis 0.

    >>> import numpy as np
    >>> best_within(np.array([0.5, 0.7, 0.6]), np.array([1, 2, 3])).tolist()
    [0.5, 0.7, 0.7]
    """
    import numpy as np

    order = np.argsort(calls, kind="stable")
    running = np.maximum.accumulate(values[order], axis=0)
    last = np.searchsorted(calls[order], calls, side="right") - 1
    return np.asarray(running[last])


def field(
    arms: Arms, posterior: Posterior, seen: Ints, front: bool, chance: np.random.Generator
) -> Field:
    """Return who is in the race.

    Arms enter by chance, in proportion to the probability of their own that they are within
    `MARGIN` of the best mean; those of the highest means always do. An arm that is surely worse
    thus leaves without any threshold, and comes back if the others turn out worse than thought.

    Args:
        arms: of the search.
        posterior: what is believed.
        seen: arms that were measured.
        front: whether an arm races only against those that cost at most as much.
        chance: what draws.
    """
    import numpy as np
    from scipy.special import ndtr

    drawn = chance.choice(len(arms), min(_DRAWN, len(arms)), replace=False)
    pool = np.union1d(drawn, seen)
    means, spreads = posterior.marginals(pool)
    calls = arms.calls
    best = best_within(means, calls[pool]) if front else means.max()
    likely = ndtr((means - best + MARGIN) / spreads) + 1e-12
    top = np.argsort(best - means, kind="stable")[:_TOP]
    wanted = min(_LIKELY, len(pool))
    more = chance.choice(len(pool), wanted, replace=False, p=likely / likely.sum())
    chosen = pool[np.union1d(top, more)]
    return _drawn(chosen, posterior, calls[chosen] if front else None, chance)


def _drawn(
    arms: Ints, posterior: Posterior, calls: Ints | None, chance: np.random.Generator
) -> Field:
    import numpy as np

    means, covariance = posterior.joint(arms)
    covariance[np.diag_indices_from(covariance)] += 1e-7
    factor = np.linalg.cholesky(covariance)
    draws = means[:, None] + factor @ chance.standard_normal((len(arms), _SAMPLES))
    if calls is None:
        near = (draws >= draws.max(axis=0) - MARGIN).mean(axis=1)
        return Field(arms, means, draws, near, draws.argmax(axis=0))
    near = (draws >= best_within(draws, calls) - MARGIN).mean(axis=1)
    # Prices are drawn evenly between the cheapest and the dearest, on the scale of a ratio.
    logs = np.log(calls)
    prices = np.exp(chance.uniform(logs.min(), logs.max(), _SAMPLES)) * (1 + 1e-9)
    within = np.where(calls[:, None] <= prices, draws, -np.inf)
    return Field(arms, means, draws, near, within.argmax(axis=0))
