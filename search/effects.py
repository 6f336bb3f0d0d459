"""Which techniques help, on which groups of items, and how they act together.

All measured architectures are used at once: scores are regressed on what the architectures are
made of, within items, so that an item's difficulty and which items an architecture saw cancel, and
other techniques are held equal. Architectures and items are both samples, so the errors are
clustered by both (Cameron, Gelbach & Miller 2011, "Robust inference with multiway clustering"),
and the degrees of freedom are those of the smallest side. One correction by Holm goes over the
whole table, since the whole table is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from archon import stats
from archon.search.features import Feature, Features

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Effect", "effects", "interactions"]

LEVEL = 0.05
LEAST_ITEMS = 30
"""Items of a group below which nothing is said about it."""
LEAST_ARMS = 5
"""Architectures that must be on either side of a comparison."""
MOST_CELLS = 200_000
"""Scores that a regression takes; of more, architectures evenly over the study."""
MOST_PAIRS = 60

Said = Literal[
    "helps", "hurts", "not distinguishable", "too few items", "too few architectures",
    "not told apart",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Effect:
    """What a feature, or two together, do to the score.

    Attributes:
        name: of the feature; of both for an interaction.
        group: of items; None for all.
        items: with at least two scores.
        arms: architectures with it and without it; of an interaction, the least of four sides.
        difference: of scores, everything else in the table equal; None where nothing is said.
        low: lower end of the 95 % interval, not corrected.
        high: upper end.
        p: two-sided.
        corrected: by Holm over the table.
    """

    name: str
    group: str | None
    items: int
    arms: tuple[int, int]
    said: Said
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    corrected: float | None = None


def effects(
    features: Features, scores: Floats, groups: Sequence[str], wanted: Sequence[str]
) -> list[Effect]:
    """Return the effect of every feature on all items, then on every wanted group of them.

    Args:
        features: of the architectures.
        scores: (architectures, items), NaN where not measured.
        groups: of the items.
        wanted: groups that are looked at.
    """
    import numpy as np

    features, scores = _bounded(features, scores)
    places = np.asarray(groups)
    found = list(_main(features, scores, None))
    for group in wanted:
        found += _main(features, scores[:, places == group], group)
    return _corrected(found)


def interactions(features: Features, scores: Floats) -> list[Effect]:
    """Return for every two features what both together add to what each does alone.

    Args:
        features: of the architectures; those that are 0 or 1 count.
        scores: (architectures, items), NaN where not measured.
    """
    import numpy as np

    features, scores = _bounded(features, scores)
    binary = [n for n, name in enumerate(features.names) if name.kind != "samples"]
    found = []
    for one, other in list(combinations(binary, 2))[:MOST_PAIRS]:
        a, b = features.values[:, one], features.values[:, other]
        name = f"{features.names[one].label} with {features.names[other].label}"
        seen = ~np.isnan(scores).all(1)
        sides = [int((seen & (a == x) & (b == y)).sum()) for x in (0, 1) for y in (0, 1)]
        items, least = _items(scores), min(sides)
        if least == 0:
            continue  # the space never has both, or never one alone
        if refused := _refused(items, least):
            found.append(Effect(name, None, items, (least, least), refused))
            continue
        fit = _Fit(np.column_stack([features.values, a * b]), scores)
        found.append(fit.effect(features.values.shape[1], name, None, items, (least, least)))
    return sorted(_corrected(found), key=lambda e: 2.0 if e.p is None else e.p)


def _main(features: Features, scores: Floats, group: str | None) -> Iterator[Effect]:
    import numpy as np

    items, seen = _items(scores), ~np.isnan(scores).all(1)
    fit: _Fit | None = None
    for place, feature in enumerate(features.names):
        sides = _sides(feature, features.values[seen, place])
        if refused := _refused(items, min(sides)):
            yield Effect(feature.label, group, items, sides, refused)
            continue
        fit = fit or _Fit(features.values, scores)
        yield fit.effect(place, feature.label, group, items, sides)


def _sides(feature: Feature, column: Floats) -> tuple[int, int]:
    """Return how many architectures have it, or more of it, and how many have not."""
    import numpy as np

    if feature.kind != "samples":
        return int((column > 0).sum()), int((column == 0).sum())
    middle = float(np.median(column)) if len(column) else 0.0
    above = int((column > middle).sum())
    least = int((column == column.min()).sum()) if len(column) else 0
    return (above, len(column) - above) if above else (len(column) - least, least)


def _items(scores: Floats) -> int:
    """Return how many items compare anything: those with two scores."""
    import numpy as np

    return int(((~np.isnan(scores)).sum(0) >= 2).sum())


def _refused(items: int, arms: int) -> Said | None:
    if items < LEAST_ITEMS:
        return "too few items"
    return "too few architectures" if arms < LEAST_ARMS else None


class _Fit:
    """A regression of scores within items.

    Args:
        design: (architectures, features).
        scores: (architectures, items), NaN where not measured.
    """

    def __init__(self, design: Floats, scores: Floats) -> None:
        import numpy as np
        import statsmodels.api as sm
        from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

        arm, item = np.nonzero(~np.isnan(scores))
        y = _within(scores[arm, item], item)
        x = np.column_stack([_within(column, item) for column in design[arm].T])
        self._gram = x.T @ x
        self.used = self._independent()
        if not self.used:
            return
        fitted = sm.OLS(y, x[:, self.used]).fit()
        self.values = np.asarray(fitted.params)
        # The sum of both, less what they share, can fall below either in a small sample.
        covariances = cov_cluster_2groups(fitted, np.column_stack([arm, item]))
        self.variances = np.max([np.diag(found) for found in covariances], axis=0)

    def effect(
        self, place: int, name: str, group: str | None, items: int, arms: tuple[int, int]
    ) -> Effect:
        """Return one coefficient; one less than the smallest side are its degrees of freedom."""
        from scipy.stats import t

        others = [n for n in range(len(self._gram)) if n != place]
        if not self._adds(place, others):
            return Effect(name, group, items, arms, "not told apart")
        freedom, at = min(*arms, items) - 1, self.used.index(place)
        value, error = float(self.values[at]), max(float(self.variances[at]), 1e-12) ** 0.5
        half = float(t.ppf(0.975, freedom)) * error
        p = float(2 * t.sf(abs(value) / error, freedom))
        return Effect(
            name, group, items, arms, "not distinguishable", value, value - half, value + half, p
        )

    def _independent(self) -> list[int]:
        """Return columns that say all there is, none of which follows from those before it."""
        kept: list[int] = []
        for place in range(len(self._gram)):
            if self._adds(place, kept):
                kept.append(place)
        return kept

    def _adds(self, place: int, others: Sequence[int]) -> bool:
        """Whether no sum of other columns is this one."""
        import numpy as np

        size = float(self._gram[place, place])
        if size < 1e-9:
            return False
        inner, cross = self._gram[np.ix_(others, others)], self._gram[others, place]
        return size - float(cross @ np.linalg.pinv(inner, hermitian=True) @ cross) > 1e-6 * size


def _within(values: Floats, item: NDArray[np.intp]) -> Floats:
    """Return values less their item's mean."""
    import numpy as np

    counts = np.maximum(np.bincount(item), 1)
    centred: Floats = values - (np.bincount(item, values) / counts)[item]
    return centred


def _bounded(features: Features, scores: Floats) -> tuple[Features, Floats]:
    """Return architectures evenly over the study, as many as a regression takes."""
    import numpy as np

    known = int((~np.isnan(scores)).sum())
    if known <= MOST_CELLS:
        return features, scores
    arms = max(2 * LEAST_ARMS, len(scores) * MOST_CELLS // known)
    kept = np.unique(np.linspace(0, len(scores) - 1, arms).round().astype(int))
    return Features(features.names, features.values[kept]), scores[kept]


def _corrected(found: Sequence[Effect]) -> list[Effect]:
    """Correct all p-values of a table, and say of each effect what it is."""
    tested = [effect.p for effect in found if effect.p is not None]
    corrected = iter(stats.holm(tested))
    made = []
    for effect in found:
        if effect.p is None or effect.difference is None:
            made.append(effect)
            continue
        p = next(corrected)
        said: Said = "not distinguishable"
        if p <= LEVEL:
            said = "helps" if effect.difference > 0 else "hurts"
        made.append(replace(effect, corrected=p, said=said))
    return made
