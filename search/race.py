"""A search in ask/tell form: seeds, rounds of plausible winners, a final, a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from archon.errors import ConfigError
from archon.search import acquiring, racing, selecting
from archon.search.arms import Arms, Block, Paid, Split
from archon.search.measured import MODELLED, Measured
from archon.search.surrogate import Posterior, Surrogate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archon.search.arms import Arena
    from archon.search.racing import Field

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Ask", "Found", "Plan", "Race", "finished", "hunt"]


class Ask(NamedTuple):
    """One measurement that a race wants."""

    arm: int
    block: Block


@dataclass(frozen=True, slots=True)
class Plan:
    """How a race spends its calls.

    Attributes:
        calls: that the whole search may newly pay: rounds, final and test.
        confirm: share of them for the final; with 0 there is none.
        test: share of them for the test of the winner.
        front: whether to look for the front of score and calls, not for the best score.
        starts: arms to begin with, besides the seeds.
        width: arms of a round.
        items: of the first rounds. Every eight rounds the number doubles.
        free: most measurements of a round that cost no call, beside the others.
        seed: of every chance.

    Raises:
        ConfigError: shares that leave nothing for the rounds, or a number below one.
    """

    calls: int
    confirm: float = 0.15
    test: float = 0.10
    front: bool = False
    starts: int = 16
    width: int = 8
    items: int = 16
    free: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.confirm, self.test) < 0 or self.confirm + self.test >= 1:
            rule = "confirm and test are shares that leave something for the rounds"
            raise ConfigError(f"{rule}; got {self.confirm} and {self.test}", where="plan")
        least = {"calls": 1, "starts": 1, "width": 1, "items": 1, "free": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                rule = f"{name} must be at least {low}"
                raise ConfigError(f"{rule}; got {getattr(self, name)}", where=f"plan.{name}")


@dataclass(frozen=True, eq=False)
class Found:
    """What a race found.

    Attributes:
        arm: the winner.
        believed: its posterior mean; it took part in the choice.
        front: arms of the believed front, cheapest first; the winner alone unless one was wanted.
        test: scores of the winner on test items, which took part in no choice.
        paid: calls paid.
        alone: calls that the same measurements had cost without sharing.
        path: calls paid and arm recommended after each round.
    """

    arm: int
    believed: float
    front: Ints
    test: Floats
    paid: int
    alone: int
    path: list[tuple[int, int]] = field(default_factory=list)

    @property
    def score(self) -> float:
        """Mean over test items; NaN without any."""
        return float(self.test.mean()) if len(self.test) else float("nan")


class Race:
    """Asks for measurements until its calls are spent; equal answers give equal questions.

    Rounds take fresh items while there are any, so that no item decides much, and arms of one
    round share theirs. Who is measured is a draw from the posterior, so arms leave the race as
    they become implausible. What others have paid for already is measured beside it, and when the
    calls are spent. The final measures the ten most probable arms on the confirm split; the
    posterior after it names the winner. The winner alone is measured on the test split, and those
    scores take part in no choice.

    Args:
        arms: what may be tried.
        sizes: items of each split.
        plan: how to spend.
        seeds: arms to measure first: known good ones.

    Attributes:
        paid: what is paid.
        measured: what was told.
        path: calls paid and arm recommended before each round, and at the end.
        finalists: arms of the final, most probable first.
        winner: once it is decided.
        waiting: arms to measure before any belief.
        surrogate: the model of the arms.

    Raises:
        ConfigError: the calls do not pay for measuring one arm on a first block.
    """

    def __init__(
        self, arms: Arms, sizes: dict[Split, int], plan: Plan, seeds: Sequence[int] = ()
    ) -> None:
        import numpy as np

        self.arms = arms
        self.plan = plan
        self.paid = Paid(arms)
        self.measured = Measured()
        self.path: list[tuple[int, int]] = []
        self.winner: int | None = None
        self._sizes = sizes
        self._chance = np.random.default_rng(plan.seed)
        self.surrogate = Surrogate(arms)
        self._rounds = 0
        self._used = 0
        self._open = int(plan.calls * (1 - plan.confirm - plan.test))
        self._stage: Split = "dev"
        self._believed = float("nan")
        self._front: Ints = np.empty(0, np.int64)
        self.finalists: Ints = np.empty(0, np.int64)
        more = acquiring.spread(arms, self.surrogate, list(seeds), plan.starts, self._chance)
        self.waiting = [*seeds, *more]
        if int(arms.calls.min()) * min(plan.items, sizes["dev"]) > self._open:
            rule = f"the cheapest architecture makes {arms.calls.min()} calls per item"
            needs = f"{self._open} calls do not pay for it on {plan.items} items"
            raise ConfigError(f"{rule}; {needs}", where="plan.calls")

    def ask(self) -> list[Ask]:
        """Return what to measure now; tell all of it before asking again. Empty at the end."""
        if self._stage == "dev":
            chosen = self._start() if self.waiting else self._round()
            if chosen:
                return self._book(chosen)
            self._stage = "confirm"
            chosen = self._final()
            if chosen:
                return self._book(chosen)
        if self._stage == "confirm":
            self._stage = "test"
            self._decide()
            chosen = self._test()
            if chosen:
                return self._book(chosen)
        return []

    def tell(self, ask: Ask, scores: Floats) -> None:
        """Take the scores of one measurement, one per item from 0 to 1."""
        self.measured.add(ask.arm, ask.block, scores)

    def believe(self) -> Posterior:
        """Return what is believed after everything told."""
        return self.surrogate.given(self.measured)

    def found(self) -> Found:
        """Return what was found, once there is nothing more to ask.

        Raises:
            ConfigError: the race is not over.
        """
        import numpy as np

        if self.winner is None:
            raise ConfigError("a race that is not over has no winner", where="race")
        tested = [s for block, s in self.measured.of(self.winner) if block.split == "test"]
        test = np.concatenate(tested) if tested else np.empty(0)
        return Found(
            self.winner, self._believed, self._front, test, self.paid.calls, self.paid.alone,
            self.path,
        )  # fmt: skip

    def _book(self, asks: list[Ask]) -> list[Ask]:
        for ask in asks:
            self.paid.pay(ask.arm, ask.block)
        return asks

    def fresh(self) -> Block | None:
        """Return the next unused items of the development split; None when all are used."""
        size = self.plan.items * 2 ** (self._rounds // 8)
        start, stop = self._used, min(self._used + size, self._sizes["dev"])
        return Block("dev", start, stop) if start < stop else None

    def _start(self) -> list[Ask]:
        block = self.fresh()
        if block is None:
            self.waiting.clear()
            return []
        first = self.waiting[: self.plan.width]
        able = self.paid.affordable(first, block, self._open - self.paid.calls)
        if not able and not len(self.measured):
            able = [int(self.arms.calls.argmin())]  # something must be known; this one is paid for
        # What does not fit is left out, and so is everything after it.
        self.waiting = self.waiting[self.plan.width :] if able == first else []
        return self._taken(block, [Ask(arm, block) for arm in able])

    def _round(self) -> list[Ask]:
        import numpy as np

        left = self._open - self.paid.calls
        block = self.fresh() or self._old()
        posterior = self.believe()
        self.path.append((self.paid.calls, self.recommended(posterior)[0]))
        seen = np.unique(posterior.arms[posterior.arms < len(self.arms)])
        race = racing.field(self.arms, posterior, seen, self.plan.front, self._chance)
        chosen = self.acquired(race, block, left)
        asks = [Ask(arm, block) for arm in chosen]
        if asks:
            self._taken(block, asks)
        return asks + [ask for ask in self._free(race) if ask not in asks]

    def _free(self, race: Field) -> list[Ask]:
        """Return measurements that cost nothing, on the latest blocks first."""
        count = max(0, min(self.plan.free, MODELLED - len(self.measured)))
        blocks = reversed(self.measured.blocks)
        rides = acquiring.free_rides(race, self.paid, self.measured, blocks, count)
        return [Ask(arm, block) for arm, block in rides]

    def acquired(self, race: Field, block: Block, left: int) -> list[int]:
        """Return the arms to measure on a block, for so many calls at most."""
        return acquiring.plausible_winners(
            race, self.paid, self.measured, block, self.plan.width, left
        )

    def recommended(self, posterior: Posterior, among: Ints | None = None) -> tuple[int, float]:
        """Return the best arm by what is believed, and its mean; among all or some arms."""
        return selecting.recommended(posterior, among)

    def _old(self) -> Block:
        """Return one of the used blocks, all equally often in the long run."""
        blocks = self.measured.blocks
        return blocks[int(self._chance.integers(len(blocks)))]

    def _taken(self, block: Block, asks: list[Ask]) -> list[Ask]:
        self._rounds += 1
        self._used = max(self._used, block.stop)
        return asks

    def _final(self) -> list[Ask]:
        import numpy as np

        posterior = self.believe()
        seen = np.unique(posterior.arms[posterior.arms < len(self.arms)])
        race = racing.field(self.arms, posterior, seen, self.plan.front, self._chance)
        if self.plan.front:
            self.finalists = selecting.recommended_front(posterior, self.arms)
        else:
            self.finalists = selecting.finalists(race)
        if not self.plan.confirm:
            return []
        left = int(self.plan.calls * (1 - self.plan.test)) - self.paid.calls
        items = min(left // self.paid.together(self.finalists), self._sizes["confirm"])
        block = Block("confirm", 0, items)
        return [Ask(int(arm), block) for arm in self.finalists] if items else []

    def _decide(self) -> None:
        import numpy as np

        posterior = self.believe()
        self.winner, self._believed = self.recommended(posterior, self.finalists)
        self._front = np.array([self.winner])
        if self.plan.front:
            self._front = selecting.recommended_front(posterior, self.arms, self.finalists)
        self.path.append((self.paid.calls, self.winner))

    def _test(self) -> list[Ask]:
        assert self.winner is not None  # decided just before
        left = self.plan.calls - self.paid.calls
        items = min(left // int(self.arms.calls[self.winner]), self._sizes["test"])
        return [Ask(self.winner, Block("test", 0, items))] if items else []


def hunt(arena: Arena, plan: Plan, seeds: Sequence[int] = (), race: type[Race] = Race) -> Found:
    """Run a whole race in an arena and return what it found.

    Raises:
        ConfigError: see `Race` and `Measured.add`.
    """
    return finished(race(arena.arms, arena.sizes, plan, seeds), arena).found()


def finished(race: Race, arena: Arena) -> Race:
    """Run a race in an arena to its end and return it."""
    while asks := race.ask():
        for ask in asks:
            race.tell(ask, arena.evaluate(ask.arm, ask.block))
    return race
