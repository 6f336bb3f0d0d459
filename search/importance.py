"""How much each hole decides whether an architecture is among the best (PED-ANOVA).

The evaluator is Optuna's: Watanabe, Bansal & Hutter 2023, "PED-ANOVA"; holes that are reached
only under conditions as in its conditional form. It always divides one whole, however little there
is to divide, so every share comes with an interval from half samples of the architectures, and
with a comparison to the same scores dealt out at random.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from optuna.distributions import BaseDistribution

    from archon.search.record import Hole

    Floats = NDArray[np.float64]

__all__ = ["LEAST", "Share", "importances"]

LEAST = 20
"""Architectures below which there are no importances."""
MOST = 200
"""Architectures that are used; of more, evenly over the study."""
BEST = 0.1
"""Share of the architectures that count as the best, or as many as make five."""
LEAST_BEST = 5
HALVES = 40
SHUFFLES = 19


@dataclass(frozen=True, slots=True)
class Share:
    """The importance of a hole.

    Attributes:
        share: of the importance of all holes.
        low: lower end of the 95 % interval, from half samples.
        high: upper end.
        reached: architectures in which the hole is reached.
        beyond_chance: whether its importance is above that of 19 random dealings of the scores.
    """

    hole: str
    share: float
    low: float
    high: float
    reached: int
    beyond_chance: bool


def importances(
    holes: Sequence[Hole], rows: Floats, merits: Floats, seed: int = 0
) -> tuple[list[Share], int]:
    """Return the importance of every hole, the greatest first, and over how many architectures.

    Args:
        holes: of the space.
        rows: codes, (architectures, holes), NaN where not reached.
        merits: (architectures, objectives), higher is better; rows with NaN do not count.
        seed: of half samples and dealings.

    Returns:
        Nothing below 20 architectures, or where all are equally good.
    """
    import numpy as np

    known = np.flatnonzero(~np.isnan(merits).any(1))
    if len(known) > MOST:
        known = known[np.unique(np.linspace(0, len(known) - 1, MOST).round().astype(int))]
    rows, merits = rows[known], merits[known]
    if len(rows) < LEAST or not np.ptp(merits, axis=0).any():
        return [], len(rows)
    rng = np.random.default_rng(seed)
    judge = _Judge(holes, rows)
    whole = judge.divide(merits)
    halves = [judge.shares(merits, _half(rng, len(rows))) for _ in range(HALVES)]
    dealt = [judge.divide(merits[rng.permutation(len(rows))]) for _ in range(SHUFFLES)]
    total = sum(whole.values())
    made = []
    for place, hole in enumerate(holes):
        share = whole[hole.name] / total if total else 0.0
        ends = np.quantile([half[hole.name] for half in halves], [0.025, 0.975])
        chance = max(found[hole.name] for found in dealt)
        made.append(
            Share(
                hole.name, share, min(share, float(ends[0])), max(share, float(ends[1])),
                int((~np.isnan(rows[:, place])).sum()), whole[hole.name] > chance,
            )
        )  # fmt: skip
    return sorted(made, key=lambda one: -one.share), len(rows)


def _half(rng: np.random.Generator, size: int) -> NDArray[np.intp]:
    half: NDArray[np.intp] = rng.permutation(size)[: (size + 1) // 2]
    return half


class _Judge:
    """Optuna's evaluator over architectures as its trials."""

    def __init__(self, holes: Sequence[Hole], rows: Floats) -> None:
        self.names = [hole.name for hole in holes]
        spaces = [_distribution(hole) for hole in holes]
        self.params: list[dict[str, Any]] = []
        self.spaces: list[dict[str, BaseDistribution]] = []
        for row in rows.tolist():
            reached = [
                (hole, space, code)
                for hole, space, code in zip(holes, spaces, row, strict=True) if code == code
            ]  # fmt: skip
            self.params.append(
                {h.name: code if h.kind == "real" else int(code) for h, _, code in reached}
            )
            self.spaces.append({hole.name: space for hole, space, _ in reached})

    def shares(self, merits: Floats, places: NDArray[np.intp]) -> Mapping[str, float]:
        """Return the shares of one whole over some of the architectures."""
        found = self.divide(merits, places)
        total = sum(found.values())
        return {name: value / total if total else 0.0 for name, value in found.items()}

    def divide(self, merits: Floats, places: NDArray[np.intp] | None = None) -> Mapping[str, float]:
        """Return every hole's importance, not scaled."""
        import optuna
        from optuna.importance import PedAnovaImportanceEvaluator
        from optuna.trial import create_trial

        chosen = range(len(merits)) if places is None else places.tolist()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(directions=["maximize"] * merits.shape[1])
        study.add_trials(
            create_trial(
                params=self.params[n], distributions=self.spaces[n], values=merits[n].tolist()
            )
            for n in chosen
        )
        best = min(0.9, max(BEST, LEAST_BEST / len(chosen)))
        with warnings.catch_warnings():
            # That few trials make a regime unsure is what the intervals are for.
            warnings.simplefilter("ignore")
            found = PedAnovaImportanceEvaluator(target_quantile=best).evaluate(study)
        return {name: max(0.0, found.get(name, 0.0)) for name in self.names}


def _distribution(hole: Hole) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if hole.kind == "real":
        return FloatDistribution(hole.low, hole.high, log=hole.log)
    if hole.kind == "ordinal":
        return IntDistribution(0, len(hole.levels) - 1)
    return CategoricalDistribution(range(len(hole.levels)))
