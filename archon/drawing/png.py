"""A scene as a PNG file, drawn by matplotlib."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from archon.drawing.parts import COLOURS, GREY
from archon.drawing.scene import Rect, Scene, Text, bezier, head
from archon.errors import ConfigError

__all__ = ["save_png"]


def save_png(scene: Scene, path: Path) -> None:
    """Put the scene on paper with matplotlib.

    Raises:
        ConfigError: when it is not installed.
    """
    try:
        figures: Any = import_module("matplotlib.figure")
        patches: Any = import_module("matplotlib.patches")
        paths: Any = import_module("matplotlib.path")
    except ImportError:
        raise ConfigError(
            f"a PNG needs matplotlib, which is not installed; save as"
            f" {path.with_suffix('.svg').name!r} instead, or pip install matplotlib"
        ) from None
    figure = figures.Figure(figsize=(scene.width / 72, scene.height / 72), dpi=144)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, scene.width), ylim=(scene.height, 0))
    axes.axis("off")
    for mark in scene.marks:
        if isinstance(mark, Text):
            axes.text(
                mark.x, mark.y, mark.text.replace("$", r"\$"), size=mark.size * 0.95,
                color=mark.colour, ha="center" if mark.middle else "left", va="baseline",
                weight="bold" if mark.bold else "normal",
            )  # fmt: skip
        elif isinstance(mark, Rect):
            fill, stroke = COLOURS[mark.role]
            style = f"round,pad=0,rounding_size={min(mark.h / 2, 8):.1f}"
            axes.add_patch(
                patches.FancyBboxPatch(
                    (mark.x, mark.y), mark.w, mark.h, boxstyle=style, fc=fill, ec=stroke,
                    linestyle="--" if mark.role == "frame" else "-",
                )
            )  # fmt: skip
        else:
            line = paths.Path(bezier(mark), [1, 4, 4, 4])
            axes.add_patch(patches.PathPatch(line, fc="none", ec=GREY))
            if mark.arrow:
                axes.add_patch(patches.Polygon(head(mark), closed=True, fc=GREY, ec="none"))
    figure.savefig(path, facecolor="white")
