"""Fronts and their volume, against brute force."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from archon.search.objectives import hypervolume, undominated

POINTS = st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=0, max_size=8).map(
    lambda rows: np.array(rows, float).reshape(-1, 3)
)


@given(POINTS)
def test_the_front_is_what_nothing_beats(points: np.ndarray) -> None:
    for row, good in zip(points, undominated(points), strict=True):
        beaten = any((other >= row).all() and (other > row).any() for other in points)
        assert good == (not beaten)


@given(POINTS)
def test_the_volume_is_that_of_the_unit_cubes_below(points: np.ndarray) -> None:
    cubes = {
        cube
        for point in points
        for cube in itertools.product(*(range(int(value)) for value in point))
    }
    assert hypervolume(points, [0, 0, 0]) == len(cubes)


def test_unknown_values_are_on_no_front() -> None:
    points = np.array([[np.nan, 9.0], [1.0, 1.0]])
    assert undominated(points).tolist() == [False, True]
    assert hypervolume(points, [0.0, 0.0]) == 1.0
