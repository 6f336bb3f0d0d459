"""Trials: what a space asks for each of its decisions, by Optuna's names."""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, TypeVar

from archon.errors import ConfigError, did_you_mean
from archon.search.holes import Assignment, Column, Value, choice_column, grid

__all__ = ["Given", "Infeasible", "Randomly", "Take", "Trial", "Walking", "flag", "pick"]

T = TypeVar("T")
Take = Literal["any", "ordered", "first"]


class Infeasible(Exception):
    """The decisions so far break a requirement of the space."""


class Trial(ABC):
    """Decides, one question after the other, and remembers what it decided.

    A question asked again gives the same answer; its answers may not change meanwhile.

    Attributes:
        codes: the code of every decision so far, by name.
        asked: the columns asked for, by name.
    """

    def __init__(self) -> None:
        self.codes: dict[str, float] = {}
        self.asked: dict[str, Column] = {}

    @abstractmethod
    def decide(self, column: Column, allowed: Sequence[int]) -> float:
        """Return a code of the column; one of `allowed` where it has levels."""

    def ask(self, column: Column, allowed: Sequence[int] | None = None) -> Value:
        """Return the value of a decision.

        Args:
            column: the question.
            allowed: codes that can be chosen here; all of them if left out.
        """
        known = self.asked.get(column.name)
        if known is None:
            codes = range(len(column.levels)) if allowed is None else allowed
            self.codes[column.name] = self.decide(column, codes)
            self.asked[column.name] = column
        elif known is not column and known != column:
            raise ConfigError(
                f"the hole {column.name!r} is asked for twice with different values; give each"
                " a name of its own"
            )
        return column.value(self.codes[column.name])

    def assignment(self) -> dict[str, Value]:
        """Return the value of every decision so far, by name."""
        return {name: self.asked[name].value(code) for name, code in self.codes.items()}

    def suggest_categorical(self, name: str, choices: Sequence[T]) -> T:
        """Return one of the choices. Numbers in rising order count as ordered."""
        if not choices:
            raise ConfigError(f"{name}: nothing to choose from")
        plain = all(c is None or isinstance(c, (str, int, float, bool)) for c in choices)
        levels: Sequence[Value] = choices if plain else [str(c) for c in choices]  # type: ignore[assignment]
        if len(set(map(repr, levels))) < len(levels):
            raise ConfigError(f"{name}: a choice stands there twice: {list(levels)}")
        column = choice_column(name, levels)
        self.ask(column)
        return choices[int(self.codes[name])]

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return a whole number from `low` to `high`, both included."""
        column = grid(name, low, high, None if log else step, log=log, integer=True)
        return int(self.ask(column) or 0)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number from `low` to `high`, both included."""
        return float(self.ask(grid(name, low, high, step, log=log, integer=False)) or 0)

    def require(self, holds: bool) -> None:
        """Leave the space unless `holds`: what was decided so far is no architecture of it."""
        if not holds:
            raise Infeasible

    def suggest_maybe(self, name: str) -> bool:
        """Return whether something is there."""
        return bool(self.ask(flag(name)))

    def suggest_subset(
        self,
        name: str,
        items: Sequence[T],
        *,
        min: int = 1,  # noqa: A002 (the word of the YAML form)
        max: int | None = None,  # noqa: A002
        take: Take = "any",
    ) -> list[T]:
        """Return some of the items, from `min` to `max` of them.

        Args:
            name: of the hole; what decides on an item is called `name[item]`.
            items: texts, or things that their `str` tells apart.
            min: how many at least.
            max: how many at most; all if left out.
            take: `any` of them, in listing order; `ordered`, in any order; or the `first` so many.
        """
        most = len(items) if max is None else max
        if not 0 <= min <= most <= len(items):
            raise ConfigError(f"{name}: from {min} to {most} of {len(items)} items cannot be taken")
        labels = [str(item) for item in items]
        chosen = pick(self, name, labels, range(min, most + 1), take)
        return [items[i] for i in chosen]


