"""Selections over all subsets of the stored draws, against listing the subsets one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product

import numpy as np
import pytest

from archon.benchmarks.perf import replay_pace
from archon.search.subsets import Bests, Votes, missed, vote_shares

CHANCE = np.random.default_rng(0)
SCORES = [CHANCE.random((5, 5)), CHANCE.random((5, 4))]
SIGNALS = [CHANCE.integers(0, 3, (5, 5)).astype(float), CHANCE.integers(0, 3, (5, 4)).astype(float)]
SIGNALS[0][0, 0] = np.nan
ANSWERS = [CHANCE.integers(-1, 3, (5, 5)), CHANCE.integers(-1, 3, (5, 4))]
KS = [(1, 1), (2, 3), (5, 4), (3, 1), (1,), (3,), (4,), (5,)]


def subsets(item: int, ks: Sequence[int], parts: Sequence[np.ndarray]) -> Iterator[list[tuple]]:  # type: ignore[type-arg]
    """Yield every choice of draws as score, what is said of it, and its source."""
    chosen = [combinations(range(SCORES[s].shape[1]), k) for s, k in enumerate(ks)]
    for combo in product(*chosen):
        yield [
            (SCORES[s][item, d], parts[s][item, d], s) for s, draws in enumerate(combo)
            for d in draws
        ]  # fmt: skip


@pytest.mark.parametrize("ks", KS)
def test_the_best_of_all_subsets(ks: tuple[int, ...]) -> None:
    def rank(cell: tuple[float, float, int]) -> tuple[float, int]:
        return (-np.inf if np.isnan(cell[1]) else cell[1]), -cell[2]

    expected = []
    for item in range(5):
        values = []
        for cells in subsets(item, ks, SIGNALS):
            best = max(map(rank, cells))
            values.append(np.mean([cell[0] for cell in cells if rank(cell) == best]))
        expected.append(np.mean(values))
    count = len(ks)
    assert Bests(SCORES[:count], SIGNALS[:count]).mean(ks) == pytest.approx(expected, abs=1e-12)


def voted(item: int, ks: Sequence[int]) -> float:
    """Return the mean worth of the leading answers over all subsets."""
    count = len(ks)
    worth = {
        code: np.mean([
            score for s in range(count)
            for score, said in zip(SCORES[s][item], ANSWERS[s][item], strict=True) if said == code
        ] or [0.0])
        for code in range(3)
    }  # fmt: skip
    values = []
    for cells in subsets(item, ks, ANSWERS):
        counts = {code: sum(cell[1] == code for cell in cells) for code in range(3)}
        most = max(counts.values())
        values.append(np.mean([worth[c] for c, n in counts.items() if n == most]) if most else 0.0)
    return float(np.mean(values))


@pytest.mark.parametrize("ks", [ks for ks in KS if len(ks) == 1])
def test_a_vote_over_one_source_is_exact(ks: tuple[int, ...]) -> None:
    expected = [voted(item, ks) for item in range(5)]
    assert Votes(SCORES[:1], ANSWERS[:1]).mean(ks) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("ks", [(2, 3), (5, 4)])
def test_a_vote_over_several_sources_is_sampled(ks: tuple[int, ...]) -> None:
    expected = [voted(item, ks) for item in range(5)]
    # The standard error of 2,000 orders is at most 0.5 / sqrt(2000) = 0.011; all draws are one set.
    close = 1e-6 if ks == (5, 4) else 0.05
    found = Votes(SCORES, ANSWERS, orders=2000).mean(ks)
    assert found == pytest.approx(expected, abs=close)
    # An item's value does not depend on the items beside it.
    alone = Votes([part[3:4] for part in SCORES], [part[3:4] for part in ANSWERS], orders=2000)
    assert alone.mean(ks)[0] == found[3]


def test_by_hand() -> None:
    unread = Votes([np.ones((2, 3))], [np.full((2, 3), -1)])
    assert unread.mean((2,)).tolist() == [0, 0]
    # Of three draws a, a, b two are taken: a a once, a b twice with a tie.
    assert vote_shares(3, (2, 1))[2].tolist() == pytest.approx([2 / 3, 1 / 3])
    # No draw of two given ones among 2 of 4: one pair of six.
    assert missed(4, 2)[2] == pytest.approx(1 / 6)
    assert vote_shares(40, (20, 15, 5))[40].tolist() == pytest.approx([1, 0, 0])
    assert vote_shares(60, (20, 20, 20))[31].tolist() == pytest.approx([1 / 3] * 3)


def test_the_program_that_times_it_counts_what_it_does() -> None:
    found = replay_pace.pace(replay_pace.matrix(items=7, draws=2), most=2)
    # Two numbers of draws of each of three samplers, four of each pair, eight of all.
    assert found["vote"]["outcomes"] == found["best"]["outcomes"] == 7 * (3 * 2 + 3 * 4 + 8)
    assert found["both"]["per_second"] > 0
