"""What a benchmark is: items, splits, how an answer is read, and a scorer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from archon.registry import Registry
from archon.types import AnswerKind, Candidate, Json, Task

__all__ = ["BENCHMARKS", "Benchmark", "Item", "Split"]

Split = Literal["dev", "test"]


@dataclass(frozen=True, slots=True)
class Item:
    """A task and what only the scorer may know about it.

    Attributes:
        task: what the architecture sees.
        target: the expected answer.
        group: a stratum, such as the level.
    """

    task: Task
    target: Json
    group: str = ""


@runtime_checkable
class Benchmark(Protocol):
    """A data set or task family.

    Attributes:
        name: as in the registry.
        about: one line for the list.
        answer: how answers are read and compared.
        levels: the values that the option `level` may take; empty without levels.
    """

    name: str
    about: str
    answer: AnswerKind
    levels: tuple[int, ...]

    def items(self, split: Split, limit: int | None = None, seed: int = 0) -> Sequence[Item]:
        """Return items in a fixed order: the first 100 are the first 100 of any larger limit."""

    def score(self, item: Item, candidate: Candidate | None) -> float:
        """Return 1 for right, 0 for wrong or no answer, or something between."""

    def digest(self) -> str:
        """Return what identifies items and scorer, for runs that must not be mixed."""


BENCHMARKS: Registry[Callable[..., Benchmark]] = Registry("archon.benchmarks", "benchmark")
"""Factories by name; keyword arguments are the benchmark's options, e.g. `level`."""
