"""The record of a study: all that a report on it needs, as one file in the study's folder.

It is written while the study goes on and at its end, so that a page can be made of a study whose
process is gone, whose search file has changed, or that came from another machine. Nothing reads it
to go on: the pool's rows decide that.
"""

from __future__ import annotations

import math
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from archon.base import Architecture
from archon.errors import ConfigError, did_you_mean
from archon.search.books import own_rows
from archon.search.ground import short
from archon.search.holes import Column
from archon.store import home
from archon.types import Json, Usage
from archon.writing import whole_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archon.search.study import Study

__all__ = [
    "Arm",
    "Hole",
    "Moment",
    "Record",
    "Stood",
    "Tried",
    "find_study",
    "keep_record",
    "no_study",
    "read_record",
    "record_of",
    "studies",
]

FILE = "record.json"
MOST_CELLS = 1_000_000
"""Single scores that a record holds; of more, those of architectures evenly over the study."""
MOST_MOMENTS = 400


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hole(_Frozen):
    """A decision of the space; `archon.search.holes.Column` as data."""

    name: str
    kind: Literal["categorical", "ordinal", "real"]
    levels: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    def column(self) -> Column:
        """Return the column that it was made of."""
        return Column(self.name, self.kind, self.levels, self.low, self.high, self.log)


class Arm(_Frozen):
    """An architecture that was measured.

    Attributes:
        row: in the table of the space.
        codes: of the holes in order; None where one is not reached.
        layers: kinds of its layers, each once.
        models: that it may ask, each once.
        samples: first answers that it asks for.
        calls: of one item at most.
        items: that it has a score on.
        values: means per item by name; None is unknown.
        feasible: whether it may keep to the limits after all.
    """

    row: int
    digest: str
    name: str
    codes: tuple[float | None, ...]
    layers: tuple[str, ...]
    models: tuple[str, ...]
    samples: int
    calls: int
    items: int
    values: dict[str, float | None]
    feasible: bool


class Tried(_Frozen):
    """A trial that ended."""

    number: int
    round: int
    arm: int
    start: int
    stop: int
    state: Literal["done", "failed"]
    values: tuple[float | None, ...] = ()
    items: int = 0
    why: str = ""
    reason: str = ""


class Stood(_Frozen):
    """What is believed of an architecture: posterior mean, sd, chance of being within a point."""

    arm: int
    mean: float
    sd: float
    chance: float


class Moment(_Frozen):
    """What was recommended at a time.

    Attributes:
        calls: newly paid until then.
        arm: the recommended architecture's row.
        items: that it had a score on.
    """

    round: int
    trials: int
    calls: int
    usd: float | None
    arm: int
    mean: float
    sd: float
    items: int


class Record(_Frozen):
    """A study as a report sees it.

    Attributes:
        written: seconds since 1970.
        ended: why the search ended; empty while it goes on, or when it was killed.
        budget: limits of the whole by name.
        reserve: share of it that the search must leave.
        spent: newly, by name; None is unknown.
        alone: calls that the trials would have cost without sharing.
        architectures: in the space, or in the sample of it that was searched.
        groups: of the dev items, in the study's order.
        scored: places in `arms` whose single scores are in `scores`.
        scores: packed, (scored, items).
        front: rows that no other beats in all objectives.
        found: what confirm and test say; None before.
        best: name, digest and YAML of the architecture to use; empty before any.
    """

    version: Literal[1] = 1
    name: str
    written: float
    ended: str
    settings: dict[str, Any]
    budget: dict[str, float]
    reserve: float
    spent: dict[str, float | None]
    alone: int
    objectives: tuple[str, ...]
    holes: tuple[Hole, ...]
    architectures: int
    trials: tuple[Tried, ...]
    arms: tuple[Arm, ...]
    groups: tuple[str, ...]
    scored: tuple[int, ...]
    scores: str
    standings: tuple[Stood, ...]
    front: tuple[int, ...]
    found: dict[str, Any] | None
    best: dict[str, str]
    notes: tuple[str, ...] = ()
    history: tuple[Moment, ...] = ()

    def matrix(self) -> NDArray[np.float64]:
        """Return the single scores, (scored, items); NaN where not measured."""
        import numpy as np

        flat = np.frombuffer(zlib.decompress(b64decode(self.scores)), "<f4")
        return flat.astype(float).reshape(len(self.scored), len(self.groups))

    def rows(self) -> NDArray[np.float64]:
        """Return the codes of the arms, (arms, holes); NaN where a hole is not reached."""
        import numpy as np

        codes = [[math.nan if c is None else c for c in arm.codes] for arm in self.arms]
        return np.array(codes, float).reshape(len(self.arms), len(self.holes))


