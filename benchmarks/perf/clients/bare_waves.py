"""The floor of whole architectures: waves of bare calls, each wave after the one before."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Any

import aiohttp


async def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do all waves `rounds` times after once to open the connections."""
    url = job["url"] + "/chat/completions"
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def post(text: str) -> None:
            messages = [{"role": "user", "content": text}]
            body = {"model": "scripted", "max_tokens": job["max_tokens"], "messages": messages}
            async with session.post(url, data=json.dumps(body).encode()) as response:
                data = await response.json()
            assert data["choices"][0]["message"]["content"]

        walls = []
        for turn in range(job["rounds"] + 1):
            started = time.perf_counter()
            for wave, size in enumerate(job["waves"]):
                texts = [job["prompt"].format(f"{turn}.{wave}.{i}") for i in range(size)]
                await asyncio.gather(*map(post, texts))
            walls.append(time.perf_counter() - started)
    return {"first": walls[0], "wall": statistics.median(walls[1:])}
