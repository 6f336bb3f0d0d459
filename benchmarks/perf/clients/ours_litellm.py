"""Archon's gateway with LiteLLM behind it: pool on disk, ledger and budget as in `ours_http`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from archon.backends.litellm import LiteLLM
from archon.budget import Budget
from archon.model import Draw, Model, Price, Request
from archon.session import Session
from archon.types import Message, Reply


@asynccontextmanager
async def calls(job: dict[str, Any]) -> AsyncIterator[Callable[[int], Awaitable[str]]]:
    """Give a function that makes one call."""
    model = Model(
        "openai/scripted",
        base_url=job["url"],
        max_tokens=job["max_tokens"],
        concurrency=2000,
        price=Price(input=1, output=2),
    )
    session = Session(
        Path(job["folder"]) / "pool.db",
        budget=Budget(usd=1000.0),
        backends={"openai": LiteLLM()},
    )
    gateway = session.gateway()
    _, spending = session.spending(budget=Budget(calls=10**6, usd=100.0))

    async def call(number: int) -> str:
        request = Request(model, (Message("user", job["prompt"].format(number)),))
        [outcome] = await gateway.draw(request, [Draw(0, 0)], spending)
        if not isinstance(outcome, Reply):
            raise outcome
        return outcome.text

    try:
        yield call
    finally:
        await session.aclose()
