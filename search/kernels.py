"""How alike two architectures are, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archon.search.arms import Arms, Kind

    Floats = NDArray[np.float64]

__all__ = ["Levels"]

_MOST = 24
"""Levels of a column; one with more distinct values is cut into as many groups of equal size."""

_ABSENT = 0.5
"""How alike having a setting and not having it are."""


class Levels:
    """The columns of arms as level numbers, so that a kernel is a small table per column.

    One column is added to those of the space: the logarithm of the calls of an item. Whatever the
    space is made of, architectures of like effort tend to be alike.

    Ordered columns have the Matérn 5/2 kernel over places from 0 to 1; categories are alike by
    exp(-1 / length). An absent setting is like any present one by one half, and the table of such
    a column stays a covariance: 1/2 + 1/2 (kernel of the present levels, 1 for absent).

    Attributes:
        codes: `[arms, columns + 1]`, the level of each arm.
        effort: `[arms]`, logarithm of the calls of an item, from 0 for the fewest to 1.
    """

    def __init__(self, arms: Arms) -> None:
        import numpy as np

        effort = np.log(np.maximum(arms.calls, 1))
        span = effort.max() - effort.min()
        effort = (effort - effort.min()) / (span or 1.0)
        self.effort: Floats = effort
        columns = [*arms.units.T, effort]
        self._kinds: tuple[Kind, ...] = (*arms.kinds, "real")
        split = [_levels(column) for column in columns]
        self.codes: NDArray[np.int64] = np.column_stack([codes for codes, _ in split])
        self._places = [places for _, places in split]

    @property
    def columns(self) -> int:
        """How many columns, that of effort included."""
        return len(self._places)

    def table(self, column: int, length: float) -> tuple[Floats, Floats]:
        """Return the kernel between the levels of a column, and its slope in log(length)."""
        import numpy as np

        places = self._places[column]
        present = places[~np.isnan(places)]
        if self._kinds[column] == "categorical":
            apart = (present[:, None] != present) / length
            kernel = np.exp(-apart)
            slope = kernel * apart
        else:
            apart = np.sqrt(5.0) * np.abs(present[:, None] - present) / length
            decay = np.exp(-apart)
            kernel = (1 + apart + apart**2 / 3) * decay
            slope = decay * apart**2 * (1 + apart) / 3
        if len(present) == len(places):
            return kernel, slope
        whole = np.full((len(places), len(places)), _ABSENT)
        whole[:-1, :-1] += (1 - _ABSENT) * kernel
        whole[-1, -1] = 1.0
        return whole, np.pad((1 - _ABSENT) * slope, (0, 1))


def _levels(column: Floats) -> tuple[NDArray[Any], Floats]:
    """Return the level of each arm and the place of each level; absent is the last level, NaN."""
    import numpy as np

    places = np.unique(column)  # NaN comes last, once
    present = places[~np.isnan(places)]
    if len(present) > _MOST:
        edges = np.quantile(column[~np.isnan(column)], np.linspace(0, 1, _MOST + 1))
        present = (edges[1:] + edges[:-1]) / 2
    middles = (present[1:] + present[:-1]) / 2
    codes = np.searchsorted(middles, column)
    absent = np.isnan(column)
    if absent.any():
        codes[absent] = len(present)
        present = np.append(present, np.nan)
    return codes, present
