"""Search spaces: a template with holes, or a function from a trial to an architecture."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archon.base import Architecture, Node, as_architecture, parse
from archon.config import Source, Tagged, read_yaml
from archon.errors import ConfigError, did_you_mean
from archon.search.columns import columns
from archon.search.holes import Assignment, Column, Value
from archon.search.reading import TAGS, Template, read_template
from archon.search.template import Filling
from archon.search.trial import Given, Infeasible, Randomly, Trial, Walking
from archon.types import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archon.search.counting import Count
    from archon.search.table import Table

__all__ = ["FunctionSpace", "Space", "TemplateSpace", "read_space"]

ATTEMPTS = 10_000
"""Random assignments tried before a space counts as one that cannot be sampled."""
MOST_COLUMNS = 10_000


class Space(ABC):
    """A set of architectures, reached by decisions.

    A decision is a hole that is reached; an assignment gives each its value, by name. Holes that
    are not reached are absent. Two assignments mean the same where they give architectures of
    equal digest.
    """

    @property
    @abstractmethod
    def columns(self) -> tuple[Column, ...]:
        """All holes, in the order in which they are first met."""

    @abstractmethod
    def fill(self, trial: Trial) -> Json:
        """Let a trial decide, and return what `archon.base.parse` takes, or an architecture.

        Raises:
            Infeasible: when the decisions break a requirement.
        """

    @abstractmethod
    def built(self, trial: Trial) -> Architecture:
        """Let a trial decide, and return the architecture.

        Raises:
            Infeasible: when the decisions break a requirement.
            ConfigError: when they give no legal architecture; it says which they were.
        """

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The place of each column, by name."""
        return {column.name: i for i, column in enumerate(self.columns)}

    def architecture(self, assignment: Assignment) -> Architecture:
        """Return the architecture of an assignment; values of holes not reached are ignored.

        Raises:
            ConfigError: for a value that is missing, or one that cannot be.
        """
        for name in assignment:
            if name not in self.index:
                raise ConfigError(f"there is no hole {name!r}{did_you_mean(name, self.index)}")
        return self._decided(Given(assignment))[0]

    def _decided(self, trial: Trial) -> tuple[Architecture, dict[str, Value]]:
        try:
            return self.built(trial), trial.assignment()
        except Infeasible:
            raise ConfigError(
                f"outside of the space, by `require`: {shown(trial.assignment())}"
            ) from None

    def run(self, trial: Trial) -> tuple[Architecture, dict[str, Value]]:
        """Return what a trial decides on: the architecture and the assignment."""
        return self._decided(trial)

    def random(self, rng: random.Random) -> dict[str, Value]:
        """Return an assignment by chance: each hole's levels are equally likely.

        Raises:
            ConfigError: when chance finds none that the requirements let through.
        """
        for _ in range(ATTEMPTS):
            trial = Randomly(rng)
            try:
                self.fill(trial)
            except Infeasible:
                continue
            return trial.assignment()
        raise ConfigError(
            f"{ATTEMPTS:,} random assignments all break `require`; the space may be empty"
        )

    def walk(self) -> Iterator[tuple[Trial, Json]]:
        """Yield every assignment, in the order of the decisions, with what it fills the space to.

        Raises:
            ConfigError: for a hole without levels.
        """
        path: Sequence[int] | None = ()
        while path is not None:
            trial = Walking(path)
            try:
                filled = self.fill(trial)
            except Infeasible:
                pass
            else:
                yield trial, filled
            path = trial.next_path()

    def encode(self, assignment: Assignment) -> NDArray[np.float64]:
        """Return the row of an assignment: codes in the order of `columns`, NaN where absent.

        Raises:
            ConfigError: for a value that is missing, superfluous, or cannot be.
        """
        trial = Given(assignment)
        self._decided(trial)
        for name in assignment:
            if name not in trial.codes:
                raise ConfigError(f"the hole {name!r} is not reached by this assignment")
        return self.row(trial.codes)

    def row(self, codes: Mapping[str, float]) -> NDArray[np.float64]:
        """Return codes by name as a row."""
        import numpy as np

        made = np.full(len(self.columns), np.nan)
        for name, code in codes.items():
            if name not in self.index:
                raise ConfigError(f"the hole {name!r} was not seen when the space was explored")
            made[self.index[name]] = code
        return made

    def decode(self, row: Sequence[float] | NDArray[np.float64]) -> dict[str, Value]:
        """Return the assignment of a row; codes of holes that are not reached are ignored.

        Raises:
            ConfigError: for a code that is missing or that no level has.
        """
        if len(row) != len(self.columns):
            raise ConfigError(f"a row has {len(self.columns)} codes, got {len(row)}")
        given = {
            column.name: column.value(float(code))
            for column, code in zip(self.columns, row, strict=True)
            if code == code
        }
        return self._decided(Given(given))[1]

    def count(self, **options: Any) -> Count:
        """Return how much the space holds and costs; see `archon.search.counting.count`."""
        from archon.search.counting import count

        return count(self, **options)

    def table(self, **options: Any) -> Table:
        """Return every architecture once, encoded, with its cost; see `tabulate`."""
        from archon.search.table import tabulate

        return tabulate(self, **options)


