"""How much the last stages of a study measure, so that the reserve pays for it.

Calls that finalists and baselines share are counted once, as they will be paid once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from archon.base import QUESTION_TOKENS, Architecture
from archon.plain import canonical
from archon.search.baselines import at_equal_cost, singles
from archon.search.ground import Candidates
from archon.search.parts import LEAST, Parts
from archon.search.plans import Plans

__all__ = ["FINALISTS", "MOST", "FinalsPlan", "needed", "planned"]

FINALISTS = 10
"""So many are confirmed; more where the reserve allows, fewer where it does not."""
MOST = 30
MODELS = 2
"""Single models whose votes and best-of-n are tried as baselines."""
ABLATED = 0.1
"""Share of dev, times a winner's calls, that ablation newly asks: most of it is in the pool."""


@dataclass(frozen=True)
class FinalsPlan:
    """How much the last stages measure; fixed before the first look.

    Attributes:
        finalists: how many are confirmed.
        test: how many items print.
        models: how many single models get votes and best-of-n as baselines.
    """

    finalists: int
    test: int
    models: int = MODELS

    def dump(self) -> str:
        """Return it as text."""
        return canonical(asdict(self))

    @classmethod
    def read(cls, text: str) -> FinalsPlan:
        """Invert `dump`."""
        return cls(**json.loads(text))


def needed(candidates: Candidates, parts: Parts, arms: Sequence[int], plan: FinalsPlan) -> float:
    """Return the calls that ablation, confirm, baselines and test may newly need.

    Args:
        candidates: what is searched.
        parts: the items.
        arms: finalists, best first; the first one stands for the winner.
        plan: how much of what.
    """
    if not arms:
        return 0.0
    finalists = [candidates.architecture(arm) for arm in arms[: plan.finalists]]
    whole = float(finalists[0].bound().calls)
    alone = list(singles(candidates.models).values())
    leading = dict.fromkeys(candidates.models[: plan.models], whole)
    spent = list(at_equal_cost(leading, candidates.answer).values())
    ablation = ABLATED * len(parts.dev) * whole
    if parts.confirm is None:
        return ablation + len(parts.dev) * _together([*alone, *spent])
    dearest = max(spent, key=lambda a: a.bound().calls, default=finalists[0])
    return (
        ablation
        + len(parts.confirm) * _together([*finalists, *alone, *spent])
        + plan.test * _together([finalists[0], *alone[:1], dearest])
    )


def _together(architectures: Iterable[Architecture]) -> int:
    """Return how many calls of an item some architectures need together, none twice."""
    plans = Plans(QUESTION_TOKENS)
    calls: set[int] = set()
    for architecture in architectures:
        for part in plans.plan(architecture).parts:
            calls.update(plans.parts[part].calls)
    return len(calls)


def planned(candidates: Candidates, parts: Parts, arms: Sequence[int], room: float) -> FinalsPlan:
    """Return as much as some calls pay for.

    First ten finalists, all test items and the baselines of two models; more finalists where there
    is room, fewer where there is not; then fewer test items, then one model's baselines.
    """
    test = 0 if parts.test is None else len(parts.test)
    plan = FinalsPlan(max(1, min(MOST, len(arms))), test)

    def fits() -> bool:
        return needed(candidates, parts, arms, plan) <= room

    while plan.finalists > 2 and not fits():
        plan = replace(plan, finalists=plan.finalists - 1)
    if not fits():
        plan = replace(plan, models=1)
    while plan.test > LEAST["test"] and not fits():
        plan = replace(plan, test=max(LEAST["test"], int(0.9 * plan.test)))
    return plan
