"""Endless training groups: which tasks, levels and roles, in which shares, for which model."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any

from archon.benchmarks.procedural import split_of
from archon.nano.data import Group
from archon.nano.examples.arithmetic import ArithmeticFamily
from archon.nano.examples.constraints import ConstraintsFamily
from archon.nano.examples.countdown import CountdownFamily
from archon.nano.examples.family import Family
from archon.nano.examples.knobs import TAUGHT, Knobs
from archon.nano.examples.listfn import ListFnFamily
from archon.nano.examples.roles import CODE_ROLES, ROLES, Case

__all__ = [
    "FAMILIES",
    "GENERAL",
    "MIXES",
    "Mix",
    "Problems",
    "drawn",
    "fingerprint",
    "groups",
    "questions",
]

FAMILIES: dict[str, Family[Any, Any]] = {
    family.name: family
    for family in (ArithmeticFamily(), ListFnFamily(), CountdownFamily(), ConstraintsFamily())
}

_ROLE_SHARES = {
    "generate": 0.46, "with_tests": 0.03, "critique": 0.06, "review": 0.03, "rank": 0.09,
    "fuse": 0.08, "refine": 0.05, "check": 0.07, "verdict": 0.05, "unit_tests": 0.03,
    "code_tests": 0.02, "test_eval": 0.03,
}  # fmt: skip
_COUNTS = {"generate": 4, "critique": 1, "rank": 1, "fuse": 1, "verdict": 3}
"""Replies in a group of a role; 2 where nothing else is said."""


@dataclass(frozen=True)
class Mix:
    """What a model is taught.

    Attributes:
        tasks: shares of the tasks.
        levels: for each task, shares of its levels; equal shares for a task left out.
        roles: shares of the roles.
        knobs: misconceptions and habits.
        in_order: share of the arithmetic workings that follow the story (`ArithmeticFamily`).
        aloud: whether who judges arithmetic says what is compared (`ArithmeticFamily`).
        methodical: whether who thinks about countdown searches (`CountdownFamily`).
        drills: share of bare operations in the first part of a training.
    """

    tasks: Mapping[str, float]
    levels: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    roles: Mapping[str, float] = field(default_factory=lambda: dict(_ROLE_SHARES))
    knobs: Knobs = TAUGHT
    in_order: float = 0.0
    aloud: bool = False
    methodical: bool = False
    drills: float = 0.03

    def __post_init__(self) -> None:
        """Refuse names that do not exist."""
        for names, known in ((self.tasks, FAMILIES), (self.levels, FAMILIES), (self.roles, ROLES)):
            for name in names:
                if name not in known:
                    raise ValueError(f"unknown name {name!r}; known: {', '.join(known)}")

    @cached_property
    def families(self) -> Mapping[str, Family[Any, Any]]:
        """The tasks, as this mix teaches them."""
        return {
            **FAMILIES,
            "arithmetic": ArithmeticFamily(self.in_order, aloud=self.aloud),
            "countdown": CountdownFamily(methodical=self.methodical),
        }


_HARD = {
    "arithmetic": {1: 0.15, 2: 0.2, 3: 0.35, 4: 0.2, 5: 0.1},
    "listfn": {1: 0.1, 2: 0.2, 3: 0.25, 4: 0.2, 5: 0.15, 6: 0.1},
    "countdown": {3: 0.5, 4: 0.3, 5: 0.15, 6: 0.05},
    "constraints": {2: 0.25, 3: 0.3, 4: 0.25, 5: 0.12, 6: 0.08},
}
GENERAL = Mix({"arithmetic": 0.3, "listfn": 0.3, "countdown": 0.2, "constraints": 0.2}, _HARD)
_SOFT = {
    "arithmetic": {1: 0.2, 2: 0.3, 3: 0.35, 4: 0.1, 5: 0.05},
    "listfn": {1: 0.2, 2: 0.3, 3: 0.25, 4: 0.15, 5: 0.1},
    "countdown": {3: 0.65, 4: 0.25, 5: 0.1},
    "constraints": {2: 0.35, 3: 0.3, 4: 0.2, 5: 0.1, 6: 0.05},
}
_LOW = {
    "arithmetic": {1: 0.5, 2: 0.4, 3: 0.1},
    "listfn": {1: 0.5, 2: 0.4, 3: 0.1},
    "countdown": {3: 0.9, 4: 0.1},
    "constraints": {2: 0.5, 3: 0.3, 4: 0.2},
}
_GENERATING = _ROLE_SHARES | {"generate": 0.9}
_JUDGING = {
    "generate": 0.1, "check": 0.22, "verdict": 0.13, "rank": 0.22, "fuse": 0.11, "critique": 0.07,
    "review": 0.09, "refine": 0.06,
}  # fmt: skip
MIXES = {
    "nano": Mix(
        {"arithmetic": 0.12, "listfn": 0.12, "countdown": 0.46, "constraints": 0.3},
        _LOW,
        roles=_GENERATING,
        knobs=replace(TAUGHT, groups=0.0, sums=0.55, brackets=0.2, count=0.2),
        in_order=0.85,
        methodical=True,
        drills=0.12,
    ),
    "nano-judge": Mix(
        {"arithmetic": 1.0},
        {"arithmetic": {1: 0.3, 2: 0.45, 3: 0.25}},
        roles=_JUDGING,
        in_order=0.85,
        aloud=True,
    ),
    "nano-math": Mix(
        {"arithmetic": 0.5, "listfn": 0.08, "countdown": 0.3, "constraints": 0.12},
        _SOFT,
        in_order=0.85,
        drills=0.25,
    ),
    "nano-code": Mix(
        {"arithmetic": 0.1, "listfn": 0.66, "countdown": 0.06, "constraints": 0.18}, _HARD
    ),
}
"""What each model is taught."""


class Problems:
    """Train problems by task and level, from a new stream where one has ended."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[tuple[str, int], Iterator[Any]] = {}
        self._rounds: dict[tuple[str, int], int] = {}

    def next(self, family: Family[Any, Any], level: int) -> Any:
        """The next problem."""
        place = (family.name, level)
        while True:
            if place not in self._streams:
                turn = self._rounds.get(place, 0)
                self._rounds[place] = turn + 1
                seed = self._seed + 1_000_003 * turn
                self._streams[place] = family.stream(level, "train", seed)
            try:
                return next(self._streams[place])
            except (RuntimeError, StopIteration):
                del self._streams[place]


