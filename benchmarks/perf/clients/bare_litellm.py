"""LiteLLM by itself: `acompletion` without its retries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any


@asynccontextmanager
async def calls(job: dict[str, Any]) -> AsyncIterator[Callable[[int], Awaitable[str]]]:
    """Give a function that makes one call."""
    litellm: Any = import_module("litellm")

    async def call(number: int) -> str:
        response = await litellm.acompletion(
            model="openai/scripted",
            api_base=job["url"],
            api_key="none",
            messages=[{"role": "user", "content": job["prompt"].format(number)}],
            max_tokens=job["max_tokens"],
            timeout=600.0,
            max_retries=0,
            num_retries=0,
        )
        return str(response.choices[0].message.content)

    yield call
    await litellm.close_litellm_async_clients()
