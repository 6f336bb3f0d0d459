"""Trials as Optuna keeps them: distributions of fixed width, and frozen trials of what was told."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from archon.search.books import Books, Told
from archon.search.holes import Column
from archon.types import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

__all__ = ["ABSENT", "Translation", "broken_limits", "cheap", "directions"]

Direction = Literal["maximize", "minimize"]
ABSENT = "absent"
"""The level of a hole that is not reached; code -1 of one with an order."""


def directions(objectives: Sequence[str]) -> list[Direction]:
    """Return Optuna's directions: the score is maximised, costs are minimised."""
    return ["maximize" if name == "score" else "minimize" for name in objectives]


class Translation:
    """Rows of a table as Optuna's parameters and back.

    Labels are categories with one for `absent`; levels with an order are their codes from 0, -1
    for absent, which so lies beside the least; a real hole that is absent is told as its middle.

    Attributes:
        space: a distribution for each hole: every trial has every parameter.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.labels = {
            column.name: [f"{code}: {level}" for code, level in enumerate(column.levels)]
            for column in columns
            if column.kind == "categorical"
        }
        self.space = {column.name: self._distribution(column) for column in columns}

    def _distribution(self, column: Column) -> BaseDistribution:
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if column.kind == "real":
            return FloatDistribution(column.low, column.high, log=column.log)
        if column.kind == "ordinal":
            return IntDistribution(-1, len(column.levels) - 1)
        return CategoricalDistribution((*self.labels[column.name], ABSENT))

    def params(self, row: NDArray[np.float64]) -> dict[str, Any]:
        """Return the parameters of a row."""
        made: dict[str, Any] = {}
        for column, code in zip(self.columns, row.tolist(), strict=True):
            gone = math.isnan(code)
            if column.kind == "real":
                made[column.name] = _middle(column) if gone else code
            elif column.kind == "ordinal":
                made[column.name] = -1 if gone else int(code)
            else:
                made[column.name] = ABSENT if gone else self.labels[column.name][int(code)]
        return made

    def row(self, params: Mapping[str, Any]) -> NDArray[np.float64]:
        """Invert `params`; a real hole is never absent."""
        import numpy as np

        row = np.full(len(self.columns), np.nan)
        for place, column in enumerate(self.columns):
            value = params[column.name]
            if column.kind == "categorical":
                if value != ABSENT:
                    row[place] = self.labels[column.name].index(value)
            elif column.kind == "real" or value >= 0:
                row[place] = value
        return row

    def trial(
        self,
        told: Told,
        row: NDArray[np.float64],
        broken: Mapping[str, float],
        attributes: dict[str, Json] | None = None,
    ) -> FrozenTrial:
        """Return a told trial as Optuna's: its row's parameters, its values, its constraints.

        Args:
            told: the trial.
            row: its arm's.
            broken: by limit how far it is above; what is above 0 is infeasible.
            attributes: for people and dashboards.
        """
        from optuna.trial import TrialState, create_trial

        good = told.state == "done" and not any(map(math.isnan, told.values))
        return create_trial(
            state=TrialState.COMPLETE if good else TrialState.FAIL,
            params=self.params(row),
            distributions=self.space,
            values=list(told.values) if good else None,
            user_attrs=attributes,
            system_attrs={f"constraints:{name}": value for name, value in broken.items()},
        )


def cheap(trial: FrozenTrial) -> FrozenTrial:
    """Return a trial that a study in memory takes over as it is.

    Optuna copies each trial it is given, with its distributions: most of the time of a round.
    Nobody changes one that has ended.
    """
    made = copy.copy(trial)
    vars(made)["__deepcopy__"] = lambda memo: copy.copy(trial)
    return made


def _middle(column: Column) -> float:
    if column.log:
        return math.sqrt(column.low * column.high)
    return (column.low + column.high) / 2


def broken_limits(books: Books) -> dict[int, dict[str, float]]:
    """Return by arm how far it is above each limit of kind `mean`; nothing without limits."""
    found: dict[int, dict[str, float]] = {}
    for name, excess in books.excesses().items():
        for arm, value in zip(books.arms.tolist(), excess.tolist(), strict=True):
            if not math.isnan(value):
                found.setdefault(arm, {})[name] = value
    return found
