"""What a hole can hold, as one column of a fixed-width encoding."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from archon.errors import ConfigError

__all__ = ["Assignment", "Column", "Kind", "Value", "grid"]

Kind = Literal["categorical", "ordinal", "real"]
Value = str | int | float | bool | None
Assignment = Mapping[str, Any]
"""The value of every hole that is reached, by name."""

MOST_LEVELS = 1_000_000


@dataclass(frozen=True)
class Column:
    """One decision: its name, and what it can be.

    Attributes:
        name: readable and unique, such as `samples` or `fusion[2].fusers`.
        kind: `categorical` levels have no order; `ordinal` ones have; `real` has no levels.
        levels: the values, in the order of their codes 0 … k-1; empty for `real`.
        low: of a `real`, the least value.
        high: of a `real`, the greatest.
        log: whether distances are those of logarithms.
    """

    name: str
    kind: Kind
    levels: Sequence[Value] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    _codes: dict[tuple[type, Value], int] = field(
        default_factory=dict, repr=False, compare=False, init=False
    )

    def code(self, value: Value) -> float:
        """Return the code of a value: its level's number; of a real, the value itself.

        Raises:
            ConfigError: for a value that is none of them.
        """
        if self.kind == "real":
            if isinstance(value, (int, float)) and self.low <= value <= self.high:
                return float(value)
            raise self._wrong(value, f"a number from {self.low} to {self.high}")
        if not self._codes:
            self._codes.update({(_sort(level), level): i for i, level in enumerate(self.levels)})
        found = self._codes.get((_sort(value), value))
        if found is None:
            raise self._wrong(value, f"one of {_some(self.levels)}")
        return float(found)

    def value(self, code: float) -> Value:
        """Return the value of a code.

        Raises:
            ConfigError: for a code that no level has.
        """
        if self.kind == "real":
            return self._within(code)
        if not 0 <= code < len(self.levels) or code != int(code):
            raise ConfigError(f"{self.name}: no level has the code {code}")
        return self.levels[int(code)]

    def _within(self, code: float) -> float:
        if not self.low <= code <= self.high:
            raise self._wrong(code, f"a number from {self.low} to {self.high}")
        return float(code)

    def _wrong(self, value: object, right: str) -> ConfigError:
        return ConfigError(f"{self.name} is {right}, got {value!r}")

    def unit(self, code: float) -> float:
        """Return where a code lies on the scale from 0 to 1.

        Levels of an `ordinal` lie as their values do, or their logarithms; those of a
        `categorical` lie by number, which means nothing but that they differ.
        """
        if self.kind == "real":
            return self._place(code, self.low, self.high)
        last = len(self.levels) - 1
        if last < 1:
            return 0.0
        if self.kind == "ordinal" and all(map(_is_number, (self.levels[0], self.levels[-1]))):
            ends = (float(self.levels[0] or 0), float(self.levels[last] or 0))
            return self._place(float(self.levels[int(code)] or 0), *ends)
        return code / last

    def _place(self, value: float, low: float, high: float) -> float:
        if low == high:
            return 0.0
        if self.log:
            return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        return (value - low) / (high - low)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _sort(value: Value) -> type:
    """Return what tells 1 from True, while 1 and 1.0 are one."""
    return float if _is_number(value) else type(value)


def _some(levels: Sequence[Value]) -> str:
    shown = ", ".join(map(repr, levels[:8]))
    return f"{shown} …" if len(levels) > 8 else shown


def choice_column(name: str, levels: Iterable[Value]) -> Column:
    """Return the column of a choice: numbers in rising order are ordinal, all else is not."""
    values = tuple(levels)
    numbers: Any = values if all(map(_is_number, values)) else ()
    rising = len(numbers) > 1 and all(a < b for a, b in itertools.pairwise(numbers))
    return Column(name, "ordinal" if rising else "categorical", values)


def grid(
    name: str, low: float, high: float, step: float | None, *, log: bool, integer: bool
) -> Column:
    """Return the column of a number from `low` to `high`, both included.

    Raises:
        ConfigError: for limits that no number lies between, or a step that goes nowhere.
    """
    if not (math.isfinite(low) and math.isfinite(high)) or low > high:
        raise ConfigError(f"{name}: low is at most high, got low {low} and high {high}")
    if log and (low <= 0 or step is not None):
        reason = "low must be above 0" if low <= 0 else "it has no step"
        raise ConfigError(f"{name}: on a logarithmic scale {reason}")
    if step is not None and not (math.isfinite(step) and step > 0):
        raise ConfigError(f"{name}: a step is above 0, got {step}")
    if not integer and step is None:
        return Column(name, "real", (), float(low), float(high), log)
    count = _steps(low, high, step or 1) + 1
    if count > MOST_LEVELS:
        raise ConfigError(f"{name}: {count:,} levels are too many; take a larger step")
    if integer:
        return Column(name, "ordinal", range(int(low), int(high) + 1, int(step or 1)), log=log)
    # Decimal rounding: 0.1 * 3 is to read 0.3, in files and in reports.
    return Column(name, "ordinal", tuple(round(low + i * (step or 1), 12) for i in range(count)))


def _steps(low: float, high: float, step: float) -> int:
    return int((high - low) / step + 1e-9)
