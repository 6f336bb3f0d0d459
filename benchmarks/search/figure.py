"""Regret against paid calls, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from archon.benchmarks.search.curves import Curve, at_best_size

__all__ = ["draw"]

_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Write the figure, of rivals at their best size; its format is the ending of the path.

    Raises:
        ImportError: matplotlib, of the extra `eval`, is not installed.
    """
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for each in at_best_size(curves):
        marks = list(each.regret)
        points = list(each.regret.values())
        ours = each.name == "race"
        size = "best size" if each.items is None else f"{each.items} items"
        label = each.name if ours else f"{each.name}, {size}{', shared' if each.shared else ''}"
        drawn = axes.plot(
            marks, [point.mean for point in points], marker="o", markersize=3,
            linewidth=2.5 if ours else 1.0, linestyle="-" if each.shared else "--",
            label=label,
        )  # fmt: skip
        if ours:
            low, high = [point.low for point in points], [point.high for point in points]
            axes.fill_between(marks, low, high, alpha=0.2, color=drawn[0].get_color())
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.set_ylim(_limits(curves))
    axes.set_xlabel("paid calls")
    axes.set_ylabel("mean regret, points")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, ncols=2)
    figure.savefig(path)


def _limits(curves: Sequence[Curve]) -> tuple[float, float]:
    """Return the least and the largest mean with room about them; none is drawn at 0 on a log."""
    means = [point.mean for each in curves for point in each.regret.values() if point.mean > 0]
    return (0.6 * min(means), 1.5 * max(means)) if means else (_TICKS[0], _TICKS[-1])
