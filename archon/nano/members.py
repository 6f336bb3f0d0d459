"""The models of the nano family: shape, mix, and how many tokens each is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Literal

from archon.nano.examples.mixing import FAMILIES, MIXES, Mix, fingerprint

__all__ = ["MEMBERS", "Member", "easy"]


Kind = Literal["generator", "judge", "sharpened", "lines", "answers"]
"""What is trained: a model from nothing, a generator that becomes a judge, one that grows sure of
itself, or a reward head that scores every line or the whole answer."""


@dataclass(frozen=True, slots=True)
class Member:
    """One model.

    Attributes:
        name: as in `local/NAME`.
        mix: name of what it is taught, in `MIXES`.
        tokens: of training, the padding of batches included (three in a hundred).
        kind: what is trained.
        width: of the hidden state.
        layers: of the network.
        heads: of the attention.
        trunk: the model that it starts from; empty for one that starts from nothing.
        easy: share of the tokens of a generator's first part, the low levels.
        decay: share of the tokens after which the learning rate falls.
    """

    name: str
    mix: str
    tokens: int
    kind: Kind = "generator"
    width: int = 160
    layers: int = 4
    heads: int = 5
    trunk: str = ""
    easy: float = 0.25
    decay: float = 0.55

    @property
    def taught(self) -> Mix:
        """What it is taught."""
        return MIXES[self.mix]

    @property
    def head(self) -> bool:
        """Whether it scores and does not write."""
        return self.kind in ("lines", "answers")

    @property
    def judge(self) -> bool:
        """Whether it judges what its trunk writes."""
        return self.kind == "judge"

    @property
    def steps(self) -> bool:
        """Whether it scores every line, not only the whole answer."""
        return self.kind == "lines"

    @property
    def examples(self) -> str:
        """Fingerprint of the examples."""
        return _fingerprint(self.mix)


@cache
def _fingerprint(mix: str) -> str:
    return fingerprint(MIXES[mix])


_MEMBERS = (
    Member("nano-code", "nano-code", 17_600_000),
    Member("nano-math", "nano-math", 14_000_000, easy=4.4 / 14, decay=0.68),
    Member("nano", "nano", 27_000_000, width=128, heads=4, easy=0.1, decay=0.5),
    Member("nano-judge", "nano-judge", 10_000_000, "judge", trunk="nano-math", decay=0.4),
    Member("nano-sharp", "nano-math", 200_000, "sharpened", trunk="nano-math"),
    Member("nano-prm", "nano-math", 2_000_000, "lines", trunk="nano-math"),
    Member("nano-orm", "nano-code", 1_000_000, "answers", trunk="nano-code"),
)
MEMBERS: Mapping[str, Member] = MappingProxyType({member.name: member for member in _MEMBERS})
"""All models, in the order in which they are trained."""

_EASY_ROLES = {"generate": 0.8, "check": 0.1, "verdict": 0.1}


def easy(mix: Mix) -> Mix:
    """The beginning of a mix: the two lowest levels of every task, answers and their checks."""
    levels = {name: dict.fromkeys(sorted(FAMILIES[name].levels)[:2], 1.0) for name in mix.tasks}
    return replace(mix, levels=levels, roles=_EASY_ROLES)
