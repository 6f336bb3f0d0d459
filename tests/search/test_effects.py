"""Effects of techniques where they are known by construction, and their errors by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t

from archon.search.effects import LEAST_ARMS, LEAST_ITEMS, effects, interactions
from archon.search.features import Feature, Features, features_of
from archon.search.record import Arm

Floats = NDArray[np.float64]
ITEMS = 60
GROUPS = ["algebra", "geometry"] * (ITEMS // 2)
EASE = np.linspace(0.1, 0.6, ITEMS)


def arm(row: int, *layers: str, models: tuple[str, ...] = ("m",), samples: int = 1) -> Arm:
    return Arm(
        row=row, digest=str(row), name="", codes=(), layers=tuple(sorted(layers)), models=models,
        samples=samples, calls=1, items=1, values={}, feasible=True,
    )  # fmt: skip


def technique(*columns: list[int]) -> Features:
    names = tuple(Feature(f"t{n}", "technique") for n in range(len(columns)))
    return Features(names, np.array(columns, float).T)


HALF = [n % 2 for n in range(12)]
OTHER = [n // 6 for n in range(12)]


def test_which_items_an_architecture_saw_does_not_matter() -> None:
    # With the technique 0.1 more on every item. Those with it saw the hard half only: their plain
    # means are lower. The difference within items is 0.1 all the same.
    scores = EASE + 0.1 * np.array(HALF)[:, None]
    scores[1::2, ITEMS // 2 :] = np.nan
    assert np.nanmean(scores[1::2]) < np.nanmean(scores[::2])
    [found] = effects(technique(HALF), scores, GROUPS, ())
    assert found.difference == pytest.approx(0.1)
    assert (found.said, found.arms, found.items) == ("helps", (6, 6), ITEMS)
    [hurt] = effects(technique([1 - h for h in HALF]), scores, GROUPS, ())
    assert hurt.said == "hurts"
    assert hurt.difference == pytest.approx(-0.1)


def test_other_techniques_are_held_equal() -> None:
    # The second technique is worth 0.3 and comes mostly with the first, which is worth nothing.
    first, second = [0] * 6 + [1] * 6, [0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1]
    rng = np.random.default_rng(0)
    scores = EASE + 0.3 * np.array(second)[:, None] + rng.normal(0, 0.05, (12, ITEMS))
    one, two = effects(technique(first, second), scores, GROUPS, ())
    assert scores[6:].mean() - scores[:6].mean() > 0.15
    assert abs(one.difference or 1) < 0.03
    assert one.said == "not distinguishable"
    assert two.difference == pytest.approx(0.3, abs=0.03)


def test_a_technique_that_helps_in_one_group() -> None:
    rng = np.random.default_rng(1)
    lift = np.where(np.array(GROUPS) == "algebra", 0.25, 0.0)
    scores = EASE + np.array(HALF)[:, None] * lift + rng.normal(0, 0.1, (12, ITEMS))
    found = effects(technique(HALF), scores, GROUPS, ("algebra", "geometry"))
    whole, algebra, geometry = found
    assert [e.group for e in found] == [None, "algebra", "geometry"]
    assert algebra.said == "helps"
    assert algebra.difference == pytest.approx(0.25, abs=0.04)
    assert geometry.said == "not distinguishable"
    assert whole.difference == pytest.approx(0.125, abs=0.04)
    # Holm over the three tests of the table: the least p-value is tripled.
    least = min(found, key=lambda e: e.p or 1)
    assert least.corrected == pytest.approx(3 * (least.p or 0))


def test_too_little_is_said_to_be_too_little() -> None:
    scores = np.tile(EASE, (12, 1))
    few = effects(technique(HALF), scores[:, : LEAST_ITEMS - 1], GROUPS[: LEAST_ITEMS - 1], ())
    assert [(e.said, e.difference, e.items) for e in few] == [("too few items", None, 29)]
    rare = [1] * (LEAST_ARMS - 1) + [0] * (12 - LEAST_ARMS + 1)
    [found] = effects(technique(rare), scores, GROUPS, ())
    assert (found.said, found.arms) == ("too few architectures", (4, 8))
    assert effects(technique(), scores, GROUPS, ()) == []
    # Nobody else saw the items of the only architectures that have it.
    scores[:6, :30], scores[6:, 30:] = np.nan, np.nan
    [apart] = effects(technique(OTHER), scores, GROUPS, ())
    assert (apart.said, apart.p) == ("not told apart", None)


def test_equal_scores_show_nothing() -> None:
    [found] = effects(technique(HALF), np.ones((12, ITEMS)), GROUPS, ())
    assert (found.said, found.difference) == ("not distinguishable", 0)


def by_hand(x: Floats, scores: Floats) -> tuple[float, float]:
    """Return the slope within items and its error clustered both ways, cluster by cluster."""
    arms, items = scores.shape
    y = scores - scores.mean(0)
    z = np.repeat((x - x.mean())[:, None], items, 1)
    slope = float((z * y).sum() / (z**2).sum())
    pull = z * (y - slope * z)
    n = arms * items

    def variance(parts: Floats) -> float:
        clusters = len(parts)
        small = clusters / (clusters - 1) * (n - 1) / (n - 1)
        return float(small * (parts**2).sum() / (z**2).sum() ** 2)

    both = [variance(pull.sum(1)), variance(pull.sum(0)), variance(pull.ravel())]
    return slope, float(max(both[0] + both[1] - both[2], both[0], both[1])) ** 0.5


def test_errors_count_architectures_and_items() -> None:
    rng = np.random.default_rng(3)
    own = rng.normal(0, 0.1, 12)[:, None]  # what an architecture has beside the technique
    fits = rng.normal(0, 0.2, ITEMS)  # how well the technique suits an item
    scores = EASE + own + np.array(HALF)[:, None] * fits + rng.normal(0, 0.1, (12, ITEMS))
    slope, error = by_hand(np.array(HALF, float), scores)
    [found] = effects(technique(HALF), scores, GROUPS, ())
    assert found.difference == pytest.approx(slope)
    assert found.high is not None
    # Six architectures on either side: five degrees of freedom.
    assert found.high - slope == pytest.approx(t.ppf(0.975, 5) * error)
    assert found.p == pytest.approx(2 * t.sf(abs(slope) / error, 5))


def test_two_together() -> None:
    first, second = np.array([n // 2 % 2 for n in range(24)]), np.array([n % 2 for n in range(24)])
    scores = EASE + (0.05 * first + 0.05 * second + 0.2 * first * second)[:, None]
    [found] = interactions(technique(first.tolist(), second.tolist()), scores)
    assert found.difference == pytest.approx(0.2)
    assert (found.said, found.arms, found.name) == ("helps", (6, 6), "t0 with t1")
    # One side has four architectures only; one side is empty, so there is nothing to ask.
    few = [(1, 1)] * 4 + [(1, 0)] * 5 + [(0, 1)] * 5 + [(0, 0)] * 5
    columns = [list(column) for column in zip(*few, strict=True)]
    [rare] = interactions(technique(*columns), np.tile(EASE, (19, 1)))
    assert rare.said == "too few architectures"
    assert interactions(technique([0] * 6 + [1] * 6, [0] * 3 + [1] * 9), np.ones((12, 60))) == []


def test_what_architectures_are_made_of() -> None:
    arms = [
        arm(0, "generate", "vote", samples=1),
        arm(1, "generate", "fuse", "critique", samples=4),
        arm(2, "generate", "vote", models=("m", "n")),
        arm(3, "generate", "fuse", "critique"),
    ]
    found = features_of(arms)
    named = {feature.label: found.values[:, n].tolist() for n, feature in enumerate(found.names)}
    assert named == {
        "critique (= fuse, = not vote)": [0, 1, 0, 1],
        "n": [0, 0, 1, 0],
        "twice the samples": [0, 2, 0, 0],
    }


def test_of_three_that_exclude_each_other_one_is_the_measure() -> None:
    ends = ["vote"] * 8 + ["fuse"] * 6 + ["rank"] * 5
    found = features_of([arm(n, "generate", end) for n, end in enumerate(ends)])
    assert [feature.label for feature in found.names] == [
        "rank (against vote)", "fuse (against vote)",
    ]  # fmt: skip
    worth = np.array([{"vote": 0.0, "fuse": 0.2, "rank": -0.1}[end] for end in ends])
    rank, fuse = effects(found, EASE + worth[:, None], GROUPS, ())
    assert rank.difference == pytest.approx(-0.1)
    assert fuse.difference == pytest.approx(0.2)


@pytest.mark.slow
def test_what_does_nothing_is_seldom_said_to_help() -> None:
    # 400 tables of two techniques that do nothing on average: they suit some items, architectures
    # differ, half the scores are missing. At most 5 % of tables may claim; 3.3 errors of room.
    claimed = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        columns = [rng.permutation([0, 1] * 8).tolist() for _ in range(2)]
        fits = rng.normal(0, 0.15, (2, ITEMS))
        own = rng.normal(0, 0.05, 16)[:, None]
        chance = EASE + 0.1 + own + np.array(columns).T @ fits
        scores = (rng.random((16, ITEMS)) < chance).astype(float)
        scores[rng.random((16, ITEMS)) < 0.5] = np.nan
        claimed += any(e.said in ("helps", "hurts")
                       for e in effects(technique(*columns), scores, GROUPS, ()))  # fmt: skip
    assert claimed <= 400 * 0.05 + 3.3 * (400 * 0.05 * 0.95) ** 0.5
