"""Intervals and tests for accuracies and for differences on the same items.

Everything is two-sided at 95 % unless `confidence` says otherwise, and seeded where chance is
used, so that a report can be printed again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist, fmean, stdev

from archon.types import Json

__all__ = [
    "Interval",
    "PairedDifference",
    "bootstrap_difference",
    "bounded",
    "interval",
    "is_binary",
    "mcnemar",
    "mean_interval",
    "newcombe",
    "paired",
    "t_quantile",
    "wilson",
]

CONFIDENCE = 0.95
RESAMPLES = 10_000
_CELLS = 1_000_000
"""Random indices drawn at a time by the bootstrap: bounds its memory to about 16 MB."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        """Whether two intervals share a point."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How much better one side is than the other on the same items.

    Attributes:
        n: pairs.
        difference: mean score of the first minus that of the second.
        low: lower end of the interval of the difference.
        high: upper end.
        wins: items on which the first scored higher.
        losses: items on which the second did.
        p: exact McNemar p-value, for scores of 0 and 1 only.
        method: how the interval was made.
        lost: items that an infrastructure failure of either side left out.
    """

    n: int
    difference: float
    low: float
    high: float
    wins: int
    losses: int
    p: float | None
    method: str
    lost: int = 0

    @property
    def claim(self) -> bool:
        """Whether so few pairs were lost (at most 2 %) that a claim may rest on the rest."""
        return self.n > 0 and self.lost <= 0.02 * (self.n + self.lost)

    @property
    def better(self) -> bool:
        """Whether the interval lies above zero, and a claim may be made at all."""
        return self.claim and self.low > 0

    def to_json(self) -> Json:
        """Return every field by name, and the two judgements; unbounded ends are null."""
        ends = {"low": bounded(self.low), "high": bounded(self.high)}
        return {**asdict(self), **ends, "claim": self.claim, "better": self.better}


def bounded(value: float) -> float | None:
    """Return a number that JSON has, None for an infinite one."""
    return value if math.isfinite(value) else None


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def is_binary(scores: Sequence[float]) -> bool:
    """Return whether every score is 0 or 1."""
    return all(score in (0, 1) for score in scores)


def wilson(successes: float, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the score interval of a proportion, sound for small n and near 0 and 1.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference";
    recommended by Brown, Cai, DasGupta 2001, "Interval Estimation for a Binomial Proportion".

    Raises:
        ValueError: when there are no trials, or more successes than trials.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"0 <= successes <= n and n >= 1 must hold, got {successes!r} of {n!r}")
    z, share = _z(confidence), successes / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # The ends are exact where all or none succeeded; rounding must not leave [0, 1].
    low = 0.0 if successes == 0 else max(0.0, (centre - half) / scale)
    high = 1.0 if successes == n else min(1.0, (centre + half) / scale)
    return Interval(low, high)


def t_quantile(p: float, degrees: int) -> float:
    """Return the quantile of Student's t distribution.

    Exact for one and two degrees of freedom, else the expansion of Abramowitz and Stegun 1964,
    26.7.5: off by less than 0.5 % at p = 0.975 from three degrees on.
    """
    if degrees == 1:
        return math.tan(math.pi * (p - 0.5))
    if degrees == 2:
        return (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
    z, v = NormalDist().inv_cdf(p), degrees
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    g4 = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + g1 / v + g2 / v**2 + g3 / v**3 + g4 / v**4


def mean_interval(scores: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return Student's t interval of a mean; a single score says nothing about its spread.

    Student 1908, "The Probable Error of a Mean".

    Raises:
        ValueError: when there are no scores.
    """
    if not scores:
        raise ValueError("a mean needs at least one score")
    n, mean = len(scores), fmean(scores)
    if n == 1:
        return Interval(-math.inf, math.inf)
    half = t_quantile(0.5 + confidence / 2, n - 1) * stdev(scores) / math.sqrt(n)
    return Interval(mean - half, mean + half)


