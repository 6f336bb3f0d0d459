"""What was measured: repetitions, their medians and ranges, ratios to the floor, targets."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Benchmark", "Figure", "Group", "Line", "Target"]

Found = Mapping[str, Any]
"""What one repetition of a client found."""


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of some repetitions, and their range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Summarise values, at least one.

        >>> Figure.of([3, 1, 2])
        Figure(median=2, low=1, high=3)
        """
        return cls(statistics.median(values), min(values), max(values))

    def to_json(self) -> dict[str, float]:
        """Return the three numbers, to four digits."""
        names = ("median", "low", "high")
        return {name: float(f"{getattr(self, name):.4g}") for name in names}


@dataclass(slots=True)
class Line:
    """One client in one set-up."""

    name: str
    runs: list[Found] = field(default_factory=list)

    def figures(self) -> dict[str, Figure]:
        """Return everything that is a number in all repetitions."""
        if not self.runs:
            return {}
        names = [k for k in self.runs[0] if all(_number(run.get(k)) for run in self.runs)]
        return {name: Figure.of([run[name] for run in self.runs]) for name in names}

    def ratio(self, floor: Line, name: str) -> Figure | None:
        """Return how often its figure is the floor's, repetition by repetition."""
        pairs = [(a.get(name), b.get(name)) for a, b in zip(self.runs, floor.runs, strict=False)]
        ratios = [a / b for a, b in pairs if _number(a) and _number(b) and a and b]
        return Figure.of(ratios) if ratios else None


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(slots=True)
class Group:
    """Lines that were measured in turn with each other; the first is the floor.

    Attributes:
        shown: the figures that the table shows.
        compared: those that are compared with the floor as well.
    """

    name: str
    settings: Mapping[str, Any]
    lines: list[Line]
    shown: Sequence[str]
    compared: Sequence[str] = ()

    @property
    def floor(self) -> Line:
        """What the others are compared with."""
        return self.lines[0]

    def line(self, name: str) -> Line:
        """Return a line by name."""
        return next(line for line in self.lines if line.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return everything, with every repetition."""
        return {
            "name": self.name,
            "settings": dict(self.settings),
            "floor": self.floor.name if self.compared else None,
            "lines": [self._line(line) for line in self.lines],
        }

    def _line(self, line: Line) -> dict[str, Any]:
        ratios = {name: line.ratio(self.floor, name) for name in self.compared}
        return {
            "client": line.name,
            "figures": {name: figure.to_json() for name, figure in line.figures().items()},
            "ratios": {name: ratio.to_json() for name, ratio in ratios.items() if ratio},
            "runs": [{name: _rounded(value) for name, value in run.items()} for run in line.runs],
        }


def _rounded(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


@dataclass(frozen=True, slots=True)
class Target:
    """What was aimed at, and what came out."""

    what: str
    value: float
    limit: float
    at_most: bool = True

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def to_json(self) -> dict[str, Any]:
        """Return the fields and the verdict."""
        value = float(f"{self.value:.4g}")
        kind = "at_most" if self.at_most else "at_least"
        return {"what": self.what, "value": value, kind: self.limit, "met": self.met}


@dataclass(slots=True)
class Benchmark:
    """All that one benchmark found."""

    id: str
    title: str
    groups: list[Group] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return everything."""
        return {
            "id": self.id,
            "title": self.title,
            "groups": [group.to_json() for group in self.groups],
            "targets": [target.to_json() for target in self.targets],
        }