class TemplateSpace(Space):
    """A space that stands in a file."""

    def __init__(self, template: Template, again: Callable[[Mapping[str, Any]], Space]) -> None:
        self.template = template
        self._again = again
        self._fixed_models = not any(_holed(value) for value in template.models.values())

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """All holes, in the order of the file."""
        found: dict[str, Column] = {}
        template = self.template
        section = [template.names[name] for name in template.section]
        for part in [*section, template.body.node, *template.models.values()]:
            for column in columns(part):
                found.setdefault(column.name, column)
                if len(found) > MOST_COLUMNS:
                    raise ConfigError(
                        f"a space has at most {MOST_COLUMNS:,} holes, repeats included"
                    )
        return tuple(found.values())

    def ranked(self, groups: Mapping[str, Sequence[Json]]) -> Space:
        """Return the space with its groups in another order, such as that of a power ranking."""
        return self._again(groups)

    def fill(self, trial: Trial) -> Json:
        """Return the mapping of models and stages (or nodes) that a trial decides on."""
        return self.fill_with(self._filling(trial))

    def _filling(self, trial: Trial, *, located: bool = False) -> Filling:
        return Filling(self.template.body, self.template.requires, trial, located=located)

    def fill_with(self, filling: Filling) -> Json:
        """Return the mapping of models and stages (or nodes) that a filling makes."""
        filled = filling.fill()
        data = {**filled, "models": self._models(filled, filling)}
        if filling.located:
            filling.origins[id(data)] = filling.origins[id(filled)]
        filling.finish()
        return data

    def _models(self, data: Json, filling: Filling) -> dict[str, Any]:
        """Return the models; of those with holes only the ones that are used are decided on."""
        if self._fixed_models:
            return self.template.models
        used = set(_texts(data))
        return {
            name: filling.fill(settings) if _holed(settings) else settings
            for name, settings in self.template.models.items()
            if not _holed(settings) or name in used
        }

    def built(self, trial: Trial) -> Architecture:
        """Return the architecture that a trial decides on."""
        filling = self._filling(trial, located=True)
        data = self.fill_with(filling)

        def where(container: object, key: object = None) -> str:
            source, keys = filling.origins.get(id(container), (container, {}))
            return self.template.where(source, keys.get(key, key))

        try:
            if "stages" not in data and "nodes" not in data:
                place = where(data, self.template.body.node.parts[0][0])
                raise ConfigError("nothing is left of the stages", where=place)
            return parse(data, where)
        except ConfigError as error:
            raise illegal(error, trial) from None


def illegal(error: ConfigError, trial: Trial) -> ConfigError:
    """Return an architecture's error with the decisions that led to it."""
    assignment = trial.assignment()
    if not assignment:
        return error
    return type(error)(f"{error.message} (with {shown(assignment)})", where=error.where)


class FunctionSpace(Space):
    """A space that a function spans: it asks a trial and returns an architecture.

    Which holes there are is found by walking: all decisions up to `explored`, beyond that random
    ones. A hole that neither meets is an error when it is encoded.

    Args:
        function: takes a `Trial`, whose methods have Optuna's names.
        explored: assignments to walk, and to draw where those are not all.
    """

    def __init__(self, function: Callable[[Trial], Node], *, explored: int = 2000) -> None:
        self.function = function
        self.explored = explored

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The holes that exploring meets."""
        found: dict[str, Column] = {}
        for trial in self._explored():
            for name, column in trial.asked.items():
                if found.setdefault(name, column) != column:
                    raise ConfigError(
                        f"the hole {name!r} has different values in different architectures; give"
                        " each a name of its own"
                    )
        return tuple(found.values())

    def _explored(self) -> Iterator[Trial]:
        path: Sequence[int] = ()
        for _ in range(self.explored):
            walking = _Exploring(path)
            self._asked(walking)
            yield walking
            following = walking.next_path()
            if following is None:
                return
            path = following
        rng = random.Random(0)
        for _ in range(self.explored):
            trial = Randomly(rng)
            self._asked(trial)
            yield trial

    def _asked(self, trial: Trial) -> None:
        try:
            self.function(trial)
        except (Infeasible, ConfigError):
            if not trial.asked:
                raise

    def fill(self, trial: Trial) -> Json:
        """Return the architecture."""
        return self.built(trial)

    def built(self, trial: Trial) -> Architecture:
        """Return the architecture that a trial decides on."""
        try:
            made = self.function(trial)
            if not isinstance(made, Node):
                raise ConfigError(
                    f"a space's function returns an architecture, got {type(made).__name__}"
                )
            return as_architecture(made).check()
        except ConfigError as error:
            raise illegal(error, trial) from None


class _Exploring(Walking):
    """Walks past holes without levels as if they had one."""

    def decide(self, column: Column, allowed: Sequence[int]) -> float:
        return column.low if column.kind == "real" else super().decide(column, allowed)


def read_space(
    source: str | Path | Source | Json,
    groups: Mapping[str, Sequence[Json]] | None = None,
    where: Callable[[object, object], str] | None = None,
) -> TemplateSpace:
    """Read a space from a file of its own, or from data that a search file holds.

    Raises:
        ConfigError: with file and line, what is wrong and what would be right.
    """
    if isinstance(source, (str, Path)):
        source = read_yaml(source, TAGS)
    if isinstance(source, Source):
        return read_space(source.data, groups, source.where)
    at = where or (lambda container, key: "")
    template = read_template(source, at, groups)
    return TemplateSpace(template, lambda given: read_space(source, given, at))


def shown(assignment: Assignment, most: int = 12) -> str:
    """Return an assignment in one line.

    >>> shown({"samples": 3, "mode": "list"})
    'samples=3, mode=list'
    """
    parts = [f"{name}={value}" for name, value in assignment.items()]
    rest = f" and {len(parts) - most} more" if len(parts) > most else ""
    return ", ".join(parts[:most]) + rest


def _holed(value: object) -> bool:
    from archon.search.template import Node as Hole

    return isinstance(value, (Hole, Tagged))


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