def questions(
    mix: Mix, seed: int, count: int, rng: random.Random
) -> list[tuple[Family[Any, Any], Any]]:
    """Train problems of a mix with their tasks, drawn from the streams of a seed."""
    stream = Problems(seed)
    found: list[tuple[Family[Any, Any], Any]] = []
    for _ in range(count):
        family = mix.families[drawn(mix.tasks, rng)]
        levels = mix.levels.get(family.name) or dict.fromkeys(family.levels, 1.0)
        found.append((family, stream.next(family, drawn(levels, rng))))
    return found


def groups(mix: Mix, seed: int) -> Iterator[Group]:
    """Endless training groups, the same ones for the same seed in every process."""
    rng = random.Random(f"archon-nano-examples/{seed}")
    problems = Problems(seed)
    while True:
        name = drawn(mix.tasks, rng)
        family = mix.families[name]
        levels = mix.levels.get(name) or dict.fromkeys(family.levels, 1.0)
        problem = problems.next(family, drawn(levels, rng))
        assert split_of(problem.key) == "train"
        role = drawn(mix.roles, rng)
        if role in CODE_ROLES and name != "listfn":
            role = "unit_tests"
        yield ROLES[role](Case(family, problem, mix.knobs, rng), _COUNTS.get(role, 2))


def drawn(shares: Mapping[Any, float], rng: random.Random) -> Any:
    """One of the names, by their shares."""
    return rng.choices(list(shares), list(shares.values()))[0]


def fingerprint(mix: Mix, count: int = 400) -> str:
    """Hash of the first groups of a mix, which every template, wording and rate has a part in.

    A model that keeps the fingerprint that it was trained on can be told to be stale.
    """
    seen = hashlib.sha256()
    for group in islice(groups(mix, 0), count):
        seen.update(repr((group.prefix, group.branches)).encode())
    return seen.hexdigest()[:16]
