"""Architectures that only select: their outcome is arithmetic on draws and recorded scores.

Such an architecture draws answers from models and then takes the first, the most frequent, or the
one that a verifier scores highest. Nothing in it is asked about several answers at once, so that
what it makes of any subset of the stored draws is known without a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from archon.base import Architecture, Layer
from archon.layers import Best, Critique, Fuse, Generate, Rank, UnitTests, Verify, Vote

__all__ = ["How", "Selection", "Source", "drawn_by", "selection_of"]

How = Literal["first", "vote", "best"]


@dataclass(frozen=True, eq=False)
class Source:
    """Where draws come from.

    Attributes:
        layer: what asks, for one draw.
        check: what scores each draw by its text alone, every one of them; None for nothing.
    """

    layer: Generate
    check: Verify | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    @cached_property
    def name(self) -> str:
        """Equal for equal calls."""
        if self.check is None:
            return self.layer.signature()
        return f"{self.layer.signature()} {self.check.signature()} x{self.check.votes}"


@dataclass(frozen=True)
class Selection:
    """An architecture that only selects.

    Attributes:
        sources: in listing order, each once.
        draws: how many of each.
        how: `first` takes the first candidate, `vote` the most frequent answer, `best` the
            highest score of the check.
        least: the score below which `best` gives no answer; None if it always gives one.
    """

    sources: tuple[Source, ...]
    draws: tuple[int, ...]
    how: How
    least: float | None = None


def selection_of(architecture: Architecture) -> Selection | None:
    """Return what an architecture selects and how, or None where it does more than that."""
    stages = _stages(architecture)
    if not stages or len({layer.signature() for layer in stages[0]}) < len(stages[0]):
        return None  # two of one family have draws of their own, beside the first's
    writers = [layer for layer in stages[0] if isinstance(layer, Generate) and _writes(layer)]
    if len(writers) < len(stages[0]) or any(len(stage) > 1 for stage in stages[1:]):
        return None
    how: How = "first"
    check: Verify | None = None
    least: float | None = None
    match [stage[0] for stage in stages[1:]]:
        case []:
            pass
        case [Vote() as vote] if _plain(vote):
            how = "vote"
        case [Verify() as verify, *rest] if _by_text(verify) and _takes_best(rest):
            check, how = _whole(verify), "best"
            if verify.keep == "passed" and verify.none == "nothing":
                least = verify.threshold
        case _:
            return None
    sources = tuple(Source(_one(layer), check) for layer in writers)
    return Selection(sources, tuple(layer.samples for layer in writers), how, least)


def drawn_by(architecture: Architecture) -> Mapping[str, int]:
    """Return how many first draws an architecture treats alike, by the signature of its writers.

    An architecture that fuses takes its draws in an order that their texts decide. Of any other
    only the first draw is sure to be like itself alone.
    """
    alike = _fuses_all(_stages(architecture))
    found: dict[str, int] = {}
    for _, layer in architecture.walk():
        if isinstance(layer, Generate) and not layer.with_tests:
            found.setdefault(layer.signature(), layer.samples if alike else 1)
    return found


def _stages(architecture: Architecture) -> list[list[Layer]]:
    """Return the layers of each stage where each stage takes all of the one before; else none."""
    stages: list[list[Layer]] = []
    before: tuple[str, ...] = ()
    places = list(architecture.places)
    while places:
        stage = [place for place in places if set(place.after) == set(before)]
        layers = [place.node for place in stage if isinstance(place.node, Layer)]
        if not stage or len(layers) < len(stage):
            return []
        stages.append(layers)
        before = tuple(place.id for place in stage)
        places = [place for place in places if place not in stage]
    return stages


def _writes(layer: Layer) -> bool:
    return isinstance(layer, Generate) and not layer.with_tests


def _one(layer: Generate) -> Generate:
    return Generate(model=layer.model)


def _plain(vote: Vote) -> bool:
    """Whether a vote is the plain one: every readable answer counts one."""
    return (
        vote.source is None and vote.weight == "none" and vote.min_share == 0
        and vote.answer is None and vote.equivalence is None
        and vote.representative in ("best", "first")
    )  # fmt: skip


def _by_text(verify: Verify) -> bool:
    """Whether what a check says of a candidate follows from its text alone."""
    return verify.first is None and verify.duplicates == "once" and not verify.with_tests


def _takes_best(rest: list[Layer]) -> bool:
    # Without `best` the highest last score is the answer all the same.
    return not rest or (len(rest) == 1 and isinstance(rest[0], Best) and not rest[0].by)


def _whole(verify: Verify) -> Verify:
    """Return a check that asks the same and lets everything through."""
    kept: dict[str, Any] = {
        name: getattr(verify, name) for name in ("model", "votes", "prompt", "reasks")
    }
    return Verify(**kept, keep="all")


def _fuses_all(stages: list[list[Layer]]) -> bool:
    """Whether the draws of the first stage are fused, with nothing before that sees their order."""
    if not stages or not all(map(_writes, stages[0])):
        return False
    for stage in stages[1:]:
        if all(isinstance(layer, Fuse) for layer in stage):
            return True
        for layer in stage:
            if isinstance(layer, Verify) and (isinstance(layer.keep, int) or layer.first):
                return False
            if not isinstance(layer, (Critique, Rank, UnitTests, Verify)):
                return False
    return False
