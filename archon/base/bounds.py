"""The worst case of a node, known before any call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from archon.types import Json

__all__ = ["QUESTION_TOKENS", "Bound", "Shape", "plus", "times"]

QUESTION_TOKENS = 2000
"""How long a question is taken to be, where none is given."""


def plus(*amounts: int | None) -> int | None:
    """Add amounts; unknown absorbs the sum.

    >>> plus(1, 2), plus(1, None)
    (3, None)
    """
    total = 0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def times(count: int, amount: int | None) -> int | None:
    """Multiply; none of something unknown is none."""
    if count == 0:
        return 0
    return None if amount is None else count * amount


@dataclass(frozen=True, slots=True)
class Shape:
    """The largest state that can reach a node.

    Attributes:
        question_tokens: tokens of the conversation; None if unknown.
        candidates: how many there are at most.
        candidate_tokens: tokens of the longest one; None if unknown.
        note_tokens: tokens of the longest critique or reason attached to one.
        tests: how many unit tests at most.
        test_tokens: tokens of all tests together.
    """

    question_tokens: int | None = QUESTION_TOKENS
    candidates: int = 0
    candidate_tokens: int | None = 0
    note_tokens: int | None = 0
    tests: int = 0
    test_tokens: int | None = 0

    def replace(self, **changes: Any) -> Shape:
        """Return a copy with other values."""
        return replace(self, **changes)

    @property
    def listing_tokens(self) -> int | None:
        """Tokens of all candidates with their notes in one prompt, labels included."""
        return times(self.candidates, plus(self.candidate_tokens, self.note_tokens, 16))

    def with_new(self, candidates: int, tokens: int | None, *, keep: bool = False) -> Shape:
        """Return the shape behind a layer that writes new candidates, or adds them with `keep`."""
        if not keep:
            return self.replace(candidates=candidates, candidate_tokens=tokens, note_tokens=0)
        return self.replace(
            candidates=self.candidates + candidates,
            candidate_tokens=_most(self.candidate_tokens, tokens),
        )

    def join(self, other: Shape) -> Shape:
        """Return the shape behind a join of two branches."""
        return Shape(
            _most(self.question_tokens, other.question_tokens),
            self.candidates + other.candidates,
            _most(self.candidate_tokens, other.candidate_tokens),
            _most(self.note_tokens, other.note_tokens),
            self.tests + other.tests,
            plus(self.test_tokens, other.test_tokens),
        )


def _most(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else max(a, b)


@dataclass(frozen=True, slots=True)
class Bound:
    """The most a node can cost, and the largest state it can hand on.

    Attributes:
        calls: draws, if every reply parses.
        reasks: further draws that replies which do not parse may add.
        input_tokens: of calls and reasks; None if unknown.
        output_tokens: of calls and reasks; None where a model has no max_tokens.
        microusd: at list price; None where a price is unknown.
        flops: floating-point operations; None where a model's size is unknown.
        shape: what comes out.

    Tokens of later stages are estimates where tokenizers differ; the ledger's guarantee holds
    by the bytes of the actual prompts.
    """

    calls: int = 0
    reasks: int = 0
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    microusd: int | None = 0
    flops: int | None = 0
    shape: Shape = Shape()

    @property
    def tokens(self) -> int | None:
        """Input and output together."""
        return plus(self.input_tokens, self.output_tokens)

    @property
    def usd(self) -> float | None:
        """US dollars."""
        return None if self.microusd is None else self.microusd / 1e6

    @property
    def candidates(self) -> int:
        """How many candidates come out at most."""
        return self.shape.candidates

    def handing_on(self, shape: Shape) -> Bound:
        """Return the same cost with what comes out."""
        return replace(self, shape=shape)

    def __add__(self, other: Bound) -> Bound:
        """Add up the cost of two nodes; the shape is the second one's."""
        return Bound(
            self.calls + other.calls,
            self.reasks + other.reasks,
            plus(self.input_tokens, other.input_tokens),
            plus(self.output_tokens, other.output_tokens),
            plus(self.microusd, other.microusd),
            plus(self.flops, other.flops),
            other.shape,
        )

    def to_json(self) -> Json:
        """Return the figures that a table shows."""
        return {
            "calls": self.calls,
            "reasks": self.reasks,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "tokens": self.tokens,
            "usd": self.usd,
            "flops": self.flops,
            "candidates": self.candidates,
        }
