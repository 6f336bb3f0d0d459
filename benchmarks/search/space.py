"""The published search space of 9,576 architectures: its nodes, and what one item costs.

Archon (Saad-Falcon et al. 2024, arXiv 2409.15254, section 3.4 and appendix A.4) searches over how
many models answer, how many samples each draws, how many layers of fusers follow, how wide they
are, and what checks the candidates before the last fuser. Its text allows more than one reading;
the one that gives the published count of 9,576 is built here:

* 38 ways to generate: 1 to 10 models of 1 to 5 samples each, at most 24 candidates;
* 84 ways to fuse: 1 to 3 layers of 2, 4, 6 or 8 fusers, each preceded by a critic and a ranker;
* 3 ways to check: nothing, a verifier, or unit tests.

Models and fusers are ranked beforehand, so that `k` of them means the best `k`: every wider choice
contains the narrower one, and that is what a shared pool saves.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CHECKS", "FUSIONS", "GENERATORS", "SHAPE", "Design", "Space", "designs", "space"]

WIDTHS = (2, 4, 6, 8)
"""Fusers that a layer may have."""

CHECKS = ("none", "verifier", "unit_tests")

GENERATORS = tuple(
    (models, samples)
    for models in range(1, 11)
    for samples in range(1, 6)
    if models * samples <= 24
)
FUSIONS = tuple(widths for depth in (1, 2, 3) for widths in product(WIDTHS, repeat=depth))

SHAPE = (len(GENERATORS), len(FUSIONS), len(CHECKS))


class Design(NamedTuple):
    """One architecture of the space.

    Attributes:
        generators: models and samples of each.
        widths: fusers of each layer.
        check: what looks at the candidates before the last fuser.
    """

    generators: tuple[int, int]
    widths: tuple[int, ...]
    check: str

    def nodes(self) -> Iterator[Hashable]:
        """Yield everything that is called for one item, by what makes two calls the same one."""
        models, samples = self.generators
        yield from (("generate", m, s) for m in range(models) for s in range(samples))
        before: tuple[object, ...] = (self.generators,)
        for width in self.widths:
            into = before
            yield ("critique", into)
            yield ("rank", into)
            yield from (("fuse", into, fuser) for fuser in range(width))
            before = (*into, width)
        # What a check asks about a candidate does not depend on how many stand beside it.
        last = range(self.widths[-1])
        if self.check == "verifier":
            yield from (("verify", into, fuser, call) for fuser in last for call in (0, 1))
        if self.check == "unit_tests":
            yield ("write tests",)
            yield from (("test", into, fuser) for fuser in last)
        yield from ((kind, before, self.check) for kind in ("critique last", "rank last", "answer"))


def designs() -> list[Design]:
    """Return the 9,576 architectures; number `i` is at `unravel_index(i, SHAPE)`."""
    return [Design(*parts) for parts in product(GENERATORS, FUSIONS, CHECKS)]


@dataclass(frozen=True, eq=False)
class Space:
    """The space as arrays, one row per architecture.

    Attributes:
        rows: what describes each: models, samples, width of layers 1 to 3 (NaN where there is no
            such layer), number of its check.
        nodes: what each calls, as numbers of distinct calls, filled up with -1.
        calls: calls for one item.
        distinct: how many different calls the whole space holds.
    """

    rows: NDArray[np.float64]
    nodes: NDArray[np.int64]
    calls: NDArray[np.int64]
    distinct: int


@cache
def space() -> Space:
    """Return the whole space as arrays."""
    import numpy as np

    numbers: dict[Hashable, int] = {}
    listed = [
        [numbers.setdefault(node, len(numbers)) for node in design.nodes()] for design in designs()
    ]
    calls = np.array([len(nodes) for nodes in listed])
    padded = np.full((len(listed), calls.max()), -1)
    rows = np.full((len(listed), 6), np.nan)
    for at, (design, nodes) in enumerate(zip(designs(), listed, strict=True)):
        padded[at, : len(nodes)] = nodes
        rows[at, :2] = design.generators
        rows[at, 2 : 2 + len(design.widths)] = design.widths
        rows[at, 5] = CHECKS.index(design.check)
    return Space(rows, padded, calls, len(numbers))
