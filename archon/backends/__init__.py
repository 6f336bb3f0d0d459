"""Backends by the first part of a model's name; anything else is a provider LiteLLM knows."""

from __future__ import annotations

from collections.abc import Callable

from archon.model import Backend, Model, Price
from archon.registry import Registry

__all__ = ["BACKENDS", "backend_name", "price_of"]

BACKENDS: Registry[Callable[[], Backend]] = Registry("archon.backends", "backend")
"""What makes each backend, by name; made once per session, on first use."""

DEFAULT = "litellm"


def backend_name(model: Model) -> str:
    """Return the name of the backend that serves a model.

    >>> backend_name(Model("local/nano")), backend_name(Model("openai/gpt-4o"))
    ('local', 'litellm')
    """
    return model.provider if model.provider in BACKENDS.all() else DEFAULT


def price_of(model: Model) -> Price | None:
    """Return the list price of a model without network, keys or heavy imports."""
    if model.price is not None:
        return model.price
    from archon.backends import prices  # reads a large file, so only when a price is wanted

    return Price(input=0, output=0) if backend_name(model) != DEFAULT else prices.listed(model)
