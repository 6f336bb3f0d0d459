"""Reward models: weights with a head that scores an answer, or each of its lines.

A step scorer (Lightman et al. 2023, "Let's Verify Step by Step", section 2.6) is a model for token
classification: the score of a line is read where the line ends, at its line break, or for the last
line at the end of the reply. An outcome scorer (Cobbe et al. 2021, "Training Verifiers to Solve
Math Word Problems", section 4.2) is a model for sequence classification: one score, at the end.

A head has one label, whose logit becomes a probability, or two, of which the second is `right`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archon.backends.torch_config import head_of
from archon.backends.torch_files import LOADING
from archon.backends.torch_text import Speech
from archon.errors import ModelError
from archon.types import Message

__all__ = ["JOINED", "Heads", "line_ends"]

BATCH_TOKENS = 2**14
"""Tokens, padding included, that are read together."""

JOINED = ("last", "min", "mean")
"""How the scores of lines become one. The first is the default: where a line is marked right only
if all before it are, the last score speaks for the whole (Snell et al. 2024, "Scaling LLM Test-Time
Compute Optimally", section 5.1); `min` is the weakest line, as in Lightman et al."""


class Heads:
    """Scores answers with the weights of a folder, which are read on first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._steps = head_of(folder) == "steps"
        self._net: Any = None
        self._speech: Speech
        self._context = 0

    def scores(self, question: str, answers: Sequence[str], joined: str = "last") -> list[float]:
        """Return the score of each answer, in [0, 1].

        Args:
            question: what was asked.
            answers: none of them empty.
            joined: one of `JOINED`; of no effect on an outcome scorer.

        Raises:
            ModelError: when the weights cannot be loaded, or question and answer do not fit.
        """
        return [_join(lines, joined) for lines in self.lines(question, answers)]

    def lines(self, question: str, answers: Sequence[str]) -> list[list[float]]:
        """Return the scores of the lines of each answer; of an outcome scorer one each.

        Blank lines have no score.

        Raises:
            ModelError: when the weights cannot be loaded, or question and answer do not fit.
        """
        with self._lock:
            if self._net is None:
                with LOADING:
                    self._load()
            rows = [self._row(question, answer) for answer in answers]
            found: list[list[float]] = [[] for _ in rows]
            order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
            group: list[int] = []
            for place in order:
                if group and len(rows[place][0]) * (len(group) + 1) > BATCH_TOKENS:
                    self._score(group, rows, found)
                    group = []
                group.append(place)
            self._score(group, rows, found)
        return found

    def _load(self) -> None:
        import torch
        from transformers import (
            AutoModelForSequenceClassification,
            AutoModelForTokenClassification,
        )
        from transformers.utils import logging

        logging.disable_progress_bar()
        kind: Any = (
            AutoModelForTokenClassification if self._steps else AutoModelForSequenceClassification
        )
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            net = kind.from_pretrained(self._folder, local_files_only=True, dtype=torch.float32)
            if net.config.num_labels not in (1, 2):
                raise ModelError(f"its head has {net.config.num_labels} labels, not one or two")
            self._speech = Speech(self._folder)
        except Exception as error:
            # Whatever the files do to the libraries, the caller hears which folder it was.
            raise ModelError(f"cannot load {self._folder}: {error}", billed=False) from error
        limit = getattr(net.config, "max_position_embeddings", 0)
        self._context = int(limit or self._speech.longest)
        self._net = net.to(device).eval()

    def _row(self, question: str, answer: str) -> tuple[list[int], list[int]]:
        """Return the tokens of question and answer, and the places at which scores are read."""
        prompt = self._speech.prompt([Message("user", question)])
        said, ends = line_ends(self._speech, answer)
        if len(prompt) + len(said) > self._context:
            raise ModelError(
                f"question and answer have {len(prompt) + len(said)} tokens, more than the context"
                f" of {self._context} tokens",
                billed=False,
            )
        places = [len(prompt) + end for end in ends]
        return [*prompt, *said], places if self._steps else places[-1:]

    def _score(
        self,
        group: Sequence[int],
        rows: Sequence[tuple[list[int], list[int]]],
        found: list[list[float]],
    ) -> None:
        import torch

        width = max(len(rows[place][0]) for place in group)
        # Padding is on the right, behind causal attention: nothing that is read can see it.
        ids = torch.tensor([[*rows[i][0], *[0] * (width - len(rows[i][0]))] for i in group])
        sizes = torch.tensor([len(rows[i][0]) for i in group])
        mask = (torch.arange(width) < sizes[:, None]).long()
        with torch.inference_mode():
            states = self._net.base_model(
                input_ids=ids.to(self._net.device), attention_mask=mask.to(self._net.device)
            ).last_hidden_state
            logits = self._net.score(states).float()
            chances = logits.sigmoid() if logits.shape[-1] == 1 else logits.softmax(-1)
        for number, place in enumerate(group):
            found[place] = [float(chances[number, at, -1]) for at in rows[place][1]]


def line_ends(speech: Speech, answer: str) -> tuple[list[int], list[int]]:
    """Return an answer's tokens with the end of the reply, and where its lines end among them.

    A line ends at the token in which its line break is, the last line at the end of the reply.
    """
    lines = answer.split("\n")
    ids: list[int] = []
    ends: list[int] = []
    for number, line in enumerate(lines):
        ids += speech.plain(line if number == 0 else "\n" + line)
        if line.strip() and number < len(lines) - 1:
            # The break is the first token of what follows.
            ends.append(len(ids))
    ids += [] if speech.end is None else [speech.end]
    return ids, [end for end in ends if end < len(ids) - 1] + [len(ids) - 1]


def _join(lines: Sequence[float], joined: str) -> float:
    if joined == "mean":
        return sum(lines) / len(lines)
    return min(lines) if joined == "min" else lines[-1]
