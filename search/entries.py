"""What stands in the books of a study, and what a searcher answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from archon.search.holes import Column
from archon.types import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

__all__ = ["Cells", "Ground", "Proposal", "Standing", "Told", "own_rows"]


class Ground(Protocol):
    """What is searched: architectures in rows; `archon.search.Table` is one."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The holes."""

    @property
    def rows(self) -> Floats:
        """(architectures, holes): codes, NaN where a hole is absent."""

    @property
    def calls(self) -> Places:
        """Of one item at most."""

    @property
    def indptr(self) -> Places:
        """The calls of row i are `nodes[indptr[i]:indptr[i + 1]]`."""

    @property
    def nodes(self) -> NDArray[np.int32]:
        """Numbers of calls; equal numbers are one call of one item."""

    @property
    def node_count(self) -> int:
        """Different calls of one item in all rows."""

    def units(self) -> Floats:
        """Return the rows with every column on a scale from 0 to 1; NaN where absent."""

    def __len__(self) -> int: ...


def own_rows(ground: Ground) -> int:
    """Return how many rows are of the space itself; seeds from outside it stand behind them."""
    return int(getattr(ground, "own", len(ground)))


@dataclass(frozen=True, slots=True)
class Proposal:
    """An architecture and the items that it should be measured on.

    Attributes:
        arm: its row.
        start: the first item, in the study's order.
        stop: behind the last one. Items that it was measured on already cost nothing.
        why: for the one who watches: `seed`, `more items` …
    """

    arm: int
    start: int
    stop: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is believed of an architecture.

    Attributes:
        mean: of the objective's posterior; higher is better, costs are negative.
        sd: of the posterior.
        chance: posterior probability of being within a point of the best.
    """

    arm: int
    mean: float
    sd: float
    chance: float


@dataclass(frozen=True, slots=True)
class Told:
    """A trial that ended.

    Attributes:
        values: means of the objectives over all items that the arm had seen by then.
        items: how many those were.
        reason: why it failed.
    """

    number: int
    round: int
    arm: int
    start: int
    stop: int
    state: Literal["done", "failed"]
    values: tuple[float, ...] = ()
    items: int = 0
    why: str = ""
    reason: str = ""

    def to_json(self) -> Json:
        """Return every field by name."""
        return {name: getattr(self, name) for name in self.__slots__} | {
            "values": [None if v != v else v for v in self.values]
        }


@dataclass(frozen=True, slots=True)
class Cells:
    """What a trial measured, item by item from its start; NaN where an item is left out."""

    scores: Floats
    amounts: Mapping[str, Floats] = field(default_factory=dict)
