"""Reward models: weights with a head that scores an answer, or each of its lines.

A step scorer (Lightman et al. 2023, "Let's Verify Step by Step", section 2.6) is a model for token
classification: the score of a line is read where the line ends, at its line break, or for the last
line at the end of the reply. An outcome scorer (Cobbe et al. 2021, "Training Verifiers to Solve
Math Word Problems", section 4.2) is a model for sequence classification: one score, at the end.
Without a chat template it reads question and answer as a pair, as encoders do.

A head has one label, whose logit becomes a probability, or two, of which the second is `right`.
What that probability says depends on the training: of heads that learnt right and wrong, it is the
chance of being right; of those that learnt from preferences (Bradley-Terry), the chance of being
preferred to an answer of reward 0, of which only the order means something. Neither is calibrated
here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archon.backends.torch_config import head_of
from archon.backends.torch_scorers import Place, Row, Scorer, padded
from archon.backends.torch_text import Speech
from archon.errors import ModelError
from archon.types import Message

if TYPE_CHECKING:
    import torch

__all__ = ["JOINED", "Heads", "joined_score", "line_ends"]

JOINED = ("last", "min", "mean")
"""How the scores of lines become one. The first is the default: where a line is marked right only
if all before it are, the last score speaks for the whole (Snell et al. 2024, "Scaling LLM Test-Time
Compute Optimally", section 5.1); `min` is the weakest line, as in Lightman et al."""


class Heads(Scorer[list[float]]):
    """Scores answers by a reward head.

    Args:
        folder: of the weights.
        place: how models run here.
        joined: one of `JOINED`; of no effect on an outcome scorer.
    """

    def __init__(self, folder: Path, place: Place | None = None, joined: str = JOINED[0]) -> None:
        super().__init__(folder, place)
        self._steps = head_of(folder) == "steps"
        self._joined = joined
        self._speech: Speech
        self._context = 0

    async def scores(self, question: str, answers: Sequence[str]) -> list[float]:
        """Return the probability that each answer is right, in [0, 1].

        Raises:
            ModelError: when the weights cannot be loaded, or question and answer do not fit.
        """
        lines = await asyncio.wrap_future(self._asked(question, answers))
        return [joined_score(one, self._joined) for one in lines]

    def lines(self, question: str, answers: Sequence[str]) -> list[list[float]]:
        """Return the scores of the lines of each answer; of an outcome scorer one each.

        Blank lines have no score.

        Raises:
            ModelError: when the weights cannot be loaded, or question and answer do not fit.
        """
        return self._asked(question, answers).result()

    def _asked(self, question: str, answers: Sequence[str]) -> Future[list[list[float]]]:
        return self.submit(lambda: [self._row(question, answer) for answer in answers])

    def load(self, device: torch.device, dtype: torch.dtype) -> Any:
        """Load the model with its head.

        Raises:
            ModelError: for a head with more labels than two.
        """
        from transformers import (
            AutoModelForSequenceClassification,
            AutoModelForTokenClassification,
        )
        from transformers.utils import logging

        logging.disable_progress_bar()
        kind: Any = (
            AutoModelForTokenClassification if self._steps else AutoModelForSequenceClassification
        )
        net = kind.from_pretrained(self._folder, local_files_only=True, dtype=dtype)
        if net.config.num_labels not in (1, 2):
            raise ModelError(f"its head has {net.config.num_labels} labels, not one or two")
        self._speech = Speech(self._folder)
        limit = getattr(net.config, "max_position_embeddings", 0)
        self._context = int(limit or self._speech.longest)
        if not self._speech.chats:
            # Some encoders number their positions from 2 on; their tokenizers know.
            self._context = min(self._context, self._speech.longest)
        return net.to(device).eval()

    def _row(self, question: str, answer: str) -> Row:
        """Return the tokens of question and answer, and the places at which scores are read."""
        if self._speech.chats:
            prompt = self._speech.prompt([Message("user", question)])
            said, ends = line_ends(self._speech, answer)
            places = tuple(len(prompt) + end for end in ends)
            row = Row([*prompt, *said], places if self._steps else places[-1:])
        else:
            ids, types = self._speech.pair(question, answer)
            row = Row(ids, (len(ids) - 1,), tuple(types))
        if len(row.ids) > self._context:
            raise ModelError(
                f"question and answer have {len(row.ids)} tokens, more than the context"
                f" of {self._context} tokens",
                billed=False,
            )
        return row

    def read(self, rows: Sequence[Row]) -> list[list[float]]:
        """Return the probabilities at the places of each row."""
        import torch

        given = padded(rows, self._speech.pad, self._net.device)
        with torch.inference_mode():
            chances = _chances(self._logits(given))
        # Encoders read their one score off the whole text.
        whole = chances.shape[1] == 1
        return [
            [float(chances[number, 0 if whole else at, -1]) for at in row.places]
            for number, row in enumerate(rows)
        ]

    def _logits(self, given: dict[str, Any]) -> Any:
        """Return logits of shape (rows, columns, labels), or (rows, 1, labels) of encoders."""
        if self._steps:
            return self._net(**given).logits
        if not hasattr(self._net, "score"):
            return self._net(**given).logits.unsqueeze(1)
        # Decoders look for the last token by its padding; we know where it is.
        return self._net.score(self._net.base_model(**given).last_hidden_state)


def _chances(logits: Any) -> Any:
    logits = logits.float()
    return logits.sigmoid() if logits.shape[-1] == 1 else logits.softmax(-1)


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


def joined_score(lines: Sequence[float], joined: str) -> float:
    """Return the one score of an answer whose lines have these scores.

    >>> joined_score([0.9, 0.5, 1.0], "min"), joined_score([0.9, 0.5, 1.0], "last")
    (0.5, 1.0)
    """
    if joined == "mean":
        return sum(lines) / len(lines)
    return min(lines) if joined == "min" else lines[-1]
