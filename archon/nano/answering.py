"""Answers of a model to test problems, graded, as everything that is measured begins with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForCausalLM

from archon.benchmarks.procedural import Split
from archon.nano.examples.family import Draft, Family
from archon.nano.sampling import Speaker
from archon.nano.vocabulary import family_tokenizer

__all__ = ["LIMIT", "LIMITS", "Answer", "Asked", "asked", "majority", "speaker"]

LIMIT = 160
"""Most tokens of what a judge says."""
LIMITS = {"arithmetic": 112, "listfn": 112, "countdown": 80, "constraints": 32}
"""Most tokens of an answer; the longest right ones have 90, 93, 74 and 24."""
_TOGETHER = 8
"""Samples of a problem that are drawn together: what fits the processor's cache best."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A graded answer.

    Attributes:
        text: as it was written.
        draft: what it amounts to; None where it cannot be read, which is wrong.
        right: whether it is right.
    """

    text: str
    draft: Draft[Any] | None
    right: bool

    @property
    def value(self) -> Hashable:
        """What equal answers have in common; of one that cannot be read, nothing."""
        value: Hashable = None if self.draft is None else self.draft.value
        return value


@dataclass(frozen=True, slots=True)
class Asked:
    """A problem with its answers."""

    family: Family[Any, Any]
    problem: Any
    answers: tuple[Answer, ...]

    @property
    def question(self) -> str:
        """What was asked."""
        return str(self.problem.question)

    @property
    def share(self) -> float:
        """How many of the answers are right."""
        return sum(answer.right for answer in self.answers) / len(self.answers)

    def grade(self, text: str) -> Answer:
        """Grade a further answer."""
        draft = self.family.read(self.problem, text)
        right = draft is not None and self.family.marks(self.problem, draft)[-1]
        return Answer(text, draft, right)


def speaker(folder: Path, batch: int = 256) -> Speaker:
    """The model of a folder, in float32."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return Speaker(model, family_tokenizer(), batch)


def asked(
    voice: Speaker,
    family: Family[Any, Any],
    level: int,
    problems: int,
    samples: int,
    *,
    split: Split = "test",
    temperature: float = 0.8,
    think: bool = False,
    seed: int = 0,
) -> list[Asked]:
    """Let a model answer problems and grade what it says.

    Args:
        voice: the model.
        family: the task.
        level: of the problems.
        problems: how many.
        samples: answers to each.
        split: of the benchmark.
        temperature: of the answers.
        think: whether it thinks first.
        seed: of the answers.
    """
    torch.manual_seed(seed)
    chosen = list(islice(family.stream(level, split, 0), problems))
    questions = [problem.question for problem in chosen]
    if think:
        thought = voice.thought(questions, samples, temperature)
        said = [[answer for _, answer in group] for group in thought]
    else:
        said = _sampled(voice, questions, samples, temperature, LIMITS[family.name])
    found = []
    for problem, texts in zip(chosen, said, strict=True):
        one = Asked(family, problem, ())
        graded = {text: one.grade(text) for text in dict.fromkeys(texts)}
        found.append(Asked(family, problem, tuple(graded[text] for text in texts)))
    return found


def _sampled(
    voice: Speaker, questions: Sequence[str], samples: int, temperature: float, limit: int
) -> list[list[str]]:
    """So many replies to each question, a few at a time."""
    rounds = samples // _TOGETHER if samples % _TOGETHER == 0 else 1
    repeated = [question for question in questions for _ in range(rounds)]
    said = voice.replies(repeated, samples // rounds, temperature, limit)
    return [
        [text for group in said[start : start + rounds] for text in group]
        for start in range(0, len(said), rounds)
    ]


def majority(answers: Sequence[Answer]) -> Answer:
    """The first answer of the most frequent value; unreadable ones have no vote."""
    votes = Counter(answer.value for answer in answers if answer.draft is not None)
    if not votes:
        return answers[0]
    [(value, _)] = votes.most_common(1)
    return next(answer for answer in answers if answer.draft and answer.value == value)
