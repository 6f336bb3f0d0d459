"""What architectures are made of, as columns of numbers: techniques, models, how many samples.

Columns that say the same of every measured architecture are one feature under both names. Of
several that exclude each other, such as three ways to end, the most common one is what the others
are compared against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archon.search.record import Arm

    Floats = NDArray[np.float64]

__all__ = ["Feature", "Features", "features_of"]

MOST = 24
"""Features at most; the ones that divide the architectures most evenly."""


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that architectures have or have not, or have more or less of.

    Attributes:
        kind: `technique` and `model` are 0 or 1; `samples` counts doublings.
        same: other names of it: what always comes with it, or `not` what never does.
        against: what it stands in the place of, where that follows from the other features.
    """

    name: str
    kind: Literal["technique", "model", "samples"]
    same: tuple[str, ...] = ()
    against: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What it is called in tables."""
        said = [f"= {name}" for name in self.same]
        if self.against:
            said.append(f"against {' or '.join(self.against)}")
        return f"{self.name} ({', '.join(said)})" if said else self.name


@dataclass(frozen=True, eq=False)
class Features:
    """Features of some architectures.

    Attributes:
        names: of the columns.
        values: (architectures, features).
    """

    names: tuple[Feature, ...]
    values: Floats


def features_of(arms: Sequence[Arm]) -> Features:
    """Return what differs between architectures."""
    import numpy as np

    if not arms:
        return Features((), np.zeros((0, 0)))
    columns: list[tuple[Feature, Floats]] = []
    for kind in _all(arm.layers for arm in arms):
        has = np.array([kind in arm.layers for arm in arms], float)
        columns.append((Feature(kind, "technique"), has))
    for model in _all(arm.models for arm in arms):
        has = np.array([model in arm.models for arm in arms], float)
        columns.append((Feature(model, "model"), has))
    samples = np.log2(np.array([max(1, arm.samples) for arm in arms], float))
    columns.append((Feature("twice the samples", "samples"), samples))
    differing = [(feature, column) for feature, column in columns if np.ptp(column) > 0]
    merged = _merged(differing)
    merged.sort(key=lambda pair: -float(np.var(pair[1]) if pair[0].kind != "samples" else 1))
    kept = _independent(merged[:MOST])
    values = np.column_stack([column for _, column in kept]) if kept else np.zeros((len(arms), 0))
    return Features(tuple(feature for feature, _ in kept), values)


def _all(parts: object) -> list[str]:
    return sorted({name for names in parts for name in names})  # type: ignore[attr-defined]


def _merged(columns: Sequence[tuple[Feature, Floats]]) -> list[tuple[Feature, Floats]]:
    """Join columns that always or never agree."""
    import numpy as np

    made: list[tuple[Feature, Floats]] = []
    for feature, column in columns:
        for place, (other, known) in enumerate(made):
            same = np.array_equal(column, known)
            if same or np.array_equal(column, 1 - known):
                name = feature.name if same else f"not {feature.name}"
                joined = Feature(other.name, other.kind, (*other.same, name))
                made[place] = (joined, known)
                break
        else:
            made.append((feature, column))
    return made


def _independent(columns: Sequence[tuple[Feature, Floats]]) -> list[tuple[Feature, Floats]]:
    """Leave out what follows from the others: of those that do, the most common."""
    import numpy as np

    made: list[tuple[Feature, Floats]] = []
    for feature, column in sorted(columns, key=lambda pair: float(pair[1].mean())):
        centred = column - column.mean()
        others = np.column_stack([np.ones(len(column)), *(known for _, known in made)])
        weights = np.linalg.lstsq(others, centred, rcond=None)[0]
        if float(((centred - others @ weights) ** 2).sum()) > 1e-9:
            made.append((feature, column))
            continue
        for place, weight in enumerate(weights[1:]):
            if abs(weight) > 1e-6:
                other, known = made[place]
                made[place] = (replace(other, against=(*other.against, feature.name)), known)
    return made
