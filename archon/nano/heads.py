"""Training of a reward head: a trained generator that learns to mark answers instead of writing.

Half of the answers are made ones, as judging roles see them, the other half are what the generator
of the trunk writes. A step scorer learns a mark for every line, an outcome scorer the last one.
Trunk and head are trained together, at a lower rate than the generator was.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import nn
from transformers import (
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaForTokenClassification,
)

from archon.backends.torch_heads import line_ends
from archon.backends.torch_text import Speech
from archon.nano.batches import Batch, Row, batch_of
from archon.nano.data import ASSISTANT, USER
from archon.nano.examples.family import Family
from archon.nano.examples.marking import Marked, marked, marked_answers
from archon.nano.examples.mixing import FAMILIES, questions
from archon.nano.sampling import Speaker
from archon.nano.separating import auc
from archon.nano.training import Training, trunk_of
from archon.types import Message

__all__ = ["HeadTraining", "own_answers"]

CHUNK_QUESTIONS = 512
_SAMPLES = 4
_TEMPERATURE = 0.9
_PROBE_LEVEL, _PROBE_PROBLEMS = 3, 24


def own_answers(
    asked: Sequence[tuple[Family[Any, Any], Any]], speaker: Speaker, seed: int
) -> Iterator[tuple[Marked, ...]]:
    """Marked answers of a model, those of one problem together; unreadable ones are left out."""
    torch.manual_seed(seed)
    prompts = [problem.question for _, problem in asked]
    replies = speaker.replies(prompts, _SAMPLES, _TEMPERATURE, limit=160)
    for (family, problem), texts in zip(asked, replies, strict=True):
        drafts = (family.read(problem, text) for text in dict.fromkeys(texts))
        found = tuple(marked(family, problem, draft) for draft in drafts if draft is not None)
        if found:
            yield found


class HeadTraining(Training):
    """A model that scores."""

    peak = 0.25

    def begun(self) -> Any:
        """The trunk of the generator with a new head."""
        folder = trunk_of(self.member, self.options.out)
        trunk = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.speech, self.writer = Speech(folder), Speaker(trunk, self.tokenizer)
        kind: Any = (
            LlamaForTokenClassification if self.member.steps else LlamaForSequenceClassification
        )
        torch.manual_seed(self.options.seed)
        config = type(trunk.config).from_dict(trunk.config.to_dict() | {"num_labels": 1})
        model = kind(config)
        model.model.load_state_dict(trunk.model.state_dict())
        self.body = self.compiled(model.model)
        return model

    def batches(self, seed: int) -> Iterator[Batch]:
        """The answers of a chunk, those of one question in a row."""
        made = islice(marked_answers(self.member.taught, seed, _SAMPLES), CHUNK_QUESTIONS // 2)
        rng = random.Random(f"archon-nano-heads/{seed}")
        chosen = questions(self.member.taught, seed, CHUNK_QUESTIONS // 2, rng)
        answers = [*made, *own_answers(chosen, self.writer, seed)]
        rows = sorted(map(self.row, answers), key=lambda row: len(row.ids))
        ready: list[list[Row]] = [[]]
        for row in rows:
            if ready[-1] and (len(ready[-1]) + 1) * len(row.ids) > self.options.batch:
                ready.append([])
            ready[-1].append(row)
        random.Random(f"archon-nano-heads-order/{seed}").shuffle(ready)
        return map(batch_of, ready)

    def row(self, answers: Sequence[Marked]) -> Row:
        """The tokens of a question and its answers; targets are the marks, where lines end."""
        question = answers[0].prompt.removeprefix(USER).removesuffix(ASSISTANT)
        prefix = self.speech.prompt([Message("user", question)])
        size = len(prefix)
        row = Row(list(prefix), list(range(size)), [0] * size, [-1] * size)
        for number, answer in enumerate(answers, 1):
            ids, ends = line_ends(self.speech, "\n".join(answer.lines))
            target = [-1] * len(ids)
            marks = [
                mark for line, mark in zip(answer.lines, answer.marks, strict=True) if line.strip()
            ]
            for end, mark in zip(ends, marks, strict=True):
                if self.member.steps or end == ends[-1]:
                    target[end] = int(mark)
            row.ids.extend(ids)
            row.positions.extend(range(size, size + len(ids)))
            row.branch.extend([number] * len(ids))
            row.target.extend(target)
        return row

    def loss(self, batch: Batch) -> torch.Tensor:
        """Mean cross-entropy of the marks."""
        hidden = self.body(
            input_ids=batch.ids,
            position_ids=batch.positions,
            attention_mask=batch.mask,
            use_cache=False,
        ).last_hidden_state
        learned = batch.target >= 0
        logits = self.model.score(hidden[learned])[:, 0]
        return nn.functional.binary_cross_entropy_with_logits(logits, batch.target[learned].float())

    @torch.inference_mode()
    def probe(self) -> dict[str, float]:
        """AUC of the last mark on the generator's answers to dev problems, over all of a task."""
        found = {}
        for name, family in FAMILIES.items():
            asked = [
                (family, one)
                for one in islice(family.stream(_PROBE_LEVEL, "dev", 0), _PROBE_PROBLEMS)
            ]
            scores: list[float] = []
            truths: list[bool] = []
            for answers in own_answers(asked, self.writer, 0):
                for answer in answers:
                    batch = batch_of([self.row([answer])])
                    hidden = self.model.model(
                        input_ids=batch.ids, position_ids=batch.positions, use_cache=False
                    ).last_hidden_state
                    scores.append(float(self.model.score(hidden)[0, -1, 0]))
                    truths.append(answer.right)
            area = auc(scores, truths)
            if area is not None:
                found[name] = round(area, 3)
        return found
