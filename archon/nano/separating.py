"""How well a score tells right answers from wrong ones: the area under the ROC curve."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["auc", "auc_interval"]

_RESAMPLES = 1000


def auc(
    scores: Sequence[float] | NDArray[Any], truths: Sequence[bool] | NDArray[Any]
) -> float | None:
    """Return the probability that a right answer scores above a wrong one; a tie counts half.

    None where there are not both. Mann and Whitney 1947; Hanley and McNeil 1982, "The Meaning and
    Use of the Area under a Receiver Operating Characteristic (ROC) Curve".
    """
    import numpy as np
    from scipy.stats import rankdata

    held = np.asarray(truths, dtype=bool)
    right = int(held.sum())
    wrong = len(held) - right
    if not right or not wrong:
        return None
    total = float(rankdata(scores)[held].sum())
    return (total - right * (right + 1) / 2) / (right * wrong)


def auc_interval(
    scores: Sequence[float], truths: Sequence[bool], items: Sequence[Hashable], seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % percentile interval of `auc`, problems being resampled with their answers."""
    import numpy as np

    places: dict[Hashable, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(item, []).append(place)
    groups = [np.array(found) for found in places.values()]
    rng = np.random.default_rng(seed)
    all_scores, all_truths = np.asarray(scores), np.asarray(truths)
    found = []
    for _ in range(_RESAMPLES):
        chosen = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
        one = auc(all_scores[chosen], all_truths[chosen])
        if one is not None:
            found.append(one)
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)
