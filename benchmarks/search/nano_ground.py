"""The nano ground: what 828 architectures of real, tiny models answered to 1,000 problems.

Every outcome is recorded (`recording`), so any search can be replayed and the truth is known: the
share of all recorded items that an architecture has right. A run draws its items from them **with
replacement**. The recorded items are then the whole population and every run an independent sample
of it, whatever the size of its development set; without replacement a run that measures all items
would know the truth, and every run would know a part of it. What an item costs is paid once for
each time it is drawn, for every search alike.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from archon.search.arms import Arms, Block, Kind, Split

if TYPE_CHECKING:
    import numpy as np
    import optuna
    from numpy.typing import NDArray

    from archon.search.table import Table

    Bits = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["FILE", "SPACE", "NanoGround", "NanoLayout", "Recording", "recording"]

SPACE = Path(__file__).parent / "nano.yaml"
FILE = Path(__file__).parent / "results" / "nano-ground.npz"


@dataclass(frozen=True, eq=False)
class Recording:
    """Every architecture of a space on every item.

    Attributes:
        columns: name, kind and number of levels of each hole.
        rows: `[architectures, holes]`, numbers of levels; NaN where there is no such hole.
        units: the same, each hole on a scale from 0 to 1.
        indptr: the calls of row `i` are `nodes[indptr[i]:indptr[i + 1]]`.
        nodes: numbers of distinct calls.
        usd: the most that an item can cost, in dollars.
        tokens: the most tokens of an item.
        right: `[architectures, items]`.
    """

    columns: list[tuple[str, Kind, int]]
    rows: Floats
    units: Floats
    indptr: NDArray[np.int64]
    nodes: NDArray[np.int64]
    usd: Floats
    tokens: Floats
    right: Bits

    @classmethod
    def of(cls, table: Table, right: Bits) -> Recording:
        """Return the recording of a table's architectures."""
        import numpy as np

        columns = [(c.name, c.kind, len(c.levels)) for c in table.columns]
        return cls(
            columns, table.rows, table.units(), table.indptr, table.nodes.astype(np.int64),
            table.usd, table.tokens, right,
        )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read what `save` wrote."""
        import numpy as np

        with np.load(path) as kept:
            right = np.unpackbits(kept["right"], axis=1, count=int(kept["items"])).astype(bool)
            columns = [tuple(column) for column in json.loads(str(kept["columns"]))]
            return cls(
                cast("list[tuple[str, Kind, int]]", columns), kept["rows"], kept["units"],
                kept["indptr"].astype(np.int64), kept["nodes"].astype(np.int64), kept["usd"],
                kept["tokens"], right,
            )  # fmt: skip

    def save(self, path: Path) -> None:
        """Write it, outcomes as bits."""
        import numpy as np

        from archon.writing import whole_file

        with whole_file(path) as file:
            np.savez_compressed(
                file, columns=json.dumps(self.columns), rows=self.rows, units=self.units,
                indptr=self.indptr.astype(np.int32), nodes=self.nodes.astype(np.int16),
                usd=self.usd, tokens=self.tokens, right=np.packbits(self.right, axis=1),
                items=self.right.shape[1],
            )  # fmt: skip

    @cached_property
    def true(self) -> Floats:
        """The true score of every architecture: its share of right answers over all items."""
        return cast("Floats", self.right.mean(axis=1))

    @cached_property
    def arms(self) -> Arms:
        """The architectures as a search sees them."""
        kinds = tuple(kind for _, kind, _ in self.columns)
        return Arms(self.units, kinds, self.indptr, self.nodes)

    @cached_property
    def votes(self) -> Ints:
        """Architectures of the committed space that only vote on what was written."""
        import numpy as np

        names = [name for name, _, _ in self.columns]
        voting = self.rows[:, names.index("selection")] == 0
        rewritten = self.rows[:, names.index("rewritten")] == 1
        return np.flatnonzero(voting & ~rewritten)

    @cached_property
    def layout(self) -> NanoLayout:
        """The architectures as rivals see them."""
        return NanoLayout(self)


class NanoLayout:
    """The holes of a recording, each by the number of its level."""

    def __init__(self, recorded: Recording) -> None:
        self.choices = tuple(tuple(range(levels)) for _, _, levels in recorded.columns)
        self._columns, self._rows = recorded.columns, recorded.rows
        self._arms: dict[tuple[int, ...], int] = {}
        for arm, row in enumerate(recorded.rows):
            # Where a hole is absent, every level of it means the same architecture.
            levels = [
                [int(code)] if code == code else list(choices)
                for code, choices in zip(row, self.choices, strict=True)
            ]
            self._arms.update(dict.fromkeys(itertools.product(*levels), arm))

    def arm(self, values: Sequence[Any]) -> int | None:
        """Return the arm with these levels, those of absent holes ignored; None: no such arm."""
        return self._arms.get(tuple(values))

    def suggested(self, trial: optuna.Trial) -> int | None:
        """Return the arm that a trial suggests; only holes that some such arm has are asked."""
        import numpy as np

        some = np.ones(len(self._rows), bool)
        values = []
        for at, (name, kind, levels) in enumerate(self._columns):
            here = self._rows[:, at]
            values.append(0)
            if np.isnan(here[some]).all():
                continue
            if kind == "categorical" or levels == 2:
                values[at] = int(trial.suggest_categorical(name, list(range(levels))))
            else:
                values[at] = trial.suggest_int(name, 0, levels - 1)
            some &= np.isnan(here) | (here == values[at])
        return self.arm(values)


@cache
def recording(path: Path = FILE) -> Recording:
    """Return the committed recording."""
    return Recording.load(path)


class NanoGround:
    """The recording with one draw of items; an `archon.search.arms.Arena`.

    Args:
        recorded: the outcomes.
        draw: number of the draw.
        sizes: items of each split, drawn with replacement.
    """

    def __init__(self, recorded: Recording, draw: int, sizes: dict[Split, int]) -> None:
        import numpy as np

        self.arms, self.layout = recorded.arms, recorded.layout
        self.sizes = dict(sizes)
        chance = np.random.default_rng([draw, 828])
        items = recorded.right.shape[1]
        self._outcomes = {
            split: recorded.right[:, chance.integers(items, size=size)]
            for split, size in sizes.items()
        }

    def deal(self, chance: np.random.Generator) -> None:
        """Deal the outcomes of every item anew among the architectures: none is better then."""
        for split, right in self._outcomes.items():
            self._outcomes[split] = chance.permuted(right, axis=0)

    def evaluate(self, arm: int, block: Block) -> Floats:
        """Return 1 for each item of a block that an arm has right, else 0."""
        right = self._outcomes[block.split][arm, block.start : block.stop]
        return cast("Floats", right.astype(float))
