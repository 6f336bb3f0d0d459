"""What a winner must beat: the best single model, and the best vote or best-of-n for its money.

Each is tuned, model and number of samples, on items that choose; the items of the printed score
take no part. Equal money is equal list price where every price is known, else equal calls.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from archon.base import Architecture
from archon.errors import ConfigError
from archon.model import Model
from archon.search.ground import Candidates, best_of, sampled, short, voted
from archon.types import AnswerKind

__all__ = ["SINGLE", "SPENT", "at_equal_cost", "leading_models", "singles"]

SINGLE = "the best single model"
SPENT = "the best vote or best-of-n for the same money"
MOST_SAMPLES = 64
MOST_MODELS = 6
"""Models with their settings that are tried alone; more where there are more models."""
LOOKED = 10


def leading_models(candidates: Candidates, arms: Sequence[int]) -> tuple[Model, ...]:
    """Return the models that are worth a baseline: every one at every effort, a few temperatures.

    Args:
        candidates: what is searched.
        arms: what leads; settings that occur there more often come first.
    """
    counts = Counter(
        model
        for arm in arms[:LOOKED]
        for model in dict.fromkeys(candidates.architecture(arm).models())
    )
    ranked = sorted(candidates.models, key=lambda model: -counts[model])
    kinds = {(m.model, m.effort): m for m in reversed(ranked)}
    kept = [m for m in ranked if kinds[m.model, m.effort] is m]
    kept += [m for m in ranked if m not in kept][: max(0, MOST_MODELS - len(kept))]
    return tuple(kept)


def singles(models: Sequence[Model]) -> dict[str, Architecture]:
    """Return every model alone, at each effort and temperature that the space has, by name."""
    return {short(model): sampled(model, 1) for model in models}


def at_equal_cost(
    models: Mapping[Model, float], answer: AnswerKind, question_tokens: int
) -> dict[str, Architecture]:
    """Return votes and best-of-n that cost about as much as a winner, by name.

    Args:
        models: the best single ones, each with how many answers of it the winner costs.
        answer: how answers are read; free text has no vote.
        question_tokens: how long the questions are.
    """
    made: dict[str, Architecture] = {}
    for model, answers in models.items():
        whole = min(MOST_SAMPLES, max(1, math.ceil(answers)))
        for n in dict.fromkeys((whole, whole // 2)):
            if answer != "text" and n > 2:
                made[f"vote of {n}: {short(model)}"] = voted(model, n)
        checked = min(MOST_SAMPLES, math.ceil(answers / _with_checks(model, question_tokens)))
        if checked > 1:
            made[f"best of {checked}: {short(model)}"] = best_of(model, checked)
    return {name: architecture for name, architecture in made.items() if _legal(architecture)}


def _with_checks(model: Model, question_tokens: int) -> float:
    """Return how many answers cost what one answer and its checks cost."""
    one = sampled(model, 1).bound(question_tokens=question_tokens)
    both = best_of(model, 1).bound(question_tokens=question_tokens)
    if one.microusd and both.microusd:
        return both.microusd / one.microusd
    return both.calls / one.calls


def _legal(architecture: Architecture) -> bool:
    try:
        architecture.check()
    except ConfigError:
        return False
    return True
