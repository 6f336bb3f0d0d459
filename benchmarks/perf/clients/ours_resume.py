"""Many samples of many prompts, to be killed on the way and started again."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import archon
from archon.session import Session

SAMPLES = """
stages:
  - generate:
      model: {{model: ollama/scripted, base_url: {url}, max_tokens: {max_tokens},
               temperature: 1, concurrency: {concurrency}}}
      samples: {samples}
"""


async def work(job: dict[str, Any]) -> dict[str, Any]:
    """Ask all prompts at the same time, and say what the answers are, as a digest."""
    arch = archon.loads(SAMPLES.format(**job))
    session = Session(Path(job["folder"]) / "pool.db")

    async def one(number: int) -> list[str]:
        result = await archon.arun(arch, job["prompt"].format(number), session=session)
        return [candidate.text for candidate in result.candidates]

    answers = await asyncio.gather(*map(one, range(job["n"])))
    await session.aclose()
    texts = [text for samples in answers for text in samples]
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    return {"answers": len(texts), "digest": digest}
