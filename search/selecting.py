"""Who goes to the final, who wins it, and what may be said about the winner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archon.search.racing import MARGIN
from archon.stats.pairing import paired

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archon.search.arms import Arms
    from archon.search.racing import Field
    from archon.search.surrogate import Posterior

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["FINALISTS", "beats", "finalists", "recommended", "recommended_front"]

FINALISTS = 10


def recommended(posterior: Posterior, among: Ints | None = None) -> tuple[int, float]:
    """Return the arm of the highest believed mean and that mean, among all or some arms.

    The maximum of raw means is the luckiest arm; the mean of a posterior is shrunk by as much as
    its measurements are uncertain.
    """
    import numpy as np

    means, _ = posterior.marginals(among)
    best = int(np.argmax(means))
    return int(best if among is None else among[best]), float(means[best])


def recommended_front(posterior: Posterior, arms: Arms, among: Ints | None = None) -> Ints:
    """Return the arms that nothing cheaper or as cheap is believed to be as good as."""
    import numpy as np

    from archon.search.pareto import front

    named = np.arange(len(arms)) if among is None else among
    means, _ = posterior.marginals(named)
    return np.asarray(named[front(means, arms.calls[named])])


def finalists(field: Field, count: int = FINALISTS) -> Ints:
    """Return the arms that are most probably within a point of the best, at most `count`."""
    import numpy as np

    order = np.lexsort((-field.means, -field.near))
    return np.asarray(field.arms[order[:count]])


def beats(
    winner: Sequence[float], baselines: Sequence[Sequence[float]], margin: float = MARGIN
) -> bool:
    """Return whether a winner may be called better than every baseline.

    That takes the lower end of the paired 95 % interval above the margin for each of them: for the
    best single model at any effort and for the best tuned vote or best-of-n at equal list cost.
    Nobody is better than no baseline. The error holds only for test items that took part in no
    choice.

    Args:
        winner: scores of test items.
        baselines: of each baseline, its scores of the same items in the same order.
        margin: by how much the winner has to be better.

    Raises:
        ValueError: no scores, or lists of different lengths.
    """
    found = [paired(winner, scores) for scores in baselines]
    return bool(found) and all(difference.low > margin for difference in found)
