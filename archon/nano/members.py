"""The models of the nano family: shape, mix, and how many tokens each is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Literal

from archon.nano.examples.mixing import FAMILIES, MIXES, Mix, fingerprint

__all__ = ["MEMBERS", "SHIPPED", "Member", "easy", "judging"]


Kind = Literal["generator", "judge", "sharpened", "lines", "answers"]
"""What is trained: a model from nothing, the same taught to judge, one that grows sure of itself,
or a reward head that scores every line or the whole answer."""


@dataclass(frozen=True, slots=True)
class Member:
    """One model.

    Attributes:
        name: as in `local/NAME`; a name that ends in `-base` is not shipped.
        mix: name of what it is taught, in `MIXES`.
        tokens: of training, padding left out.
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
    Member("nano-code-base", "nano-code", 17_600_000),
    Member("nano-math-base", "nano-math", 14_000_000, easy=4.4 / 14, decay=0.68),
    Member("nano", "nano", 5_000_000, width=128, heads=4),
    Member("nano-code", "nano-code", 2_400_000, "judge", trunk="nano-code-base", decay=0.4),
    Member("nano-math", "nano-math", 2_400_000, "judge", trunk="nano-math-base", decay=0.4),
    Member("nano-sharp", "nano-math", 400_000, "sharpened", trunk="nano-math"),
    Member("nano-prm", "nano-math", 1_000_000, "lines", trunk="nano-math"),
    Member("nano-orm", "nano", 1_000_000, "answers", trunk="nano-code"),
)
MEMBERS: Mapping[str, Member] = MappingProxyType({member.name: member for member in _MEMBERS})
"""All models, in the order in which they are trained."""

SHIPPED = tuple(name for name in MEMBERS if not name.endswith("-base"))
"""The models that come with archon."""

_EASY_ROLES = {"generate": 0.8, "check": 0.1, "verdict": 0.1}


def easy(mix: Mix) -> Mix:
    """The beginning of a mix: the two lowest levels of every task, answers and their checks."""
    levels = {name: dict.fromkeys(sorted(FAMILIES[name].levels)[:2], 1.0) for name in mix.tasks}
    return replace(mix, levels=levels, roles=_EASY_ROLES)


_JUDGE_ROLES = {
    "generate": 0.2, "with_tests": 0.01, "check": 0.12, "verdict": 0.2, "rank": 0.2, "fuse": 0.12,
    "critique": 0.04, "review": 0.03, "refine": 0.03, "unit_tests": 0.01, "code_tests": 0.01,
    "test_eval": 0.03,
}  # fmt: skip


def judging(mix: Mix) -> Mix:
    """What a trained generator is taught to become a judge: other roles, at the low levels.

    Answers of low levels are short, so that more of them are judged with the same tokens.
    """
    levels = {name: dict.fromkeys(sorted(FAMILIES[name].levels)[:3], 1.0) for name in mix.tasks}
    return replace(mix, levels=levels, roles=_JUDGE_ROLES)
