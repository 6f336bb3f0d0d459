"""A recorded pool of the simulated ground as a place to search in, with the truth beside it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from archon.benchmarks.search.rivals import arm_of
from archon.benchmarks.search.space import CHECKS, WIDTHS, space
from archon.benchmarks.search.tasks import Task, record
from archon.search.arms import Arms, Block, Split

if TYPE_CHECKING:
    import numpy as np
    import optuna
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Ground", "ItasLayout", "itas_arms"]


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


class ItasLayout:
    """The published space as rivals see it: models, samples, three widths (0: left out), check."""

    choices: tuple[tuple[int, ...], ...] = (
        tuple(range(1, 11)), tuple(range(1, 6)), WIDTHS, (0, *WIDTHS), (0, *WIDTHS), (0, 1, 2),
    )  # fmt: skip

    def arm(self, values: Sequence[Any]) -> int | None:
        """Return the arm of these settings; None where it is not in the space."""
        models, samples, *widths, check = values
        return arm_of(models, samples, tuple(widths), check)

    def suggested(self, trial: optuna.Trial) -> int | None:
        """Return the arm that a trial suggests, a width asked for each layer that there is."""
        depth = trial.suggest_int("depth", 1, 3)
        models, samples = trial.suggest_int("models", 1, 10), trial.suggest_int("samples", 1, 5)
        widths = [trial.suggest_int(f"width {layer}", 2, 8, step=2) for layer in range(depth)]
        check = trial.suggest_categorical("check", CHECKS)
        return self.arm([models, samples, *widths, CHECKS.index(check)])


class Ground:
    """One task with one draw of its items; an `archon.search.arms.Arena`.

    Args:
        task: number of the task.
        draw: number of the draw; other items, same task.
        sizes: items of each split.
    """

    def __init__(self, task: int, draw: int, sizes: dict[Split, int]) -> None:
        self.arms = itas_arms()
        self.layout = ItasLayout()
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
