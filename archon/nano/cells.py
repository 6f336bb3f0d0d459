"""Measured values with their intervals, as JSON and as tables."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archon.writing import whole_file

__all__ = ["Cell", "Place", "kept", "mean", "read", "table"]


@dataclass(frozen=True, slots=True)
class Place:
    """What a value belongs to."""

    model: str
    role: str
    benchmark: str
    level: int


@dataclass(frozen=True, slots=True)
class Cell:
    """A measured value.

    Attributes:
        place: model, role, benchmark and level.
        what: name of the value.
        value: a share, a difference of shares, or an AUC.
        low: of the 95 % interval.
        high: of the 95 % interval.
        n: problems behind it.
    """

    place: Place
    what: str
    value: float
    low: float
    high: float
    n: int

    @property
    def text(self) -> str:
        """The value with its interval."""
        if self.what.startswith("AUC"):
            return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"
        sign = "+" if "minus" in self.what else ""
        points = [f"{100 * number:{sign}.1f}" for number in (self.value, self.low, self.high)]
        return f"{points[0]} ({points[1]} to {points[2]})"


def mean(place: Place, what: str, scores: Sequence[float], items: Sequence[Hashable]) -> list[Cell]:
    """The mean of scores, with an interval over items; nothing where there are no scores."""
    from archon.stats import interval

    if not scores:
        return []
    several = len(set(items)) < len(items)
    found = interval([float(s) for s in scores], items if several else None)
    value = sum(scores) / len(scores)
    return [Cell(place, what, value, found.low, found.high, len(set(items)))]


def kept(path: Path, facts: dict[str, Any], cells: Iterable[Cell]) -> None:
    """Write cells and the facts of their measurement."""
    data = {"facts": facts, "cells": [asdict(cell) for cell in cells]}
    with whole_file(path) as file:
        file.write((json.dumps(data, indent=1) + "\n").encode())


def read(path: Path) -> tuple[dict[str, Any], list[Cell]]:
    """Read what `kept` wrote; nothing where there is no file."""
    if not path.exists():
        return {}, []
    data = json.loads(path.read_text(encoding="utf-8"))
    cells = [Cell(**{**cell, "place": Place(**cell["place"])}) for cell in data["cells"]]
    return data["facts"], cells


def table(cells: Sequence[Cell]) -> str:
    """A Markdown table for each role: a row for each benchmark, level and value, models beside."""
    parts = []
    for role in dict.fromkeys(cell.place.role for cell in cells):
        mine = [cell for cell in cells if cell.place.role == role]
        models = list(dict.fromkeys(cell.place.model for cell in mine))
        lines = [
            f"### {role}\n",
            f"| benchmark | level | value | {' | '.join(models)} | n |",
            "|---|---|---|" + "---|" * (len(models) + 1),
        ]
        rows: dict[tuple[str, int, str], dict[str, Cell]] = {}
        for cell in mine:
            key = (cell.place.benchmark, cell.place.level, cell.what)
            rows.setdefault(key, {})[cell.place.model] = cell
        places = list(dict.fromkeys(benchmark for benchmark, _, _ in rows))
        inorder = sorted(rows, key=lambda key: (places.index(key[0]), key[1]))
        for benchmark, level, what in inorder:
            found = rows[benchmark, level, what]
            values = [found[model].text if model in found else "" for model in models]
            counts = sorted({cell.n for cell in found.values()})
            n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
            lines.append(f"| {benchmark} | {level} | {what} | {' | '.join(values)} | {n} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
