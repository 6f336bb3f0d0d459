"""Other ways to search, on the same ground: each measures whole architectures on a fixed set.

A rival proposes one architecture after the other, is told the share of right answers on the first
`items` of the development split, and recommends the highest share it has seen. Proposals that are
not in the space are told -1 and cost nothing. What a trial pays is counted twice: every call, and
only calls that no trial before it made (the same search with our sharing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from archon.benchmarks.search.space import FUSIONS, GENERATORS, SHAPE
from archon.search.arms import Arena, Block, Paid

if TYPE_CHECKING:
    import optuna

__all__ = ["RIVALS", "Ground", "Layout", "Rival", "Trial", "arm_of", "trials"]

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


class Layout(Protocol):
    """How rivals write the architectures of a space down."""

    @property
    def choices(self) -> Sequence[Sequence[Any]]:
        """The values of each setting."""

    def arm(self, values: Sequence[Any]) -> int | None:
        """Return the arm with these values, those without meaning ignored; None: no such arm."""

    def suggested(self, trial: optuna.Trial) -> int | None:
        """Return the arm that an Optuna trial suggests, asked only for what has a meaning."""


class Ground(Arena, Protocol):
    """Where rivals search."""

    @property
    def layout(self) -> Layout:
        """How they write its architectures down."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A way to search.

    Attributes:
        name: in tables.
        propose: asks for the scores of arms, for ever; is given how many there are, how they are
            written down, and a seed.
        sizes: of the development split to try it with.
    """

    name: str
    propose: Callable[[int, Layout, Score, int], Iterator[None]]
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

    for _ in rival.propose(len(ground.arms), ground.layout, score, seed):
        # A search that proposes only what is not in the space would never end.
        if paid.alone >= calls or len(done) >= most or asked >= 20 * most:
            break
    return done


def arm_of(models: int, samples: int, widths: tuple[int, ...], check: int) -> int | None:
    """Return the arm of the published space with these settings; None: not in the space.

    Widths of 0 are layers left out.
    """
    import numpy as np

    layers = tuple(width for width in widths if width)
    if (models, samples) not in GENERATORS or not layers:
        return None
    place = (GENERATORS.index((models, samples)), FUSIONS.index(layers), check)
    return int(np.ravel_multi_index(place, SHAPE))


def _random(arms: int, layout: Layout, score: Score, seed: int) -> Iterator[None]:
    import numpy as np

    for arm in np.random.default_rng(seed).permutation(arms):
        score(int(arm))
        yield


def _greedy(arms: int, layout: Layout, score: Score, seed: int) -> Iterator[None]:
    """One setting after the other, the best value of each kept; again from another start."""
    import numpy as np

    chance = np.random.default_rng(seed)
    while True:
        now = [choices[int(chance.integers(len(choices)))] for choices in layout.choices]
        best = -1.0
        for column, choices in enumerate(layout.choices):
            kept = now[column]
            for value in choices:
                now[column] = value
                found = score(layout.arm(now))
                yield
                if found > best:
                    best, kept = found, value
            now[column] = kept


def _tpe(arms: int, layout: Layout, score: Score, seed: int) -> Iterator[None]:
    """Optuna's default sampler; the liar off, which changes nothing in a single process."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=False)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    while True:
        trial = study.ask()
        study.tell(trial, score(layout.suggested(trial)))
        yield


def _paper(arms: int, layout: Layout, score: Score, seed: int) -> Iterator[None]:
    """Archon's own: a Gaussian process on rounded numbers, 230 starts, expected improvement."""
    import numpy as np
    from bayes_opt import BayesianOptimization, UtilityFunction

    bounds = {str(d): (0.0, len(choices) - 1.0) for d, choices in enumerate(layout.choices)}
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
        now = [choices[round(point[str(d)])] for d, choices in enumerate(layout.choices)]
        optimizer.register(point, score(layout.arm(now)))
        yield


RIVALS = {
    "random": Rival("random", _random),
    "greedy": Rival("greedy", _greedy),
    "paper": Rival("paper", _paper, (100,)),
    "tpe": Rival("tpe", _tpe),
}
"""By name. The paper's method is run with the 100 items of its own larger development set."""
