"""What a search has measured: scores by arm and block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from archon.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archon.search.arms import Block

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["MODELLED", "Measured"]

MODELLED = 600
"""Measurements that a belief is made of, about: its time grows with their cube."""


class Measured:
    """Scores by arm and block, in the order in which they came."""

    def __init__(self) -> None:
        self._scores: dict[tuple[int, Block], Floats] = {}
        self._numbers: dict[Block, int] = {}

    def __len__(self) -> int:
        return len(self._scores)

    def __contains__(self, key: tuple[int, Block]) -> bool:
        return key in self._scores

    def add(self, arm: int, block: Block, scores: Floats) -> None:
        """Keep the scores of an arm on a block.

        Raises:
            ConfigError: not one finite score from 0 to 1 per item.
        """
        import numpy as np

        got = np.asarray(scores, np.float64)
        if got.shape != (block.size,) or not np.all((got >= 0) & (got <= 1)):
            rule = f"{block.size} items need {block.size} scores from 0 to 1"
            raise ConfigError(f"{rule}; got {got.shape} of arm {arm}", where="scores")
        self._numbers.setdefault(block, len(self._numbers))
        self._scores[arm, block] = got

    @property
    def blocks(self) -> tuple[Block, ...]:
        """In the order of their first measurement."""
        return tuple(self._numbers)

    def arrays(self) -> tuple[Ints, Ints, Ints, Floats]:
        """Return arms, block numbers, items and mean scores, one entry per measurement."""
        import numpy as np

        arms = np.array([arm for arm, _ in self._scores], np.int64)
        blocks = np.array([self._numbers[block] for _, block in self._scores], np.int64)
        sizes = np.array([block.size for _, block in self._scores], np.int64)
        means = np.array([scores.mean() for scores in self._scores.values()])
        return arms, blocks, sizes, means

    def by_block(self) -> Iterator[tuple[Ints, Floats]]:
        """Yield the arms of each block and their scores, `[arms, items]`."""
        import numpy as np

        for block in self._numbers:
            here = [(arm, s) for (arm, at), s in self._scores.items() if at == block]
            yield np.array([arm for arm, _ in here]), np.array([s for _, s in here])

    def of(self, arm: int) -> list[tuple[Block, Floats]]:
        """Return the blocks of an arm and its scores on them, in order."""
        return [(block, scores) for (at, block), scores in self._scores.items() if at == arm]
