"""The true scores of all architectures on every task: committed, and how to make them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archon.benchmarks.search.tasks import Task, truth

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["FILE", "REPORTED", "TUNING", "of", "write"]

REPORTED = tuple(range(8))
"""Tasks that figures are about. Nothing was tuned on them."""

TUNING = tuple(range(100, 108))
"""Tasks that choices were made on."""

FILE = Path(__file__).parent / "results" / "truth.npz"

_STEPS = 65_535
"""Scores are kept in 16 bits."""


@cache
def _kept() -> dict[int, Floats]:
    import numpy as np

    with np.load(FILE) as kept:
        return {int(task): kept[task] / _STEPS for task in kept.files}


def of(task: int) -> Floats:
    """Return the true score of every architecture: the committed one, else simulated now."""
    return _kept()[task] if task in _kept() else truth(Task.draw(task), task)


def write(path: Path = FILE) -> None:
    """Simulate the truth of every task and write it; about ten minutes."""
    import numpy as np

    found = {
        str(task): np.round(truth(Task.draw(task), task) * _STEPS) for task in (*REPORTED, *TUNING)
    }
    kept: dict[str, Any] = {task: scores.astype(np.uint16) for task, scores in found.items()}
    np.savez_compressed(path, **kept)
