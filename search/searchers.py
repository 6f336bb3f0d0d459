"""Engines of a search: what proposes architectures, given the books, and what recommends some.

A searcher is a pure function of the books. It keeps nothing, reads no clock and takes its chance
from `books.chance(…)`, so that a study resumes by asking again and equal seeds give equal studies.

A package offers its own by an entry point, or a search file names it as `module:name`:

    [project.entry-points."archon.searchers"]
    mine = "my_package.my_searcher"      # a module that calls SEARCHERS.add("mine", Mine)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from archon.errors import ConfigError
from archon.registry import Registry
from archon.search.books import Books, Proposal, Standing
from archon.search.posterior import standings

__all__ = ["SEARCHERS", "Grid", "Random", "Searcher", "more_items", "searcher_of"]


@runtime_checkable
class Searcher(Protocol):
    """What a study asks."""

    def ask(self, books: Books) -> Sequence[Proposal]:
        """Return the proposals of a round; none when it is out of ideas."""

    def recommend(self, books: Books) -> Sequence[Standing]:
        """Return what is believed of the measured arms, best first; never the raw maximum."""


SEARCHERS: Registry[Callable[..., Searcher]] = Registry("archon.searchers", "searcher")
"""Factories by name; keyword arguments are the settings in the search file."""

FIRST = 128
"""Items that a new architecture is tried on, before anything speaks for more."""


def more_items(books: Books, arm: int, first: int) -> Proposal | None:
    """Return the next proposal for an arm: its first items, then twice as many, then the rest.

    None when it has seen all of them.
    """
    seen = books.seen(arm)
    if seen >= books.items:
        return None
    stop = min(books.items, first if seen == 0 else 2 * seen)
    if 2 * (books.items - stop) < stop:  # a rest that is not worth a trial of its own
        stop = books.items
    return Proposal(arm, seen, stop, "more items" if seen else "")


class Random:
    """Architectures by chance, each as likely as any other, none twice.

    Args:
        items: how many each is measured on; all of them if left out.
    """

    def __init__(self, *, items: int | None = None) -> None:
        self.items = items

    def ask(self, books: Books) -> Sequence[Proposal]:
        """Return rows that were not tried."""
        import numpy as np

        left = np.flatnonzero(_untried(books))
        rng = np.random.default_rng(books.chance("random"))
        taken = rng.choice(left, min(books.batch, len(left)), replace=False)
        return [Proposal(int(arm), 0, _upto(books, self.items)) for arm in taken]

    def recommend(self, books: Books) -> Sequence[Standing]:
        """Return the posterior's order."""
        return standings(books)


class Grid(Random):
    """Every architecture in the order of the table.

    Args:
        items: how many each is measured on; all of them if left out.
    """

    def ask(self, books: Books) -> Sequence[Proposal]:
        """Return the first rows that were not tried."""
        import numpy as np

        left = np.flatnonzero(_untried(books))
        return [Proposal(int(arm), 0, _upto(books, self.items)) for arm in left[: books.batch]]


def _untried(books: Books) -> Any:
    free = books.open.copy()
    free[books.arms] = False
    return free


def _upto(books: Books, items: int | None) -> int:
    return books.items if items is None else min(items, books.items)


def searcher_of(name: str, settings: Mapping[str, Any]) -> Searcher:
    """Return a searcher by its name, or from `module:name`, with its settings.

    Raises:
        ConfigError: for an unknown name, a module that is not there, or settings it does not take.
    """
    factory = _imported(name) if ":" in name else SEARCHERS.get(name)
    try:
        made = factory(**settings)
    except TypeError as error:
        raise ConfigError(f"searcher {name!r}: {error}") from None
    if not isinstance(made, Searcher):
        raise ConfigError(f"searcher {name!r} has no `ask` and `recommend`")
    return made


def _imported(name: str) -> Callable[..., Searcher]:
    module, _, attribute = name.partition(":")
    try:
        found: Callable[..., Searcher] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"searcher {name!r} cannot be imported: {error}") from None
    return found


def _optuna(kind: str) -> Callable[..., Searcher]:
    def make(**settings: Any) -> Searcher:
        from archon.search.samplers import Sampled  # kept out of what needs no Optuna

        return Sampled(kind, **settings)

    make.__qualname__ = f"optuna {kind}"
    return make


def _race(**settings: Any) -> Searcher:
    from archon.search.racer import Race

    return Race(**settings)


def _thompson(**settings: Any) -> Searcher:
    from archon.search.thompson import Thompson

    return Thompson(**settings)


def _built_in() -> Iterator[tuple[str, Callable[..., Searcher]]]:
    yield "random", Random
    yield "grid", Grid
    yield "race", _race
    yield "thompson", _thompson
    for kind in ("tpe", "gp", "nsga2", "paper"):
        yield kind, _optuna(kind)


for _name, _factory in _built_in():
    SEARCHERS.add(_name, _factory)
