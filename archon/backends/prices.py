"""List prices from the file that LiteLLM ships, read as JSON without importing LiteLLM."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from archon.model import Model, Price
from archon.types import Json

__all__ = ["context_of", "listed"]

_FILE = "model_prices_and_context_window_backup.json"


@cache
def _table() -> dict[str, Json]:
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    path = Path(spec.origin).parent / _FILE
    if not path.exists():
        return {}
    table: dict[str, Json] = json.loads(path.read_text(encoding="utf-8"))
    return table


def _row(model: Model) -> dict[str, Json]:
    name = model.model
    row: dict[str, Json] = _table().get(name) or _table().get(name.partition("/")[2]) or {}
    return row


def listed(model: Model) -> Price | None:
    """Return the list price, or None if the model is not listed or has its own endpoint."""
    row = _row(model)
    per_input, per_output = row.get("input_cost_per_token"), row.get("output_cost_per_token")
    if per_input is None or per_output is None or model.base_url:
        return None
    return Price(input=per_input * 1e6, output=per_output * 1e6)


def context_of(model: Model) -> int | None:
    """Return how many tokens prompt and reply may have together, if it is listed."""
    context: int | None = _row(model).get("max_input_tokens")
    return context
