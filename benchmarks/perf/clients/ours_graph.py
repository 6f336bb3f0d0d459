"""Archon's executor: one whole architecture for each number, in the running loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import archon
from archon.session import Session

GRAPH = """
models:
  m: {{model: hosted_vllm/scripted, base_url: {url}, max_tokens: {max_tokens}, concurrency: 2000}}
stages:
  - generate: {{model: m, samples: 4}}
  - rank: {{model: m, keep: 2}}
  - fuse: {{model: m}}
"""


@asynccontextmanager
async def calls(job: dict[str, Any]) -> AsyncIterator[Callable[[int], Awaitable[str]]]:
    """Give a function that runs the architecture once."""
    arch = archon.loads(GRAPH.format(**job))
    session = Session(Path(job["folder"]) / "pool.db")

    async def call(number: int) -> str:
        question = job["prompt"].format(number)
        result = await archon.arun(arch, question, budget="calls=100", session=session)
        assert result.answer
        return result.answer

    try:
        yield call
    finally:
        await session.aclose()
