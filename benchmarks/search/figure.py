"""Regret against paid calls, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from archon.benchmarks.search.curves import Curve

__all__ = ["draw"]


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Write the figure; its format is the ending of the path.

    Raises:
        ImportError: matplotlib, of the extra `eval`, is not installed.
    """
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for each in curves:
        if not each.regret:
            continue
        marks = list(each.regret)
        points = list(each.regret.values())
        size = "" if each.items is None else f", {each.items} items"
        ours = each.items is None
        drawn = axes.plot(
            marks, [point.mean for point in points], marker="o", markersize=3,
            linewidth=2.5 if ours else 1.0, linestyle="-" if each.shared else "--",
            label=f"{each.name}{size}{', shared' if each.shared and not ours else ''}",
        )  # fmt: skip
        if ours:
            low, high = [point.low for point in points], [point.high for point in points]
            axes.fill_between(marks, low, high, alpha=0.2, color=drawn[0].get_color())
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("paid calls")
    axes.set_ylabel("mean regret, points")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, ncols=2)
    figure.savefig(path)
