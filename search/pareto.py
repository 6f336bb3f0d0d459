"""Two objectives: as right as possible for as few calls as possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["front"]


def front(values: ArrayLike, costs: ArrayLike) -> NDArray[np.int64]:
    """Return the places of those that nothing as cheap is as good as, cheapest first.

    Of equals the first stays.

    >>> front([0.5, 0.7, 0.6, 0.7], [1, 2, 3, 2]).tolist()
    [0, 1]
    """
    import numpy as np

    value, cost = np.asarray(values, np.float64), np.asarray(costs, np.float64)
    order = np.lexsort((np.arange(len(value)), -value, cost))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], value[order][:-1]]))
    return np.asarray(order[value[order] > best])
