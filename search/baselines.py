"""What a winner must beat: the best single model, and the best vote or best-of-n for its money.

Each is tuned, model and number of samples, on items that choose; the items of the printed score
take no part. Equal money is equal list price where every price is known, else equal calls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from archon.base import Architecture
from archon.errors import ConfigError
from archon.model import Model
from archon.search.ground import best_of, sampled, short, voted
from archon.types import AnswerKind

__all__ = ["SINGLE", "SPENT", "at_equal_cost", "singles"]

SINGLE = "the best single model"
SPENT = "the best vote or best-of-n for the same money"
MOST_SAMPLES = 64


def singles(models: Sequence[Model]) -> dict[str, Architecture]:
    """Return every model alone, at each effort and temperature that the space has, by name."""
    return {short(model): sampled(model, 1) for model in models}


def at_equal_cost(
    models: Mapping[Model, float], answer: AnswerKind
) -> dict[str, Architecture]:
    """Return votes and best-of-n that cost about as much as a winner, by name.

    Args:
        models: the best single ones, each with how many answers of it the winner costs.
        answer: how answers are read; free text has no vote.
    """
    made: dict[str, Architecture] = {}
    for model, answers in models.items():
        whole = min(MOST_SAMPLES, max(1, math.ceil(answers)))
        for n in dict.fromkeys((whole, whole // 2)):
            if answer != "text" and n > 2:
                made[f"vote of {n}: {short(model)}"] = voted(model, n)
        each = best_of(model, 1).bound().calls  # an answer and its checks
        checked = min(MOST_SAMPLES, math.ceil(answers / each))
        if checked > 1:
            made[f"best of {checked}: {short(model)}"] = best_of(model, checked)
    return {name: architecture for name, architecture in made.items() if _legal(architecture)}


def _legal(architecture: Architecture) -> bool:
    try:
        architecture.check()
    except ConfigError:
        return False
    return True
