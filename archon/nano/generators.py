"""Training of a generator, in three parts.

* First the two lowest levels of every task, answers and their checks.
* Then all levels and all roles, in the shares of the model's mix.
* In the last fifth a share of the judged answers is what the model itself writes at that time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import nn

from archon.nano import network
from archon.nano.batches import Batch, batches
from archon.nano.data import Group, drill_group
from archon.nano.examples.mixing import FAMILIES, groups
from archon.nano.members import easy
from archon.nano.own import own_groups, truth
from archon.nano.sampling import Speaker
from archon.nano.training import Training

__all__ = ["GeneratorTraining"]

OWN_FROM = 0.8
CHUNK_GROUPS = 2048
OWN_PROBLEMS, OWN_EACH = 48, 8
_PROBE_LEVEL, _PROBE_PROBLEMS, _PROBE_SAMPLES = 3, 24, 4


def drilled(base: Iterator[Group], share: float, rng: random.Random) -> Iterator[Group]:
    """Groups, a share of them replaced by bare operations."""
    for group in base:
        yield drill_group(rng) if rng.random() < share else group


class GeneratorTraining(Training):
    """A model that writes."""

    weights: torch.Tensor | None = None
    """Of every token of the vocabulary in the loss; None where all count alike."""

    def begun(self) -> Any:
        """An untrained network."""
        model = network.fresh(self.member, self.tokenizer, self.options.seed)
        self.body = self.compiled(model.model)
        return model

    def batches(self, seed: int) -> Iterator[Batch]:
        """The groups of a chunk, as tensors."""
        return batches(iter(self.chunk_groups(seed)), self.tokenizer, self.options.batch, seed)

    def chunk_groups(self, seed: int) -> list[Group]:
        """The groups of a chunk."""
        mix, rng = self.member.taught, random.Random(f"archon-nano-chunk/{seed}")
        if self.progress < self.member.easy:
            return list(islice(drilled(groups(easy(mix), seed), mix.drills, rng), CHUNK_GROUPS))
        if self.progress < OWN_FROM:
            return list(islice(groups(mix, seed), CHUNK_GROUPS))
        self.model.eval()
        own = list(own_groups(mix, seed, self.speaker(), OWN_PROBLEMS, OWN_EACH))
        self.model.train()
        chosen = [*own, *islice(groups(mix, seed), CHUNK_GROUPS - len(own))]
        rng.shuffle(chosen)
        return chosen

    def loss(self, batch: Batch) -> torch.Tensor:
        """Mean loss over the reply tokens, by their weights."""
        hidden = self.body(
            input_ids=batch.ids,
            position_ids=batch.positions,
            attention_mask=batch.mask,
            use_cache=False,
        ).last_hidden_state
        learned = batch.target >= 0
        logits = self.model.lm_head(hidden[learned])
        return nn.functional.cross_entropy(logits, batch.target[learned], self.weights)

    def speaker(self) -> Speaker:
        """The model as it is now."""
        return Speaker(self.model, self.tokenizer)

    def probe(self) -> dict[str, float]:
        """Accuracy of single samples on a middle level of every task."""
        torch.manual_seed(0)
        found = {}
        for name, family in FAMILIES.items():
            asked = list(islice(family.stream(_PROBE_LEVEL, "dev", 0), _PROBE_PROBLEMS))
            questions = [one.question for one in asked]
            said = self.speaker().replies(questions, _PROBE_SAMPLES, 0.8, limit=160)
            pairs = zip(asked, said, strict=True)
            right = [truth(family, one, text) for one, texts in pairs for text in texts]
            found[name] = round(sum(right) / len(right), 3)
        return found
