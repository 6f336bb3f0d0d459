"""Backends by the first part of a model's name; anything else is a provider LiteLLM knows."""

from __future__ import annotations

from collections.abc import Callable

from archon.backends import prices
from archon.backends.http_endpoints import ENDPOINTS
from archon.model import Backend, Model, Price
from archon.registry import Registry

__all__ = ["BACKENDS", "backend_name", "price_of"]

BACKENDS: Registry[Callable[[], Backend]] = Registry("archon.backends", "backend")
"""What makes each backend, by name; made once per session, on first use."""

REMOTE = ("http", "litellm")
"""Backends whose models have list prices; all others are free unless a price is given."""


def backend_name(model: Model) -> str:
    """Return the name of the backend that serves a model.

    >>> backend_name(Model("local/nano")), backend_name(Model("openai/gpt-4o"))
    ('local', 'http')
    >>> backend_name(Model("anthropic/claude-sonnet-4"))
    'litellm'
    """
    if model.provider in BACKENDS.all():
        return model.provider
    return "http" if model.provider in ENDPOINTS else "litellm"


def price_of(model: Model) -> Price | None:
    """Return the list price of a model without network, keys or heavy imports."""
    name = backend_name(model)
    if name == "local":
        from archon.backends.torch_files import local_price  # needs no torch

        return local_price(model)
    if model.price is not None:
        return model.price
    if name not in REMOTE:
        return Price(input=0, output=0)
    return prices.listed(model)
