from __future__ import annotations

import numpy as np
import pytest

from archon.errors import ConfigError
from archon.search.arms import Arms
from archon.search.objectives import hypervolume
from archon.search.pareto import front
from archon.search.race import Ask, Plan, Race, hunt
from archon.search.racing import best_within
from tests.search.spaces import Coins, grid

SIZES = {"dev": 200, "confirm": 60, "test": 100}


def arena(seed: int = 0, arms: Arms | None = None) -> Coins:
    arms = arms or grid()
    chances = 0.3 + 0.3 * arms.units[:, 0] + 0.2 * (1 - arms.units[:, 2])
    return Coins(arms, chances, SIZES, seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("calls", [200, 500])
@pytest.mark.parametrize("front", [False, True])
def test_no_race_pays_more_than_its_calls(calls: int, front: bool) -> None:
    for seed in range(2):
        assert hunt(arena(seed), Plan(calls, seed=seed, front=front)).paid <= calls


@pytest.mark.parametrize("calls", [2_000, 6_000])
def test_a_race_finds_a_good_arm_within_its_calls(calls: int) -> None:
    regrets = []
    for seed in range(3):
        ground = arena(seed)
        found = hunt(ground, Plan(calls, seed=seed))
        assert found.paid <= calls
        assert found.alone >= found.paid
        regrets.append(ground.chances.max() - ground.chances[found.arm])
    assert np.mean(regrets) < (0.12 if calls < 3_000 else 0.06)


def test_the_same_seed_gives_the_same_race() -> None:
    first, second = hunt(arena(), Plan(1_500, seed=3)), hunt(arena(), Plan(1_500, seed=3))
    assert first.path == second.path
    assert first.arm == second.arm
    assert first.path != hunt(arena(), Plan(1_500, seed=4)).path


def test_nothing_is_asked_twice_and_what_is_paid_for_shares_its_items() -> None:
    ground = arena()
    race = Race(ground.arms, ground.sizes, Plan(4_000))
    asked: list[Ask] = []
    known: dict[object, set[int]] = {}
    while asks := race.ask():
        paying = set()
        for ask in asks:
            nodes = set(ground.arms.nodes_of(ask.arm).tolist())
            if nodes - known.setdefault(ask.block, set()):
                paying.add(ask.block)
            known[ask.block] |= nodes
            race.tell(ask, ground.evaluate(*ask))
        assert len(paying) <= 1
        asked += asks
    assert len(asked) == len(set(asked))
    assert sum(ask.block.split == "test" for ask in asked) == 1


def test_what_costs_nothing_is_measured_too() -> None:
    measured, paid = {}, {}
    for free in (0, 32):
        ground = arena()
        race = Race(ground.arms, ground.sizes, Plan(2_000, free=free))
        rounds = []
        while asks := race.ask():
            rounds += [len(asks)] if asks[0].block.split == "dev" else []
            for ask in asks:
                race.tell(ask, ground.evaluate(*ask))
        assert max(rounds) <= 8 + free
        measured[free], paid[free] = len(race.measured), race.paid.calls
    assert measured[32] > 1.2 * measured[0]
    assert max(paid.values()) <= 2_000


def test_test_scores_take_part_in_no_choice() -> None:
    class Lying(Coins):
        def evaluate(self, arm: int, block):  # type: ignore[no-untyped-def]
            scores = super().evaluate(arm, block)
            return 1 - scores if block.split == "test" else scores

    honest = arena()
    lying = Lying(honest.arms, honest.chances, SIZES, 0)  # type: ignore[arg-type]
    one, other = hunt(honest, Plan(1_500)), hunt(lying, Plan(1_500))
    assert one.arm == other.arm
    assert one.believed == other.believed
    assert one.score == pytest.approx(1 - other.score)


def test_seeds_are_measured_first() -> None:
    ground = arena()
    race = Race(ground.arms, ground.sizes, Plan(10_000), seeds=[5, 17])
    assert [ask.arm for ask in race.ask()][:2] == [5, 17]


def test_a_front_holds_cheap_and_good_arms() -> None:
    ground = arena()
    found = hunt(ground, Plan(4_000, front=True))
    calls = ground.arms.calls
    merits, worst = np.column_stack([ground.chances, -calls]), (0.0, -float(calls.max()))
    whole = hypervolume(merits[front(ground.chances, calls)], worst)
    got = hypervolume(merits[found.front], worst)
    assert got > 0.85 * whole
    assert (np.diff(calls[found.front]) > 0).all()


def test_what_is_told_of_a_prefix_helps_and_nobody_asks_for_it() -> None:
    """Rows 9 to 11 are prefixes: the first setting alone, the second absent."""
    whole = grid((3, 3))
    units = np.vstack([whole.units, [[place, np.nan] for place in (0.0, 0.5, 1.0)]])
    more = np.arange(1, 4) + whole.indptr[-1]
    nodes = np.concatenate([whole.nodes, [0, 0, 0]])
    arms = Arms(units, whole.kinds, np.concatenate([whole.indptr, more]), nodes, prefixes=3)
    race = Race(arms, SIZES, Plan(3_000, starts=4))  # type: ignore[arg-type]
    asked = []
    while asks := race.ask():
        asked += [ask.arm for ask in asks]
        for ask in asks:
            race.tell(ask, np.full(ask.block.size, 0.5))
            if ask.block.split == "dev":
                for row in (9, 10, 11):
                    graded = np.full(ask.block.size, (row - 9) / 2)
                    race.tell(Ask(row, ask.block), graded)
    assert max(asked) < 9
    means, _ = race.believe().marginals()
    assert len(means) == 9
    assert means[6:].mean() > means[:3].mean()


def test_too_few_calls_are_refused_before_anything_is_paid() -> None:
    with pytest.raises(ConfigError, match="do not pay for it on 16 items"):
        Race(grid(), SIZES, Plan(40))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="confirm and test are shares"):
        Plan(1_000, confirm=0.6, test=0.4)
    with pytest.raises(ConfigError, match="width must be at least 1"):
        Plan(1_000, width=0)


def test_a_race_that_is_not_over_has_no_winner() -> None:
    with pytest.raises(ConfigError, match="not over"):
        Race(grid(), SIZES, Plan(10_000)).found()  # type: ignore[arg-type]


def test_the_best_within_a_price_counts_equal_prices() -> None:
    values, calls = np.array([0.2, 0.9, 0.5, 0.4]), np.array([1, 2, 2, 3])
    assert best_within(values, calls).tolist() == [0.2, 0.9, 0.9, 0.9]


def test_a_hypervolume_by_hand() -> None:
    # Points (0.5, 1) and (0.8, 2) against (0, 4): 0.5 * 1 + 0.8 * 2; the others add nothing.
    points = np.array([[0.5, -1], [0.8, -2], [0.4, -3], [0.9, -5]])
    assert hypervolume(points, (0.0, -4.0)) == pytest.approx(2.1)
    assert front([0.5, 0.8, 0.4, 0.8], [1, 2, 3, 2]).tolist() == [0, 1]
