"""What is believed about every architecture, given what was measured: a Gaussian process."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from archon.search.item_effects import ItemEffects
from archon.search.kernels import Levels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archon.search.arms import Arms
    from archon.search.measured import Measured

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Posterior", "Surrogate"]

_LEVEL = 0.04
"""Prior variance of the overall level: a standard deviation of 20 points, so that it is free."""

_TREND = 0.1
"""Share that the dearest architecture is expected to be above the cheapest, before anything is
measured: more calls help on most tasks. Measurements overrule it."""

_MAIN = (0.02**2, 1.0)
_ALL = (0.03**2, 1.0)
_LENGTH = (0.7, 0.7)
"""Priors of variances and lengths: median, and standard deviation of the logarithm."""

_JITTER = 1e-6

_GROWTH = 1.4
"""Settings are fitted anew whenever this many times as much is measured as at the last fit."""

_STEPS = 15
_CHUNK = 2_048


class Surrogate:
    """A Gaussian process over architectures with noise that items share.

    The mean score of architecture c over a block B of n items is

        y(c, B) = f(c) + e(c, B)
        cov f(c), f(c') = level + sum_d a_d k_d(c, c') + a prod_d k_d(c, c')
        cov e(c, B), e(c', B) = v(c, c') / n, and nothing between different blocks

    so that a mean over more items weighs more, and means over the same items are compared with
    what is common to them taken out. Variances and lengths are the most likely ones under wide
    priors (maximum a posteriori); `v` is fitted by `ItemEffects`.
    """

    def __init__(self, arms: Arms) -> None:
        import numpy as np

        self.levels = Levels(arms)
        self._tried = len(arms)
        self.effects = ItemEffects(self.levels)
        columns = self.levels.columns
        priors = [_MAIN] * columns + [_LENGTH] * columns + [_ALL]
        self._centre = np.log([median for median, _ in priors])
        self._spread = np.array([spread for _, spread in priors])
        self.settings = self._centre.copy()
        self._fitted = 0

    def copied(self) -> Surrogate:
        """Return a copy that can be fitted without changing this one."""
        other = copy.copy(self)
        other.effects = copy.copy(self.effects)  # both replace their numbers and change none
        return other

    @cached_property
    def _all(self) -> Ints:
        import numpy as np

        return np.arange(self._tried)

    @property
    def variance(self) -> float:
        """Of an architecture's mean score, before anything is measured."""
        import numpy as np

        main = np.exp(self.settings[: self.levels.columns]).sum()
        return float(_LEVEL + main + np.exp(self.settings[-1]))

    def trend(self, arms: Ints) -> Floats:
        """Return what effort is expected to add to architectures' mean scores."""
        import numpy as np

        return np.asarray(_TREND * self.levels.effort[arms])

    def covariance(self, one: Ints, other: Ints) -> Floats:
        """Return the prior covariance of architectures' mean scores."""
        import numpy as np

        columns = self.levels.columns
        rows, across = self.levels.codes[one], self.levels.codes[other]
        total = np.full((len(one), len(other)), _LEVEL)
        together = np.full(total.shape, np.exp(self.settings[-1]))
        for d in range(columns):
            table, _ = self.levels.table(d, float(np.exp(self.settings[columns + d])))
            part = table[rows[:, d]][:, across[:, d]]
            total += np.exp(self.settings[d]) * part
            together *= part
        total += together
        return total

    def given(self, measured: Measured) -> Posterior:
        """Return what is believed after all measurements, at least one."""
        import numpy as np

        arms, blocks, sizes, means = measured.arrays()
        if len(measured) >= _GROWTH * self._fitted:
            self.effects.fit(measured)
            self._fit(arms, blocks, sizes, means)
            self._fitted = len(measured)
        noise = self.effects.between(arms, blocks, arms, blocks, sizes)
        whole = self.covariance(arms, arms) + noise
        whole[np.diag_indices_from(whole)] += _JITTER
        factor = np.linalg.cholesky(whole).astype(np.float64)
        expected = self.trend(arms)
        level = float((means - expected).mean())
        return Posterior(self, arms, level, factor, means - expected - level)

    def _fit(self, arms: Ints, blocks: Ints, sizes: Ints, means: Floats) -> None:
        import numpy as np
        from scipy.optimize import minimize

        distinct, place = np.unique(arms, return_inverse=True)
        noise = self.effects.between(arms, blocks, arms, blocks, sizes)
        noise[np.diag_indices_from(noise)] += _JITTER
        codes = self.levels.codes[distinct]
        belongs = np.zeros((len(arms), len(distinct)))
        belongs[np.arange(len(arms)), place] = 1.0
        centred = means - self.trend(arms)
        centred -= centred.mean()

        def loss(settings: Floats) -> tuple[float, Floats]:
            columns = self.levels.columns
            weights = np.exp(settings)
            tables, slopes = [], []
            for d in range(columns):
                table, slope = self.levels.table(d, float(weights[columns + d]))
                tables.append(table[codes[:, d]][:, codes[:, d]])
                slopes.append(slope[codes[:, d]][:, codes[:, d]])
            together = weights[-1] * np.prod(tables, axis=0)
            prior = _LEVEL + together
            for d in range(columns):
                prior += weights[d] * tables[d]
            inverse, log_volume = _inverse(prior[place][:, place] + noise)
            fitted = inverse @ centred
            # Derivatives with respect to the covariance of the distinct architectures.
            pull = belongs.T @ (0.5 * (inverse - np.outer(fitted, fitted))) @ belongs
            slope = np.empty_like(settings)
            for d in range(columns):
                slope[d] = weights[d] * (pull * tables[d]).sum()
                ratio = weights[d] + together / tables[d]
                slope[columns + d] = (pull * slopes[d] * ratio).sum()
            slope[-1] = (pull * together).sum()
            away = (settings - self._centre) / self._spread
            value = 0.5 * centred @ fitted + log_volume + 0.5 * away @ away
            return float(value), slope + away / self._spread

        limits = [(c - 4 * s, c + 4 * s) for c, s in zip(self._centre, self._spread, strict=True)]
        found = minimize(
            loss, self.settings, jac=True, method="L-BFGS-B", bounds=limits,
            options={"maxiter": _STEPS},
        )  # fmt: skip
        self.settings = np.asarray(found.x)


def _inverse(matrix: Floats) -> tuple[Floats, float]:
    """Return the inverse of a covariance and half the logarithm of its determinant."""
    import numpy as np
    from scipy.linalg import cho_factor, cho_solve

    factor = cho_factor(matrix, lower=True, check_finite=False)
    inverse = cho_solve(factor, np.eye(len(matrix)), check_finite=False)
    return inverse, float(np.log(np.diag(factor[0])).sum())


@dataclass(frozen=True, eq=False)
class Posterior:
    """What is believed about architectures' mean scores.

    Attributes:
        surrogate: the prior.
        arms: of the measurements.
        level: mean of all measured means.
        factor: Cholesky factor of the measurements' covariance.
        residuals: measured means less `level`.
    """

    surrogate: Surrogate
    arms: Ints
    level: float
    factor: Floats
    residuals: Floats

    @cached_property
    def _weights(self) -> Floats:
        import numpy as np
        from scipy.linalg import cho_solve

        return np.asarray(cho_solve((self.factor, True), self.residuals, check_finite=False))

    def _cross(self, arms: Ints) -> Floats:
        import numpy as np

        distinct, place = np.unique(self.arms, return_inverse=True)
        return self.surrogate.covariance(arms, distinct)[:, place]

    def _known(self, cross: Floats) -> Floats:
        import numpy as np
        from scipy.linalg import solve_triangular

        return np.asarray(solve_triangular(self.factor, cross.T, lower=True, check_finite=False))

    def marginals(self, arms: Ints | None = None) -> tuple[Floats, Floats]:
        """Return the mean and standard deviation of each architecture; of all if none is named."""
        import numpy as np

        wanted = self.surrogate._all if arms is None else arms
        means, spreads = [], []
        for start in range(0, len(wanted), _CHUNK):
            cross = self._cross(wanted[start : start + _CHUNK])
            known = self._known(cross)
            trend = self.surrogate.trend(wanted[start : start + _CHUNK])
            means.append(self.level + trend + cross @ self._weights)
            left = self.surrogate.variance - (known**2).sum(axis=0)
            spreads.append(np.sqrt(np.maximum(left, 1e-10)))
        return np.concatenate(means), np.concatenate(spreads)

    def joint(self, arms: Ints) -> tuple[Floats, Floats]:
        """Return means and covariance of architectures together."""
        cross = self._cross(arms)
        known = self._known(cross)
        covariance = self.surrogate.covariance(arms, arms) - known.T @ known
        return self.level + self.surrogate.trend(arms) + cross @ self._weights, covariance