@lru_cache(4096)
def flag(name: str) -> Column:
    """Return the column of something that is there or not."""
    return Column(name, "ordinal", (False, True))


def pick(
    trial: Trial, name: str, labels: Sequence[str], sizes: Sequence[int], take: Take
) -> list[int]:
    """Decide on a subset and return the places of what is taken."""
    if take == "any":
        return _members(trial, name, labels, sizes)
    size = int(trial.ask(Column(name, "ordinal", tuple(sizes))) or 0)
    if take == "first":
        return list(range(size))
    taken: list[int] = []
    for position in range(size):
        column = Column(f"{name}[{position + 1}]", "categorical", tuple(labels))
        left = [i for i in range(len(labels)) if i not in taken]
        trial.ask(column, left)
        taken.append(int(trial.codes[column.name]))
    return taken


def _members(trial: Trial, name: str, labels: Sequence[str], sizes: Sequence[int]) -> list[int]:
    """Decide item by item; where the sizes leave no choice, only one answer is allowed."""
    taken: list[int] = []
    for i, label in enumerate(labels):
        left = len(labels) - i - 1
        allowed = [
            code
            for code in (0, 1)
            if any(len(taken) + code <= size <= len(taken) + code + left for size in sizes)
        ]
        if trial.ask(flag(f"{name}[{label}]"), allowed):
            taken.append(i)
    return taken


class Given(Trial):
    """Answers from an assignment.

    Raises:
        ConfigError: for a decision that is missing, or that cannot be taken here.
    """

    def __init__(self, assignment: Assignment) -> None:
        super().__init__()
        self.given = assignment

    def decide(self, column: Column, allowed: Sequence[int]) -> float:
        """Return the code of the value that is given."""
        if column.name not in self.given:
            raise ConfigError(
                f"the hole {column.name!r} has no value{did_you_mean(column.name, self.given)}"
            )
        code = column.code(self.given[column.name])
        if column.kind != "real" and int(code) not in allowed:
            values = ", ".join(repr(column.levels[i]) for i in allowed)
            raise ConfigError(
                f"{column.name} can only be {values} here, got {self.given[column.name]!r}"
            )
        return code


class Randomly(Trial):
    """Answers by chance, each level as likely as any other.

    Attributes:
        weight: one over the probability of all answers so far.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.rng = rng
        self.weight = 1

    def decide(self, column: Column, allowed: Sequence[int]) -> float:
        """Return a code by chance."""
        if column.kind == "real":
            if not column.log:
                return self.rng.uniform(column.low, column.high)
            drawn = math.exp(self.rng.uniform(math.log(column.low), math.log(column.high)))
            return min(max(drawn, column.low), column.high)
        self.weight *= len(allowed)
        return float(self.rng.choice(allowed))


class Walking(Trial):
    """Follows a path through the tree of decisions, and its first branches beyond the path.

    Attributes:
        trail: for each decision with a choice, the place taken and how many there were.
    """

    def __init__(self, path: Sequence[int] = ()) -> None:
        super().__init__()
        self.path = path
        self.trail: list[tuple[int, int]] = []

    def decide(self, column: Column, allowed: Sequence[int]) -> float:
        """Return the code at the path's next place."""
        if column.kind == "real":
            raise ConfigError(
                f"{column.name} is continuous, so that the space has no end; give it a `step`"
            )
        if len(allowed) == 1:
            return float(allowed[0])
        place = self.path[len(self.trail)] if len(self.trail) < len(self.path) else 0
        self.trail.append((place, len(allowed)))
        return float(allowed[place])

    def next_path(self) -> list[int] | None:
        """Return the path of the next leaf; None behind the last one."""
        places = [place for place, _ in self.trail]
        while places:
            place, count = places[-1], self.trail[len(places) - 1][1]
            if place + 1 < count:
                places[-1] = place + 1
                return places
            places.pop()
        return None
