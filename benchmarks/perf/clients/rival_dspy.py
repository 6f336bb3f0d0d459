"""dspy: its `LM`, without cache and retries; no module around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any


@asynccontextmanager
async def calls(job: dict[str, Any]) -> AsyncIterator[Callable[[int], Awaitable[str]]]:
    """Give a function that makes one call."""
    dspy: Any = import_module("dspy")
    model = dspy.LM(
        "openai/scripted",
        api_base=job["url"],
        api_key="none",
        max_tokens=job["max_tokens"],
        cache=False,
        num_retries=0,
    )

    async def call(number: int) -> str:
        said = await model.acall(prompt=job["prompt"].format(number))
        first = said[0] if isinstance(said, list) else said.outputs[0].text
        return str(first["text"] if isinstance(first, dict) else first)

    yield call
