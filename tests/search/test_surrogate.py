from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from archon.search.arms import Arms, Block
from archon.search.kernels import Levels
from archon.search.measured import Measured
from archon.search.surrogate import Surrogate
from tests.search.spaces import grid


def arms_of(columns: list[list[float]], kinds: tuple[str, ...]) -> Arms:
    units = np.array(columns).T
    pointers = np.arange(len(units) + 1)
    return Arms(units, kinds, pointers, np.arange(len(units)))  # type: ignore[arg-type]


def test_a_matern_kernel_by_hand() -> None:
    levels = Levels(arms_of([[0.0, 0.5, 1.0]], ("ordinal",)))
    kernel, _ = levels.table(0, 0.5)
    r = np.sqrt(5.0) * 1.0  # places 0 and 0.5 at length 0.5
    assert kernel[0, 1] == pytest.approx((1 + r + r * r / 3) * np.exp(-r))
    assert np.diag(kernel).tolist() == [1.0, 1.0, 1.0]


def test_categories_are_equal_or_not() -> None:
    kernel, _ = Levels(arms_of([[0.0, 0.5, 1.0]], ("categorical",))).table(0, 2.0)
    assert kernel[0, 1] == kernel[0, 2] == pytest.approx(np.exp(-0.5))


def test_absent_is_half_like_any_level_and_the_table_a_covariance() -> None:
    levels = Levels(arms_of([[0.0, np.nan, 1.0]], ("ordinal",)))
    kernel, _ = levels.table(0, 0.7)
    assert levels.codes[:, 0].tolist() == [0, 2, 1]
    assert kernel[2].tolist() == [0.5, 0.5, 1.0]
    assert np.linalg.eigvalsh(kernel).min() > 0


@pytest.mark.parametrize("kind", ["ordinal", "categorical"])
def test_the_slope_of_a_table_is_its_derivative(kind: str) -> None:
    levels = Levels(arms_of([[0.0, 0.3, np.nan, 1.0]], (kind,)))
    _, slope = levels.table(0, 0.6)
    step = 1e-6
    above, _ = levels.table(0, 0.6 * np.exp(step))
    below, _ = levels.table(0, 0.6 * np.exp(-step))
    assert slope == pytest.approx((above - below) / (2 * step), abs=1e-6)


def test_many_distinct_values_are_cut_into_groups() -> None:
    values = np.linspace(0, 1, 200).tolist()
    levels = Levels(arms_of([values], ("real",)))
    assert levels.codes[:, 0].max() == 23
    assert (np.diff(levels.codes[:, 0]) >= 0).all()


def measured_on(arms: Arms, values: np.ndarray, items: int, count: int = 30) -> Measured:
    chance = np.random.default_rng(1)
    measured = Measured()
    for number in range(4):
        block = Block("dev", number * items, (number + 1) * items)
        for arm in chance.choice(len(arms), count, replace=False):
            scores = (chance.random(items) < values[arm]).astype(float)
            measured.add(int(arm), block, scores)
    return measured


def test_the_posterior_is_that_of_the_textbook() -> None:
    """Against conditioning a joint normal by matrix inversion, with the same settings."""
    arms = grid()
    values = 0.4 + 0.3 * arms.units[:, 0]
    measured = measured_on(arms, values, 20, 8)
    surrogate = Surrogate(arms)
    posterior = surrogate.given(measured)
    seen, blocks, sizes, means = measured.arrays()
    everything = np.arange(len(arms))
    prior = surrogate.covariance(everything, everything)
    noise = surrogate.effects.between(seen, blocks, seen, blocks, sizes)
    inverse = np.linalg.inv(prior[seen][:, seen] + noise + 1e-6 * np.eye(len(seen)))
    trend = surrogate.trend(everything)
    level = (means - trend[seen]).mean()
    gain = prior[:, seen] @ inverse
    wanted = level + trend + gain @ (means - level - trend[seen])
    left = prior - gain @ prior[seen]
    mean, covariance = posterior.joint(everything)
    assert mean == pytest.approx(wanted, abs=1e-6)
    assert covariance == pytest.approx(left, abs=1e-6)
    marginal, spread = posterior.marginals()
    assert marginal == pytest.approx(wanted, abs=1e-6)
    assert spread == pytest.approx(np.sqrt(np.diag(left)), abs=1e-5)


def test_what_matters_is_learnt() -> None:
    arms = grid()
    values = 0.3 + 0.5 * arms.units[:, 1]
    means, _ = Surrogate(arms).given(measured_on(arms, values, 40)).marginals()
    assert np.corrcoef(means, values)[0, 1] > 0.95


def test_more_items_weigh_more() -> None:
    arms = grid((3,))
    few, many = Measured(), Measured()
    for measured, items in ((few, 5), (many, 200)):
        measured.add(0, Block("dev", 0, items), np.zeros(items))
        measured.add(2, Block("dev", 0, items), np.ones(items))
    gaps = []
    for measured in (few, many):
        means, _ = Surrogate(arms).given(measured).marginals()
        gaps.append(means[2] - means[0])
    assert gaps[0] < gaps[1]


def test_the_items_in_common_are_taken_out() -> None:
    """Arm 1 met harder items than arm 0; only on the items of both is it no worse."""
    arms = grid((2,))
    chance = np.random.default_rng(0)
    hard = (chance.random(60) < 0.2).astype(float)
    easy = (chance.random(60) < 0.9).astype(float)
    measured = Measured()
    measured.add(0, Block("dev", 0, 60), easy)
    measured.add(0, Block("dev", 60, 120), hard)
    measured.add(1, Block("dev", 60, 120), hard)
    means, _ = Surrogate(arms).given(measured).marginals()
    raw_gap = (easy.mean() + hard.mean()) / 2 - hard.mean()
    assert abs(means[0] - means[1]) < raw_gap / 2


def test_the_fit_follows_the_gradient_of_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.optimize

    seen = []

    def caught(loss: object, start: np.ndarray, **_: object) -> object:
        seen.append((loss, start))
        return scipy.optimize.OptimizeResult(x=start)

    monkeypatch.setattr(scipy.optimize, "minimize", caught)
    arms = grid((4, 3))
    Surrogate(arms).given(measured_on(arms, 0.3 + 0.4 * arms.units[:, 0], 10, 6))
    [(loss, start)] = seen
    away = start + np.random.default_rng(2).normal(0, 0.3, len(start))
    error = check_grad(lambda x: loss(x)[0], lambda x: loss(x)[1], away)  # type: ignore[operator]
    assert error < 1e-4 * np.abs(loss(away)[1]).max()  # type: ignore[operator]
