"""Who goes to the final, and who wins it; what may be said of the winner is in `claims`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archon.search.arms import Arms
    from archon.search.racing import Field
    from archon.search.surrogate import Posterior

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["FINALISTS", "finalists", "recommended", "recommended_front"]

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
