"""What to measure next: plausible winners, and of those the ones that add the fewest calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from archon.search.arms import Arms, Block, Paid
    from archon.search.measured import Measured
    from archon.search.racing import Field
    from archon.search.surrogate import Surrogate

__all__ = ["CROWD", "crowd", "free_rides", "plausible_winners", "spread"]

CROWD = 4
"""Plausible winners to choose from, for each arm that a round measures."""

_DRAWN = 1_500

_START_NOISE = 0.002
"""Variance of a mean over a first block, about."""


def plausible_winners(
    field: Field, paid: Paid, measured: Measured, block: Block, count: int, left: int
) -> list[int]:
    """Return up to `count` arms to measure on a block.

    Thompson sampling: each joint draw of the posterior names a winner. Of the first `4 * count`
    different ones those are taken, one after the other, that add the fewest new calls, so that a
    round settles on a few prefixes; which ones is left to chance, in proportion to belief.

    Args:
        field: who is in the race.
        paid: what is paid on this block.
        measured: what was measured; nothing is measured twice.
        block: the items.
        count: how many arms.
        left: calls that may be spent.
    """
    some = crowd(field, measured, block, CROWD * count)
    return paid.cheapest(some, block, count, left)


def crowd(field: Field, measured: Measured, block: Block, most: int) -> list[int]:
    """Return up to `most` different winners of draws, the first ones, not measured on a block."""
    import numpy as np

    _, first = np.unique(field.winners, return_index=True)
    winners = field.arms[field.winners[np.sort(first)]].tolist()
    return [arm for arm in winners if (arm, block) not in measured][:most]


def free_rides(
    field: Field, paid: Paid, measured: Measured, blocks: Iterable[Block], count: int
) -> list[tuple[int, Block]]:
    """Return up to `count` measurements of plausible winners that cost no call.

    Where others have paid for everything that an arm asks on a block, measuring it there adds what
    it is worth and no call.

    Args:
        field: who is in the race.
        paid: what is paid.
        measured: what was measured; nothing is measured twice.
        blocks: where, in order.
        count: how many at most.
    """
    found: list[tuple[int, Block]] = []
    for block in blocks:
        for arm in crowd(field, measured, block, len(field.arms)):
            if len(found) == count:
                return found
            if not paid.new(arm, block):
                found.append((arm, block))
    return found


def spread(
    arms: Arms, surrogate: Surrogate, given: list[int], count: int, chance: np.random.Generator
) -> list[int]:
    """Return `count` arms far from each other and from the given ones, for a start.

    Each is the one about which the prior says least after those before it: the corners of the
    space come first, and from them main effects are learnt with the least noise.
    """
    import numpy as np

    drawn = chance.choice(len(arms), min(_DRAWN, len(arms)), replace=False)
    pool = np.concatenate([np.array(given, np.int64), drawn])
    left = np.full(len(pool), surrogate.variance)
    known = np.zeros((0, len(pool)))
    chosen: list[int] = []
    for step in range(len(given) + min(count, len(drawn))):
        at = step if step < len(given) else int(np.argmax(left))
        column = surrogate.covariance(pool, pool[at : at + 1])[:, 0] - known.T @ known[:, at]
        row = column / np.sqrt(column[at] + _START_NOISE)
        known = np.vstack([known, row])
        left = left - row**2
        left[at] = -np.inf
        chosen.append(int(pool[at]))
    return chosen[len(given) :]
