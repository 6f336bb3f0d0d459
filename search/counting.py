"""How many architectures a space holds, how many keep to limits, and what they cost."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archon.base import QUESTION_TOKENS
from archon.budget import Budget
from archon.errors import ConfigError
from archon.search.arithmetic import Endless, assignments
from archon.search.space import Space, TemplateSpace
from archon.search.table import AMOUNTS, MOST_ROWS, Table, tabulate
from archon.search.trial import Infeasible, Randomly
from archon.types import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Count", "Estimate", "count"]

SAMPLE = 1000
"""Assignments that a large space is estimated from."""
Z = 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; both ends are the number itself where it is exact."""

    value: float
    low: float
    high: float

    @property
    def exact(self) -> bool:
        """Whether it is no estimate."""
        return self.low == self.value == self.high

    def to_json(self) -> Json:
        """Return a number where it is exact, else the three of them; infinity is null."""
        parts = [None if math.isinf(x) else x for x in (self.value, self.low, self.high)]
        whole = self.exact and self.value == int(self.value) if parts[0] is not None else False
        return int(self.value) if whole else dict(zip(("value", "low", "high"), parts, strict=True))


def exactly(value: float) -> Estimate:
    """Return a number that is known."""
    return Estimate(value, value, value)


@dataclass(frozen=True)
class Count:
    """What a space holds and costs.

    Attributes:
        assignments: ways to fill the holes; infinity with a continuous one.
        architectures: different ones among them; None where the space is too large to list them.
        fitting: of the architectures (where too many: of the assignments) those that keep to the
            limits; None without limits.
        least: by amount, of the cheapest architecture for one item at most; None where unknown.
        most: the same of the dearest one.
        alone: calls for one item, added up over all architectures; None if they are not listed.
        shared: different calls among them.
        listed: architectures that the amounts come from.
        complete: whether these are all.
    """

    assignments: Estimate
    architectures: int | None
    fitting: Estimate | None
    least: dict[str, float | None]
    most: dict[str, float | None]
    alone: int | None
    shared: int | None
    listed: int
    complete: bool

    def to_json(self) -> Json:
        """Return every figure by name."""
        return {
            "assignments": self.assignments.to_json(),
            "architectures": self.architectures,
            "fitting": None if self.fitting is None else self.fitting.to_json(),
            "least": self.least,
            "most": self.most,
            "calls_alone": self.alone,
            "calls_shared": self.shared,
            "listed": self.listed,
            "complete": self.complete,
        }


def count(
    space: Space,
    *,
    limits: Budget | None = None,
    sample: int | None = None,
    seed: int = 0,
    question_tokens: int = QUESTION_TOKENS,
    most: int = MOST_ROWS,
    progress: Callable[[int, int], None] | None = None,
) -> Count:
    """Count a space; nothing is asked of any model.

    Args:
        space: what to count.
        limits: on the bound of an architecture.
        sample: assignments that a space with more than `most` of them is estimated from; 1,000 if
            left out.
        seed: of the sample.
        question_tokens: how long a question is taken to be.
        most: assignments that are listed one by one.
        progress: is told how many assignments were looked at, and of how many.

    Raises:
        ConfigError: for an empty space, one in which nothing keeps to the limits, and one with
            something that is no legal architecture.
    """
    sample = sample or SAMPLE
    total = _assignments(space, sample, seed)
    if total.high == 0:
        raise ConfigError("the space is empty: `require` lets no assignment through")
    whole = total.value <= most
    wanted = int(total.value) if whole else sample

    def tell(done: int) -> None:
        if progress is not None:
            progress(done, wanted)

    table = tabulate(
        space, sample=None if whole else sample, seed=seed, question_tokens=question_tokens,
        most=2 * most, progress=tell,
    )  # fmt: skip
    if whole:
        total = exactly(len(table) + table.repeated)
    counted = _counted(table, total, limits)
    if limits is not None and counted.fitting is not None and counted.fitting.high == 0:
        raise _nothing_fits(counted, limits)
    return counted


def _assignments(space: Space, sample: int, seed: int) -> Estimate:
    """Return how many assignments there are: by arithmetic, or as far as chance can tell."""
    if isinstance(space, TemplateSpace):
        try:
            known = assignments(space)
        except Endless:
            return exactly(math.inf)
        if known is not None:
            return exactly(known)
    rng = random.Random(seed)
    weights = []
    for _ in range(sample):
        trial = Randomly(rng)
        try:
            space.fill(trial)
        except Infeasible:
            weights.append(0.0)
        else:
            weights.append(float(trial.weight))
        if any(column.kind == "real" for column in trial.asked.values()):
            return exactly(math.inf)
    return _mean(weights)


def _mean(values: Sequence[float]) -> Estimate:
    """Return a mean with its normal interval.

    The weight of a random leaf of a tree, one over its probability, has the number of leaves as
    its mean (Knuth 1975, "Estimating the efficiency of backtrack programs").
    """
    n = len(values)
    mean = math.fsum(values) / n
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / max(n - 1, 1) / n)
    return Estimate(mean, max(0.0, mean - Z * spread), mean + Z * spread)


def _counted(table: Table, total: Estimate, limits: Budget | None) -> Count:
    import numpy as np

    fitting = None
    if limits is not None and limits.limits():
        good = table.fits(limits)
        whole = table.complete
        fitting = exactly(int(good.sum())) if whole else _share(good, table.weights, total)
    least, most = (
        {name: _known(pick(table.amounts[name])) for name in AMOUNTS} for pick in (np.min, np.max)
    )
    return Count(
        total,
        len(table) if table.complete else None,
        fitting,
        least,
        most,
        int(table.calls.sum()) if table.complete else None,
        table.node_count if table.complete else None,
        len(table),
        table.complete,
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _share(good: NDArray[np.bool_], weights: NDArray[np.float64], total: Estimate) -> Estimate:
    """Return how many assignments fit, by a sample in which each has a weight.

    The ratio estimator with its linearised variance; where all or none of the sample fit, the
    bound of three in the effective number.
    """
    import numpy as np

    share = float((weights * good).sum() / weights.sum())
    spread = float(np.sqrt((weights**2 * (good - share) ** 2).sum()) / weights.sum())
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    margin = 3 / effective if share in (0.0, 1.0) else Z * spread
    low, high = max(0.0, share - margin), min(1.0, share + margin)
    if math.isinf(total.value):
        return Estimate(math.inf if share else 0.0, math.inf if low else 0.0, math.inf)
    return Estimate(share * total.value, low * total.low, high * total.high)


def _nothing_fits(counted: Count, limits: Budget) -> ConfigError:
    parts = []
    for name in limits.limits():
        limit: Any = getattr(limits, name)
        least = counted.least[name]
        if least is not None and least > limit:
            parts.append(f"{name}: the cheapest needs {least:,.10g}, the limit is {limit:,.10g}")
    why = "; ".join(parts) or "no architecture keeps to all of them at once"
    return ConfigError(f"nothing in the space keeps to the limits of kind max ({why})")
