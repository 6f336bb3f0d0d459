"""Replies that LiteLLM streams, put together again; a stream that was cut is not a reply."""

from __future__ import annotations

from functools import cache
from typing import Any

from archon.backends.litellm_errors import library
from archon.backends.streaming import LARGEST, Cut, Idle

__all__ = ["TooLong", "collect", "options"]


class TooLong(ValueError):
    """More text than any answer has."""


@cache
def _takes_options(name: str) -> bool:
    return "stream_options" in (library().get_supported_openai_params(model=name) or ())


def options(name: str) -> dict[str, Any]:
    """Return the arguments that make LiteLLM stream a model's reply, with its usage."""
    if _takes_options(name):
        return {"stream": True, "stream_options": {"include_usage": True}}
    return {"stream": True}


async def collect(stream: Any, messages: list[dict[str, Any]]) -> Any:
    """Read a stream to its end and return the whole response.

    Raises:
        Cut: if the provider did not say why the reply ended, or fell silent.
        TooLong: for more text than is accepted.
    """
    size, finish = 0, None
    async with Idle() as limit:
        async for chunk in stream:
            limit.alive()
            for choice in chunk.choices:
                size += len(choice.delta.content or "")
                finish = choice.finish_reason or finish
            if size > LARGEST:
                raise TooLong(f"more than {LARGEST} bytes")
    # Where the provider said nothing, LiteLLM itself adds a last chunk that says "stop".
    said = [
        getattr(stream, f"{kind}_finish_reason", finish) for kind in ("received", "intermittent")
    ]
    if not any(said):
        raise Cut("the stream ended before the reply did")
    # Its own list has the usage, which it takes out of what it hands on.
    chunks = getattr(stream, "chunks", None) or []
    response = library().stream_chunk_builder(chunks, messages=messages)
    if response is None:
        raise Cut("the stream ended before it began")
    if not any(getattr(chunk, "usage", None) for chunk in chunks):
        # Otherwise it is LiteLLM's guess with a tokenizer of its own.
        response.usage = None
    return response
