"""Training of a judge: a generator that is taught to check, compare and combine answers.

Whether a verdict or a ranking is right hangs on a token or two of its last line, which a mean over
all tokens of all replies hardly sees. So the roles that judge prevail here, their last lines weigh
more, and more of what is judged is what the model itself writes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import torch
from transformers import LlamaForCausalLM

from archon.nano.data import Group, verdict_drill_group
from archon.nano.examples import prompts
from archon.nano.examples.mixing import Mix, Problems, drawn
from archon.nano.examples.roles import ROLES, Case, pair_group
from archon.nano.generators import GeneratorTraining
from archon.nano.members import judging
from archon.nano.training import trunk_of

__all__ = ["JudgeTraining", "comparisons"]

DRILLS = 0.45
"""Share of the groups that are drills."""


class JudgeTraining(GeneratorTraining):
    """A model that judges, and still writes."""

    peak = 0.5
    last_lines = 8.0

    def begun(self) -> Any:
        """The generator."""
        folder = trunk_of(self.member, self.options.out)
        read: Any = LlamaForCausalLM.from_pretrained
        model = read(folder, dtype=torch.float32).train()
        self.body = self.compiled(model.model)
        return model

    def chunk_groups(self, seed: int) -> list[Group]:
        """The groups of a chunk, a share of them replaced by drills."""
        rng = random.Random(f"archon-nano-judges/{seed}")
        taught = judging(self.member.taught)
        drills = comparisons(taught, seed, rng)
        chosen = self.with_own(taught, seed, rng)
        return [next(drills) if rng.random() < DRILLS else group for group in chosen]


def comparisons(mix: Mix, seed: int, rng: random.Random) -> Iterator[Group]:
    """Endless drills in comparing: many verdicts, and pairs to rank, on the shortest answers."""
    problems = Problems(seed)
    while True:
        family = mix.families[drawn(mix.tasks, rng)]
        case = Case(family, problems.next(family, min(family.levels)), mix.knobs, rng)
        kind = rng.random()
        if kind < 0.4:
            yield pair_group(case, 3)
        elif family.name == "arithmetic" and kind < 0.7:
            yield verdict_drill_group(prompts.judging, rng)
        else:
            yield ROLES["verdict"](case, 8)
