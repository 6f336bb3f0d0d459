"""Where a race loses: in what it looks at, in what it believes, in the final, or in what is held.

On the tuning tasks only: choices may follow from it.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from archon.benchmarks.search import truths
from archon.benchmarks.search.ablation import CALLS
from archon.benchmarks.search.curves import Point
from archon.benchmarks.search.ground import Ground
from archon.benchmarks.search.itas import Settings, sizes
from archon.search.arms import Block
from archon.search.race import Plan, Race, finished
from archon.types import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["HELD", "losses"]

HELD = ((0.0, 0.0), (0.0, 0.10), (0.15, 0.10), (0.30, 0.10), (0.45, 0.10))
"""Shares of the calls for the final and for the test."""


class Exact:
    """A ground on which every measurement is the truth: what is lost there is not luck."""

    def __init__(self, ground: Ground, true: Floats) -> None:
        self.arms, self.sizes, self.true = ground.arms, ground.sizes, true

    def evaluate(self, arm: int, block: Block) -> Floats:
        """Return the true score for each item."""
        import numpy as np

        return np.full(block.size, self.true[arm])


def losses(settings: Settings, calls: int = CALLS) -> list[Json]:
    """Return by what is looked at the regret that is left, a mean over runs."""
    found: dict[str, list[float]] = {}
    for task, draw in settings.runs():
        ground, true = Ground(task, draw, sizes(calls)), truths.of(task)

        def note(name: str, arms: object, true: Floats = true) -> None:
            found.setdefault(name, []).append(float(true.max() - true[arms].max()))

        plan = Plan(calls, seed=draw)
        race = finished(Race(ground.arms, ground.sizes, plan), ground)
        seen, blocks, _, _ = race.measured.arrays()
        dev = [at.split == "dev" for at in race.measured.blocks]
        note("the best that was measured", [a for a, b in zip(seen, blocks, strict=True) if dev[b]])
        note("recommended before the final", race.path[-2][1])
        note("the best of the ten finalists", race.finalists)
        note("the winner", race.winner)
        for confirm, test in HELD:
            held = replace(plan, confirm=confirm, test=test)
            ended = finished(Race(ground.arms, ground.sizes, held), ground)
            name = f"{round(100 * confirm)} % for the final, {round(100 * test)} % for the test"
            note(name, ended.winner)
        exact = Exact(ground, true)
        note("every measurement exact", finished(Race(exact.arms, exact.sizes, plan), exact).winner)
        settings.step(f"task {task} draw {draw}: {100 * found['the winner'][-1]:.2f}")
    return [{"what": name, "regret": asdict(Point.of(values))} for name, values in found.items()]
