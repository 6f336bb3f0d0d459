"""Figures over many searches: means with intervals at marks of paid calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from archon.stats.intervals import mean_interval

__all__ = ["MARKS", "Curve", "Point", "at_best_size", "curve", "first_below"]

MARKS = (10_000, 25_000, 50_000, 100_000, 150_000, 300_000, 1_000_000)
"""Paid calls at which searches are compared."""

Step = tuple[int, float, float]
"""Calls paid so far, regret of what is recommended, its reported less its true score."""


@dataclass(frozen=True, slots=True)
class Point:
    """One figure over runs.

    Attributes:
        mean: over runs, in points of 100.
        low: lower end of the 95 % interval.
        high: upper end.
        runs: how many.
    """

    mean: float
    low: float
    high: float
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Point:
        """Return the mean of values, Student's interval about it."""
        points = [100 * value for value in values]
        span = mean_interval(points)
        mean = sum(points) / len(points)
        return cls(round(mean, 3), round(span.low, 3), round(span.high, 3), len(points))


@dataclass(frozen=True)
class Curve:
    """How one way to search did.

    Attributes:
        name: of the way.
        items: of the development set; None where the search decides.
        shared: whether a call is paid once.
        regret: by mark.
        optimism: reported less true score, by mark.
        seconds: of one core for the optimiser itself, mean over runs.
    """

    name: str
    items: int | None
    shared: bool
    regret: dict[int, Point]
    optimism: dict[int, Point]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Curve:
        """Return what `to_json` gave, marks as numbers again."""
        points = {
            key: {int(mark): Point(**point) for mark, point in data[key].items()}
            for key in ("regret", "optimism")
        }
        return cls(**{**data, **points})


def curve(
    name: str,
    items: int | None,
    shared: bool,
    paths: Sequence[Sequence[Step]],
    seconds: float,
    marks: Sequence[int] = MARKS,
    ended: bool = False,
) -> Curve:
    """Return the figures of several runs at every mark that all of them reached.

    A run counts at a mark with its last step within it. A mark at which some run has no step yet
    is left out, and so is one that some run stopped short of by more than a tenth, unless the runs
    `ended`: then they had nothing more to pay for, and one more mark shows how.
    """
    regret, optimism = {}, {}
    for mark in marks:
        reached = [[step for step in path if step[0] <= mark] for path in paths]
        enough = all(path and path[-1][0] >= 0.9 * mark for path in paths)
        if not all(reached) or not (enough or ended):
            continue
        regret[mark] = Point.of([path[-1][1] for path in reached])
        optimism[mark] = Point.of([path[-1][2] for path in reached])
        if all(path[-1][0] <= mark for path in paths):
            break
    return Curve(name, items, shared, regret, optimism, round(seconds, 3))


def first_below(found: Curve, regret: float) -> int | None:
    """Return the first mark at which the mean regret is at most this; None if at none."""
    return next((mark for mark, point in found.regret.items() if point.mean <= regret), None)


def at_best_size(curves: Sequence[Curve]) -> list[Curve]:
    """Return one curve for every way to search: at each mark that of its best size so far.

    Whoever does so knows the truth about sizes, and when to stop; this flatters the ways that have
    to be told a size. A curve made of several has no number of items.
    """
    ways: dict[tuple[str, bool], list[Curve]] = {}
    for each in curves:
        if each.regret:
            ways.setdefault((each.name, each.shared), []).append(each)
    return [sizes[0] if len(sizes) == 1 else _lowest(sizes) for sizes in ways.values()]


def _lowest(sizes: Sequence[Curve]) -> Curve:
    regret: dict[int, Point] = {}
    optimism: dict[int, Point] = {}
    best: tuple[Point, Point] | None = None
    for mark in sorted({mark for each in sizes for mark in each.regret}):
        for each in sizes:
            found = each.regret.get(mark)
            if found is not None and (best is None or found.mean < best[0].mean):
                best = found, each.optimism[mark]
        if best is not None:
            regret[mark], optimism[mark] = best
    return Curve(sizes[0].name, None, sizes[0].shared, regret, optimism, sizes[0].seconds)
