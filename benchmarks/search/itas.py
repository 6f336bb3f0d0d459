"""The posterior race and its rivals on the simulated ground of 9,576 architectures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from archon.benchmarks.search import truths
from archon.benchmarks.search.curves import MARKS, Curve, Point
from archon.benchmarks.search.ground import Ground, itas_arms
from archon.benchmarks.search.paths import Start, both
from archon.benchmarks.search.rivals import RIVALS
from archon.search.arms import Split
from archon.search.objectives import hypervolume
from archon.search.pareto import front
from archon.search.race import Found, Plan, hunt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Settings", "fronts", "ours", "rival"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What is measured.

    Attributes:
        tasks: numbers of tasks.
        draws: of the items of each task.
        step: is told of every run that ends.
    """

    tasks: tuple[int, ...] = truths.REPORTED
    draws: tuple[int, ...] = tuple(range(10))
    step: Callable[[str], None] = lambda what: None

    def runs(self) -> list[tuple[int, int]]:
        """Return every task and draw, draws outside, so that a part of it has all tasks."""
        return [(task, draw) for draw in self.draws for task in self.tasks]


def sizes(calls: int) -> dict[Split, int]:
    """Return how many items a ground needs for a race of so many calls."""
    dev = 1_000 if calls > 50_000 else 480
    return {"dev": dev, "confirm": dev // 5, "test": dev // 2}


def ours(plan: Plan, settings: Settings) -> tuple[Curve, dict[str, Any]]:
    """Return how races of this plan end, and what else was seen.

    A race is a whole study: its regret and optimism stand at the calls that its plan allows, final
    and test included.
    """
    ends: list[tuple[float, float]] = []
    found: list[Found] = []
    seconds = 0.0
    for task, draw in settings.runs():
        ground, true = Ground(task, draw, sizes(plan.calls)), truths.of(task)
        start = time.perf_counter()
        result = hunt(ground, replace(plan, seed=draw))
        seconds += time.perf_counter() - start
        found.append(result)
        ends.append((true.max() - true[result.arm], result.score - true[result.arm]))
        settings.step(f"race {plan.calls:,} task {task} draw {draw}: {100 * ends[-1][0]:.2f}")
    return (
        Curve(
            "race", None, True, {plan.calls: Point.of([regret for regret, _ in ends])},
            {plan.calls: Point.of([above for _, above in ends])}, round(seconds / len(ends), 3),
        ),
        {
            "paid": max(result.paid for result in found),
            "alone": sum(result.alone for result in found) / len(found),
            "test items": sum(len(result.test) for result in found) / len(found),
        },
    )  # fmt: skip


def fronts(plan: Plan, settings: Settings) -> Point:
    """Return the share of the true hypervolume of (score, calls) that races for a front reach.

    What counts is the true score of the architectures recommended. The reference is a score of 0
    at the calls of the dearest architecture.
    """
    calls = itas_arms().calls
    shares = []
    for task, draw in settings.runs():
        ground, true = Ground(task, draw, sizes(plan.calls)), truths.of(task)
        found = hunt(ground, replace(plan, seed=draw, front=True)).front
        best = front(true, calls)
        shares.append(_volume(true, calls, found) / _volume(true, calls, best))
        settings.step(f"front {plan.calls:,} task {task} draw {draw}: {100 * shares[-1]:.1f}")
    return Point.of(shares)


def _volume(true: Floats, calls: Ints, arms: Ints) -> float:
    import numpy as np

    merits = np.column_stack([true[arms], -calls[arms]])
    return hypervolume(merits, (0.0, -float(calls.max())))


def rival(
    which: str, settings: Settings, calls: int = MARKS[-1], items: Sequence[int] = ()
) -> list[Curve]:
    """Return how a rival does with each size of the development set, plain and with sharing."""
    found: list[Curve] = []
    for size in items or RIVALS[which].sizes:
        found += both(RIVALS[which], size, _starts(size, settings), calls, settings.step)
    return found


def _starts(size: int, settings: Settings) -> Iterator[Start]:
    for task, draw in settings.runs():
        # Its own chance for every task: a lucky first guess must not count eight times.
        yield Start(
            Ground(task, draw, {"dev": size}), truths.of(task), 1_000 * draw + task,
            f"task {task} draw {draw}",
        )  # fmt: skip
