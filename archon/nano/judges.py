"""Training of a judge: a generator that is taught to check, compare and combine its own answers.

Whether a check or a ranking is right hangs on a token or two of its last line, which a mean over
all tokens of all replies hardly sees: so last lines weigh more. Half of what is judged the trunk
wrote, the rest is made up.
"""

from __future__ import annotations

import random
from itertools import islice
from typing import Any

import torch
from transformers import LlamaForCausalLM

from archon.nano.data import Group
from archon.nano.examples.mixing import groups
from archon.nano.generators import GeneratorTraining
from archon.nano.own import own_groups
from archon.nano.sampling import Speaker
from archon.nano.training import trunk_of

__all__ = ["JudgeTraining"]

CHUNK_GROUPS = 1800
OWN_PROBLEMS, OWN_EACH, OWN_REPLIES = 180, 5, 2


class JudgeTraining(GeneratorTraining):
    """A model that judges what its trunk writes."""

    peak = 0.5
    last_lines = 4.0

    def begun(self) -> Any:
        """The trunk, and a copy of it that writes what is judged."""
        folder = trunk_of(self.member, self.options.out)
        read: Any = LlamaForCausalLM.from_pretrained
        self.writer = Speaker(read(folder, dtype=torch.float32).eval(), self.tokenizer)
        model = read(folder, dtype=torch.float32).train()
        self.body = self.compiled(model.model)
        return model

    def chunk_groups(self, seed: int) -> list[Group]:
        """Groups over the trunk's answers among made ones."""
        mix = self.member.taught
        own = own_groups(mix, seed, self.writer, OWN_PROBLEMS, OWN_EACH, count=OWN_REPLIES)
        chosen = list(own)
        chosen += islice(groups(mix, seed), CHUNK_GROUPS - len(chosen))
        random.Random(f"archon-nano-judges/{seed}").shuffle(chosen)
        return chosen
