"""What every task offers to the roles: drafts of answers, and all that is said about them."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from archon.benchmarks.procedural import Split
from archon.nano.examples.knobs import Knobs

__all__ = ["Check", "Draft", "Family", "Statement"]


class Asked(Protocol):
    """A problem of any task."""

    @property
    def key(self) -> str:
        """What decides the split."""

    @property
    def question(self) -> str:
        """What is asked."""

    @property
    def level(self) -> int:
        """How hard it is."""


P = TypeVar("P", bound=Asked)
D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Draft(Generic[D]):
    """An answer.

    Attributes:
        text: as a model writes it.
        value: what it amounts to; drafts of equal value say the same.
    """

    text: str
    value: D


@dataclass(frozen=True, slots=True)
class Check:
    """A check of an answer: what is written, and what it comes to."""

    text: str
    right: bool


@dataclass(frozen=True, slots=True)
class Statement(Generic[D]):
    """A test in prose.

    Attributes:
        text: a sentence about `the answer`.
        judge: for the value of a draft, what is seen in it and whether the test holds.
    """

    text: str
    judge: Callable[[D], tuple[str, bool]]


class Family(ABC, Generic[P, D]):
    """One task.

    A belief is the draft that a model takes for right: the truth, or what a misconception makes of
    it. Judging roles compare with a belief, so they err where those who answer err.
    """

    name: str
    levels: tuple[int, ...]

    @abstractmethod
    def stream(self, level: int, split: Split, seed: int) -> Iterator[P]:
        """Problems of a level."""

    @abstractmethod
    def right(self, problem: P, rng: random.Random) -> Draft[D]:
        """A right answer."""

    @abstractmethod
    def wrong(self, problem: P, rng: random.Random) -> Draft[D]:
        """An answer with one realistic fault, which is wrong."""

    @abstractmethod
    def belief(self, problem: P, knobs: Knobs, rng: random.Random) -> Draft[D]:
        """The answer of somebody with these misconceptions; right where none strikes."""

    @abstractmethod
    def read(self, problem: P, text: str) -> Draft[D] | None:
        """The draft that a text is, such as a model's own; None where it cannot be read."""

    def same(self, problem: P, first: Draft[D], second: Draft[D]) -> bool:
        """Whether two drafts are equally right or wrong: the same answer."""
        return first.value == second.value

    def merit(self, problem: P, draft: Draft[D], belief: Draft[D]) -> float:
        """How good a draft looks to somebody of that belief, from 0 to 1."""
        return float(self.same(problem, draft, belief))

    @abstractmethod
    def thought(self, problem: P, draft: Draft[D], rng: random.Random) -> str:
        """What is thought before a draft is written."""

    @abstractmethod
    def review(self, problem: P, draft: Draft[D], belief: Draft[D], rng: random.Random) -> str:
        """One line that names the first fault, or says that there is none."""

    def grounds(self, problem: P, belief: Draft[D], rng: random.Random) -> str:
        """What a review derives before it judges; empty where it judges at once."""
        return ""

    @abstractmethod
    def check(self, problem: P, draft: Draft[D], belief: Draft[D], rng: random.Random) -> Check:
        """What is derived again, and whether the draft agrees with it."""

    @abstractmethod
    def marks(self, problem: P, draft: Draft[D]) -> list[bool]:
        """For each line of a draft, whether it and all before it are right, in truth."""

    @abstractmethod
    def basis(
        self,
        problem: P,
        drafts: Sequence[tuple[str, Draft[D]]],
        belief: Draft[D],
        rng: random.Random,
    ) -> str:
        """What a ranking of labelled drafts is based on."""

    def feedback(self, problem: P, draft: Draft[D]) -> str:
        """What running the draft shows, as `run_tests` says it; empty where nothing can run."""
        return ""

    @abstractmethod
    def statements(
        self, problem: P, belief: Draft[D], count: int, rng: random.Random
    ) -> list[Statement[D]]:
        """Up to `count` tests that the belief passes."""

    def asserts(
        self, problem: P, belief: Draft[D], count: int, rng: random.Random
    ) -> tuple[str, ...]:
        """Up to `count` tests in Python; none where answers are no programs."""
        return ()
