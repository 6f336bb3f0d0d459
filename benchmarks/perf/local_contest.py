"""Contenders that do the same work in turn, in one process, each with its own backend."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archon.backends.torch import Torch
from archon.benchmarks.perf import local_work
from archon.benchmarks.perf.figures import Group, Line
from archon.benchmarks.perf.local_rivals import Continuous, Generate, Weights
from archon.benchmarks.perf.local_work import Work
from archon.benchmarks.perf.rig import Options
from archon.model import Backend, Model

__all__ = ["FLOOR", "OURS", "PAGED", "TOGETHER", "Contest", "Entry", "Subject", "faster", "rivals"]

OURS = "archon"
FLOOR = "generate per request"
TOGETHER = "generate, num_return_sequences"
PAGED = "continuous batching"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is sampled.

    Attributes:
        name: as in the tables.
        folder: of the weights.
        tokens: of a reply at most.
        words: whether it speaks in random words and never ends by itself.
    """

    name: str
    folder: Path
    tokens: int
    words: bool = False

    def model(self, tokens: int = 0) -> Model:
        """Return the model with its settings."""
        # By its own name the embedded model gets the prompts that it was trained on.
        return Model(
            self.name if self.name.startswith("local/") else f"local/{self.folder}",
            temperature=local_work.TEMPERATURE,
            max_tokens=tokens or self.tokens,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """A contender: what it does, and what makes its backend."""

    work: Work
    make: Callable[[], Backend]


def rivals(subject: Subject, work: Work, forks: int = 1) -> dict[str, Entry]:
    """Return transformers' own ways and ours, the floor first; theirs share one copy of weights."""
    weights = Weights(subject.folder)
    makers: dict[str, Callable[[], Backend]] = {
        FLOOR: lambda: Generate(weights, together=False),
        TOGETHER: lambda: Generate(weights, together=True),
        PAGED: lambda: Continuous(weights, forks=forks),
        OURS: Torch,
    }
    return {name: Entry(work, make) for name, make in makers.items()}


@dataclass(frozen=True, slots=True)
class Contest:
    """A workload and those who do it.

    Attributes:
        name: of the workload.
        subject: what is sampled.
        model: with the settings of the workload.
        entries: the contenders by name, the floor first.
        settings: of the workload, for the record.
    """

    name: str
    subject: Subject
    model: Model
    entries: Mapping[str, Entry]
    settings: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What is done, with what."""
        return f"{self.name}, {self.subject.name}"

    def group(self, options: Options) -> Group:
        """Measure all in turn; one that cannot work here has the reason in its name."""
        settings = {"max_tokens": self.model.max_tokens, "temperature": self.model.temperature}
        lines = asyncio.run(self._lines(options))
        shown = ("wall", "tokens", "tokens_s", "tokens_cpu_s")
        compared = ("tokens_s", "tokens_cpu_s")
        return Group(self.title, {**settings, **self.settings}, lines, shown, compared)

    async def _lines(self, options: Options) -> list[Line]:
        lines = {name: Line(name) for name in self.entries}
        backends = {name: entry.make() for name, entry in self.entries.items()}
        try:
            for repetition in range(options.repeat):
                for name in list(backends):
                    options.tell(f"{self.title}: {name} ({repetition + 1} of {options.repeat})")
                    try:
                        found = await self._once(name, backends[name], repetition)
                    except Exception as error:
                        # Whatever keeps a rival from working on this machine stands in its line.
                        if name.startswith(OURS):
                            raise
                        why = " ".join(f"{type(error).__name__}: {error}".split())
                        lines[name].name = f"{name}: cannot run here ({why})"
                        await backends.pop(name).close()
                    else:
                        lines[name].runs.append(found)
        finally:
            for backend in backends.values():
                await backend.close()
        return list(lines.values())

    async def _once(self, name: str, backend: Backend, repetition: int) -> dict[str, Any]:
        import torch

        await local_work.warm(backend, self.model)
        torch.manual_seed(repetition)
        gc.collect()
        began, worked = time.perf_counter(), time.process_time()
        tokens = await self.entries[name].work(backend, repetition)
        wall, cpu = time.perf_counter() - began, time.process_time() - worked
        return {
            "wall": wall,
            "cpu": cpu,
            "tokens": tokens,
            "tokens_s": tokens / wall,
            "tokens_cpu_s": tokens / cpu,
        }


def faster(group: Group, than: str) -> float:
    """Return how many times the tokens of another contender ours makes in the same time.

    0 where the other could not work.
    """
    lines = [line for line in group.lines if line.name == than]
    ratio = group.line(OURS).ratio(lines[0], "tokens_s") if lines else None
    return ratio.median if ratio else 0.0
