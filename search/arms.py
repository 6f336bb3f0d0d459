"""The architectures of a search as arrays, the items they meet, and what is paid already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from archon.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.integer[Any]]

__all__ = ["Arena", "Arms", "Block", "Kind", "Paid", "Split"]

Kind = Literal["categorical", "ordinal", "real"]

Split = Literal["dev", "confirm", "test"]


@dataclass(frozen=True, eq=False)
class Arms:
    """Every architecture that a search may try, one row each.

    Attributes:
        units: `[arms, columns]`, the place of each setting on its scale from 0 to 1; NaN where an
            architecture has no such setting. For categories only equality counts.
        kinds: of the columns.
        indptr: `[arms + 1]`; the calls of arm `i` are `nodes[indptr[i]:indptr[i + 1]]`.
        nodes: numbers of distinct calls for one item. Arms that share a number share its cost.
        prefixes: how many rows, the last ones, are no architectures but beginnings of some, whose
            candidates can be graded on the way: what is told of them helps, nobody asks for them.

    Raises:
        ConfigError: the arrays do not fit together, or there is no arm.
    """

    units: Floats
    kinds: tuple[Kind, ...]
    indptr: Ints
    nodes: Ints
    prefixes: int = 0

    def __post_init__(self) -> None:
        rows, columns = self.units.shape
        if rows <= self.prefixes:
            raise ConfigError("a search needs at least one architecture", where="arms")
        if len(self.kinds) != columns or len(self.indptr) != rows + 1:
            rule = f"{rows} rows of {columns} columns need {columns} kinds and {rows + 1} pointers"
            got = f"got {len(self.kinds)} and {len(self.indptr)}"
            raise ConfigError(f"{rule}; {got}", where="arms")

    def __len__(self) -> int:
        """Return how many architectures may be tried."""
        return len(self.units) - self.prefixes

    @property
    def calls(self) -> NDArray[np.int64]:
        """Calls of one item when nothing is shared, `[arms]`."""
        import numpy as np

        return np.diff(self.indptr).astype(np.int64)

    def nodes_of(self, arm: int) -> Ints:
        """Return the calls of one arm."""
        return self.nodes[self.indptr[arm] : self.indptr[arm + 1]]


class Block(NamedTuple):
    """Items that are measured together, in the one order that all arms share."""

    split: Split
    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many items."""
        return self.stop - self.start


class Arena(Protocol):
    """Where arms are measured: a recorded pool, a simulation, or real models behind a pool."""

    @property
    def arms(self) -> Arms:
        """What may be tried."""

    @property
    def sizes(self) -> dict[Split, int]:
        """Items of each split."""

    def evaluate(self, arm: int, block: Block) -> Floats:
        """Return the score of every item of a block, in order, each from 0 to 1."""


class Paid:
    """Which calls are paid, and what an arm would still cost."""

    def __init__(self, arms: Arms) -> None:
        self._arms = arms
        self._width = int(arms.nodes.max(initial=-1)) + 1
        self._paid: dict[Block, NDArray[np.bool_]] = {}
        self.calls = 0
        """Paid so far."""
        self.alone = 0
        """What the same measurements cost had nothing been shared."""

    def _row(self, block: Block) -> NDArray[np.bool_]:
        import numpy as np

        return self._paid.setdefault(block, np.zeros(self._width, np.bool_))

    def new(self, arm: int, block: Block) -> int:
        """Return the calls that an arm would newly cost on a block."""
        return int((~self._row(block)[self._arms.nodes_of(arm)]).sum()) * block.size

    def cheapest(self, arms: Sequence[int], block: Block, count: int, left: int) -> list[int]:
        """Return up to `count` arms, each time the one that adds the fewest new calls.

        What an arm adds shrinks as soon as another with the same prefix is taken. Nothing is paid.

        Args:
            arms: to choose from, each named once; among equals the first is taken.
            block: where they would be measured.
            count: how many to choose.
            left: calls that all of them together may newly cost.
        """
        import numpy as np

        paid = self._row(block).copy()
        rest = list(arms)
        chosen: list[int] = []
        while rest and len(chosen) < count:
            new = [int((~paid[self._arms.nodes_of(arm)]).sum()) for arm in rest]
            at = int(np.argmin(new))
            left -= new[at] * block.size
            if left < 0:
                break
            chosen.append(rest.pop(at))
            paid[self._arms.nodes_of(chosen[-1])] = True
        return chosen

    def affordable(self, arms: Sequence[int], block: Block, left: int) -> list[int]:
        """Return the first arms that together newly cost at most `left` calls on a block."""
        paid = self._row(block).copy()
        for at, arm in enumerate(arms):
            nodes = self._arms.nodes_of(arm)
            left -= int((~paid[nodes]).sum()) * block.size
            if left < 0:
                return list(arms[:at])
            paid[nodes] = True
        return list(arms)

    def together(self, arms: Iterable[int]) -> int:
        """Return the calls that arms cost together on one fresh item."""
        import numpy as np

        parts = [self._arms.nodes_of(arm) for arm in arms]
        return len(np.unique(np.concatenate(parts))) if parts else 0

    def pay(self, arm: int, block: Block) -> int:
        """Book an arm on a block and return what it newly cost."""
        nodes = self._arms.nodes_of(arm)
        cost = self.new(arm, block)
        self._row(block)[nodes] = True
        self.calls += cost
        self.alone += len(nodes) * block.size
        return cost
