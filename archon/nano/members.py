"""The models of the nano family: shape, mix, and how many tokens each is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Literal

from archon.nano.examples.mixing import FAMILIES, MIXES, Mix, fingerprint

__all__ = ["MEMBERS", "Member", "easy"]


@dataclass(frozen=True, slots=True)
class Member:
    """One model.

    Attributes:
        name: as in `local/NAME`.
        mix: name of what it is taught, in `MIXES`.
        tokens: of training, padding left out.
        width: of the hidden state.
        layers: of the network.
        heads: of the attention.
        trunk: the generator that it starts from; empty for one that starts from nothing.
        head: what a reward head scores; empty for a model that writes.
    """

    name: str
    mix: str
    tokens: int
    width: int = 160
    layers: int = 4
    heads: int = 5
    trunk: str = ""
    head: Literal["", "lines", "answers"] = ""

    @property
    def steps(self) -> bool:
        """Whether it scores every line, not only the whole answer."""
        return self.head == "lines"

    @property
    def taught(self) -> Mix:
        """What it is taught."""
        return MIXES[self.mix]

    @property
    def examples(self) -> str:
        """Fingerprint of the examples."""
        return _fingerprint(self.mix)


@cache
def _fingerprint(mix: str) -> str:
    return fingerprint(MIXES[mix])


_MEMBERS = (
    Member("nano-code", "nano-code", 17_600_000),
    Member("nano-math", "nano-math", 17_600_000),
    Member("nano", "nano", 8_000_000, width=128, heads=4),
    Member("nano-sharp", "nano-math", 500_000, trunk="nano-math"),
    Member("nano-prm", "nano-math", 1_500_000, trunk="nano-math", head="lines"),
    Member("nano-orm", "nano", 1_500_000, trunk="nano-code", head="answers"),
)
MEMBERS: Mapping[str, Member] = MappingProxyType({member.name: member for member in _MEMBERS})
"""All models, in the order in which they are trained."""

_EASY_ROLES = {"generate": 0.8, "check": 0.1, "verdict": 0.1}


def easy(mix: Mix) -> Mix:
    """The beginning of a mix: the two lowest levels of every task, answers and their checks."""
    levels = {name: dict.fromkeys(sorted(FAMILIES[name].levels)[:2], 1.0) for name in mix.tasks}
    return replace(mix, levels=levels, roles=_EASY_ROLES)
