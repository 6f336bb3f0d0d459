"""`archon.optimize`: search a space for the best architecture within a budget."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from archon import benchmarks
from archon.base import Architecture, Benchmark
from archon.benchmarks import own
from archon.budget import Budget
from archon.errors import ConfigError
from archon.plain import canonical
from archon.pool import Mode
from archon.search.conducting import Conductor
from archon.search.files import Benchmarked, SearchFile, read_search
from archon.search.searchers import Searcher, searcher_of
from archon.search.space import FunctionSpace, Space
from archon.search.study import Study, StudyProgress
from archon.search.trial import Trial
from archon.session import Session, as_budget, default_session

__all__ = ["Searchable", "aoptimize", "optimize"]

M = TypeVar("M", bound=BaseModel)

Searchable = SearchFile | Space | Callable[[Trial], Architecture] | str | Path
"""A search file or its name, a space, or a function of a trial that returns an architecture."""


def optimize(
    space: Searchable,
    benchmark: Benchmark | str | None = None,
    *,
    budget: Budget | str | None = None,
    searcher: Searcher | str | None = None,
    name: str = "",
    mode: Mode | None = None,
    session: Session | None = None,
    progress: Callable[[StudyProgress], None] | None = None,
    **settings: Any,
) -> Study:
    """Search for the best architecture; the same call again goes on where it was.

    Args:
        space: a search file or its name, a space, or a function `trial -> architecture`.
        benchmark: its name, or a benchmark; that of the search file if left out.
        budget: of the whole study, confirm and test included, such as `usd=5,calls=20000`.
        searcher: what proposes: a name, or an object with `ask` and `recommend`.
        name: of the study; equal names go on, whoever runs them.
        mode: `reuse` by default; `only` searches what the pool has and makes no call.
        session: where to run; a default one otherwise.
        progress: is told how far it is, in the session's own thread.
        **settings: of a search file: `items`, `objective`, `limits`, `trials`, `seeds`, `seed` …

    Raises:
        ConfigError: before any call, for what cannot work.
        BudgetRefused: for a budget that cannot be enforced.
    """
    session = session or default_session()
    return session.wait(
        aoptimize(
            space, benchmark, budget=budget, searcher=searcher, name=name, mode=mode,
            session=session, progress=progress, **settings,
        )
    )  # fmt: skip


async def aoptimize(
    space: Searchable,
    benchmark: Benchmark | str | None = None,
    *,
    budget: Budget | str | None = None,
    searcher: Searcher | str | None = None,
    name: str = "",
    mode: Mode | None = None,
    session: Session | None = None,
    progress: Callable[[StudyProgress], None] | None = None,
    **settings: Any,
) -> Study:
    """Search like `optimize`, in the caller's event loop."""
    session = session or default_session()
    search = _search(space, benchmark, settings)
    if budget is not None:
        search = search.model_copy(update={"budget": as_budget(budget)})
    given = search.searcher
    if isinstance(searcher, str):
        given = _valid(type(given), {"name": searcher})
    if searcher is not None and not isinstance(searcher, str):
        engine, about = searcher, _about(searcher)
    else:
        engine = searcher_of(given.name, given.settings)
        about = {"name": given.name, **given.settings}
    conductor = Conductor(
        search, session, _benchmark(search, benchmark), engine, about,
        _name(name or search.name, search), mode or session.mode, progress,
    )  # fmt: skip
    return await conductor.conduct()


def _search(
    space: Searchable, benchmark: Benchmark | str | None, settings: dict[str, Any]
) -> SearchFile:
    named: Benchmarked | None = None
    if isinstance(benchmark, str):
        named = Benchmarked(name=benchmark)
    elif benchmark is not None:
        named = Benchmarked(name=f"object:{benchmark.name}")  # which no file can name
    if isinstance(space, (str, Path)):
        space = read_search(space)
    if isinstance(space, SearchFile):
        changes = dict(settings) if named is None else {**settings, "benchmark": named}
        if not changes:
            return space
        kept = {field: getattr(space, field) for field in SearchFile.model_fields}
        return _valid(SearchFile, kept | changes)
    if named is None:
        raise ConfigError("optimize needs a benchmark")
    if not isinstance(space, Space):
        space = FunctionSpace(space)
    return _valid(SearchFile, {"space": space, "benchmark": named, **settings})


def _valid(model: type[M], data: dict[str, Any]) -> M:
    """Return a part of a search file made of Python values.

    Raises:
        ConfigError: naming the first setting that is wrong.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, first["loc"]))
        said = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigError(f"{path}: {said}") from None


def _benchmark(search: SearchFile, given: Benchmark | str | None) -> Benchmark:
    if given is not None and not isinstance(given, str):
        return given
    name, options = search.benchmark.name, search.benchmark.options
    return own.find(name, **options) or benchmarks.get(name, **options)


def _about(searcher: Searcher) -> dict[str, Any]:
    """Return what names an object that searches: its class and its plain settings."""
    kind = type(searcher)
    plain = {
        key: value for key, value in vars(searcher).items()
        if isinstance(value, (str, int, float, bool, type(None)))
    }  # fmt: skip
    return {"name": f"{kind.__module__}:{kind.__qualname__}", **plain}


def _name(name: str, search: SearchFile) -> str:
    """Return the study's name, as a folder can have it."""
    if name:
        return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "study"
    whole = canonical([[c.name for c in search.space.columns], search.benchmark.name, search.seed])
    return f"study-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
