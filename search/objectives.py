"""Several objectives: which architectures no other beats, and how much of the space they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archon.search.books import Books

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["front", "hypervolume", "undominated"]


def undominated(merits: Floats) -> NDArray[np.bool_]:
    """Return which rows no other beats in every column; higher is better, NaN never is.

    Args:
        merits: (architectures, objectives).
    """
    import numpy as np

    known = ~np.isnan(merits).any(axis=1)
    good: NDArray[np.bool_] = np.array(known, bool)
    for row in np.flatnonzero(good):
        better = (merits >= merits[row]).all(1) & (merits > merits[row]).any(1)
        good[row] = not (better & known).any()
    return good


def front(books: Books, places: Sequence[int]) -> list[bool]:
    """Return which of some measured arms are on the front, by their means.

    Args:
        books: whose.
        places: of the arms in `books.arms`.
    """
    import numpy as np

    if not places:
        return []
    chosen = np.asarray(places)
    merits = np.column_stack([books.merits(name)[chosen] for name in books.objectives])
    merits[~books.feasible[chosen]] = np.nan
    return [bool(good) for good in undominated(merits)]


def hypervolume(merits: Floats, reference: Sequence[float]) -> float:
    """Return the volume between a front and a reference point; higher merits are better.

    Args:
        merits: (architectures, objectives).
        reference: the worst that counts, in the same signs.
    """
    import numpy as np

    kept = merits[~np.isnan(merits).any(axis=1)] - np.asarray(reference, float)
    return _volume(kept[(kept > 0).all(1)])


def _volume(points: Floats) -> float:
    """Return the volume of a union of boxes from the origin, slice by slice along the last axis."""
    import numpy as np

    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(points.max())
    heights = np.unique(points[:, -1])
    below = np.concatenate([[0.0], heights[:-1]])
    return sum(
        float(top - bottom) * _volume(points[points[:, -1] >= top][:, :-1])
        for bottom, top in zip(below, heights, strict=True)
    )
