"""How scores vary from item to item, and how much of that architectures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archon.search.kernels import Levels
    from archon.search.measured import Measured

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["ItemEffects"]

_LENGTH = 0.3
"""How far, on a column's scale, the same item treats two architectures alike."""

_PRIOR_ITEMS = 300.0
"""Items that the prior is worth; a few dozen say little about a covariance."""

_PRIOR_COMMON = 0.04
_PRIOR_COLUMN = 0.005
_PRIOR_ALL = 0.02
_PRIOR_OWN = 0.06
"""Shares of the variance of one binary score near 0.14, as in pools of several models."""


class ItemEffects:
    """The covariance of two architectures' scores on one item.

    v(c, c') = common + sum_d column_d k_d(c, c') + alike prod_d k_d(c, c') + own [c = c']

    `common` is an item's hardness: it cancels when two architectures meet the same items. The
    columns are what an item likes: many architectures measured on the same few items err together
    along them, and that is why cheap measurements on few items mislead. `own` is a score's own
    luck. The weights are fitted by non-negative least squares to the covariances between items,
    towards a prior worth 300 items.
    """

    def __init__(self, levels: Levels) -> None:
        import numpy as np

        self._codes = levels.codes
        self._tables = [levels.table(d, _LENGTH)[0] for d in range(levels.columns)]
        columns = [_PRIOR_COLUMN] * levels.columns
        self._prior = np.array([_PRIOR_COMMON, *columns, _PRIOR_ALL, _PRIOR_OWN])
        self.weights = self._prior.copy()

    @property
    def variance(self) -> float:
        """Of one score."""
        return float(self.weights.sum())

    def _alike(self, one: Ints, other: Ints) -> list[Floats]:
        import numpy as np

        rows, columns = self._codes[one], self._codes[other]
        parts = [table[rows[:, d]][:, columns[:, d]] for d, table in enumerate(self._tables)]
        return [*parts, np.prod(parts, axis=0)]

    def between(
        self, one: Ints, one_blocks: Ints, other: Ints, other_blocks: Ints, sizes: Ints
    ) -> Floats:
        """Return the covariance of block means beyond that of the architectures' own means.

        Args:
            one: arms of the rows.
            one_blocks: their blocks.
            other: arms of the columns.
            other_blocks: theirs. Means over different blocks share nothing.
            sizes: items of the rows' blocks.
        """
        import numpy as np

        same = one_blocks[:, None] == other_blocks
        if not same.any():
            return np.zeros(same.shape)
        total = np.full(same.shape, self.weights[0])
        for weight, part in zip(self.weights[1:-1], self._alike(one, other), strict=True):
            total += weight * part
        total += self.weights[-1] * (one[:, None] == other)
        return np.asarray(np.where(same, total / sizes[:, None], 0.0))

    def fit(self, measured: Measured) -> None:
        """Set the weights by what was measured."""
        import numpy as np
        from scipy.optimize import nnls

        rows = [np.sqrt(_PRIOR_ITEMS) * np.eye(len(self._prior))]
        wanted = [np.sqrt(_PRIOR_ITEMS) * self._prior]
        for arms, scores in measured.by_block():
            items = scores.shape[1]
            if len(arms) < 2 or items < 2:
                continue
            covariance = np.cov(scores)
            upper = np.triu_indices(len(arms), 1)
            parts = [part[upper] for part in self._alike(arms, arms)]
            pairs = np.column_stack([np.ones(len(upper[0])), *parts, np.zeros(len(upper[0]))])
            # A block is worth its items, half by its pairs and half by its diagonal.
            for features, seen in (
                (pairs, covariance[upper]),
                (np.ones((len(arms), len(self._prior))), np.diag(covariance)),
            ):
                worth = np.sqrt((items - 1) / 2 / len(features))
                rows.append(worth * features)
                wanted.append(worth * seen)
        found, _ = nnls(np.concatenate(rows), np.concatenate(wanted))
        self.weights = np.maximum(found, 1e-4)
