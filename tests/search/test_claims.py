"""What may be said of a winner: rarely anything where there is nothing to say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta, ttest_1samp

from archon.search.claims import beats, margin_p, verdict


def _scores(values: np.ndarray) -> dict[str, float | None]:
    return {str(i): float(v) for i, v in enumerate(values)}


def test_the_p_value_is_student_s_with_a_win_and_a_loss_added() -> None:
    chance = np.random.default_rng(0)
    differences = chance.integers(-1, 2, 80).astype(float)
    padded = [*differences, 1.0, -1.0]
    expected = ttest_1samp(padded, 0.01, alternative="greater").pvalue
    assert margin_p(differences.tolist()) == pytest.approx(expected)


def test_better_needs_every_baseline_beaten_by_more_than_a_point() -> None:
    ones, most = np.ones(300), np.ones(300)
    most[:60] = 0
    half = np.zeros(300)
    half[:150] = 1
    found = verdict(_scores(ones), {"single": _scores(half), "vote": _scores(most)})
    assert found.better
    assert [claim.difference for claim in found.claims] == [0.5, pytest.approx(0.2)]
    assert "than vote by 20.0 points" in found.said
    close = ones.copy()
    close[:3] = 0  # a point
    found = verdict(_scores(ones), {"single": _scores(half), "vote": _scores(close)})
    assert not found.better
    assert "nothing is claimed: against vote the winner is +1.0 points" in found.said


def test_nobody_beats_no_baseline_or_one_that_is_as_good() -> None:
    winner, weak = np.r_[np.ones(90), np.zeros(10)], np.r_[np.ones(50), np.zeros(50)]
    close = np.r_[np.ones(89), np.zeros(11)]
    assert beats({"weak": (winner - weak).tolist()})
    assert not beats({"weak": (winner - weak).tolist(), "itself": [0.0] * 100})
    assert not beats({"close": (winner - close).tolist()})
    assert not beats({})


def test_nothing_is_claimed_where_items_were_lost_or_nothing_was_compared() -> None:
    winner = _scores(np.ones(100))
    lost: dict[str, float | None] = _scores(np.zeros(100))
    lost |= {str(i): None for i in range(3)}
    assert "2 % of the items were lost" in verdict(winner, {"single": lost}).said
    assert not verdict(winner, {}).better
    assert not verdict(winner, {"single": {}}).better


def _claimed(studies: int, items: int, chance: np.random.Generator) -> int:
    """Choose the luckiest of ten equal arms on confirm, and test it against equal baselines."""
    count = 0
    for _ in range(studies):
        hard = chance.random(items)
        test = (chance.random((12, items)) * 0.5 + hard * 0.5 < 0.55).astype(float)
        winner = int(chance.random((10, 300)).mean(1).argmax())  # another part: it says nothing
        baselines = {"single": test[10], "vote": test[11]}
        count += beats({name: (test[winner] - b).tolist() for name, b in baselines.items()})
    return count


def test_few_claims_where_all_are_equal() -> None:
    # The level is 5 %; a margin of a point and two baselines make it far less.
    assert _claimed(40, 120, np.random.default_rng(1)) <= 4


@pytest.mark.slow
@pytest.mark.parametrize("items", [60, 300])
def test_at_most_five_percent_are_claimed_where_all_are_equal(items: int) -> None:
    studies = 2000
    count = _claimed(studies, items, np.random.default_rng(items))
    upper = beta.ppf(0.975, count + 1, studies - count)  # Clopper & Pearson
    assert count / studies <= 0.05
    assert upper <= 0.065


@pytest.mark.slow
def test_no_winner_is_claimed_of_arms_that_share_their_items() -> None:
    """2,000 studies, all arms equal: the winner of dev and confirm against two baselines."""
    chance = np.random.default_rng(7)
    claims = 0
    for _ in range(2_000):
        hard = chance.random(300)
        scores = (0.6 * hard + 0.4 * chance.random((12, 300)) < 0.5).astype(float)
        chosen = 2 + int(scores[2:, :150].mean(axis=1).argmax())
        rest = scores[chosen, 150:] - scores[:2, 150:]
        claims += beats({"single": rest[0].tolist(), "vote": rest[1].tolist()})
    # The upper end of an exact 95 % interval at 5 % of 2,000 is 6.05 %.
    assert claims <= 100


@pytest.mark.slow
def test_the_level_holds_at_the_margin() -> None:
    # The hardest case: better than one baseline by exactly a point, far better than the other.
    chance, claims, studies, items = np.random.default_rng(3), 0, 2000, 1000
    for _ in range(studies):
        both = chance.random(items)
        winner = (both < 0.61).astype(float)
        other = ((both < 0.55) | (chance.random(items) < 0.05 / 0.45 * (both >= 0.55))).astype(
            float
        )
        claims += beats({"a": (winner - other).tolist(), "b": winner.tolist()})
    assert claims / studies <= 0.065


def test_p_is_never_small_where_nothing_differs() -> None:
    for n in (1, 5, 50, 5000):
        assert margin_p([0.0] * n) > 0.5
    assert margin_p([1.0] * 4) > 0.01  # four items show little
    assert math.isclose(margin_p([0.01] * 10**4), 0.5, abs_tol=0.01)
