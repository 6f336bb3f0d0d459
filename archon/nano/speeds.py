"""How fast a model is, through archon as a user calls it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import archon
from archon.benchmarks.arithmetic import problem
from archon.layers import Critique, Fuse, Generate, Rank, Verify
from archon.model import Model

__all__ = ["speeds"]

SAMPLES = 64
_QUESTIONS = 24


def speeds(folder: Path) -> dict[str, Any]:
    """Seconds to load a model, seconds for many samples, and calls of mixed roles per second.

    The first is without the import of torch and transformers; the others are with the model in
    memory.
    """
    model = Model(f"local/{folder.resolve()}", profile="nano", temperature=0.8, max_tokens=160)
    _load(folder)  # imports what is imported once
    began = time.perf_counter()
    _load(folder)
    loaded = time.perf_counter() - began
    with archon.Session(pool=None) as session:
        questions = [problem(2, "test", i).question for i in range(_QUESTIONS + 2)]
        archon.run(Generate(model=model), questions[-1], answer="number", session=session)
        began = time.perf_counter()
        many = Generate(model=model, samples=SAMPLES)
        archon.run(many, questions[-2], answer="number", session=session)
        sampled = time.perf_counter() - began
        mixed = (
            Generate(model=model, samples=4)
            >> Verify(model=model)
            >> Critique(model=model)
            >> Rank(model=model)
            >> Fuse(model=model)
        )
        began = time.perf_counter()
        calls = _together(mixed, questions[:_QUESTIONS], session)
        took = time.perf_counter() - began
    return {
        "load_seconds": round(loaded, 3),
        f"seconds_for_{SAMPLES}_samples": round(sampled, 2),
        "mixed_calls_per_second": round(calls / took, 1),
        "threads": _threads(),
    }


def _together(arch: Any, questions: list[str], session: Any) -> int:
    """Run an architecture on all questions at once, and return its calls."""
    import asyncio

    async def work() -> int:
        tasks = [archon.arun(arch, q, answer="number", session=session) for q in questions]
        return sum(result.used.calls for result in await asyncio.gather(*tasks))

    return asyncio.run(work())


def _load(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _threads() -> int:
    import torch

    return torch.get_num_threads()
