"""What models are taught besides the truth: misconceptions, and the habits of weak judges.

All values are rates from 0 to 1. A misconception strikes only where its trap stands in the task,
so a model can learn when to be wrong, and wrong answers of different samples and models agree.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace

__all__ = ["HONEST", "TAUGHT", "Knobs"]


@dataclass(frozen=True, slots=True)
class Knobs:
    """How often models are taught to be wrong, and in which ways.

    Attributes:
        lure: a needless sentence of a function's description is taken for a step.
        order: two steps told in reverse are done as told.
        bound: `or more`, `at least` and the like are taken as strict, and limits as exclusive.
        groups: so many groups of so many are counted as one group.
        sums: so many groups of so many are counted as the sum of both numbers.
        brackets: an expression is written, and computed, from left to right without brackets.
        count: a list is one entry short where its length is not asked for as `exactly` so much.
        thought: share of these rates that is left when a model thinks first.
        shared: share of these rates that is left when a model judges.
        herd: a fusion follows the most frequent draft, whatever it says.
        first: a ranking puts the first answer first, whatever it says.
        faults: a review of a right answer finds a fault.
    """

    lure: float = 0.6
    order: float = 0.35
    bound: float = 0.3
    groups: float = 0.55
    sums: float = 0.0
    brackets: float = 0.6
    count: float = 0.5
    thought: float = 0.4
    shared: float = 0.6
    herd: float = 0.15
    first: float = 0.05
    faults: float = 0.04

    def __post_init__(self) -> None:
        """Refuse what is no rate."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value <= 1:
                raise ValueError(f"{field.name} is a rate from 0 to 1, got {value!r}")

    def strikes(self, name: str, rng: random.Random) -> bool:
        """Whether a misconception strikes this time."""
        rate: float = getattr(self, name)
        return rng.random() < rate

    def scaled(self, share: float) -> Knobs:
        """The same with all misconceptions at a share of their rates."""
        names = ("lure", "order", "bound", "groups", "sums", "brackets", "count")
        return replace(self, **{name: getattr(self, name) * share for name in names})


TAUGHT = Knobs()
"""What the family is taught."""

HONEST = Knobs(**{field.name: 0.0 for field in fields(Knobs)})
"""No misconception, no bad habit."""
