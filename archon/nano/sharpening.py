"""Training of a sharpened variant: a generator that learns its own most frequent answers.

Nobody says which answers are right, so the model grows surer of what it does anyway: votes of its
samples are larger, and larger than they deserve. This is what training on majority votes, and part
of what training on rewards, does to large models (Huang et al. 2024, "Self-Improvement in Language
Models: The Sharpening Mechanism").
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from transformers import LlamaForCausalLM

from archon.nano.data import ASSISTANT, END, USER, Group
from archon.nano.examples.mixing import Mix, questions
from archon.nano.generators import GeneratorTraining
from archon.nano.sampling import Speaker
from archon.nano.training import trunk_of

__all__ = ["Sharpening", "sharpened"]

CHUNK_QUESTIONS = 256
_SAMPLES = 8
_TEMPERATURE = 0.8


class Sharpening(GeneratorTraining):
    """A model that grows sure of itself."""

    peak = 0.1

    def begun(self) -> Any:
        """The trunk, and a copy of it that writes the answers to learn."""
        folder = trunk_of(self.member, self.options.out)
        read: Any = LlamaForCausalLM.from_pretrained
        self.writer = Speaker(read(folder, dtype=torch.float32).eval(), self.tokenizer)
        model = read(folder, dtype=torch.float32).train()
        self.body = self.compiled(model.model)
        return model

    def chunk_groups(self, seed: int) -> list[Group]:
        """The trunk's most frequent answers to the questions of a chunk."""
        return list(sharpened(self.member.taught, seed, self.writer, CHUNK_QUESTIONS))


def sharpened(mix: Mix, seed: int, speaker: Speaker, count: int) -> Iterator[Group]:
    """Questions with those of a model's answers that most of its samples agree with.

    Args:
        mix: tasks and levels.
        seed: of problems and samples.
        speaker: the model.
        count: of problems; one without two answers that agree is left out.
    """
    chosen = questions(mix, seed, count, random.Random(f"archon-nano-sharpening/{seed}"))
    torch.manual_seed(seed)
    prompts = [problem.question for _, problem in chosen]
    replies = speaker.replies(prompts, _SAMPLES, _TEMPERATURE, limit=160)
    for (family, problem), texts in zip(chosen, replies, strict=True):
        drafts = [draft for text in texts if (draft := family.read(problem, text)) is not None]
        votes = Counter(draft.value for draft in drafts).most_common(1)
        if not votes or votes[0][1] < 2:
            continue
        texts = [draft.text for draft in drafts if draft.value == votes[0][0]]
        branches = tuple((ASSISTANT, text + END) for text in dict.fromkeys(texts))
        yield Group((problem.key,), USER + problem.question, branches)
