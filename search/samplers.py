"""Optuna's samplers as searchers: TPE, GP, NSGA-II, and the original paper's method.

Conditional holes fall out of a sampler's model unless every trial has every parameter, so rows
have a fixed width with a level for "absent". A sampler may suggest what is no architecture or does
not fit the limits: the nearest row that does is proposed, and it is that row's own parameters that
are told. A row that was proposed before gets more items, and is told again as a further trial.

Nothing of a sampler is kept: each round fills a study in memory with the best and the latest
trials of the books and seeds the sampler by the round.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from archon.errors import ConfigError
from archon.search.books import Books, Proposal, Standing, Told
from archon.search.posterior import distances, standings, units_of
from archon.search.searchers import FIRST, more_items
from archon.search.shown import Shown
from archon.search.told import Translation, broken_limits, cheap, directions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from optuna.samplers import BaseSampler
    from optuna.study import Study as OptunaStudy

__all__ = ["Sampled"]

SEEN = {"tpe": 200, "nsga2": 400, "gp": 120, "paper": 600}
"""Trials that a sampler is shown: the best half and the latest half. A Gaussian process needs the
cube of it in time; the paper's method needs all of its 230 starts and what follows."""
STARTS = 230
"""Random architectures before the paper's method begins to model (appendix A.4.2)."""


class Sampled:
    """A sampler of Optuna.

    Args:
        kind: `tpe`, `gp`, `nsga2` or `paper`.
        items: how many a new architecture is measured on; `paper` uses all, as it did.
        **settings: of Optuna's class.
    """

    def __init__(self, kind: str, *, items: int | None = None, **settings: Any) -> None:
        self.kind, self.items = kind, items
        self.settings = settings
        self._views: WeakKeyDictionary[Books, Shown] = WeakKeyDictionary()
        """What was worked out of books: it saves time, and nothing depends on it."""
        if kind == "paper":
            self.starts = int(settings.pop("starts", STARTS))
        self._sampler(0)  # settings that Optuna does not take are found now

    def _sampler(self, seed: int) -> BaseSampler:
        import optuna

        given = {"seed": seed % (1 << 32), **self.settings}
        try:
            if self.kind == "tpe":
                return optuna.samplers.TPESampler(**given)
            if self.kind == "gp":
                return optuna.samplers.GPSampler(**given)
            if self.kind == "nsga2":
                return optuna.samplers.NSGAIISampler(**given)
            return optuna.samplers.GPSampler(**{"n_startup_trials": self.starts, **given})
        except (TypeError, ValueError) as error:
            raise ConfigError(f"searcher {self.kind!r}: {error}") from None

    def ask(self, books: Books) -> Sequence[Proposal]:
        """Return a round of proposals."""
        telling = Translation(books.table.columns)
        study = self._study(books, telling)
        found: dict[int, Proposal] = {}
        while len(found) < books.batch:
            row = telling.row(study.ask(telling.space).params)
            proposal = self._meant(books, row, found)
            if proposal is None:
                break
            found[proposal.arm] = proposal
        return list(found.values())

    def _meant(
        self, books: Books, row: NDArray[np.float64], taken: Container[int]
    ) -> Proposal | None:
        """Return what a suggestion stands for: the nearest row that has items left."""
        first = books.items if self.kind == "paper" else self.items or FIRST
        for arm in _nearest(books, row).tolist():
            if books.open[arm] and arm not in taken:
                proposal = more_items(books, arm, min(first, books.items))
                if proposal is not None:
                    return proposal
        return None

    def _study(self, books: Books, telling: Translation) -> OptunaStudy:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = self._sampler(books.chance("sampler"))
        study = optuna.create_study(sampler=sampler, directions=directions(books.objectives))
        broken, rows = broken_limits(books), books.table.rows
        study.add_trials(
            [
                cheap(telling.trial(told, rows[told.arm], broken.get(told.arm, {})))
                for told in self._shown(books)
            ]
        )
        return study

    def _shown(self, books: Books) -> list[Told]:
        """Return the trials that the sampler sees: all that are whole, or the best and latest."""
        shown = self._views.get(books)
        if shown is None:
            shown = self._views[books] = Shown(SEEN[self.kind])
        return shown.of(books)

    def recommend(self, books: Books) -> Sequence[Standing]:
        """Return the posterior's order."""
        return standings(books)


def _nearest(books: Books, row: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rows of the table in order of distance from a suggested one."""
    import numpy as np

    columns = books.table.columns
    unit = np.array(
        [np.nan if code != code else column.unit(code)
         for column, code in zip(columns, row, strict=True)]
    )  # fmt: skip
    kinds = np.array([column.kind == "categorical" for column in columns], bool)
    gaps = distances(unit[None], units_of(books)[0], kinds)[0]
    return np.argsort(gaps, kind="stable")
