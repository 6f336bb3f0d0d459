from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.errors import ConfigError
from archon.search.holes import Column, choice_column, grid


def test_levels_of_numbers() -> None:
    assert list(grid("n", 1, 8, None, log=False, integer=True).levels) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert list(grid("n", 1, 8, 3, log=False, integer=True).levels) == [1, 4, 7]
    assert grid("x", 0.1, 0.5, 0.1, log=False, integer=False).levels == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert grid("x", 0, 1, 0.4, log=False, integer=False).levels == (0, 0.4, 0.8)
    real = grid("x", 0.1, 10, None, log=True, integer=False)
    assert (real.kind, real.low, real.high) == ("real", 0.1, 10)


@pytest.mark.parametrize(
    ("low", "high", "step", "log", "said"),
    [
        (2, 1, None, False, "low is at most high"),
        (0, 8, None, True, "low must be above 0"),
        (1, 8, 2, True, "it has no step"),
        (1, 8, 0, False, "a step is above 0"),
        (1, math.inf, None, False, "low is at most high"),
        (1, 10**9, None, False, "too many"),
    ],
)
def test_numbers_that_cannot_be(
    low: float, high: float, step: float | None, log: bool, said: str
) -> None:
    with pytest.raises(ConfigError, match=f"n: .*{said}"):
        grid("n", low, high, step, log=log, integer=True)


def test_only_rising_numbers_are_ordered() -> None:
    assert choice_column("c", [1, 2.5, 4]).kind == "ordinal"
    assert choice_column("c", [2, 1]).kind == "categorical"
    assert choice_column("c", [1, "x"]).kind == "categorical"
    assert choice_column("c", [False, True]).kind == "categorical"
    assert choice_column("c", [7]).kind == "categorical"


def test_places_on_the_scale() -> None:
    assert [choice_column("c", [2, 4, 10]).unit(i) for i in range(3)] == [0, 0.25, 1]
    log = grid("n", 1, 8, None, log=True, integer=True)
    assert log.unit(log.code(2)) == pytest.approx(1 / 3)
    assert Column("x", "real", (), 1, 100, True).unit(10) == pytest.approx(0.5)
    assert [Column("c", "categorical", ("x", "y", "z")).unit(i) for i in range(3)] == [0, 0.5, 1]
    assert Column("c", "categorical", ("x",)).unit(0) == 0
    assert Column("c", "ordinal", (False, True)).unit(1) == 1


def test_one_is_not_true() -> None:
    column = choice_column("c", ["1", 1, True, None])
    assert [column.code(v) for v in ("1", 1, 1.0, True, None)] == [0, 1, 1, 2, 3]


@pytest.mark.parametrize("value", [5, "1", True, None, 1.5])
def test_a_value_that_is_no_level(value: object) -> None:
    with pytest.raises(ConfigError, match="n is one of 1, 2, 3, 4, got"):
        grid("n", 1, 4, None, log=False, integer=True).code(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", [-1, 4, 0.5, math.nan, math.inf])
def test_a_code_that_no_level_has(code: float) -> None:
    with pytest.raises(ConfigError, match="no level has the code"):
        grid("n", 1, 4, None, log=False, integer=True).value(code)


def test_a_real_has_ends() -> None:
    column = Column("x", "real", (), 1.0, 2.0)
    assert column.value(column.code(1.5)) == 1.5
    for wrong in (0.9, 2.1, math.nan):
        with pytest.raises(ConfigError, match=r"x is a number from 1.0 to 2.0"):
            column.value(wrong)


@given(st.integers(-50, 50), st.integers(0, 60), st.integers(1, 9))
def test_codes_and_values_are_inverse(low: int, width: int, step: int) -> None:
    column = grid("n", low, low + width, step, log=False, integer=True)
    values = [column.value(code) for code in range(len(column.levels))]
    assert [column.code(value) for value in values] == list(range(len(values)))
    units = [column.unit(code) for code in range(len(values))]
    assert units == sorted(units)
    assert units[0] == 0
    assert all(0 <= unit <= 1 for unit in units)
