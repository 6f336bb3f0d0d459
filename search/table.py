"""Every architecture of a space as a row: encoded, costed, with its calls."""

from __future__ import annotations

import array
import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from archon.base import QUESTION_TOKENS, Architecture
from archon.budget import Budget
from archon.errors import ConfigError
from archon.search.holes import Column, Value
from archon.search.plans import Plan, Plans
from archon.search.space import Space, illegal
from archon.search.trial import Infeasible, Randomly, Trial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MOST_ROWS", "Table", "fits", "tabulate"]

MOST_ROWS = 100_000
"""Architectures that are listed one by one; a space with more is sampled."""
AMOUNTS = ("calls", "reasks", "input_tokens", "output_tokens", "tokens", "usd", "flops")

Progress = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Table:
    """Architectures in rows, each once.

    Attributes:
        space: where they are from.
        columns: the holes.
        rows: float64 (architectures, holes): codes, NaN where a hole is absent.
        calls: int64, of one item at most: the architecture's bound.
        amounts: float64 by name, the rest of the bound, NaN where unknown; `usd` in dollars.
        indptr: int64; the calls of row i are `nodes[indptr[i]:indptr[i + 1]]`.
        nodes: int32, numbers of calls; equal numbers are one call of one item.
        node_tokens: float64 by number of call, at most; NaN where unknown.
        node_usd: float64 by number of call, at most; NaN where unknown.
        weights: float64, of a sample: one over the probability of the row's assignment, with
            those that repeat it; 1 where the whole space is here.
        repeated: assignments that meant an architecture which was there already.
        complete: whether the whole space is here.
        guests: architectures that are not of the space, as the last rows; no hole is reached there.
    """

    space: Space
    columns: tuple[Column, ...]
    rows: NDArray[np.float64]
    calls: NDArray[np.int64]
    amounts: dict[str, NDArray[np.float64]]
    indptr: NDArray[np.int64]
    nodes: NDArray[np.int32]
    node_tokens: NDArray[np.float64]
    node_usd: NDArray[np.float64]
    weights: NDArray[np.float64]
    repeated: int
    complete: bool
    guests: tuple[Architecture, ...] = ()
    _maker: _Maker | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.calls)

    @property
    def reasks(self) -> NDArray[np.float64]:
        """Further draws that replies which do not parse may add."""
        return self.amounts["reasks"]

    @property
    def tokens(self) -> NDArray[np.float64]:
        """Input and output, reasks included."""
        return self.amounts["tokens"]

    @property
    def usd(self) -> NDArray[np.float64]:
        """Dollars, reasks included."""
        return self.amounts["usd"]

    @property
    def node_count(self) -> int:
        """Calls of one item that all rows need together, when nothing is asked twice."""
        return len(self.node_usd)

    def nodes_of(self, row: int) -> NDArray[np.int32]:
        """Return the calls of a row."""
        return self.nodes[self.indptr[row] : self.indptr[row + 1]]

    def units(self) -> NDArray[np.float64]:
        """Return the rows with every column on a scale from 0 to 1; NaN where absent."""
        import numpy as np

        made = np.full(self.rows.shape, np.nan)
        for i, column in enumerate(self.columns):
            values = self.rows[:, i]
            for code in np.unique(values[~np.isnan(values)]):
                made[values == code, i] = column.unit(float(code))
        return made

    def assignment(self, row: int) -> dict[str, Value]:
        """Return what a row decides, by name; holes that are absent are left out."""
        return {
            column.name: column.value(float(code))
            for column, code in zip(self.columns, self.rows[row], strict=True)
            if not math.isnan(code)
        }

    def architecture(self, row: int) -> Architecture:
        """Return the architecture of a row."""
        if row >= self.own:
            return self.guests[row - self.own]
        return self.space.architecture(self.assignment(row))

    @property
    def own(self) -> int:
        """How many rows, the first ones, are of the space."""
        return len(self) - len(self.guests)

    def joined(self, guests: Sequence[Architecture]) -> Table:
        """Return the table with further rows for architectures that are not of the space.

        What they cost, and which calls they share with the others, is known as of any row.
        """
        assert self._maker is not None
        if not guests:
            return self
        return self._maker.joined(guests, complete=self.complete)

    def fits(self, limits: Budget) -> NDArray[np.bool_]:
        """Return which rows keep to limits of kind `max`, whatever a model says.

        Raises:
            ConfigError: for a limit on an amount that is not known.
        """
        return fits(self.amounts, limits)


def fits(amounts: dict[str, NDArray[np.float64]], limits: Budget) -> NDArray[np.bool_]:
    """Return which rows of bounds keep to limits.

    `calls` are those made if every reply parses; the other amounts include reasks.

    Raises:
        ConfigError: for a limit on an amount that is not known.
    """
    import numpy as np

    good = np.ones(len(amounts["calls"]), bool)
    for name in limits.limits():
        found = amounts[name]
        if np.isnan(found).any():
            why = "price" if name == "usd" else "size" if name == "flops" else "max_tokens"
            raise ConfigError(
                f"a limit on {name} of kind max needs every bound, and a model has no {why}"
            )
        good &= found <= float(getattr(limits, name))
    return good


