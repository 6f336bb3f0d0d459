"""What the files of a local model say about it, read without torch."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from archon.errors import ConfigError
from archon.model import Price

__all__ = [
    "HeadKind",
    "Kind",
    "compares_pairs",
    "embeds",
    "head_of",
    "kind_of",
    "nominal_price",
    "stored_dtype",
    "takes_effort",
]

HeadKind = Literal["", "steps", "outcome"]
"""What a model has instead of words: a score for every line, or one for the whole answer."""
Kind = Literal["text", "steps", "outcome", "pairs", "embedding"]
"""What weights are for: to write text, or to score it in one of four ways."""

_HEADS: tuple[tuple[str, HeadKind], ...] = (
    ("ForTokenClassification", "steps"),
    ("ForSequenceClassification", "outcome"),
)
_PRICE = "archon_nominal_price"


def compares_pairs(folder: Path) -> bool:
    """Return whether the weights of a folder compare two texts, as PairRM's do."""
    marks = {"source_prefix_id", "cand1_prefix_id", "cand2_prefix_id"}
    return marks <= _config(folder).keys()


def embeds(folder: Path) -> bool:
    """Return whether the weights of a folder make vectors of texts, as sentence-transformers'."""
    return any((folder / name).is_file() for name in ("modules.json", "1_Pooling/config.json"))


def kind_of(folder: Path) -> Kind:
    """Return what the weights of a folder are for."""
    if compares_pairs(folder):
        return "pairs"
    if embeds(folder):
        return "embedding"
    return head_of(folder) or "text"


def head_of(folder: Path) -> HeadKind:
    """Return which reward head the weights of a folder have; empty for any other model."""
    names = _config(folder).get("architectures") or []
    for name in map(str, names):
        for end, kind in _HEADS:
            if name.endswith(end):
                return kind
    return ""


def takes_effort(folder: Path) -> bool:
    """Return whether the chat template of a folder knows a reasoning effort."""
    template = folder / "chat_template.jinja"
    if template.is_file():
        return "reasoning_effort" in template.read_text(encoding="utf-8")
    return "reasoning_effort" in str(_read(folder / "tokenizer_config.json").get("chat_template"))


def stored_dtype(folder: Path) -> str | None:
    """Return the precision in which the weights of a folder are stored, if it says so."""
    config = _config(folder)
    name = config.get("dtype") or config.get("torch_dtype")
    return str(name).removeprefix("torch.") if name else None


def nominal_price(folder: Path) -> Price | None:
    """Return the nominal price that a model's configuration states, or None.

    It is in US dollars per token, under the names of price lists, so that budgets in dollars can
    be tried out on models that nobody charges for.

    Raises:
        ConfigError: when the entry is there but is no price.
    """
    entry = _config(folder).get(_PRICE)
    if entry is None:
        return None
    try:
        rates = [
            round(float(entry[name]) * 1e6, 6)
            for name in ("input_cost_per_token", "output_cost_per_token")
        ]
        return Price(input=rates[0], output=rates[1])
    except (KeyError, TypeError, ValueError):
        raise ConfigError(
            f"{_PRICE!r} must have 'input_cost_per_token' and 'output_cost_per_token', numbers"
            f" from 0; got {entry!r}",
            where=str(folder / "config.json"),
        ) from None


def _config(folder: Path) -> dict[str, Any]:
    return _read(folder / "config.json")


def _read(file: Path) -> dict[str, Any]:
    try:
        return _parsed(file, file.stat().st_mtime_ns)
    except (OSError, ValueError):
        return {}


@lru_cache(maxsize=64)
def _parsed(file: Path, changed: int) -> dict[str, Any]:
    """Return what a file holds; it is asked for at every call of a model."""
    data = json.loads(file.read_text(encoding="utf-8"))
    return data if isinstance(data, dict) else {}
