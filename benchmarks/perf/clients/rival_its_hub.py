"""its_hub: its orchestrator over its own HTTP client, as many at once as it allows."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any


def _model(job: dict[str, Any]) -> Any:
    lms = import_module("its_hub.core.lms.openai_lm")
    return lms.OpenAICompatibleLanguageModel(
        endpoint=job["url"],
        api_key="none",
        model_name="scripted",
        max_completion_tokens=job["max_tokens"],
    )


@asynccontextmanager
async def calls(job: dict[str, Any]) -> AsyncIterator[Callable[[int], Awaitable[str]]]:
    """Give a function that makes one call."""
    orchestrators: Any = import_module("its_hub.core.orchestrator")
    message: Any = import_module("its_hub.api").ChatMessage
    orchestrator = orchestrators.LMOrchestrator(max_concurrency=-1)
    async with _model(job) as model:

        async def call(number: int) -> str:
            asked = [message(role="user", content=job["prompt"].format(number))]
            [said] = await orchestrator.agenerate(model, [asked])
            return str(said["content"])

        yield call


async def work(job: dict[str, Any]) -> dict[str, Any]:
    """Best of 64 with its judge, `rounds` times after once to open the connections."""
    orchestrators: Any = import_module("its_hub.core.orchestrator")
    judges: Any = import_module("its_hub.core.reward_models.llm_judge")
    algorithms: Any = import_module("its_hub.core.algorithms.bon")
    orchestrator = orchestrators.LMOrchestrator(max_concurrency=job["limit"])
    walls = []
    async with _model(job) as model:
        best = algorithms.BestOfN(judges.LLMJudge(model), orchestrator=orchestrator)
        for turn in range(job["rounds"] + 1):
            started = time.perf_counter()
            said = await best.ainfer(model, job["prompt"].format(turn), budget=64)
            walls.append(time.perf_counter() - started)
            assert said["content"]
    return {"first": walls[0], "wall": statistics.median(walls[1:])}
