"""Sentence embeddings, and how near each of several answers is to all others.

A folder in the layout of sentence-transformers says how the states of a text's tokens become one
vector (Reimers and Gurevych 2019, "Sentence-BERT", section 3): their mean, their maximum, the first
token's (CLS) or the last one's. Vectors have length 1.

As a score of answers it is the mean cosine similarity to the other answers: the one with the
highest is the medoid, nearest to the centre of all (minimum Bayes risk with cosine similarity as
utility: Bertsch et al. 2023, "It's MBR All the Way Down", section 2).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from archon.backends.torch_scorers import Place, Row, Scorer, padded
from archon.errors import ConfigError

if TYPE_CHECKING:
    import torch

__all__ = ["Embedder", "Pooled", "pooling_of"]

Pool = Literal["mean", "max", "cls", "last"]
_POOLS: dict[str, Pool] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
"""The switches of a pooling module's configuration."""
_HARMLESS = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True, slots=True)
class Pooled:
    """How a folder's files say that texts become vectors.

    Attributes:
        pool: what is taken of the states of a text's tokens.
        longest: tokens that are read at once, if the files say it.
        lower: whether texts are read in lower case.
        prompt: what stands in front of every text.
    """

    pool: Pool
    longest: int | None = None
    lower: bool = False
    prompt: str = ""


def pooling_of(folder: Path) -> Pooled:
    """Return how a folder in the layout of sentence-transformers makes vectors.

    Raises:
        ConfigError: for modules that are more than pooling and normalising, or a pooling that is
            not known.
    """
    modules = _json(folder / "modules.json", [])
    names = [str(one.get("type", "")).rpartition(".")[2] for one in modules]
    if strange := [name for name in names if name not in _HARMLESS]:
        raise ConfigError(
            f"its module {strange[0]!r} is not supported: texts become vectors by pooling alone",
            where=str(folder / "modules.json"),
        )
    paths = [str(one.get("path", "")) for one in modules if "Pooling" in str(one.get("type"))]
    file = folder / (paths[0] if paths else "1_Pooling") / "config.json"
    limits = _json(folder / "sentence_bert_config.json", {})
    spoken = _json(folder / "config_sentence_transformers.json", {})
    prompts = spoken.get("prompts") or {}
    return Pooled(
        _pool(_json(file, {}), file),
        limits.get("max_seq_length"),
        bool(limits.get("do_lower_case")),
        str(prompts.get(spoken.get("default_prompt_name"), "")),
    )


def _pool(settings: dict[str, Any], file: Path) -> Pool:
    chosen = [pool for name, pool in _POOLS.items() if settings.get(name)]
    other = [
        name
        for name, on in settings.items()
        if name.startswith("pooling_mode_") and on and name not in _POOLS
    ]
    named = settings.get("pooling_mode")
    if isinstance(named, str):
        chosen = [pool for pool in get_args(Pool) if named in (pool, f"{pool}token")]
        other = [] if chosen else [named]
    if len(chosen) + len(other) > 1 or other:
        raise ConfigError(
            f"its pooling is {', '.join([*chosen, *other])}; supported is one of"
            f" {', '.join(get_args(Pool))}",
            where=str(file),
        )
    return chosen[0] if chosen else "mean"


def _json(file: Path, absent: Any) -> Any:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return absent
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot be read as JSON: {error}", where=str(file)) from None
    return data if isinstance(data, type(absent)) else absent


class Embedder(Scorer[list[float]]):
    """Turns texts into vectors; what is longer than the model reads is read in parts."""

    def __init__(self, folder: Path, place: Place | None = None) -> None:
        super().__init__(folder, place)
        self._pooled: Pooled
        self._tokenizer: Any = None
        self._longest = 0

    def load(self, device: torch.device, dtype: torch.dtype) -> Any:
        """Load model and tokenizer."""
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._pooled = pooling_of(self._folder)
        self._tokenizer = AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
        net: Any = AutoModel.from_pretrained(self._folder, local_files_only=True, dtype=dtype)
        known = (
            self._pooled.longest,
            self._tokenizer.model_max_length,
            getattr(net.config, "max_position_embeddings", None),
        )
        self._longest = int(min(size for size in known if size))
        return net.to(device).eval()

    async def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of length 1 for each text.

        A text longer than the model reads at once is read in parts: its vector is that of their
        mean, each part counted by its tokens.

        Raises:
            ModelError: when the weights cannot be loaded.
        """
        import numpy as np

        parts: list[list[Row]] = []

        def make() -> list[Row]:
            parts.extend(self._parts(text) for text in texts)
            return [row for rows in parts for row in rows]

        states = await asyncio.wrap_future(self.submit(make))
        read, found = iter(states), []
        for rows in parts:
            sizes = np.array([len(row.ids) for row in rows])
            mean = sizes @ np.array([next(read) for _ in rows])
            found.append((mean / max(float(np.linalg.norm(mean)), 1e-12)).tolist())
        return found

    async def scores(self, question: str, answers: Sequence[str]) -> list[float]:
        """Return how near each answer is to the others, equal ones included.

        Returns:
            The mean cosine similarity to all others, moved from [-1, 1] to [0, 1]; 1 for an answer
            alone. The question has no part in it.

        Raises:
            ModelError: when the weights cannot be loaded.
        """
        import numpy as np

        if len(answers) < 2:
            return [1.0] * len(answers)
        vectors = np.array(await self.vectors(answers))
        # The sum over all others is that over all, without the answer's own.
        near = (vectors @ vectors.sum(0) - (vectors * vectors).sum(1)) / (len(answers) - 1)
        found: list[float] = np.clip((1 + near) / 2, 0.0, 1.0).tolist()
        return found

    def _parts(self, text: str) -> list[Row]:
        """Return a text as rows of which each fits."""
        tokenizer = self._tokenizer
        text = self._pooled.prompt + (text.lower() if self._pooled.lower else text)
        whole: list[int] = tokenizer.encode(text, split_special_tokens=True, verbose=False)
        if len(whole) <= self._longest:
            return [Row(whole or [tokenizer.pad_token_id or 0])]
        bare: list[int] = tokenizer.encode(
            text, add_special_tokens=False, split_special_tokens=True, verbose=False
        )
        # Where its special tokens stand, those of the parts stand too.
        first = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
        before, after = whole[:first], whole[first + len(bare) :]
        room = self._longest - len(before) - len(after)
        pieces = [bare[at : at + room] for at in range(0, len(bare), room)]
        return [Row([*before, *piece, *after]) for piece in pieces]

    def read(self, rows: Sequence[Row]) -> list[list[float]]:
        """Return the pooled vector of each row."""
        import torch

        pad = self._tokenizer.pad_token_id or 0
        given = padded(rows, pad, self._net.device)
        with torch.inference_mode():
            states = self._net(**given).last_hidden_state.float()
            mask = given["attention_mask"].unsqueeze(-1)
            vectors = _pooled(states, mask, self._pooled.pool)
            vectors = torch.nn.functional.normalize(vectors, dim=-1)
        found: list[list[float]] = vectors.tolist()
        return found


def _pooled(states: Any, mask: Any, pool: Pool) -> Any:
    """Return one vector for each row of states, shape (rows, width)."""
    match pool:
        case "cls":
            return states[:, 0]
        case "last":
            rows = range(len(states))
            return states[list(rows), mask.squeeze(-1).sum(1) - 1]
        case "max":
            return states.masked_fill(mask == 0, float("-inf")).amax(1)
    return (states * mask).sum(1) / mask.sum(1)
