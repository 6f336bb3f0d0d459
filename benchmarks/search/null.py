"""How often a winner is claimed, rightly and wrongly: whole races on recorded outcomes.

Three cases, all made of the recording of the nano ground, so that items are as hard and scores as
lucky as those of real models:

- `equal`: the outcomes of every item are dealt anew among all architectures, so all are as good.
- `tuned`: outcomes as they are, and one of the baselines is the best architecture that there is.
- `real`: outcomes as they are, against the best single call and the best vote. Here a claim is
  right if the winner is better than both by more than a point; without it, a rule that claims
  nothing would look good.

A race searches, chooses and tests its winner; then the rule of every study (`archon.search.claims`)
compares it with two baselines on the test items.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from archon.benchmarks.search.nano import RACED
from archon.benchmarks.search.nano_ground import NanoGround, Recording
from archon.search.arms import Block
from archon.search.claims import POINT, beats
from archon.search.race import Found, Plan, hunt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["CASES", "PLAN", "Case", "claimed"]

Case = Literal["equal", "tuned", "real"]
CASES: tuple[Case, ...] = ("equal", "tuned", "real")

PLAN = Plan(2_500, test=0.30, free=0)
"""A race whose test has about 100 items: with fewer hardly anything is ever claimed. Without what
costs no calls, for thousands of races."""


@dataclass(frozen=True)
class _Study:
    """One simulated study.

    Attributes:
        ground: its items.
        true: score of every architecture.
        found: what the race ended with.
        baselines: a single call, and what stands for the tuned vote or best of n.
    """

    ground: NanoGround
    true: Floats
    found: Found
    baselines: tuple[int, int]

    @property
    def claims(self) -> bool:
        """Whether the winner is said to be better than both baselines."""
        items = Block("test", 0, len(self.found.test))
        rows = (self.found.test - self.ground.evaluate(arm, items) for arm in self.baselines)
        single, tuned = (row.tolist() for row in rows)
        return beats({"single": single, "tuned": tuned})

    @property
    def better(self) -> bool:
        """Whether it is, by more than the point that a claim says."""
        lead = self.true[self.found.arm] - self.true[list(self.baselines)]
        return bool((lead > POINT).all())


def _baselines(case: Case, recorded: Recording, winner: int) -> tuple[int, int]:
    import numpy as np

    calls, true = recorded.arms.calls, recorded.true
    alone = np.flatnonzero(calls == calls.min())
    single = int(alone[true[alone].argmax()])
    if case == "tuned":
        return single, int(true.argmax())
    if case == "real":
        return single, int(recorded.votes[true[recorded.votes].argmax()])
    # All are as good, so any will do that costs as much as the winner and is another.
    as_dear = np.flatnonzero(calls == calls[winner])
    others = [arm for arm in (*as_dear, *alone) if arm not in (winner, single)]
    return single, int(others[0])


def claimed(
    case: Case,
    recorded: Recording,
    studies: int,
    plan: Plan = PLAN,
    step: Callable[[int, int], None] = lambda done, claims: None,
) -> dict[str, Any]:
    """Return in how many of the studies a winner is claimed, with exact 95 % intervals.

    Args:
        case: what is simulated.
        recorded: outcomes of real models.
        studies: how many.
        plan: of every race.
        step: is told how many are done, and how many claims there are.
    """
    import numpy as np

    done: list[_Study] = []
    count = wrong = 0
    true = np.full_like(recorded.true, 0.5) if case == "equal" else recorded.true
    for number in range(studies):
        ground = NanoGround(recorded, number, RACED)
        if case == "equal":
            ground.deal(np.random.default_rng([number, 4]))
        found = hunt(ground, replace(plan, seed=number))
        study = _Study(ground, true, found, _baselines(case, recorded, found.arm))
        count, wrong = count + study.claims, wrong + (study.claims and not study.better)
        done.append(study)
        step(number + 1, count)
    return {
        "case": case, "calls": plan.calls, "studies": studies,
        "claims": _counted(count, studies), "wrong": _counted(wrong, studies),
        "better": sum(study.better for study in done),
        "test items": round(sum(len(study.found.test) for study in done) / studies, 1),
    }  # fmt: skip


def _counted(count: int, among: int) -> dict[str, Any]:
    from scipy.stats import binomtest

    span = binomtest(count, among).proportion_ci(method="exact")  # Clopper & Pearson 1934
    return {"count": count, "low": round(span.low, 4), "high": round(span.high, 4)}
