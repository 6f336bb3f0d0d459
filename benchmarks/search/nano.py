"""The posterior race and its rivals on the nano ground."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from archon.benchmarks.search.curves import Curve, Point
from archon.benchmarks.search.nano_ground import NanoGround, Recording, recording
from archon.benchmarks.search.paths import Start, both
from archon.benchmarks.search.rivals import RIVALS
from archon.search.arms import Split
from archon.search.race import Plan, hunt

__all__ = ["BUDGETS", "MARKS", "RACED", "Settings", "goal", "ours", "rival"]

BUDGETS = (1_000, 2_500, 5_000, 10_000, 13_000)
"""Calls of the races."""

MARKS = (1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
"""Paid calls at which searches are compared."""

RACED: dict[Split, int] = {"dev": 1_000, "confirm": 300, "test": 500}
"""Items of a race; its calls end before most of them are met."""


@dataclass(frozen=True, eq=False)
class Settings:
    """What is measured.

    Attributes:
        draws: of the items; each is a run.
        step: is told of every run that ends.
        recorded: the outcomes.
    """

    draws: tuple[int, ...] = tuple(range(20))
    step: Callable[[str], None] = lambda what: None
    recorded: Recording = field(default_factory=recording)


def ours(settings: Settings, budgets: Sequence[int] = BUDGETS) -> tuple[Curve, dict[str, Any]]:
    """Return how races end at each budget, and what else was seen.

    A race is a whole study: its regret and optimism stand at the calls that its plan allows, final
    and test included.
    """
    true = settings.recorded.true
    regret: dict[int, Point] = {}
    optimism: dict[int, Point] = {}
    seen: dict[str, Any] = {}
    spent = 0.0
    for calls in budgets:
        ends, paid, alone, seconds = [], [], [], []
        for draw in settings.draws:
            ground = NanoGround(settings.recorded, draw, RACED)
            began = time.process_time()
            found = hunt(ground, replace(Plan(calls), seed=draw))
            seconds.append(time.process_time() - began)
            ends.append((true.max() - true[found.arm], found.score - true[found.arm]))
            paid.append(found.paid)
            alone.append(found.alone)
            settings.step(f"race {calls:,} draw {draw}: {100 * ends[-1][0]:.2f}")
        runs = len(settings.draws)
        regret[calls] = Point.of([each for each, _ in ends])
        optimism[calls] = Point.of([above for _, above in ends])
        spent += sum(seconds) / runs
        seen[str(calls)] = {
            "paid": max(paid), "alone": round(sum(alone) / runs),
            "seconds": round(sum(seconds) / runs, 2),
        }  # fmt: skip
    return Curve("race", None, True, regret, optimism, round(spent / len(budgets), 3)), seen


def rival(which: str, settings: Settings, sizes: Sequence[int] = ()) -> list[Curve]:
    """Return how a rival does with each size of the development set, plain and with sharing."""
    found: list[Curve] = []
    for size in sizes or RIVALS[which].sizes:
        starts = _starts(size, settings)
        found += both(RIVALS[which], size, starts, MARKS[-1], settings.step, MARKS, True)
    return found


def _starts(size: int, settings: Settings) -> Iterator[Start]:
    for draw in settings.draws:
        ground = NanoGround(settings.recorded, draw, {"dev": size})
        yield Start(ground, settings.recorded.true, draw, f"draw {draw}")


def goal(curves: Sequence[Curve]) -> dict[str, Any] | None:
    """Return what the paper's method ended with, and the first race that is as good.

    None where either was not measured.
    """
    papers = [each for each in curves if each.name == "paper" and not each.shared and each.regret]
    races = [each for each in curves if each.name == "race"]
    if not papers or not races:
        return None
    calls, end = max(papers[0].regret.items())
    as_good = [mark for mark, point in races[0].regret.items() if point.mean <= end.mean]
    first = min(as_good, default=None)
    return {
        "paper": end.mean, "its calls": calls, "ours": first,
        "times": None if first is None else round(calls / first, 1),
    }  # fmt: skip
