"""What a scorer may touch besides the answer: earlier turns, and a judge through the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archon.gateway import Gateway, Spending
from archon.model import Draw, Model, Request
from archon.types import Message, Reply, Usage

__all__ = ["ScoreContext"]


class ScoreContext:
    """A scorer's view of one item of one run.

    Judge calls pass through the gateway like all others (pool, budget, limits, retries), under
    the role `scorer`: they share no draw with layers, and the evaluation counts them apart.

    Args:
        turns: the architecture's answers, one for each user turn; the last is the one scored.
        seed: names the replicate.
        gateway: the door to models; None where nothing may be asked.
        spending: the evaluation's scopes.

    Attributes:
        used: all judge calls that were needed, from the pool or not.
        paid: what was newly asked.
    """

    def __init__(
        self,
        turns: Sequence[str] = (),
        *,
        seed: int = 0,
        gateway: Gateway | None = None,
        spending: Spending | None = None,
    ) -> None:
        self.turns = tuple(turns)
        self.seed = seed
        self.used, self.paid = Usage(), Usage()
        self._gateway, self._spending = gateway, spending or Spending()

    async def ask(
        self, model: Model, messages: str | Sequence[Message], *, draw: int = 0, **wanted: Any
    ) -> Reply:
        """Ask a judge; the same question under the same draw number is asked once.

        Args:
            model: the judge.
            messages: the question, or a conversation.
            draw: which of several judgements of the same question.
            **wanted: `prefix`, `schema`, `verdicts`, `retry` of `archon.model.Request`.

        Raises:
            ModelError: when the judge cannot be reached, or refuses by its provider's filter.
            BudgetExceeded: when the evaluation's budget is spent.
            PoolMiss: in mode `only`, when the judgement is not in the pool.
            RuntimeError: when there is no gateway.
        """
        if self._gateway is None:
            raise RuntimeError("this scorer asks a judge, but its context has no gateway")
        turns = (Message("user", messages),) if isinstance(messages, str) else tuple(messages)
        request = Request(model, model.turns(turns), seed=self.seed, role="scorer", **wanted)
        (outcome,) = await self._gateway.draw(request, (Draw(0, draw),), self._spending)
        if isinstance(outcome, Exception):
            raise outcome
        self.used = self.used + outcome.usage
        if not outcome.pooled:
            self.paid = self.paid + (outcome.paid or outcome.usage)
        return outcome
