"""What only selects is valued over all subsets of the stored draws, not by draws 0 to k - 1.

The mean over subsets has the same expectation and less luck (see `archon.search.subsets`). But a
race compares architectures, on the same items and the same draws, and their luck must go on
cancelling. It does, by this rule: on one item all are valued over the first L draws of a writer, or
over their own k if they take more. L is the number stored, or less: the fewest that a check has
judged, or that anything else measured on the item takes of that writer, such as a fuser.

Why no comparison gets noisier. Given which L draws there are, their order is chance. Between two
that only select, both of at most L, the difference of the means is the mean of the difference over
all orders, whose variance can only be smaller. What takes m >= L draws and treats them alike (it
fuses them in an order that texts decide, or it is a mean itself) is the same for every order of the
first L, so that the luck that is averaged away was none that it shared. With more than the fewest m
this fails: a fuser of draws 0 and 1 shares the luck of a vote on them, and nobody that of draw 9.

All values follow from the trials that ended, in any order within a round. So a study that is taken
up again believes what one that was never interrupted does. What was measured before is valued anew
when more draws of its items are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archon.base import Architecture, Item
from archon.search.books import Books
from archon.search.parts import Part
from archon.search.recorded import Recorded
from archon.search.selection import Selection, Source, drawn_by, selection_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Averages", "least_draws", "taken"]


@dataclass(eq=False)
class Averages:
    """Values of the arms that only select, item by item.

    Attributes:
        recorded: the draws.
        part: the items, in the study's order.
        architecture: builds a row's.
        whole: whether every recorded draw counts, not only those that the study's trials took.
    """

    recorded: Recorded
    part: Part
    architecture: Callable[[int], Architecture]
    whole: bool = False
    _selections: dict[int, Selection | None] = field(default_factory=dict)
    _drawn: dict[int, Mapping[str, int]] = field(default_factory=dict)

    async def settle(self, books: Books, start: int, stop: int) -> dict[int, NDArray[np.float64]]:
        """Value anew what was measured on a run of items.

        Args:
            books: whose scores are replaced.
            start: the first item.
            stop: behind the last one.

        Returns:
            The arms whose scores were replaced, with their scores on those items.
        """
        import numpy as np

        known = ~np.isnan(books.scores[:, start:stop])
        arms = books.arms
        groups: dict[bytes, list[int]] = {}
        for place in np.flatnonzero(known.any(0)).tolist():
            groups.setdefault(known[:, place].tobytes(), []).append(start + place)
        found: dict[int, NDArray[np.float64]] = {}
        for mask, places in groups.items():
            here = arms[np.frombuffer(mask, np.bool_)].tolist()
            for arm, values in (await self._valued(here, places)).items():
                scores = found.setdefault(arm, books.of(arm)[start:stop].copy())
                good = ~np.isnan(values)
                scores[np.array(places)[good] - start] = values[good]
        for arm, scores in found.items():
            books.value(arm, start, scores)
        return found

    async def _valued(
        self, arms: Sequence[int], places: Sequence[int]
    ) -> dict[int, NDArray[np.float64]]:
        """Return the values of arms that were all measured on some items."""
        import numpy as np

        selecting = {arm: made for arm in arms if (made := self._selection(arm)) is not None}
        found = {arm: np.full(len(places), np.nan) for arm in selecting}
        others = [self._drawn_by(arm) for arm in arms if arm not in selecting]
        items = [self.part.items[place] for place in places]
        for some, stored in await self._stored([*selecting.values()], items):
            least = least_draws(stored, others)
            for arm, made in selecting.items():
                draws = [
                    max(k, least[source.layer.signature()])
                    for source, k in zip(made.sources, made.draws, strict=True)
                ]
                if max(draws) > 1:
                    found[arm][some] = self.recorded.mean(made, [items[i] for i in some], draws)
        return found

    async def _stored(
        self, made: Sequence[Selection], items: Sequence[Item]
    ) -> list[tuple[list[int], dict[Source, int]]]:
        """Return items by place, in groups, with how many draws of each source they have."""
        if not self.whole:
            stored = taken(made)
            for source, count in stored.items():
                await self.recorded.learn(source, items, count)
            return [([*range(len(items))], stored)]
        sources = list(taken(made))
        groups: dict[tuple[int, ...], list[int]] = {}
        for source in sources:
            await self.recorded.learn(source, items)
        for place, item in enumerate(items):
            counts = tuple(self.recorded.count(source, item) for source in sources)
            groups.setdefault(counts, []).append(place)
        return [(some, dict(zip(sources, counts, strict=True))) for counts, some in groups.items()]

    def _selection(self, arm: int) -> Selection | None:
        if arm not in self._selections:
            self._selections[arm] = selection_of(self.architecture(arm))
        return self._selections[arm]

    def _drawn_by(self, arm: int) -> Mapping[str, int]:
        if arm not in self._drawn:
            self._drawn[arm] = drawn_by(self.architecture(arm))
        return self._drawn[arm]


def taken(selections: Sequence[Selection]) -> dict[Source, int]:
    """Return how many draws of each source some selections have taken together."""
    writers: dict[str, int] = {}
    found: dict[Source, int] = {}
    for made in selections:
        for source, k in zip(made.sources, made.draws, strict=True):
            name = source.layer.signature()
            writers[name] = max(k, writers.get(name, 0))
            found[source] = max(k, found.get(source, 0))
    # What a check has not judged is drawn all the same.
    return {
        source: writers[source.layer.signature()] if source.check is None else count
        for source, count in found.items()
    }


def least_draws(
    stored: Mapping[Source, int], others: Sequence[Mapping[str, int]]
) -> dict[str, int]:
    """Return by writer over how many of its first draws all are valued.

    Args:
        stored: draws of each source.
        others: how many draws of a writer everything else that was measured treats alike.
    """
    found: dict[str, int] = {}
    for source, count in stored.items():
        name = source.layer.signature()
        limits = [count, *(other[name] for other in others if name in other)]
        found[name] = min(found.get(name, count), *limits)
    return found
