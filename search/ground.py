"""What a study may try: the table of its space, what fits the limits, and what it tries first."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from archon.base import Architecture, ModelLayer, parse
from archon.config import load
from archon.errors import ConfigError
from archon.model import Model
from archon.plain import canonical
from archon.search.arithmetic import assignments
from archon.search.files import SEEDS, SearchFile
from archon.search.space import Space, TemplateSpace
from archon.search.table import MOST_ROWS, Table
from archon.types import AnswerKind, Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Candidates", "models_of", "tabled"]

WALKED = 20_000
"""Assignments up to which a function's space is listed one by one."""
SAMPLED = 20_000
"""Architectures drawn from a space that is too large to be listed."""
LOOKED = 64
"""Architectures that are looked at for the models of a space."""
SEED_SAMPLES = 5


def tabled(space: Space, seed: int) -> Table:
    """Return a space's table: whole where it can be listed, else a sample by seed."""
    if _listable(space):
        return space.table()
    return space.table(sample=SAMPLED, seed=seed)


def _listable(space: Space) -> bool:
    if any(column.kind == "real" for column in space.columns):
        return False
    count = assignments(space) if isinstance(space, TemplateSpace) else None
    if count is not None:
        return count <= MOST_ROWS
    return sum(1 for _ in itertools.islice(space.walk(), WALKED + 1)) <= WALKED


class Candidates:
    """The architectures of a study by row, and those that it tries first.

    Args:
        search: what the study was told.
        table: its space's.
        answer: how the benchmark's answers are read.
    """

    def __init__(self, search: SearchFile, table: Table, answer: AnswerKind) -> None:
        self.search, self.table, self.answer = search, table, answer
        self._built: dict[int, Architecture] = {}
        self._digest = self._of_space()
        rows: dict[int, None] = {}
        guests: dict[str, Architecture] = {}
        for name, architecture in self._listed():
            row, digest = self.row_of(architecture), architecture.digest()
            if row is None:
                guests.setdefault(digest, architecture.named(architecture.name or name))
                row = len(table) + list(guests).index(digest)
            rows[row] = None
        self.table = table.joined([*guests.values()])
        self.open = self._open()
        self.seeds = [row for row in rows if self.open[row]]

    def _open(self) -> NDArray[np.bool_]:
        import numpy as np

        limits = self.search.limits.max
        if limits is None:
            return np.ones(len(self.table), bool)
        fitting = self.table.fits(limits)
        if not fitting.any():
            least = int(self.table.calls.min())
            raise ConfigError(
                f"no architecture fits the limits of one item ({limits!r}); the smallest needs up"
                f" to {least} calls"
            )
        return fitting

    def architecture(self, row: int) -> Architecture:
        """Return the architecture of a row."""
        if row not in self._built:
            self._built[row] = self.table.architecture(row)
        return self._built[row]

    @property
    def smallest(self) -> Architecture:
        """The architecture of the fewest calls that may be tried."""
        import numpy as np

        rows = np.flatnonzero(self.open)
        return self.architecture(int(rows[self.table.calls[rows].argmin()]))

    def digest(self, row: int) -> str:
        """Return the digest of a row's architecture."""
        return self.architecture(row).digest()

    def row_of(self, architecture: Architecture) -> int | None:
        """Return the row of an architecture, or None where the table has none of that digest."""
        import numpy as np

        wanted, calls = architecture.digest(), architecture.bound().calls
        for row in np.flatnonzero(self.table.calls == calls).tolist():
            if self.digest(row) == wanted:
                return int(row)
        return None

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """Models that write answers, in the order in which they are met."""
        return models_of(self)

    def _listed(self) -> list[tuple[str, Architecture]]:
        """Return the seeds that can be built on this benchmark, each with its name."""
        made: list[tuple[str, Architecture]] = []
        folder = Path(self.search.source).parent
        for seed in self.search.seeds:
            if seed in SEEDS:
                made += built_in(seed, self.models, self.answer)
            else:
                path = folder / seed
                made.append((seed, load(path if path.is_file() else seed)))
        return made

    def digest_of_space(self) -> str:
        """Return what names the space: its holes, its rows, and some of its architectures."""
        return self._digest

    @property
    def guests(self) -> list[str]:
        """Digests of the seeds that are not of the space."""
        return [self.digest(row) for row in range(self.table.own, len(self.table))]

    def _of_space(self) -> str:
        step = max(1, len(self.table) // 32)
        some = [self.digest(row) for row in range(0, len(self.table), step)]
        columns: Json = [
            [c.name, c.kind, [str(level) for level in c.levels][:1000], c.low, c.high, c.log]
            for c in self.table.columns
        ]
        whole = hashlib.sha256(canonical([columns, some]).encode())
        whole.update(self.table.rows.tobytes())
        return whole.hexdigest()[:16]


def models_of(candidates: Candidates) -> tuple[Model, ...]:
    """Return the models with which the architectures of a space write answers.

    Looked at are some architectures all over the table, and the first one of every level of every
    hole: a model that a hole chooses may stand in few.
    """
    import numpy as np

    table = candidates.table
    looked = set(range(0, table.own, max(1, table.own // LOOKED)))
    for codes in table.rows[: table.own].T:
        looked.update(np.unique(codes, return_index=True)[1].tolist())
    found: dict[Model, None] = {}
    for row in sorted(looked):
        for _, layer in candidates.architecture(row).walk():
            if layer.kind == "generate" and isinstance(layer, ModelLayer):
                found.update(dict.fromkeys(layer.models()))
    return tuple(found)


def built_in(
    name: str, models: Sequence[Model], answer: AnswerKind
) -> list[tuple[str, Architecture]]:
    """Return the seeds of one kind; none where the benchmark or the models allow none."""
    made: list[tuple[str, Architecture]] = []
    if name == "single":
        made = [(f"single {short(m)}", sampled(m, 1)) for m in models]
    elif name == "self-consistency" and answer != "text":
        made = [(f"vote {short(m)}", voted(m, SEED_SAMPLES)) for m in models[:2]]
    elif name == "best-of-n":
        made = [(f"best-of-n {short(m)}", best_of(m, SEED_SAMPLES)) for m in models[:2]]
    elif name == "ensemble-fuse" and models:
        made = [("ensemble-fuse", fused(models))]
    return made


def short(model: Model) -> str:
    """Return a model in a word or two."""
    heat = "" if model.temperature is None else f" at {model.temperature:g}"
    return f"{model.model}{heat}"


def _parsed(models: Mapping[str, Model], stages: Json) -> Architecture:
    return parse({"models": {name: m.compact() for name, m in models.items()}, "stages": stages})


def sampled(model: Model, samples: int) -> Architecture:
    """Return a model alone."""
    return _parsed({"m": model}, [{"generate": {"model": "m", "samples": samples}}])


def voted(model: Model, samples: int) -> Architecture:
    """Return self-consistency: the answer that most samples give."""
    return _parsed({"m": model}, [{"generate": {"model": "m", "samples": samples}}, {"vote": {}}])


def best_of(model: Model, samples: int) -> Architecture:
    """Return best-of-n by the model's own check of each sample."""
    stages = [
        {"generate": {"model": "m", "samples": samples}},
        {"verify": {"model": "m", "keep": "all"}},
        {"best": {}},
    ]
    return _parsed({"m": model}, stages)


def fused(models: Sequence[Model]) -> Architecture:
    """Return an ensemble whose answers the first model fuses."""
    names = {f"m{i}": model for i, model in enumerate(models)}
    return _parsed(names, [[{"generate": {"model": n}} for n in names], {"fuse": {"model": "m0"}}])
