"""How much the last stages of a study measure, so that the reserve pays for it.

Calls that finalists and baselines share are counted once, as they will be paid once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from archon.base import Architecture, Bound
from archon.plain import canonical
from archon.search.baselines import at_equal_cost, leading_models, singles
from archon.search.ground import Candidates
from archon.search.parts import LEAST, PartName, Parts, question_tokens
from archon.search.plans import Plans

__all__ = ["FINALISTS", "MOST", "SAFETY", "FinalsPlan", "Reserve", "together"]

FINALISTS = 10
"""So many are confirmed; more where the reserve allows, fewer where it does not."""
MOST = 30
SAFETY = 1.15
"""What is foreseen costs so much more, before a finalist goes without."""
MODELS = 2
"""Single models whose votes and best-of-n are tried as baselines."""
ABLATED = 0.1
"""Share of dev, times a winner's calls, that ablation newly asks: most of it is in the pool."""


@dataclass(frozen=True)
class FinalsPlan:
    """How much the last stages measure; fixed before the first look.

    Attributes:
        finalists: how many are confirmed.
        confirm: on how many items.
        test: how many items print at most.
        models: how many single models get votes and best-of-n as baselines.
    """

    finalists: int
    confirm: int
    test: int
    models: int = MODELS

    def dump(self) -> str:
        """Return it as text."""
        return canonical(asdict(self))

    @classmethod
    def read(cls, text: str) -> FinalsPlan:
        """Invert `dump`."""
        return cls(**json.loads(text))


def together(architectures: Iterable[Architecture], unit: str, tokens: int) -> float:
    """Return what the calls of an item cost at most that some architectures need, none twice.

    Args:
        architectures: what makes the calls.
        unit: `usd`, `tokens` or `calls`.
        tokens: how long a question is.
    """
    plans = Plans(tokens)
    costs: dict[int, float] = {}
    for architecture in architectures:
        for number in plans.plan(architecture).parts:
            part = plans.parts[number]
            costs.update(dict.fromkeys(part.calls, _each(part.bound, unit)))
    return sum(costs.values())


@dataclass(frozen=True, eq=False)
class Reserve:
    """What the last stages of a study may need.

    Args:
        candidates: what is searched.
        parts: the items.
        arms: finalists, best first; the first one stands for the winner.
        unit: in which calls are weighed: `usd`, `tokens` or `calls`.
    """

    candidates: Candidates
    parts: Parts
    arms: Sequence[int]
    unit: str

    def needed(self, plan: FinalsPlan) -> float:
        """Return the calls that ablation, confirm, baselines and test may newly need.

        A call that costs twice as much as a finalist's counts as two.
        """
        if not self.arms:
            return 0.0
        candidates, parts = self.candidates, self.parts
        finalists = [candidates.architecture(arm) for arm in self.arms[: plan.finalists]]
        whole = float(finalists[0].bound().calls)
        models = leading_models(candidates, self.arms)
        alone = list(singles(models).values())
        leading = dict.fromkeys(models[: plan.models], whole)
        spent = list(at_equal_cost(leading, candidates.answer, self.question_tokens).values())
        mean = self._together(finalists) / max(1, self._together(finalists, "calls"))
        ablation = ABLATED * len(parts.dev) * whole
        if parts.confirm is None:
            return ablation + len(parts.dev) * self._together([*alone, *spent]) / mean
        dearest = max(spent, key=lambda a: self._together([a]), default=finalists[0])
        return (
            ablation
            + (
                plan.confirm * self._together([*finalists, *alone, *spent])
                + plan.test * self._together([finalists[0], *alone[:1], dearest])
            )
            / mean
        )

    def _together(self, architectures: Iterable[Architecture], unit: str = "") -> float:
        return together(architectures, unit or self.unit, self.question_tokens)

    @property
    def question_tokens(self) -> int:
        """How long the questions are."""
        return question_tokens(self.parts.dev)

    def plan(self, room: float) -> FinalsPlan:
        """Return as much as some calls pay for.

        First thirty finalists, all items and the baselines of two models. Where there is no room
        for that: ten finalists, then one model's baselines, fewer finalists, fewer items.
        """
        sizes = self.parts.sizes()
        plan = FinalsPlan(
            max(1, min(MOST, len(self.arms))), sizes.get("confirm", 0), sizes.get("test", 0)
        )

        def fits() -> bool:
            return SAFETY * self.needed(plan) <= room

        while plan.finalists > FINALISTS and not fits():
            plan = replace(plan, finalists=plan.finalists - 1)
        if not fits():
            plan = replace(plan, models=1)
        while plan.finalists > 2 and not fits():
            plan = replace(plan, finalists=plan.finalists - 1)
        while (fewer := _fewer(plan)) != plan and not fits():
            plan = fewer
        return plan


def _fewer(plan: FinalsPlan) -> FinalsPlan:
    """Return a plan with a tenth fewer items, but not fewer than say anything."""

    def less(size: int, name: PartName) -> int:
        return max(min(size, LEAST[name]), int(0.9 * size))

    return replace(plan, confirm=less(plan.confirm, "confirm"), test=less(plan.test, "test"))


def _each(bound: Bound, unit: str) -> float:
    """Return what one call of a part costs at most; 1 where that is not known."""
    amount = {"usd": bound.microusd, "tokens": bound.tokens}.get(unit)
    calls = bound.calls + bound.reasks
    return amount / calls if amount and calls else 1.0
