"""Weights that compare two answers to a question: PairRM in the layout of `PairRM-hf`.

An encoder reads question and both answers, each behind a mark of its own; a head of two layers
turns the states at the marks into a number for each answer. Jiang et al. 2023, "LLM-Blender",
section 3; lengths as its authors give them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

from archon.backends.torch_files import LOADING
from archon.errors import ModelError

__all__ = ["Pairs"]

QUESTION_TOKENS = 1224
TOTAL_TOKENS = 2048
BATCH_TOKENS = 2**15
"""Tokens of pairs that are read together."""

_MARKS = ("<|source|>", "<|candidate1|>", "<|candidate2|>")
_ENCODER, _HEAD = "pretrained_model.", "head_layer."


class Pairs:
    """Compares answers with the weights of a folder, which are read on first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._net: Any = None

    def scores(self, question: str, answers: Sequence[str]) -> list[float]:
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
        with self._lock:
            if self._net is None:
                with LOADING:
                    self._net = self._load()
            wins = self._compare(question, answers)
        others = 2 * (len(answers) - 1)
        return [share / others for share in wins]

    def _load(self) -> Any:
        try:
            return _Net(self._folder)
        except Exception as error:
            # Whatever the files do to the libraries, the caller hears which folder it was.
            raise ModelError(f"cannot load {self._folder}: {error}", billed=False) from error

    def _compare(self, question: str, answers: Sequence[str]) -> list[float]:
        """Return for each answer the sum of its probabilities over all pairs and orders."""
        net = self._net
        source = net.ids(_MARKS[0] + question, QUESTION_TOKENS)
        room = (TOTAL_TOKENS - len(source)) // 2
        first, second = ([net.ids(mark + a, room) for a in answers] for mark in _MARKS[1:])
        orders = list(permutations(range(len(answers)), 2))
        step = max(1, BATCH_TOKENS // TOTAL_TOKENS)
        wins = [0.0] * len(answers)
        for at in range(0, len(orders), step):
            some = orders[at : at + step]
            chances = net.better([[*source, *first[i], *second[j]] for i, j in some])
            for (i, j), chance in zip(some, chances, strict=True):
                wins[i] += chance
                wins[j] += 1 - chance
        return wins


class _Net:
    """The encoder, the head, and the tokenizer."""

    def __init__(self, folder: Path) -> None:
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
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._encoder.float().to(device).eval()
        self._head.float().to(device).eval()
        self._device = device

    def ids(self, text: str, most: int) -> list[int]:
        """Return the tokens of a marked text; what is too long loses its end."""
        mark = next(m for m in _MARKS if text.startswith(m))
        rest = text[len(mark) :]
        for special in (*_MARKS, *self._tokenizer.all_special_tokens):
            rest = rest.replace(special, " ")  # no answer may bring a mark of its own
        ids: list[int] = self._tokenizer.encode(mark + rest, max_length=most, truncation=True)
        return ids

    def better(self, rows: Sequence[Sequence[int]]) -> list[float]:
        """Return for each row the probability that its first answer is the better one."""
        import torch

        width = max(map(len, rows))
        pad = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows])
        mask = torch.arange(width) < torch.tensor([[len(row)] for row in rows])
        ids, mask = ids.to(self._device), mask.to(self._device)
        with torch.inference_mode():
            states = self._encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
            source, first, second = (
                states[torch.arange(len(rows)), (ids == mark).int().argmax(1)]
                for mark in self._marks
            )
            left = self._head(torch.cat([source, first], -1))
            right = self._head(torch.cat([source, second], -1))
            chances: list[float] = torch.sigmoid((left - right).mean(-1)).tolist()
        return chances
