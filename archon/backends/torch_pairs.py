"""Weights that compare two answers to a question: PairRM in the layout of `PairRM-hf`.

An encoder reads question and both answers, each behind a mark of its own; a head of two layers
turns the states at the marks into a number for each answer. Jiang et al. 2023, "LLM-Blender",
section 3; lengths as its authors give them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archon.backends.torch_scorers import Row, Scorer, padded
from archon.errors import ModelError

if TYPE_CHECKING:
    import torch

__all__ = ["Pairs"]

QUESTION_TOKENS = 1224
TOTAL_TOKENS = 2048

_MARKS = ("<|source|>", "<|candidate1|>", "<|candidate2|>")
_ENCODER, _HEAD = "pretrained_model.", "head_layer."


class Pairs(Scorer[float]):
    """Compares answers with the weights of a folder, which are read on first use."""

    async def scores(self, question: str, answers: Sequence[str]) -> list[float]:
        """Return for each of several different answers how often it is the better one.

        Args:
            question: what was asked.
            answers: at least one.

        Returns:
            The mean over all others and both orders of the probability of being better, in
            [0, 1]; 1 for an answer alone.

        Raises:
            ModelError: when the weights cannot be loaded.
        """
        if len(answers) == 1:
            return [1.0]
        orders = list(permutations(range(len(answers)), 2))

        def make() -> list[Row]:
            net = self._net
            source = net.ids(_MARKS[0] + question, QUESTION_TOKENS)
            room = (TOTAL_TOKENS - len(source)) // 2
            first, second = ([net.ids(mark + a, room) for a in answers] for mark in _MARKS[1:])
            return [Row([*source, *first[i], *second[j]]) for i, j in orders]

        chances = await asyncio.wrap_future(self.submit(make))
        wins = [0.0] * len(answers)
        for (i, j), chance in zip(orders, chances, strict=True):
            wins[i] += chance
            wins[j] += 1 - chance
        return [share / (2 * (len(answers) - 1)) for share in wins]

    def load(self, device: torch.device, dtype: torch.dtype) -> Any:
        """Load encoder, head and tokenizer."""
        return _Net(self._folder, device, dtype)

    def read(self, rows: Sequence[Row]) -> list[float]:
        """Return for each row the probability that its first answer is the better one."""
        found: list[float] = self._net.better(rows)
        return found


class _Net:
    """The encoder, the head, and the tokenizer."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        import torch
        from safetensors.torch import load_file
        from transformers import AutoConfig, AutoModel, AutoTokenizer

        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._marks = (config.source_prefix_id, config.cand1_prefix_id, config.cand2_prefix_id)
        weights: dict[str, Any] = {}
        for file in sorted(folder.glob("*.safetensors")):
            weights |= load_file(file)
        self._encoder: Any = AutoModel.from_config(config)
        inner = {k.removeprefix(_ENCODER): v for k, v in weights.items() if k.startswith(_ENCODER)}
        missing = set(self._encoder.load_state_dict(inner, strict=False).missing_keys)
        # Positions are counted anew, so files may leave them out.
        if lost := sorted(name for name in missing if not name.endswith("position_ids")):
            raise ModelError(f"the weights lack {lost[0]!r} and {len(lost) - 1} more")
        size = config.hidden_size
        tasks = weights[f"{_HEAD}4.weight"].shape[0]
        self._head = torch.nn.Sequential(
            torch.nn.Linear(2 * size, size), torch.nn.Tanh(), torch.nn.Linear(size, tasks)
        )
        places = {"0": "1", "2": "4"}  # the published head has layers for dropout in between
        self._head.load_state_dict(
            {f"{our}.{part}": weights[f"{_HEAD}{their}.{part}"]
             for our, their in places.items() for part in ("weight", "bias")}
        )  # fmt: skip
        self._encoder.to(device, dtype).eval()
        self._head.to(device, dtype).eval()
        self._device = device

    def ids(self, text: str, most: int) -> list[int]:
        """Return the tokens of a marked text; what is too long loses its end."""
        mark = next(m for m in _MARKS if text.startswith(m))
        rest = text[len(mark) :]
        for special in (*_MARKS, *self._tokenizer.all_special_tokens):
            rest = rest.replace(special, " ")  # no answer may bring a mark of its own
        ids: list[int] = self._tokenizer.encode(mark + rest, max_length=most, truncation=True)
        return ids

    def better(self, rows: Sequence[Row]) -> list[float]:
        """Return for each row the probability that its first answer is the better one."""
        import torch

        given = padded(rows, self._tokenizer.pad_token_id or 0, self._device)
        ids = given["input_ids"]
        with torch.inference_mode():
            states = self._encoder(**given).last_hidden_state
            source, first, second = (
                states[torch.arange(len(rows)), (ids == mark).int().argmax(1)]
                for mark in self._marks
            )
            left = self._head(torch.cat([source, first], -1))
            right = self._head(torch.cat([source, second], -1))
            chances: list[float] = torch.sigmoid((left - right).float().mean(-1)).tolist()
        return chances
