"""Small arenas whose truth is known."""

from __future__ import annotations

import itertools

import numpy as np

from archon.search.arms import Arms, Block, Kind, Split


def grid(levels: tuple[int, ...] = (6, 4, 3)) -> Arms:
    """Every combination of levels; an arm calls one node per step of each column's prefix."""
    rows = list(itertools.product(*(range(n) for n in levels)))
    numbers: dict[object, int] = {}
    lists = []
    for row in rows:
        wanted = [
            (row[:column], column, step)
            for column, level in enumerate(row)
            for step in range(level + 1)
        ]
        lists.append([numbers.setdefault(node, len(numbers)) for node in wanted])
    units = np.array(rows) / (np.array(levels) - 1)
    ends = np.cumsum([len(nodes) for nodes in lists])
    ordinal: Kind = "ordinal"
    kinds = (ordinal,) * len(levels)
    return Arms(units, kinds, np.concatenate([[0], ends]), np.concatenate(lists))


class Coins:
    """An arena in which each arm has a chance of its own, and items a hardness in common."""

    def __init__(self, arms: Arms, chances: np.ndarray, sizes: dict[Split, int], seed: int) -> None:
        self.arms = arms
        self.sizes = sizes
        self.chances = chances
        self._seed = seed

    def evaluate(self, arm: int, block: Block) -> np.ndarray:
        split = ("dev", "confirm", "test").index(block.split)
        shared = np.random.default_rng([self._seed, split]).random(self.sizes[block.split])
        own = np.random.default_rng([self._seed, split, arm]).random(len(shared))
        luck = np.where(own < 0.5, shared, np.random.default_rng(
            [self._seed, split, arm, 1]).random(len(shared)))  # fmt: skip
        right: np.ndarray = luck < self.chances[arm]
        return right[block.start : block.stop].astype(float)
