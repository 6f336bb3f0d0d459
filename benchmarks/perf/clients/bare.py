"""The floor: aiohttp as it comes, without limits: body to JSON, post, JSON to text.

A call that is refused with a 429 waits as long as it is told, by itself, and is made again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp


@asynccontextmanager
async def calls(job: dict[str, Any]) -> AsyncIterator[Callable[[int], Awaitable[str]]]:
    """Give a function that makes one call."""
    url = job["url"] + "/chat/completions"
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def call(number: int) -> str:
            messages = [{"role": "user", "content": job["prompt"].format(number)}]
            body = {"model": "scripted", "max_tokens": job["max_tokens"], "messages": messages}
            async with session.post(url, data=json.dumps(body).encode()) as response:
                data = await response.json()
            if response.status == 429:
                await asyncio.sleep(float(response.headers["Retry-After"]))
                return await call(number)
            text: str = data["choices"][0]["message"]["content"]
            return text

        yield call
