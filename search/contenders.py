"""Architectures with what was measured of them, and how they compare on a part of the items."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from archon.base import Architecture
from archon.outcomes import Outcome
from archon.search.study import Contender

__all__ = ["answers_for", "contender", "merit_of", "named"]


def contender(
    name: str,
    architecture: Architecture,
    outcomes: Mapping[str, Outcome],
    row: int | None = None,
    note: str = "",
) -> Contender:
    """Return an architecture with its scores and mean costs."""
    scored = [outcome for outcome in outcomes.values() if outcome.score is not None]

    def mean(values: Iterable[float | None]) -> float | None:
        known = list(values)
        if not known or any(value is None for value in known):
            return None
        return sum(value for value in known if value is not None) / len(known)

    costs = {
        "calls": mean(o.calls for o in scored),
        "tokens": mean(o.tokens for o in scored),
        "usd": mean(None if o.microusd is None else o.microusd / 1e6 for o in scored),
        "flops": mean(o.flops for o in scored),
        "latency": mean(o.latency for o in scored),
    }
    return Contender(
        name, architecture, row, {id_: o.score for id_, o in outcomes.items()}, costs, note
    )


def named(architecture: Architecture) -> str:
    """Return a name for tables: its own, or its stages with the digest."""
    return architecture.name or f"{architecture} {architecture.digest()[:6]}"


def merit_of(contender: Contender, objective: str) -> float:
    """Return an objective such that higher is better; NaN where it is not known."""
    if objective == "score":
        return contender.mean
    cost = contender.costs.get("usd" if objective == "cost_of_pass" else objective)
    if cost is None:
        return math.nan
    if objective == "cost_of_pass":
        return -cost / contender.mean if contender.mean > 0 else math.nan
    return -cost


def answers_for(chosen: Contender, single: Contender) -> float:
    """Return how many answers of a single model cost what the chosen one costs."""
    for name in ("usd", "calls"):
        mine, theirs = chosen.costs.get(name), single.costs.get(name)
        if mine and theirs:
            return mine / theirs
    return 1.0
