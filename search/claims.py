"""What may be said of a winner: better than both baselines by more than a point, or nothing.

The winner and the baselines were chosen on other items, so that these tests are the only look at
the items of the printed score. Both must be beaten, each test at the whole level: an
intersection-union test keeps the level without a correction (Berger 1982, "Multiparameter
hypothesis testing and acceptance sampling"); Holm's correction is reported beside it and is what
the verdict uses, which can only claim less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from archon import stats
from archon.types import Json

__all__ = ["LEVEL", "Claim", "Verdict", "beats", "margin_p", "verdict"]

LEVEL = 0.05
POINT = 0.01


@dataclass(frozen=True, slots=True)
class Claim:
    """The winner against one baseline on the items of the printed score.

    Attributes:
        difference: of the mean scores, the winner's minus the baseline's.
        low: lower end of its 95 % interval.
        high: upper end.
        p: one-sided, that the difference is at most a point; after Holm.
        n: items that both have a score of.
    """

    baseline: str
    difference: float
    low: float
    high: float
    p: float
    n: int

    def to_json(self) -> Json:
        """Return every field by name."""
        return {**asdict(self), "low": stats.bounded(self.low), "high": stats.bounded(self.high)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be said.

    Attributes:
        level: of the tests: half as large for each earlier look at these items by this study.
        better: whether the winner is better than every baseline by more than a point.
        claims: one for each baseline.
        said: the sentence.
    """

    level: float
    better: bool
    claims: tuple[Claim, ...]
    said: str

    def to_json(self) -> Json:
        """Return every field by name."""
        return {
            "level": self.level, "better": self.better, "said": self.said,
            "claims": [claim.to_json() for claim in self.claims],
        }  # fmt: skip


def margin_p(differences: Sequence[float], margin: float = POINT) -> float:
    """Return the one-sided p-value that a mean difference is at most a margin.

    Student's t over items with a win and a loss added, which keeps the level where few items
    differ (the idea of Agresti & Min 2005, "Simple improved confidence intervals for comparing
    matched proportions").

    >>> margin_p([0.0] * 50) > 0.5
    True
    """
    from scipy.stats import t

    values = [*differences, 1.0, -1.0]
    n = len(values)
    mean = math.fsum(values) / n
    spread = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return float(t.sf((mean - margin) / math.sqrt(spread / n), n - 1))


def beats(differences: Mapping[str, Sequence[float]], level: float = LEVEL) -> bool:
    """Return whether a winner is better than every baseline by more than a point.

    Args:
        differences: of the scores, item by item, by baseline.
        level: of the tests, after Holm's correction.
    """
    corrected = stats.holm([margin_p(values) for values in differences.values()])
    return bool(corrected) and all(p <= level for p in corrected)


def verdict(
    winner: Mapping[str, float | None],
    baselines: Mapping[str, Mapping[str, float | None]],
    level: float = LEVEL,
    seed: int = 0,
) -> Verdict:
    """Return what may be said of a winner.

    Args:
        winner: its score by item.
        baselines: theirs, by name.
        level: of the tests.
        seed: of bootstraps.
    """
    found: list[tuple[str, stats.PairedDifference]] = []
    differences: dict[str, list[float]] = {}
    for name, scores in baselines.items():
        pairs = [
            (mine, theirs)
            for item, mine in winner.items()
            if mine is not None and (theirs := scores.get(item)) is not None
        ]
        if not pairs:
            continue
        first, second = zip(*pairs, strict=True)
        lost = len(winner) - len(pairs)
        differences[name] = [a - b for a, b in pairs]
        found.append((name, stats.paired(first, second, seed=seed, lost=lost)))
    corrected = stats.holm([margin_p(values) for values in differences.values()])
    claims = tuple(
        Claim(name, pair.difference, pair.low, pair.high, p, pair.n)
        for (name, pair), p in zip(found, corrected, strict=True)
    )
    whole = all(pair.claim for _, pair in found)
    better = whole and len(claims) == len(baselines) and beats(differences, level)
    return Verdict(level, better, claims, _said(claims, better, whole, bool(baselines)))


def _said(claims: Sequence[Claim], better: bool, whole: bool, compared: bool) -> str:
    if not compared:
        return "nothing is claimed: there was no baseline to compare with"
    if not whole:
        return "nothing is claimed: more than 2 % of the items were lost"
    if better:
        least = min(claims, key=lambda claim: claim.difference)
        return (
            "the winner is better than every baseline by more than a point;"
            f" than {least.baseline} by {100 * least.difference:.1f} points"
            f" (95 % {100 * least.low:.1f} to {100 * least.high:.1f})"
        )
    if not claims:
        return "nothing is claimed: the winner and the baselines share no item"
    worst = max(claims, key=lambda claim: claim.p)
    return (
        f"nothing is claimed: against {worst.baseline} the winner is"
        f" {100 * worst.difference:+.1f} points (95 % {100 * worst.low:.1f} to"
        f" {100 * worst.high:.1f}), which does not show more than a point"
    )
