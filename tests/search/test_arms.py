from __future__ import annotations

import numpy as np
import pytest

from archon.errors import ConfigError
from archon.search.arms import Arms, Block, Paid
from archon.search.measured import Measured

BLOCK = Block("dev", 0, 10)


def three() -> Arms:
    """Calls {0, 1}, {0, 1, 2} and {3, 4, 5, 6}."""
    nodes = np.array([0, 1, 0, 1, 2, 3, 4, 5, 6])
    return Arms(np.array([[0.0], [0.5], [1.0]]), ("ordinal",), np.array([0, 2, 5, 9]), nodes)


def test_what_is_paid_is_not_paid_again() -> None:
    paid = Paid(three())
    assert paid.pay(0, BLOCK) == 20
    assert paid.new(1, BLOCK) == 10
    assert paid.pay(1, BLOCK) == 10
    assert paid.pay(1, BLOCK) == 0
    assert (paid.calls, paid.alone) == (30, 20 + 30 + 30)


def test_other_items_are_paid_apart() -> None:
    paid = Paid(three())
    paid.pay(0, BLOCK)
    assert paid.new(0, Block("dev", 10, 15)) == 10
    assert paid.new(0, Block("test", 0, 10)) == 20


def test_cheapest_counts_what_the_chosen_ones_already_call() -> None:
    paid = Paid(three())
    # Alone they cost 3, 4 and 2 a piece; after arm 0, arm 1 adds one call only.
    assert paid.cheapest([1, 2, 0], BLOCK, 3, 1_000) == [0, 1, 2]
    assert paid.cheapest([1, 2, 0], BLOCK, 3, 30) == [0, 1]
    assert paid.cheapest([1, 2, 0], BLOCK, 1, 19) == []
    assert paid.calls == 0


def test_what_is_affordable_counts_shared_calls_once() -> None:
    paid = Paid(three())
    assert paid.affordable([0, 1, 2], BLOCK, 30) == [0, 1]
    assert paid.affordable([1, 0, 2], BLOCK, 70) == [1, 0, 2]
    assert paid.affordable([2, 0], BLOCK, 39) == []


def test_together_counts_distinct_calls() -> None:
    assert Paid(three()).together([0, 1]) == 3
    assert Paid(three()).together([0, 1, 2]) == 7


def test_prefixes_are_no_architectures() -> None:
    whole = three()
    arms = Arms(whole.units, whole.kinds, whole.indptr, whole.nodes, prefixes=1)
    assert len(arms) == 2
    with pytest.raises(ConfigError, match="at least one architecture"):
        Arms(whole.units, whole.kinds, whole.indptr, whole.nodes, prefixes=3)


def test_arrays_that_do_not_fit_are_refused() -> None:
    whole = three()
    with pytest.raises(ConfigError, match="3 rows of 1 columns need 1 kinds and 4 pointers"):
        Arms(whole.units, ("ordinal", "real"), whole.indptr, whole.nodes)


@pytest.mark.parametrize("scores", [[1.0], [1.0, float("nan")], [0.0, 1.5], [0.0, float("inf")]])
def test_scores_must_be_finite_and_one_per_item(scores: list[float]) -> None:
    with pytest.raises(ConfigError, match="2 items need 2 scores from 0 to 1"):
        Measured().add(0, Block("dev", 0, 2), np.array(scores))


def test_measurements_come_back_by_arm_and_by_block() -> None:
    measured = Measured()
    first, second = Block("dev", 0, 2), Block("dev", 2, 3)
    measured.add(4, first, np.array([1.0, 0.0]))
    measured.add(7, first, np.array([1.0, 1.0]))
    measured.add(4, second, np.array([1.0]))
    arms, blocks, sizes, means = measured.arrays()
    assert arms.tolist() == [4, 7, 4]
    assert blocks.tolist() == [0, 0, 1]
    assert sizes.tolist() == [2, 2, 1]
    assert means.tolist() == [0.5, 1.0, 1.0]
    assert [block for block, _ in measured.of(4)] == [first, second]
    [(here, scores), _] = measured.by_block()
    assert here.tolist() == [4, 7]
    assert scores.tolist() == [[1.0, 0.0], [1.0, 1.0]]
    assert (4, second) in measured
    assert (7, second) not in measured
