"""Where a race loses: in what it looks at, in what it believes, in the final, or in what is held.

On the tuning tasks only: choices may follow from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

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

    from archon.search.arms import Arena

    Floats = NDArray[np.float64]

__all__ = ["HELD", "losses"]

HELD = ((0.0, 0.0), (0.0, 0.10), (0.15, 0.10), (0.30, 0.10), (0.45, 0.10))
"""Shares of the calls for the final and for the test."""
WINNER = "the winner"


class Exact:
    """A ground on which every measurement is the truth: what is lost there is not luck."""

    def __init__(self, ground: Ground, true: Floats) -> None:
        self.arms, self.sizes, self.true = ground.arms, ground.sizes, true

    def evaluate(self, arm: int, block: Block) -> Floats:
        """Return the true score for each item."""
        import numpy as np

        return np.full(block.size, self.true[arm])


def losses(settings: Settings, calls: int = CALLS) -> Iterator[Json]:
    """Yield after every draw of all tasks what regret is left, by what is looked at."""
    found: dict[str, list[float]] = {}
    for draw in settings.draws:
        for task in settings.tasks:
            ground, true = Ground(task, draw, sizes(calls)), truths.of(task)
            for name, arms in _looked_at(ground, true, Plan(calls, seed=draw)).items():
                found.setdefault(name, []).append(float(true.max() - true[arms].max()))
            settings.step(f"task {task} draw {draw}: {100 * found[WINNER][-1]:.2f}")
        yield [{"what": name, "regret": asdict(Point.of(values))} for name, values in found.items()]


def _looked_at(ground: Ground, true: Floats, plan: Plan) -> dict[str, Any]:
    """Return arms by what is asked about them."""
    race = _raced(ground, plan)
    seen, blocks, _, _ = race.measured.arrays()
    dev = [at.split == "dev" for at in race.measured.blocks]
    found: dict[str, Any] = {
        "the best that was measured": [a for a, b in zip(seen, blocks, strict=True) if dev[b]],
        "recommended before the final": race.path[-2][1],
        "the best of the ten finalists": race.finalists,
        WINNER: race.winner,
    }
    for confirm, test in HELD:
        name = f"{round(100 * confirm)} % for the final, {round(100 * test)} % for the test"
        found[name] = _raced(ground, replace(plan, confirm=confirm, test=test)).winner
    found["every measurement exact"] = _raced(Exact(ground, true), plan).winner
    return found


def _raced(arena: Arena, plan: Plan) -> Race:
    return finished(Race(arena.arms, arena.sizes, plan), arena)
