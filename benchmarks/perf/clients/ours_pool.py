"""What the pool saves: hits from memory and from disk, identical prompts, and more samples."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archon.budget import Budget
from archon.model import Draw, Model, Request
from archon.session import Session
from archon.types import Message, Reply


class _Asker:
    """A session on the pool's file, under a budget."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.session = Session(Path(job["folder"]) / "pool.db")
        _, self.spending = self.session.spending(budget=Budget(calls=10**6))

    async def texts(self, number: object, draws: Sequence[Draw], **settings: Any) -> list[str]:
        """Return the text of each draw."""
        # A provider that gives one choice for each request: a draw is a call at the server.
        model = Model(
            "ollama/scripted",
            base_url=self.job["url"],
            max_tokens=self.job["max_tokens"],
            **settings,
        )
        request = Request(model, (Message("user", self.job["prompt"].format(number)),))
        found = []
        for outcome in await self.session.gateway().draw(request, draws, self.spending):
            if not isinstance(outcome, Reply):
                raise outcome
            found.append(outcome.text)
        return found

    def asked(self) -> int:
        """Return how many requests the server has seen."""
        host = self.job["url"].removeprefix("http://").removesuffix("/v1")
        connection = http.client.HTTPConnection(host)
        try:
            connection.request("GET", "/stats")
            return int(json.load(connection.getresponse())["requests"])
        finally:
            connection.close()


async def work(job: dict[str, Any]) -> dict[str, Any]:
    """Fill a pool, ask it again from memory and from disk, then ask one prompt many times."""
    asker = _Asker(job)
    first = [await asker.texts(i, [Draw(0, 0)]) for i in range(job["n"])]
    paid = asker.asked()
    found: dict[str, Any] = {}
    found["memory_ms"] = await _again(asker, first)
    await asker.session.aclose()
    asker = _Asker(job)
    found["disk_ms"] = await _again(asker, first)
    found["asked_again"] = asker.asked() - paid
    found |= await _same(asker)
    await asker.session.aclose()
    return found


async def _again(asker: _Asker, first: list[list[str]]) -> float:
    """Return the milliseconds for each of the same requests."""
    started = time.perf_counter()
    for number, texts in enumerate(first):
        if await asker.texts(number, [Draw(0, 0)]) != texts:
            raise RuntimeError(f"another answer to prompt {number}")
    return 1000 * (time.perf_counter() - started) / len(first)


async def _same(asker: _Asker) -> dict[str, Any]:
    """Ask one prompt 64 times, twice; another 8 times and then 64 times."""
    draws, before = [Draw(0, i) for i in range(64)], asker.asked()
    first = await asker.texts("same", draws, temperature=1.0)
    between = asker.asked()
    second = await asker.texts("same", draws, temperature=1.0)
    after = asker.asked()
    eight = await asker.texts("more", draws[:8], temperature=1.0)
    more = await asker.texts("more", draws, temperature=1.0)
    return {
        "same_first": between - before,
        "same_second": after - between,
        "distinct": len(set(first)),
        "same_answers": int(first == second),
        "from_8_to_64": asker.asked() - after - 8,
        "kept_8": int(more[:8] == eight),
    }
