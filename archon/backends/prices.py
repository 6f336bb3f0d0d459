"""List prices from the file that LiteLLM ships, read as JSON without importing LiteLLM."""

from __future__ import annotations

import json
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from archon.model import Model, Price
from archon.types import Json

__all__ = ["Listed", "context_of", "listed", "most_tokens", "row_of"]

_FILE = "model_prices_and_context_window_backup.json"


class Listed(NamedTuple):
    """What is kept of a model's entry: the whole file takes 20 MB in memory, this takes one.

    Attributes:
        provider: who serves it.
        input: US dollars per prompt token.
        output: US dollars per generated token.
        context: tokens of prompt and reply together.
        reply: tokens of a reply alone.
        reasons: whether it takes a reasoning effort.
        prefills: whether it goes on where a last message of the assistant ends.
    """

    provider: str
    input: float | None
    output: float | None
    context: int | None
    reply: int | None
    reasons: bool
    prefills: bool


_NOTHING = Listed("", None, None, None, None, False, False)


def _kept(entry: dict[str, Json]) -> Json:
    """Reduce a model's entry as soon as it is read; objects in and around it stay as they are."""
    if "litellm_provider" not in entry:
        return entry
    return Listed(
        sys.intern(str(entry["litellm_provider"])),
        entry.get("input_cost_per_token"),
        entry.get("output_cost_per_token"),
        entry.get("max_input_tokens"),
        entry.get("max_output_tokens"),
        entry.get("supports_reasoning") is True,
        entry.get("supports_assistant_prefill") is True,
    )


@cache
def _table() -> dict[str, Listed]:
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    path = Path(spec.origin).parent / _FILE
    if not path.exists():
        return {}
    table = json.loads(path.read_text(encoding="utf-8"), object_hook=_kept)
    return {name: entry for name, entry in table.items() if isinstance(entry, Listed)}


def row_of(model: Model) -> Listed | None:
    """Return what is listed about a model; some providers' are listed by their own names alone."""
    table = _table()
    if (row := table.get(model.model)) is not None:
        return row
    row = table.get(model.model.partition("/")[2])
    # Another provider's price for a model of the same name is not this one's.
    return row if row is not None and model.provider in row.provider else None


def listed(model: Model) -> Price | None:
    """Return the list price, or None if the model is not listed or has its own endpoint."""
    if model.base_url:
        return None
    row = row_of(model) or _NOTHING
    if row.input is None or row.output is None:
        return None
    # Without the rounding, 0.9 comes out as 0.8999999999999999.
    return Price(input=round(row.input * 1e6, 6), output=round(row.output * 1e6, 6))


def context_of(model: Model) -> int | None:
    """Return how many tokens prompt and reply may have together, if it is listed."""
    return (row_of(model) or _NOTHING).context


def most_tokens(model: Model) -> int | None:
    """Return how many tokens a reply may have, or None where nothing is listed.

    Where only the context is listed, half of it: the prompt needs room too.
    """
    row = row_of(model) or _NOTHING
    if row.reply is not None:
        return row.reply
    return None if row.context is None else row.context // 2
