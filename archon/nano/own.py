"""Examples for judging roles over answers that the model being trained wrote itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import torch

from archon.nano.data import Group
from archon.nano.examples.family import Family
from archon.nano.examples.mixing import Mix, drawn, questions
from archon.nano.examples.roles import ROLES, Case
from archon.nano.sampling import Speaker

__all__ = ["JUDGING", "own_groups", "truth"]

JUDGING = {
    "rank": 0.25, "fuse": 0.2, "check": 0.15, "verdict": 0.15, "critique": 0.1, "refine": 0.1,
    "review": 0.05,
}  # fmt: skip
"""Roles that see answers, and their shares."""
_SAMPLES = 6
_TEMPERATURE = 0.9


def own_groups(
    mix: Mix, seed: int, speaker: Speaker, problems: int, each: int, *, count: int = 1
) -> Iterator[Group]:
    """Let the model answer train problems, then judge its answers among made ones.

    Args:
        mix: tasks, levels and knobs.
        seed: of problems, samples and roles.
        speaker: the model.
        problems: how many it answers.
        each: groups for every problem.
        count: replies in a group.
    """
    rng = random.Random(f"archon-nano-own/{seed}")
    chosen = questions(mix, seed, problems, rng)
    torch.manual_seed(seed)
    prompts = [problem.question for _, problem in chosen]
    replies = speaker.replies(prompts, _SAMPLES, _TEMPERATURE, limit=160)
    for (family, problem), texts in zip(chosen, replies, strict=True):
        own = tuple(draft for text in texts if (draft := family.read(problem, text)) is not None)
        case = Case(family, problem, mix.knobs, rng, own)
        for _ in range(each):
            yield ROLES[drawn(JUDGING, rng)](case, count)


def truth(family: Family[Any, Any], problem: Any, text: str) -> bool:
    """Whether a text is a right answer; a text that cannot be read is not."""
    draft = family.read(problem, text)
    return draft is not None and family.marks(problem, draft)[-1]
