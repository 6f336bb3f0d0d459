"""Other ways to search, on the same ground: each measures whole architectures on a fixed set.

A rival proposes one architecture after the other, is told the share of right answers on the first
`items` of the development split, and recommends the highest share it has seen. Proposals that are
not in the space are told -1 and cost nothing. What a trial pays is counted twice: every call, and
only calls that no trial before it made (the same search with our sharing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archon.benchmarks.search.space import CHECKS, FUSIONS, GENERATORS, SHAPE, WIDTHS
from archon.search.arms import Block, Paid

if TYPE_CHECKING:
    from archon.benchmarks.search.ground import Ground

__all__ = ["RIVALS", "Rival", "Trial", "trials"]

Score = Callable[[int | None], float]
"""Tells the score of an arm; of what is not in the space, -1."""

SIZES = (30, 100, 300, 1000)
"""Items of the development split that a rival is tried with; its best one counts."""

_STARTS = 230
"""Random trials of the paper's method (Archon, appendix A.4.2)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One measured architecture.

    Attributes:
        arm: which.
        score: share of right answers on the development items.
        alone: calls paid so far when every trial pays for itself.
        shared: calls paid so far when a call is paid once.
    """

    arm: int
    score: float
    alone: int
    shared: int


@dataclass(frozen=True, slots=True)
class Rival:
    """A way to search.

    Attributes:
        name: in tables.
        propose: asks for the scores of arms, for ever.
        sizes: of the development split to try it with.
    """

    name: str
    propose: Callable[[Score, int], Iterator[None]]
    sizes: tuple[int, ...] = SIZES


def trials(
    rival: Rival, ground: Ground, items: int, seed: int, calls: int, most: int
) -> list[Trial]:
    """Return the trials of one search, until `calls` are paid unshared or `most` are measured."""
    paid = Paid(ground.arms)
    block = Block("dev", 0, items)
    done: list[Trial] = []
    asked = 0

    def score(arm: int | None) -> float:
        nonlocal asked
        asked += 1
        if arm is None:
            return -1.0
        paid.pay(arm, block)
        share = float(ground.evaluate(arm, block).mean())
        done.append(Trial(arm, share, paid.alone, paid.calls))
        return share

    for _ in rival.propose(score, seed):
        # A search that proposes only what is not in the space would never end.
        if paid.alone >= calls or len(done) >= most or asked >= 20 * most:
            break
    return done


def arm_of(models: int, samples: int, widths: tuple[int, ...], check: int) -> int | None:
    """Return the arm of these settings; widths of 0 are layers left out. None: not in the space."""
    import numpy as np

    layers = tuple(width for width in widths if width)
    if (models, samples) not in GENERATORS or not layers:
        return None
    place = (GENERATORS.index((models, samples)), FUSIONS.index(layers), check)
    return int(np.ravel_multi_index(place, SHAPE))


def _random(score: Score, seed: int) -> Iterator[None]:
    import numpy as np

    for arm in np.random.default_rng(seed).permutation(int(np.prod(SHAPE))):
        score(int(arm))
        yield


_CHOICES: tuple[tuple[int, ...], ...] = (
    tuple(range(1, 11)), tuple(range(1, 6)), WIDTHS, (0, *WIDTHS), (0, *WIDTHS), (0, 1, 2),
)  # fmt: skip


def _greedy(score: Score, seed: int) -> Iterator[None]:
    """One setting after the other, the best value of each kept; again from another start."""
    import numpy as np

    chance = np.random.default_rng(seed)
    while True:
        now = [int(chance.choice(choices)) for choices in _CHOICES]
        best = -1.0
        for column, choices in enumerate(_CHOICES):
            kept = now[column]
            for value in choices:
                now[column] = value
                found = score(arm_of(now[0], now[1], tuple(now[2:5]), now[5]))
                yield
                if found > best:
                    best, kept = found, value
            now[column] = kept


def _tpe(score: Score, seed: int) -> Iterator[None]:
    """Optuna's default sampler; the liar off, which changes nothing in a single process."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=False)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    while True:
        trial = study.ask()
        depth = trial.suggest_int("depth", 1, 3)
        models, samples = trial.suggest_int("models", 1, 10), trial.suggest_int("samples", 1, 5)
        widths = [trial.suggest_int(f"width {layer}", 2, 8, step=2) for layer in range(depth)]
        check = trial.suggest_categorical("check", CHECKS)
        arm = arm_of(models, samples, tuple(widths), CHECKS.index(check))
        study.tell(trial, score(arm))
        yield


def _paper(score: Score, seed: int) -> Iterator[None]:
    """Archon's own: a Gaussian process on rounded numbers, 230 starts, expected improvement."""
    import numpy as np
    from bayes_opt import BayesianOptimization, UtilityFunction

    bounds = {str(d): (0.0, len(choices) - 1.0) for d, choices in enumerate(_CHOICES)}
    optimizer: Any = BayesianOptimization(
        None, bounds, random_state=seed, verbose=0, allow_duplicate_points=True
    )
    improvement = UtilityFunction(kind="ei", xi=0.0)
    chance = np.random.default_rng(seed)
    for step in range(1_000_000):
        if step < _STARTS:
            point = {key: chance.uniform(*span) for key, span in bounds.items()}
        else:
            point = optimizer.suggest(improvement)
        now = [choices[round(point[str(d)])] for d, choices in enumerate(_CHOICES)]
        optimizer.register(point, score(arm_of(now[0], now[1], tuple(now[2:5]), now[5])))
        yield


RIVALS = {
    "random": Rival("random", _random),
    "greedy": Rival("greedy", _greedy),
    "paper": Rival("paper", _paper, (100,)),
    "tpe": Rival("tpe", _tpe),
}
"""By name. The paper's method is run with the 100 items of its own larger development set."""
