"""What came of an attempt: how long it took, what it is charged with, and whether to try again."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import replace

from archon import limits
from archon.budget import known
from archon.errors import BudgetExceeded, ModelError
from archon.model import Model, Outcome, Price
from archon.types import Reply, Usage

__all__ = ["ATTEMPTS", "charged", "late", "metered", "pause", "tokens", "unanswered"]

ATTEMPTS = 12
"""How often one draw is sent at most; the model's `timeout` may end it sooner."""


def metered(outcome: Outcome, seconds: float, price: Price | None) -> Outcome:
    """Fill in what the backend need not know: time and operations."""
    if not isinstance(outcome, Reply):
        return outcome
    paid = outcome.paid
    return Reply(
        outcome.parts, outcome.model, outcome.finish, outcome.reasoning,
        _measured(outcome.usage, seconds, price), outcome.verdict_probs, False,
        None if paid is None else _measured(paid, seconds, price),
        outcome.stop, outcome.tokens, outcome.logprobs,
    )  # fmt: skip


def _measured(usage: Usage, seconds: float, price: Price | None) -> Usage:
    flops = price.operations(usage.input_tokens, usage.output_tokens) if price else None
    return Usage(
        usage.calls, usage.input_tokens, usage.output_tokens, usage.microusd,
        usage.seconds or seconds, flops,
    )  # fmt: skip


def charged(outcome: Outcome, upper: Usage) -> Usage:
    """Return what an attempt is charged with; what is not known is charged as it was held."""
    if isinstance(outcome, Reply):
        return known(outcome.paid or outcome.usage, upper)
    if isinstance(outcome, ModelError):
        # A failed attempt is no draw; the call is counted when the draw has its reply.
        return replace(upper, calls=0) if outcome.billed else Usage()
    return upper


def tokens(outcomes: Iterable[Outcome], upper: Usage) -> int:
    """Return how many tokens were used, as far as that is known or must be assumed."""
    return sum(charged(outcome, upper).tokens or 0 for outcome in outcomes)


def late(model: Model, tries: int, *, budget: bool) -> Outcome:
    """Return what a call is that met a deadline.

    Args:
        model: who was asked.
        tries: how often; where it failed before, the provider was at fault and not the model.
        budget: whether the deadline was the budget's and not the model's own.
    """
    if budget:
        return BudgetExceeded("the deadline has passed", limit="seconds")
    if tries > 1:
        return unanswered(model, tries, billed=True)
    usage = Usage(1, None, None, None, model.timeout, None)
    return Reply((), model=model.model, finish="timeout", usage=usage)


def unanswered(model: Model, tries: int, *, billed: bool) -> ModelError:
    """Return the error for a call whose time ran out while the provider was failing."""
    said = f"{model.model!r}: no answer within {model.timeout:g} s, sent {tries} times"
    return ModelError(said, kind="transient", billed=billed)


def pause(outcome: Outcome, tries: int, ends: float) -> float | None:
    """Return the seconds to wait before the next attempt, or None if there is none.

    Args:
        outcome: of the last attempt.
        tries: how many there were.
        ends: when the call must be over (monotonic).
    """
    if not isinstance(outcome, ModelError) or not outcome.retryable or tries >= ATTEMPTS:
        return None
    if outcome.retry_after == 0:
        return 0.0
    first, most = limits.BACKOFF
    # Full jitter: clients that failed together do not come back together.
    seconds = random.uniform(0, min(most, first * 2.0 ** (tries - 1)))
    seconds = max(seconds, outcome.retry_after or 0.0)
    return seconds if time.monotonic() + seconds < ends else None
