"""A recorded pool of the simulated ground as a place to search in, with the truth beside it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from archon.benchmarks.search.space import space
from archon.benchmarks.search.tasks import Task, record
from archon.search.arms import Arms, Block, Split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Ground", "itas_arms"]


@cache
def itas_arms() -> Arms:
    """Return the published space as a search sees it."""
    import numpy as np

    whole = space()
    low, high = np.nanmin(whole.rows, axis=0), np.nanmax(whole.rows, axis=0)
    kept = whole.nodes >= 0
    return Arms(
        units=(whole.rows - low) / (high - low),
        kinds=("ordinal",) * 5 + ("categorical",),
        indptr=np.concatenate([[0], np.cumsum(whole.calls)]),
        nodes=whole.nodes[kept],
    )


class Ground:
    """One task with one draw of its items; an `archon.search.arms.Arena`.

    Args:
        task: number of the task.
        draw: number of the draw; other items, same task.
        sizes: items of each split.
    """

    def __init__(self, task: int, draw: int, sizes: dict[Split, int]) -> None:
        self.arms = itas_arms()
        self.sizes = dict(sizes)
        self._starts: dict[Split, int] = {}
        total = 0
        for split, size in self.sizes.items():
            self._starts[split] = total
            total += size
        # The seed of a list cannot meet that of a task or a population.
        self.outcomes = record(Task.draw(task), total, [task, draw])

    def evaluate(self, arm: int, block: Block) -> Floats:
        """Return 1 for each item of a block that an arm has right, else 0."""
        start = self._starts[block.split]
        return self.outcomes[arm, start + block.start : start + block.stop].astype(float)
