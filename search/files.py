"""Search files: a space, a benchmark, an objective, what may be spent; all else has defaults."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from archon.budget import Budget
from archon.config import Source, Tagged, read_yaml, shipped
from archon.errors import ConfigError, did_you_mean
from archon.search.reading import TAGS
from archon.search.space import Space, TemplateSpace, read_space
from archon.types import Json

__all__ = [
    "SEEDS",
    "Benchmarked",
    "Concurrency",
    "Limits",
    "Objective",
    "Ranking",
    "SearchFile",
    "Searcher",
    "Sizes",
    "read_search",
    "shipped_searches",
]  # fmt: skip

SEEDS = ("single", "self-consistency", "best-of-n", "ensemble-fuse")
"""Architectures that every search can try first, made of the space's own models."""

Objective = Literal["score", "usd", "calls", "tokens", "latency", "flops", "cost_of_pass"]
"""What is sought: the score as high, everything else as low as possible, means over items.
`latency` is in seconds; `cost_of_pass` in dollars for each right answer."""

Size = Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)]
"""So many items, or a share of the benchmark's items."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _as_budget(value: object) -> object:
    return Budget.parse(value).model_dump(exclude_none=True) if isinstance(value, str) else value


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Benchmarked(BaseModel):
    """A benchmark with its options, such as `{name: arithmetic, level: 3}`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(description="as in `archon benchmarks`, or a file of your own")

    @property
    def options(self) -> dict[str, Any]:
        """The benchmark's own options."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _known(self) -> Benchmarked:
        if "/" in self.name or "." in self.name or ":" in self.name:
            return self  # data of one's own, which are read when they are needed
        from archon.base import BENCHMARKS

        known = inspect.signature(BENCHMARKS.get(self.name)).parameters
        for option in self.options:
            if option not in known:
                near = did_you_mean(option, known)
                raise ConfigError(f"benchmark {self.name!r} has no option {option!r}{near}")
        return self


class Sizes(_Part):
    """How many items each stage may use: a number, or a share of the split below 1.

    `dev` and `confirm` come from the development split (of the test split where a benchmark has
    no other), `test` from the test split; no item is in two of them.
    """

    dev: Size | None = Field(300, description="items that the search looks at; null: all")
    confirm: Size | None = Field(300, description="items that choose among the finalists")
    test: Size | None = Field(None, description="items of the printed score; null: all")


class Mean(_Part):
    """Measured means over items that an architecture must keep to."""

    calls: float | None = Field(None, gt=0)
    tokens: float | None = Field(None, gt=0)
    usd: float | None = Field(None, gt=0)
    flops: float | None = Field(None, gt=0)
    latency: float | None = Field(None, gt=0, description="seconds")
    cost_of_pass: float | None = Field(None, gt=0, description="dollars for each right answer")


class Limits(_Part):
    """What one item may cost, and how good an answer must be.

    An architecture above a limit of kind `max` is never tried: its bound is known before. Those
    of kind `mean` are learnt, and what breaks one is infeasible, never a bad score.
    """

    max: Budget | None = Field(None, description="on the bound of an architecture")
    mean: Mean | None = Field(None, description="on the measured mean")
    score: float | None = Field(None, ge=0, le=1, description="the mean score to reach at least")

    @field_validator("max", mode="before")
    @classmethod
    def _budget(cls, value: object) -> object:
        return _as_budget(value)

    @field_validator("max")
    @classmethod
    def _bounded(cls, value: Budget | None) -> Budget | None:
        if value is not None and value.seconds is not None:
            raise ValueError("no bound knows seconds; limit the latency under `mean`")
        return value


class Ranking(_Part):
    """How the models of a group are put in order before the search begins, best first."""

    role: Literal["generate", "fuse"] = Field(
        description="alone, or as fuser of the best writer's answers"
    )
    items: Size | None = Field(100, description="of dev; null: all of it")
    of: int = Field(10, ge=1, description="with fuse: how many answers are fused")


class Searcher(BaseModel):
    """What proposes architectures, with settings of its own."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = "race"

    @property
    def settings(self) -> dict[str, Any]:
        """The searcher's own settings."""
        return dict(self.model_extra or {})

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        from archon.search.searchers import SEARCHERS

        if ":" not in name and name not in SEARCHERS.all():
            raise ValueError(
                f"unknown searcher {name!r}{did_you_mean(name, SEARCHERS.all())}"
                " (one of your own is written `module:name`)"
            )
        return name


class Concurrency(_Part):
    """How much runs at once."""

    trials: int = Field(4, ge=1, le=1024)
    items: int = Field(64, ge=1, le=100_000, description="of all trials together")


