"""The backends that come with archon; each is imported when a model first asks for it."""

from __future__ import annotations

from archon.backends import BACKENDS
from archon.model import Backend

__all__: list[str] = []


def fake() -> Backend:
    """Make the scripted backend for tests and dry runs."""
    from archon.backends.fake import Fake

    return Fake()


def http() -> Backend:
    """Make the backend for every server that speaks the OpenAI protocol."""
    from archon.backends.http import HTTP

    return HTTP()


def litellm() -> Backend:
    """Make the backend for all other providers that LiteLLM knows."""
    from archon.backends.litellm import LiteLLM

    return LiteLLM()


def local() -> Backend:
    """Make the backend that runs weights here with torch."""
    from archon.backends.torch import Torch

    return Torch()


BACKENDS.add("fake", fake)
BACKENDS.add("http", http)
BACKENDS.add("litellm", litellm)
BACKENDS.add("local", local)
