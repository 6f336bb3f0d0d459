"""Simulated tasks on the published space: every node's output is fixed, so the optimum is known.

A task draws how able ten models and eight fusers are, how steep the way from good candidates to a
good fusion is, how noisy the ranker, and how many items are programs (where unit tests see more
than a verifier). An item draws its hardness, what each model happens to know, and how good its
candidates must be before a fusion succeeds. Fusers of one layer share half of their luck.

    generate   P(right) = s(ability + knows - hardness)                 10 models x 5 samples
    rank       keep the 5 candidates of the highest (right + noise)
    fuse       P(right) = s(slope * (share right - needed) + skill)
    check      keeps the candidates that seem right; all of them where none does
    answer     one more fusion, of what the check keeps or else of the 5 best

with s the logistic function. The truth of an architecture is its mean P(right) over a large
population: the coin of the last call is replaced by its probability, for less noise and no bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archon.benchmarks.search.space import CHECKS, FUSIONS, GENERATORS, SHAPE, WIDTHS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bits = NDArray[np.bool_]

__all__ = ["POPULATION", "Task", "record", "truth"]

POPULATION = 8_000
"""Items over which the truth is a mean."""

_KEPT = 5
"""Candidates that a ranker hands on."""

_CHUNK = 1_000


@dataclass(frozen=True, eq=False)
class Task:
    """What holds for all items of a task.

    Attributes:
        abilities: of ten models, best first, as logits.
        skills: of eight fusers, best first, as logits.
        slope: how steeply a fusion depends on the share of right candidates.
        needed: the share at which a fusion is even, over items.
        programs: share of items that are programs.
        ranking_noise: standard deviation of a ranker's scores about right (1) and wrong (0).
    """

    abilities: Floats
    skills: Floats
    slope: float
    needed: float
    programs: float
    ranking_noise: float

    @classmethod
    def draw(cls, number: int) -> Task:
        """Return the task of this number."""
        import numpy as np

        chance = np.random.default_rng(1000 + number)
        abilities = np.sort(chance.normal(0.2, 0.6, 10))[::-1]
        skills = np.sort(chance.normal(0.0, 0.35, 8))[::-1] + 0.1
        return cls(
            abilities.astype(np.float32),
            skills.astype(np.float32),
            slope=chance.uniform(4.0, 7.0),
            needed=chance.uniform(0.38, 0.5),
            programs=chance.uniform(0.1, 0.6),
            ranking_noise=chance.uniform(0.6, 1.2),
        )


def record(task: Task, items: int, seed: int | list[int]) -> Bits:
    """Return whether each architecture is right on fresh items, `[architectures, items]`.

    Equal arguments give equal outcomes.
    """
    import numpy as np

    outcomes = np.empty((*SHAPE, items), np.bool_)
    pool = _Pool(task, items, np.random.default_rng(seed))
    for way, generators in enumerate(GENERATORS):
        for number, made in pool.prefixes(generators):
            for fusion, check, chances in pool.answers(number, made):
                outcomes[way, fusion, check] = pool.coins(1)[:, 0] < chances
    return outcomes.reshape(-1, items)


def truth(task: Task, seed: int, items: int = POPULATION) -> NDArray[np.float64]:
    """Return the mean probability of each architecture to be right, over fresh items."""
    import numpy as np

    total = np.zeros(SHAPE)
    for start in range(0, items, _CHUNK):
        size = min(_CHUNK, items - start)
        pool = _Pool(task, size, np.random.default_rng([seed, start]))
        for way, generators in enumerate(GENERATORS):
            for number, made in pool.prefixes(generators):
                for fusion, check, chances in pool.answers(number, made):
                    total[way, fusion, check] += chances.sum(dtype=np.float64)
    return total.ravel() / items


_PREFIXES = ((), *((w,) for w in WIDTHS), *((v, w) for v in WIDTHS for w in WIDTHS))
"""Widths of the layers before a layer of fusers."""


class _Pool:
    """The items of one pool, and what is drawn about them as it is asked for."""

    def __init__(self, task: Task, items: int, chance: np.random.Generator) -> None:
        import numpy as np

        self.task = task
        self.items = items
        self.chance = chance
        hardness = self.normals(1) * 1.5
        knows = self.normals(len(task.abilities)) * 0.8
        self.needed = task.needed + 0.18 * self.normals(1)[:, 0]
        program = self.coins(1) < task.programs
        self.checks: dict[int, tuple[Any, Any]] = {
            1: (0.9, 0.45),
            2: (np.where(program, 0.95, 0.8), np.where(program, 0.15, 0.75)),
        }
        right = _logistic(task.abilities + knows - hardness)
        samples = max(s for _, s in GENERATORS)
        self.generated = (
            self.coins(right.size * samples // items).reshape(items, -1, samples)
            < right[:, :, None]
        )

    def coins(self, width: int) -> Floats:
        import numpy as np

        return self.chance.random((self.items, width), dtype=np.float32)

    def normals(self, width: int) -> Floats:
        import numpy as np

        return self.chance.standard_normal((self.items, width), dtype=np.float32)

    def prefixes(self, generators: tuple[int, int]) -> Iterator[tuple[int, Bits]]:
        """Yield what all fusers make of each prefix that these generators start."""
        models, samples = generators
        made: dict[tuple[int, ...], Bits] = {}
        for number, widths in enumerate(_PREFIXES):
            if widths:
                before = made[widths[:-1]][:, : widths[-1]]
            else:
                before = self.generated[:, :models, :samples].reshape(self.items, -1)
            made[widths] = self.fuse(before)
            yield number, made[widths]

    def share(self, candidates: Bits) -> Floats:
        """Return the share of right ones among the candidates that a ranker keeps."""
        import numpy as np

        if candidates.shape[1] > _KEPT:
            noise = self.normals(candidates.shape[1]) * np.float32(self.task.ranking_noise)
            best = np.argpartition(-(noise + candidates), _KEPT, axis=1)[:, :_KEPT]
            candidates = np.take_along_axis(candidates, best, axis=1)
        weights = np.full(candidates.shape[1], 1 / candidates.shape[1], np.float32)
        return np.asarray(candidates.astype(np.float32) @ weights)

    def even(self, share: Floats) -> Floats:
        """Return the logit of a fusion by a fuser of skill zero."""
        import numpy as np

        return ((share - self.needed) * np.float32(self.task.slope)).astype(np.float32)

    def fuse(self, candidates: Bits) -> Bits:
        """Return whether each fuser is right; half of their luck is shared."""
        import numpy as np
        from scipy.special import ndtr

        skills = self.task.skills
        luck = (self.normals(1) + self.normals(len(skills))) * np.float32(np.sqrt(0.5))
        chances = _logistic(self.even(self.share(candidates))[:, None] + skills)
        return np.asarray(ndtr(luck) < chances)

    def answers(self, number: int, made: Bits) -> Iterator[tuple[int, int, Floats]]:
        """Yield the chance of the last answer for every width of a layer and every check."""
        for width in WIDTHS:
            fusion = FUSIONS.index((*_PREFIXES[number], width))
            candidates = made[:, :width]
            for check in range(len(CHECKS)):
                share = self.checked(candidates, check) if check else self.share(candidates)
                yield fusion, check, _logistic(self.even(share) + self.task.skills[0])

    def checked(self, candidates: Bits, check: int) -> Floats:
        """Return the share of right ones among the candidates that a check keeps."""
        import numpy as np

        hit, false_alarm = self.checks[check]
        seems = self.coins(candidates.shape[1]) < np.where(candidates, hit, false_alarm)
        right, kept = candidates.astype(np.float32), seems.astype(np.float32)
        ones = np.ones(candidates.shape[1], np.float32)
        total = kept @ ones
        passed = np.einsum("ij,ij->i", right, kept) / np.maximum(total, 1)
        return np.asarray(np.where(total > 0, passed, right @ ones / len(ones)), np.float32)


def _logistic(x: Floats) -> Floats:
    import numpy as np
    from scipy.special import expit

    return np.asarray(expit(x), np.float32)