def record_of(study: Study, known: dict[int, dict[str, Any]] | None = None) -> Record:
    """Return the record of a study as it stands.

    Args:
        study: what is recorded.
        known: what architectures are made of, by row; is filled, so that the next record of the
            same study builds none of them again.
    """
    books = study.books
    place = {int(arm): n for n, arm in enumerate(books.arms)}
    scored, scores = _packed(books.scores)
    return Record(
        name=study.name, written=time.time(), ended=study.ended, settings=dict(study.settings),
        budget=dict(study.budget), reserve=study.reserve, spent=_spent(study.spent),
        alone=study.alone, objectives=books.objectives,
        holes=tuple(_hole(column) for column in books.table.columns),
        architectures=own_rows(books.table),
        trials=tuple(Tried.model_validate(told.to_json()) for told in books.trials),
        arms=tuple(_arms(study, {} if known is None else known)),
        groups=study.groups or ("",) * books.items,
        scored=scored, scores=scores,
        standings=tuple(
            Stood(arm=s.arm, mean=s.mean, sd=s.sd, chance=s.chance)
            for s in study.standings if s.arm in place
        ),
        front=tuple(s.arm for s in study.front),
        found=None if study.found is None else study.found.to_json(),
        best=_best(study), notes=study.notes, history=tuple(thinned(study.history)),
    )  # fmt: skip


def _hole(column: Column) -> Hole:
    plain = (bool, int, float, str, type(None))
    levels = tuple(v if isinstance(v, plain) else str(v) for v in column.levels)
    return Hole(
        name=column.name, kind=column.kind, levels=levels, low=column.low, high=column.high,
        log=column.log,
    )  # fmt: skip


def _arms(study: Study, known: dict[int, dict[str, Any]]) -> Iterable[Arm]:
    books = study.books
    names = dict.fromkeys(("score", *books.objectives, "calls", "tokens", "usd", "latency"))
    values = {name: books.values(name) for name in names}
    counts, feasible = books.counts, books.feasible
    for n, row in enumerate(books.arms.tolist()):
        if row not in known:
            known[row] = _made_of(study.builder(row))
        yield Arm(
            row=row,
            codes=tuple(None if c != c else c for c in books.table.rows[row].tolist()),
            **known[row], calls=int(books.table.calls[row]), items=int(counts[n]),
            values={name: _known(found[n]) for name, found in values.items()},
            feasible=bool(feasible[n]),
        )  # fmt: skip


def _made_of(architecture: Architecture) -> dict[str, Any]:
    layers = [layer for _, layer in architecture.walk()]
    first = [layer for layer in layers if layer.kind == "generate"]
    return {
        "digest": architecture.digest(),
        "name": str(architecture.name or ""),
        "layers": tuple(sorted({layer.kind for layer in layers})),
        "models": tuple(sorted({short(model) for model in architecture.models()})),
        "samples": sum(int(getattr(layer, "samples", 1)) for layer in first),
    }


def _packed(scores: NDArray[np.float64]) -> tuple[tuple[int, ...], str]:
    """Return which arms' scores are kept, and the scores."""
    import numpy as np

    arms, items = scores.shape
    most = max(1, MOST_CELLS // max(1, items))
    kept = np.unique(np.linspace(0, arms - 1, min(arms, most)).round().astype(int))
    data = zlib.compress(np.ascontiguousarray(scores[kept], "<f4").tobytes(), 1)
    return tuple(kept.tolist()), b64encode(data).decode("ascii")


def _spent(usage: Usage) -> dict[str, float | None]:
    return {
        "calls": usage.calls, "tokens": usage.tokens, "usd": usage.usd, "seconds": usage.seconds,
        "flops": usage.flops,
    }  # fmt: skip


def _best(study: Study) -> dict[str, str]:
    if study.found is None and not study.standings:
        return {}
    best = study.best
    return {"name": str(best.name or ""), "digest": best.digest(), "yaml": study.to_yaml()}


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def thinned(history: Sequence[Moment], most: int = MOST_MOMENTS) -> list[Moment]:
    """Return at most so many moments: the first, the last, and others evenly between."""
    if len(history) <= most:
        return list(history)
    last = len(history) - 1
    return [history[round(n * last / (most - 1))] for n in range(most)]


def keep_record(folder: Path, record: Record) -> Path:
    """Write a record into a study's folder, whole or not at all."""
    path = folder / FILE
    with whole_file(path, private=True) as out:
        out.write(record.model_dump_json().encode())
    return path


def read_record(folder: Path) -> Record:
    """Return the record in a study's folder.

    Raises:
        ConfigError: where there is none, or it cannot be read.
    """
    path = folder / FILE
    try:
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(
            "this study has no record yet; the same `archon search` again writes one",
            where=str(folder),
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", where=str(path)) from None
    except ValidationError as error:
        first: Mapping[str, Json] = dict(error.errors()[0])
        field = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(
            f"is no record of a study ({field}: {first['msg']}); the same `archon search` again"
            " writes a new one",
            where=str(path),
        ) from None


def studies() -> list[str]:
    """Return the studies beside the pool, by name."""
    folder = home() / "studies"
    return sorted(path.parent.name for path in folder.glob("*/study.json"))


def find_study(name: str) -> Path | None:
    """Return the folder of a study by its name, or by the folder itself; None if it is none."""
    if not name:
        return None
    for folder in (home() / "studies" / name, Path(name)):
        if (folder / "study.json").is_file() or (folder / FILE).is_file():
            return folder
    return None


def no_study(name: str) -> str:
    """Return a hint to a study whose name is nearly this one, or nothing."""
    hint = did_you_mean(name, studies()) if studies() else ""
    return hint if "did you mean" in hint else ""
