"""The race with one of its parts taken out at a time, on the same items and with the same calls.

Every variant is a whole study on the reported tasks: rounds, final, test, 25,000 calls. Nothing is
tuned for it, and what a part had paid for goes to the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from archon.benchmarks.search import truths
from archon.benchmarks.search.curves import Point
from archon.benchmarks.search.ground import Ground
from archon.benchmarks.search.itas import Settings, sizes
from archon.benchmarks.search.rivals import arm_of
from archon.search import acquiring
from archon.search.arms import Arms, Block, Paid, Split
from archon.search.race import Found, Plan, Race, hunt
from archon.search.surrogate import Surrogate
from archon.types import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archon.search.arms import Arena
    from archon.search.racing import Field
    from archon.search.surrogate import Posterior

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["CALLS", "VARIANTS", "Variant", "ablate", "known"]

CALLS = 25_000
SHARES = (0.5, 0.7)
"""Parts of the calls at which the recommendation on the way is looked at."""


class RawChoice(Race):
    """Recommends the arm of the highest raw mean of those that were measured."""

    def recommended(self, posterior: Posterior, among: Ints | None = None) -> tuple[int, float]:
        """Return the luckiest arm and its mean."""
        import numpy as np

        sums: dict[int, list[float]] = {}
        for arm, _, size, mean in zip(*self.measured.arrays(), strict=True):
            total = sums.setdefault(int(arm), [0.0, 0.0])
            total[0] += size
            total[1] += size * mean
        means = {arm: total / items for arm, (items, total) in sums.items()}
        best = max(means, key=lambda arm: means[arm])
        return best, float(np.clip(means[best], 0, 1))


def fixed(items: int) -> type[Race]:
    """Return a race that measures every arm on the same first items, all at once."""

    class Fixed(Race):
        def fresh(self) -> Block:
            return Block("dev", 0, min(items, self._sizes["dev"]))

    return Fixed


class Blind(Race):
    """Shares calls, but does not look at what is paid when it chooses."""

    def acquired(self, race: Field, block: Block, left: int) -> list[int]:
        """Return the first plausible winners that the calls pay for."""
        some = acquiring.crowd(race, self.measured, block, self.plan.width)
        return self.paid.affordable(some[: self.plan.width], block, left)


class _Alone(Paid):
    """Every arm pays for all its calls."""

    def new(self, arm: int, block: Block) -> int:
        return len(self._arms.nodes_of(arm)) * block.size

    def affordable(self, arms: Sequence[int], block: Block, left: int) -> list[int]:
        for at, arm in enumerate(arms):
            left -= self.new(arm, block)
            if left < 0:
                return list(arms[:at])
        return list(arms)

    def together(self, arms: Iterable[int]) -> int:
        return sum(len(self._arms.nodes_of(arm)) for arm in arms)


class Unshared(Blind):
    """Pays for every call of every arm."""

    def __init__(
        self, arms: Arms, sizes: dict[Split, int], plan: Plan, seeds: Sequence[int] = ()
    ) -> None:
        super().__init__(arms, sizes, plan, seeds)
        self.paid = _Alone(arms)


class Once(Race):
    """Measures no arm a second time before the final."""

    def acquired(self, race: Field, block: Block, left: int) -> list[int]:
        """Return plausible winners that were never measured, those of the fewest new calls."""
        seen = set(self.measured.arrays()[0].tolist())
        every = acquiring.crowd(race, self.measured, block, len(race.arms))
        fresh = [arm for arm in every if arm not in seen]
        some = fresh[: acquiring.CROWD * self.plan.width]
        return self.paid.cheapest(some, block, self.plan.width, left)


class ByChance(Race):
    """Begins with arms drawn by chance, not with the corners of the space."""

    def __init__(
        self, arms: Arms, sizes: dict[Split, int], plan: Plan, seeds: Sequence[int] = ()
    ) -> None:
        import numpy as np

        super().__init__(arms, sizes, plan, seeds)
        chance = np.random.default_rng([plan.seed, 1])
        drawn = chance.choice(len(arms), plan.starts, replace=False)
        self.waiting = [*seeds, *drawn.tolist()]


class _Flat(Surrogate):
    def trend(self, arms: Ints) -> Floats:
        import numpy as np

        return np.zeros(len(arms))


class NoTrend(Race):
    """Expects nothing of effort before anything is measured."""

    def __init__(
        self, arms: Arms, sizes: dict[Split, int], plan: Plan, seeds: Sequence[int] = ()
    ) -> None:
        super().__init__(arms, sizes, plan, seeds)
        self.surrogate = _Flat(arms)


def known() -> list[int]:
    """Return what stands for known architectures in the space: the seeds.

    The smallest; five samples of one model; those with a verifier; all models and a fusion.
    """
    wanted = [(1, 1, (2,), 0), (1, 5, (2,), 0), (1, 5, (2,), 1), (10, 1, (2,), 0)]
    return [arm for each in wanted if (arm := arm_of(*each)) is not None]


@dataclass(frozen=True)
class Variant:
    """A race with a part taken out, or put in.

    Attributes:
        name: of the variant.
        part: what it is about, in the order in which parts were thought to matter.
        race: what is run.
        changes: of the plan.
        seeds: arms to begin with.
    """

    name: str
    part: str
    race: type[Race] = Race
    changes: dict[str, Any] = field(default_factory=dict)
    seeds: Callable[[], list[int]] = list

    def hunt(self, arena: Arena, plan: Plan) -> Found:
        """Run the variant."""
        return hunt(arena, replace(plan, **self.changes), self.seeds(), self.race)


VARIANTS = (
    Variant("the race", "as it is"),
    Variant("no final", "selection", changes={"confirm": 0.0}),
    Variant("no final, highest raw mean", "selection", RawChoice, {"confirm": 0.0}),
    Variant("all on the same 30 items", "racing", fixed(30)),
    Variant("all on the same 100 items", "racing", fixed(100)),
    Variant("does not look at what is paid", "sharing", Blind),
    Variant("nothing is shared", "sharing", Unshared),
    Variant("no arm twice before the final", "repeats", Once),
    Variant("begins by chance", "seeds", ByChance),
    Variant("begins with four known ones too", "seeds", seeds=known),
    Variant("no trend with effort", "prior", NoTrend),
)


def ablate(settings: Settings, calls: int = CALLS) -> Iterator[Json]:
    """Run all variants on the same tasks, draws and chances.

    Args:
        settings: tasks and draws.
        calls: of each study.

    Yields:
        After every draw of all tasks, by variant: its regret on the way and at the end, its
        reported less its true score, and how much its regret is above that of the race on the
        same items.
    """
    seen: dict[str, list[_End]] = {variant.name: [] for variant in VARIANTS}
    for draw in settings.draws:
        for task in settings.tasks:
            ground, true = Ground(task, draw, sizes(calls)), truths.of(task)
            for variant in VARIANTS:
                end = _end(variant.hunt(ground, Plan(calls, seed=draw)), true, calls)
                seen[variant.name].append(end)
                said = f"{100 * end.regret:.2f}"
                settings.step(f"{variant.name}, task {task} draw {draw}: {said}")
        race = [end.regret for end in seen[VARIANTS[0].name]]
        yield [
            {
                "name": variant.name, "part": variant.part, "paid": max(end.paid for end in ends),
                "path": {
                    f"{round(share * calls)}": _point([end.path[i] for end in ends])
                    for i, share in enumerate(SHARES)
                },
                "regret": _point([end.regret for end in ends]),
                "more": _point([e.regret - one for e, one in zip(ends, race, strict=True)]),
                "optimism": _point([end.optimism for end in ends]),
            }
            for variant in VARIANTS if (ends := seen[variant.name])
        ]  # fmt: skip


class _End(NamedTuple):
    """How a study ended: shares of 1, and calls."""

    regret: float
    optimism: float
    path: tuple[float, ...]
    paid: int


def _end(found: Found, true: Floats, calls: int) -> _End:
    regrets = true.max() - true
    path = tuple(float(regrets[_at(found.path, share * calls)]) for share in SHARES)
    return _End(float(regrets[found.arm]), float(found.score - true[found.arm]), path, found.paid)


def _point(values: Sequence[float]) -> Json:
    return asdict(Point.of(values))


def _at(path: Sequence[tuple[int, int]], calls: float) -> int:
    """Return what was recommended last within so many calls, or first of all."""
    return next((arm for paid, arm in reversed(path) if paid <= calls), path[0][1])
