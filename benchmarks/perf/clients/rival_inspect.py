"""inspect-ai: `Model.generate` of its OpenAI provider, with as many connections as calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any


@asynccontextmanager
async def calls(job: dict[str, Any]) -> AsyncIterator[Callable[[int], Awaitable[str]]]:
    """Give a function that makes one call."""
    models: Any = import_module("inspect_ai.model")
    config = models.GenerateConfig(
        max_connections=max(job["concurrency"], 20), max_tokens=job["max_tokens"], max_retries=0
    )
    model = models.get_model(
        "openai/scripted", base_url=job["url"], api_key="none", config=config, memoize=False,
        responses_api=False,
    )  # fmt: skip

    async def call(number: int) -> str:
        said = await model.generate(job["prompt"].format(number))
        return str(said.completion)

    yield call