def interval(scores: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of a mean score in [0, 1]: Wilson's for 0 and 1, else Student's t."""
    if is_binary(scores):
        return wilson(sum(scores), len(scores), confidence)
    found = mean_interval(scores, confidence)
    if all(0 <= score <= 1 for score in scores):
        return Interval(max(0.0, found.low), min(1.0, found.high))
    return found


def newcombe(
    both: int, first: int, second: int, neither: int, confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval of the difference of two proportions on the same items.

    Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions
    based on paired data", method 10: Wilson's intervals of both sides, with the correlation
    between them corrected for continuity.

    Args:
        both: items that both sides got right.
        first: items that only the first got right.
        second: items that only the second got right.
        neither: items that neither got right.
        confidence: of the interval.
    """
    n = both + first + second + neither
    p1, p2 = (both + first) / n, (both + second) / n
    one = wilson(both + first, n, confidence)
    two = wilson(both + second, n, confidence)
    phi = _phi(both, first, second, neither)

    def span(up: float, down: float) -> float:
        return math.sqrt(max(0.0, up * up - 2 * phi * up * down + down * down))

    low = p1 - p2 - span(p1 - one.low, two.high - p2)
    high = p1 - p2 + span(one.high - p1, p2 - two.low)
    return Interval(max(-1.0, low), min(1.0, high))


def _phi(both: int, first: int, second: int, neither: int) -> float:
    n = both + first + second + neither
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    if margins == 0:
        return 0.0
    cross = float(both * neither - first * second)
    if cross > 0:
        cross = max(0.0, cross - n / 2)
    return cross / math.sqrt(margins)


def mcnemar(first: int, second: int) -> float:
    """Return the exact two-sided p-value that wins and losses are equally likely.

    McNemar 1947 with the binomial distribution in place of its limit.

    >>> mcnemar(1, 7)
    0.0703125
    """
    n, least = first + second, min(first, second)
    if n == 0:
        return 1.0
    ways, total = 1, 0
    for k in range(least + 1):
        total += ways
        ways = ways * (n - k) // (k + 1)
    p: float = 2 * total / 2**n  # integers of any size divide exactly
    return min(1.0, p)


def bootstrap_difference(
    differences: Sequence[float], seed: int = 0, confidence: float = CONFIDENCE
) -> Interval:
    """Return the percentile bootstrap interval of a mean difference, drawn over items.

    Efron 1979; widened by sqrt(n / (n - 1)) against the narrowness for small n, as in Hesterberg
    2015, "What Teachers Should Know About the Bootstrap", section 4.
    """
    import numpy as np  # only graded scores need it

    values = np.asarray(differences, dtype=float)
    n, mean = len(values), float(values.mean())
    if n == 1:
        return Interval(-math.inf, math.inf)
    rng = np.random.default_rng(seed)
    rows = max(1, _CELLS // n)
    means = [
        values[rng.integers(0, n, size=(min(rows, RESAMPLES - begin), n))].mean(axis=1)
        for begin in range(0, RESAMPLES, rows)
    ]
    wide = mean + (np.concatenate(means) - mean) * math.sqrt(n / (n - 1))
    low, high = np.quantile(wide, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(low), float(high))


def paired(
    first: Sequence[float], second: Sequence[float], *, seed: int = 0, lost: int = 0
) -> PairedDifference:
    """Return the difference of two lists of scores of the same items in the same order.

    Args:
        first: scores of one side.
        second: scores of the other.
        seed: of the bootstrap, which graded scores need.
        lost: items that were left out of both.

    Raises:
        ValueError: when there are no pairs, or the lists differ in length.
    """
    if not first or len(first) != len(second):
        raise ValueError(f"pairs are needed, got {len(first)} and {len(second)} scores")
    differences = [a - b for a, b in zip(first, second, strict=True)]
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    n, p = len(differences), None
    if is_binary(first) and is_binary(second):
        both = sum(a == b == 1 for a, b in zip(first, second, strict=True))
        span = newcombe(both, wins, losses, n - both - wins - losses)
        p, method = mcnemar(wins, losses), "Newcombe 1998, method 10"
    else:
        span, method = bootstrap_difference(differences, seed), "paired bootstrap"
    return PairedDifference(
        n, math.fsum(differences) / n, span.low, span.high, wins, losses, p, method, lost
    )