def tabulate(
    space: Space,
    *,
    sample: int | None = None,
    seed: int = 0,
    question_tokens: int = QUESTION_TOKENS,
    most: int = MOST_ROWS,
    progress: Progress | None = None,
) -> Table:
    """Return the table of a space.

    Args:
        space: what to list.
        sample: so many assignments by chance instead of all of them.
        seed: of the sample.
        question_tokens: how long a question is taken to be.
        most: assignments above which a space is refused.
        progress: is told how many assignments were looked at.

    Raises:
        ConfigError: for a space with more assignments, without any, with holes that have no
            levels, or with one that is no legal architecture.
    """
    maker = _Maker(space, Plans(question_tokens))
    trials = _walked(space, most) if sample is None else _drawn(space, sample, seed)
    for number, trial in enumerate(trials, 1):
        maker.add(trial)
        if progress is not None and number % 100 == 0:
            progress(number)
    return maker.table(complete=sample is None)


def _walked(space: Space, most: int) -> Iterator[tuple[Trial, object]]:
    for number, found in enumerate(space.walk()):
        if number == most:
            raise ConfigError(f"the space has more than {most:,} assignments; take a sample")
        yield found


def _drawn(space: Space, sample: int, seed: int) -> Iterator[tuple[Trial, object]]:
    rng = random.Random(seed)
    left = sample * 1000
    while sample and left:
        trial = Randomly(rng)
        left -= 1
        try:
            data = space.fill(trial)
        except Infeasible:
            continue
        sample -= 1
        yield trial, data
    if sample:
        raise ConfigError("random assignments all break `require`; the space may be empty")


class _Maker:
    """Collects rows."""

    def __init__(self, space: Space, plans: Plans) -> None:
        self.space, self.plans = space, plans
        self.seen: dict[object, int] = {}
        self.weights: list[float] = []
        self.repeated = 0
        self.codes: list[dict[str, float]] = []
        self.parts: list[tuple[int, ...]] = []

    def add(self, found: tuple[Trial, object]) -> None:
        trial, data = found
        plan: Plan = self.plans.plan(data)
        if plan.error is not None:
            raise self._illegal(plan.error, trial)
        weight = float(trial.weight) if isinstance(trial, Randomly) else 1.0
        if plan.key in self.seen:
            self.repeated += 1
            if isinstance(trial, Randomly):
                self.weights[self.seen[plan.key]] += weight
            return
        self.seen[plan.key] = len(self.seen)
        self.weights.append(weight)
        self.codes.append(trial.codes)
        self.parts.append(plan.parts)

    def joined(self, guests: Sequence[Architecture], *, complete: bool) -> Table:
        """Return the table with rows for architectures that are not of the space."""
        made = _Maker(self.space, self.plans)
        made.repeated = self.repeated
        made.weights, made.codes, made.parts = [*self.weights], [*self.codes], [*self.parts]
        for guest in guests:
            plan = self.plans.plan(guest)
            if plan.error is not None:
                raise plan.error
            made.weights.append(0.0)
            made.codes.append({})
            made.parts.append(plan.parts)
        return replace(made.table(complete=complete), guests=tuple(guests))

    def _illegal(self, error: ConfigError, trial: Trial) -> ConfigError:
        """Return the error as building the architecture gives it: with its line."""
        try:
            self.space.architecture(trial.assignment())
        except ConfigError as located:
            return located
        return illegal(error, trial)

    def table(self, *, complete: bool) -> Table:
        import numpy as np

        if not self.parts:
            raise ConfigError("the space is empty: `require` lets no assignment through")
        columns = self.space.columns
        rows = np.full((len(self.parts), len(columns)), np.nan)
        index = self.space.index
        for row, codes in zip(rows, self.codes, strict=True):
            for name, code in codes.items():
                row[index[name]] = code
        lengths = [len(parts) for parts in self.parts]
        flat = np.fromiter((n for parts in self.parts for n in parts), np.int64, sum(lengths))
        starts = np.concatenate([[0], np.cumsum(lengths)])
        amounts = self._amounts(flat, starts)
        indptr, nodes = self._nodes(flat, starts)
        tokens, usd = self._per_call()
        return Table(
            self.space, columns, rows, amounts["calls"].astype(np.int64), amounts, indptr, nodes,
            tokens, usd, np.array(self.weights), self.repeated, complete, _maker=self,
        )  # fmt: skip

    def _amounts(
        self, flat: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float64]]:
        import numpy as np

        bounds = [part.bound for part in self.plans.parts]
        found = {}
        for name in AMOUNTS:
            # Dollars are added up in micro-dollars, as the bound does: whole numbers stay exact.
            attribute = "microusd" if name == "usd" else name
            values = [getattr(bound, attribute) for bound in bounds]
            each = np.array([math.nan if v is None else float(v) for v in values])
            found[name] = np.add.reduceat(each[flat], starts[:-1])
        found["usd"] = found["usd"] / 1e6
        return found

    def _nodes(
        self, flat: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        import numpy as np

        made = array.array("i")
        ends = [0]
        calls = [array.array("i", part.calls) for part in self.plans.parts]
        for first, last in itertools.pairwise(starts):
            for part in flat[first:last].tolist():
                made.extend(calls[part])
            ends.append(len(made))
        numbers = np.frombuffer(made, np.int32) - 1 if made else np.zeros(0, np.int32)
        return np.array(ends, np.int64), numbers

    def _per_call(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return tokens and dollars of each call: its part's, shared out evenly."""
        import numpy as np

        count = len(self.plans.names.calls.known)
        tokens, usd = np.full(count, np.nan), np.full(count, np.nan)
        for part in self.plans.parts:
            if not part.calls:
                continue
            asked = part.bound.calls + part.bound.reasks
            places = np.array(part.calls) - 1
            if part.bound.tokens is not None:
                tokens[places] = part.bound.tokens / asked
            if part.bound.usd is not None:
                usd[places] = part.bound.usd / asked
        return tokens, usd