class SearchFile(_Part):
    """Everything that a study is told.

    Attributes:
        source: the file; empty for text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str = ""
    description: str = ""
    space: Space = Field(description="an architecture with holes, or the file of one")
    power_ranking: dict[str, Ranking] = Field(
        default_factory=dict, description="groups of the space that are ordered first"
    )
    benchmark: Annotated[Benchmarked, BeforeValidator(_named)]
    items: Sizes = Sizes()
    objective: Annotated[tuple[Objective, ...], BeforeValidator(_listed)] = Field(
        ("score",), min_length=1, description="several: the Pareto front"
    )
    limits: Limits = Limits()
    budget: Annotated[Budget, BeforeValidator(_as_budget)] = Field(
        Budget(), description="of the whole study, such as {usd: 20, calls: 50000}"
    )
    trials: int | None = Field(None, ge=1, description="architectures to try at most")
    reserve: float = Field(
        0.3, ge=0, lt=1, description="share of the budget held for confirm, test and baselines"
    )
    seeds: tuple[str, ...] = Field(
        SEEDS, description="tried first: names of built-in ones, architectures, files"
    )
    all_draws: bool = Field(
        True, description="value what only selects by all draws of an item, not by its first ones"
    )
    searcher: Annotated[Searcher, BeforeValidator(_named)] = Searcher()
    concurrency: Concurrency = Concurrency()
    seed: int = Field(0, ge=0, description="of everything that chance decides")
    source: str = Field("", exclude=True)

    @field_validator("objective")
    @classmethod
    def _different(cls, value: tuple[Objective, ...]) -> tuple[Objective, ...]:
        if len(set(value)) < len(value):
            raise ValueError("an objective stands there twice")
        return value

    @model_validator(mode="after")
    def _fitting(self) -> SearchFile:
        groups = self.space.template.groups if isinstance(self.space, TemplateSpace) else {}
        for name in self.power_ranking:
            if name not in groups:
                raise ConfigError(
                    f"power_ranking: the space has no group {name!r}{did_you_mean(name, groups)}"
                )
        return self


def read_search(source: str | Path | Source) -> SearchFile:
    """Read a search file; needs no key, weights or network.

    Args:
        source: a file, or the name of one that comes with archon, such as `paper`.

    Raises:
        ConfigError: with file and line, what is wrong and what would be right.
    """
    if not isinstance(source, Source):
        known = shipped_searches()
        if str(source) in known and not Path(source).exists():
            source = known[str(source)]
        source = read_yaml(source, TAGS)
    return _Reading(source).search()


class _Reading:
    """One search file on its way from YAML."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.folder = Path(source.name).parent

    def search(self) -> SearchFile:
        data = self.source.data
        if not isinstance(data, dict):
            raise ConfigError(
                "a search file is a mapping with `space` and `benchmark`", where=self.source.name
            )
        for key, value in data.items():
            if key not in SearchFile.model_fields or key == "source":
                near = did_you_mean(str(key), [*SearchFile.model_fields][:-1])
                self.fail(f"unknown key {key!r} in a search file{near}", data, key)
            if key != "space" and (tagged := _first_tag(value)) is not None:
                raise ConfigError(
                    f"{tagged.tag} cannot stand in {key!r}: only the space has holes",
                    where=tagged.where,
                )
        if "space" not in data:
            self.fail("a search file needs `space`", data)
        given = {**data, "space": self.space(data), "source": self.source.name}
        try:
            made = SearchFile.model_validate(given)
        except ValidationError as error:
            self.explain(error, data)
        except ConfigError as error:
            raise error.at(self.source.where(data)) from None
        self.check_seeds(made, data)
        return made

    def fail(self, message: str, container: object, key: object = None) -> Any:
        raise ConfigError(message, where=self.source.where(container, key))

    def space(self, data: dict[Any, Json]) -> Space:
        space = data["space"]
        if isinstance(space, str):
            try:
                return read_space(self.folder / space)
            except ConfigError as error:
                raise error.at(self.source.where(data, "space")) from None
        if not isinstance(space, dict):
            self.fail("`space` is an architecture with holes, or the file of one", data, "space")
        return read_space(space, where=self.source.where)

    def check_seeds(self, made: SearchFile, data: dict[Any, Json]) -> None:
        known = [*SEEDS, *shipped()]
        for index, seed in enumerate(made.seeds):
            if seed not in known and not (self.folder / seed).is_file():
                near = did_you_mean(seed, known)
                self.fail(f"unknown seed {seed!r}, and no such file{near}", data["seeds"], index)

    def explain(self, error: ValidationError, data: dict[Any, Json]) -> None:
        """Raise the first error of pydantic in one line with its place."""
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        container: Any = data
        place = self.source.where(data)
        named: list[str] = []
        for part in first["loc"]:
            if isinstance(container, Mapping) and part in container:
                named.append(str(part))
            elif not (isinstance(container, list) and part in range(len(container))):
                break
            place = self.source.where(container, part)
            container = container[part]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, ConfigError):
            raise cause.at(place) from None
        raise ConfigError(_said(first, ".".join(named)), where=place) from None


def _said(first: Any, path: str) -> str:
    field = str(first["loc"][-1]) if first["loc"] else ""
    if first["type"] == "missing":
        return f"{path or 'a search file'} needs {field!r}"
    if first["type"] == "extra_forbidden":
        return f"unknown key {field!r}{' in ' + path.rpartition('.')[0] if '.' in path else ''}"
    message = str(first["msg"]).removeprefix("Value error, ")
    shown = repr(first["input"])
    shown = shown if len(shown) <= 60 else f"{shown[:57]}…"
    return f"{path}: {message[:1].lower()}{message[1:]}, got {shown}"


def _first_tag(value: Json) -> Tagged | None:
    if isinstance(value, Tagged):
        return value
    inside: Sequence[Json] = ()
    if isinstance(value, dict):
        inside = list(value.values())
    elif isinstance(value, list):
        inside = value
    return next((found for item in inside if (found := _first_tag(item)) is not None), None)


def shipped_searches() -> dict[str, Path]:
    """Return the search files that come with archon, by name, such as `paper`."""
    from importlib.resources import files

    root = Path(str(files("archon.configs"))) / "search"
    return {path.stem: path for path in sorted(root.glob("*.yaml"))}
