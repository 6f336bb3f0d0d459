from __future__ import annotations

import math
import random
from itertools import product

import pytest

from archon import stats
from archon.stats import Interval


def rounded(span: Interval, digits: int = 4) -> tuple[float, float]:
    return round(span.low, digits), round(span.high, digits)


@pytest.mark.parametrize(
    ("successes", "n", "expected"),
    [  # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_gives_the_published_values(
    successes: int, n: int, expected: tuple[float, float]
) -> None:
    assert rounded(stats.wilson(successes, n)) == expected


def test_wilson_by_hand() -> None:
    # 5 of 10, z = 1.959964: centre 0.5, half z * sqrt(10 / 4 + z^2 / 4) / (10 + z^2) = 0.26341
    assert rounded(stats.wilson(5, 10)) == (0.2366, 0.7634)
    assert stats.wilson(10, 10).high == 1.0


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_what_is_no_proportion(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        stats.wilson(successes, n)


@pytest.mark.parametrize(
    ("degrees", "expected"), [(1, 12.7062), (2, 4.3027), (5, 2.5706), (10, 2.2281), (30, 2.0423)]
)
def test_t_quantile_gives_the_table_values(degrees: int, expected: float) -> None:
    assert stats.t_quantile(0.975, degrees) == pytest.approx(expected, rel=5e-4)


def test_mean_interval_by_hand() -> None:
    # mean 0.5, deviation 0.15811 over five scores: 0.5 +- 2.7764 * 0.15811 / sqrt(5)
    assert rounded(stats.mean_interval([0.3, 0.4, 0.5, 0.6, 0.7]), 3) == (0.304, 0.696)
    assert stats.mean_interval([0.5]) == Interval(-math.inf, math.inf)
    assert stats.interval([0.5]) == Interval(0.0, 1.0)
    assert stats.interval([0.0, 1.0, 1.0]) == stats.wilson(2, 3)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        # Newcombe 1998, paired data, table II, method 10
        ((36, 12, 2, 0), (0.0569, 0.3404)),
        # Fagerland, Lydersen, Laake 2014, airway hyper-responsiveness, square-and-add
        ((1, 1, 7, 12), (-0.5069, -0.0256)),
    ],
)
def test_newcombe_gives_the_published_values(
    cells: tuple[int, int, int, int], expected: tuple[float, float]
) -> None:
    assert rounded(stats.newcombe(*cells)) == expected


def test_newcombe_is_symmetric_and_holds_the_difference() -> None:
    for both, first, second, neither in product(range(4), repeat=4):
        n = both + first + second + neither
        if n == 0:
            continue
        span = stats.newcombe(both, first, second, neither)
        other = stats.newcombe(both, second, first, neither)
        assert (span.low, span.high) == pytest.approx((-other.high, -other.low))
        assert -1 <= span.low <= (first - second) / n <= span.high <= 1


def test_mcnemar_by_hand() -> None:
    assert stats.mcnemar(1, 7) == 2 * (1 + 8) / 2**8
    assert stats.mcnemar(12, 2) == pytest.approx(2 * (1 + 14 + 91) / 2**14)
    assert stats.mcnemar(0, 0) == stats.mcnemar(5, 5) == 1.0
    assert 0 < stats.mcnemar(2000, 1000) < 1e-60


def test_paired_counts_wins_and_losses() -> None:
    found = stats.paired([1, 1, 1, 0, 0], [1, 0, 0, 1, 0], lost=1)
    assert (found.n, found.wins, found.losses, found.lost) == (5, 2, 1, 1)
    assert found.difference == pytest.approx(0.2)
    assert found.p == 1.0
    assert not found.claim  # one of six was lost
    assert not found.better
    with pytest.raises(ValueError, match="pairs"):
        stats.paired([1.0], [1.0, 0.0])


def test_graded_scores_get_a_seeded_bootstrap() -> None:
    rng = random.Random(5)
    first = [rng.random() for _ in range(80)]
    second = [score - 0.2 * rng.random() for score in first]
    found = stats.paired(first, second, seed=3)
    assert found == stats.paired(first, second, seed=3)
    assert found != stats.paired(first, second, seed=4)
    assert found.p is None
    assert found.low < 0.1 < found.high
    assert found.better
    differences = [a - b for a, b in zip(first, second, strict=True)]
    by_t = stats.mean_interval(differences)
    assert (found.low, found.high) == pytest.approx((by_t.low, by_t.high), abs=0.004)


def test_json_has_no_infinite_numbers() -> None:
    data = stats.paired([0.5], [0.25]).to_json()
    assert (data["low"], data["high"]) == (None, None)


def binary_pair(rng: random.Random) -> tuple[int, int]:
    """Two correlated answers: right with probability 0.6 and 0.5, both from one easiness."""
    easy = rng.random()
    return int(easy < 0.6), int(easy < 0.4 or rng.random() < 1 / 6)


@pytest.mark.parametrize("n", [15, 60])
def test_intervals_hold_the_truth_as_often_as_they_say(n: int) -> None:
    rng = random.Random(n)
    runs, single, difference = 1500, 0, 0
    for _ in range(runs):
        pairs = [binary_pair(rng) for _ in range(n)]
        first, second = zip(*pairs, strict=True)
        span = stats.wilson(sum(first), n)
        single += span.low <= 0.6 <= span.high
        found = stats.paired(first, second)
        difference += found.low <= 0.1 <= found.high
    assert 0.93 < single / runs < 0.985
    assert 0.93 < difference / runs < 0.995


def test_the_t_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = random.Random(1)
    spans = [stats.mean_interval([rng.random() for _ in range(8)]) for _ in range(2000)]
    assert 0.93 < sum(span.low <= 0.5 <= span.high for span in spans) / 2000 < 0.97
