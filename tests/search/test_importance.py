"""Importance of holes where it is known which one decides."""

from __future__ import annotations

import warnings

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray

from archon.search import importance
from archon.search.importance import LEAST, importances
from archon.search.record import Hole

HOLES = (
    Hole(name="samples", kind="ordinal", levels=(1, 2, 4, 8)),
    Hole(name="model", kind="categorical", levels=("a", "b", "c")),
    Hole(name="heat", kind="real", low=0.0, high=1.0),
)


def rows(n: int = 60) -> NDArray[np.float64]:
    """Return rows in which `heat` is reached with the first model only."""
    rng = np.random.default_rng(0)
    made = np.column_stack([rng.integers(0, 4, n), rng.integers(0, 3, n), rng.random(n)])
    made[made[:, 1] != 0, 2] = np.nan
    return made


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little effort where intervals do not matter."""
    monkeypatch.setattr(importance, "HALVES", 1)
    monkeypatch.setattr(importance, "SHUFFLES", 4)


def test_the_hole_that_decides() -> None:
    found, judged = importances(HOLES, rows(), rows()[:, :1])
    assert judged == 60
    assert found[0].hole == "samples"
    assert found[0].share > 0.7
    assert found[0].beyond_chance
    assert found[0].low <= found[0].share <= found[0].high
    assert sum(one.share for one in found) == pytest.approx(1)
    reached = {one.hole: one.reached for one in found}
    assert reached == {"samples": 60, "model": 60, "heat": int((rows()[:, 1] == 0).sum())}


def test_the_shares_are_those_of_optuna(few: None) -> None:
    space = {
        "samples": optuna.distributions.IntDistribution(0, 3),
        "model": optuna.distributions.CategoricalDistribution((0, 1, 2)),
        "heat": optuna.distributions.FloatDistribution(0, 1),
    }
    study = optuna.create_study(direction="maximize")
    for samples, model, heat in rows().tolist():
        params = {"samples": int(samples), "model": int(model)}
        params |= {} if heat != heat else {"heat": heat}
        study.add_trial(
            optuna.trial.create_trial(
                params=params, distributions={name: space[name] for name in params},
                value=samples + 0.1 * model,
            )
        )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = optuna.importance.get_param_importances(study)
    merits = (rows()[:, 0] + 0.1 * rows()[:, 1])[:, None]
    ours = {one.hole: one.share for one in importances(HOLES, rows(), merits)[0]}
    assert ours == pytest.approx(theirs)


def test_two_objectives(few: None) -> None:
    # More samples are better and dearer, so every one of them is on the front; the model decides.
    merits = np.column_stack([rows()[:, 0] - 4 * rows()[:, 1], -rows()[:, 0]])
    found, _ = importances(HOLES[:2], rows()[:, :2], merits)
    assert found[0].hole == "model"
    assert found[0].beyond_chance


def test_noise_is_not_beyond_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "HALVES", 1)
    counted = 0
    for seed in range(2):
        merits = np.random.default_rng(100 + seed).random((30, 1))
        counted += sum(one.beyond_chance for one in importances(HOLES, rows(30), merits, seed)[0])
    assert counted <= 2  # of six; one in twenty each by chance


def test_nothing_to_say() -> None:
    assert importances(HOLES, rows(LEAST - 1), rows(LEAST - 1)[:, :1]) == ([], LEAST - 1)
    assert importances(HOLES, rows(), np.ones((60, 1))) == ([], 60)
    merits = rows()[:, :1].copy()
    merits[10:] = np.nan
    assert importances(HOLES, rows(), merits) == ([], 10)
    assert importances(HOLES, rows()[:0], np.ones((0, 1))) == ([], 0)
