"""Training of a judge: a generator that is taught to check, compare and combine answers.

Whether a verdict or a ranking is right hangs on a token or two of its last line, which a mean over
all tokens of all replies hardly sees. So the roles that judge prevail here, their last lines weigh
more, and more of what is judged is what the model itself writes.
"""

from __future__ import annotations

import random
from typing import Any

import torch
from transformers import LlamaForCausalLM

from archon.nano.data import Group
from archon.nano.generators import GeneratorTraining
from archon.nano.members import judging
from archon.nano.training import trunk_of

__all__ = ["JudgeTraining"]


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
        """The groups of a chunk."""
        rng = random.Random(f"archon-nano-judges/{seed}")
        return self.with_own(judging(self.member.taught), seed, rng)
