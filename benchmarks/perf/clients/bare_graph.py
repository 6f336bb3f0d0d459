"""The floor of `ours_graph`: its three requests, one after the other, over bare aiohttp."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

SIZES = (0, 1400, 900)
"""Characters that the prompts of rank and fuse have beside the question."""


@asynccontextmanager
async def calls(job: dict[str, Any]) -> AsyncIterator[Callable[[int], Awaitable[str]]]:
    """Give a function that makes three calls."""
    url = job["url"] + "/chat/completions"
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def post(text: str, n: int) -> str:
            messages = [{"role": "user", "content": text}]
            body = {"model": "scripted", "max_tokens": job["max_tokens"], "messages": messages}
            body |= {"n": n} if n > 1 else {}
            async with session.post(url, data=json.dumps(body).encode()) as response:
                data = await response.json()
            said: str = data["choices"][0]["message"]["content"]
            return said

        async def call(number: int) -> str:
            text = job["prompt"].format(number)
            for place, size in enumerate(SIZES):
                said = await post(text + "." * size, 1 if place else 4)
            return said

        yield call
