"""Searches of a rival over many runs, and the curves they make, plain and with sharing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archon.benchmarks.search.curves import MARKS, Curve, Step, curve
from archon.benchmarks.search.rivals import Ground, Rival, trials

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Start", "both"]

_MOST_TRIALS = 300
"""Trials after which a rival stops in any case."""


@dataclass(frozen=True, eq=False)
class Start:
    """What one run is.

    Attributes:
        ground: where it searches.
        true: score of every arm.
        seed: of its chance.
        name: for whoever watches.
    """

    ground: Ground
    true: Floats
    seed: int
    name: str


def both(
    way: Rival,
    size: int,
    starts: Iterable[Start],
    calls: int,
    step: Callable[[str], None],
    marks: Sequence[int] = MARKS,
    ended: bool = False,
) -> list[Curve]:
    """Return the curves of a rival when every trial pays for itself, and when calls are shared.

    Args:
        way: of searching.
        size: items of the development set.
        starts: the runs.
        calls: paid unshared after which a run ends.
        step: is told of every run that ends.
        marks: calls at which the curves have points.
        ended: whether runs that share end because no call is left that they had to pay for.
    """
    plain: list[list[Step]] = []
    shared: list[list[Step]] = []
    seconds = 0.0
    for start in starts:
        began = time.process_time()  # what else the machine does must not count
        done = trials(way, start.ground, size, start.seed, calls, _MOST_TRIALS)
        seconds += time.process_time() - began
        best = None
        plain.append([])
        shared.append([])
        for trial in done:
            if best is None or trial.score > best.score:
                best = trial
            regret = start.true.max() - start.true[best.arm]
            above = best.score - start.true[best.arm]
            plain[-1].append((trial.alone, regret, above))
            shared[-1].append((trial.shared, regret, above))
        step(f"{way.name} {size} {start.name}: {100 * plain[-1][-1][1]:.2f}")
    mean = seconds / len(plain)
    return [
        curve(way.name, size, False, plain, mean, marks),
        curve(way.name, size, True, shared, mean, marks, ended),
    ]
