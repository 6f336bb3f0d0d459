"""What can be learnt from a study beside its winner, worked out from its record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from archon.search.effects import Effect, effects, interactions
from archon.search.features import Features, features_of
from archon.search.importance import Share, importances
from archon.search.record import Arm, Record, Stood

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Insight"]

MOST_GROUPS = 12
"""Groups of items that effects are worked out for; the largest ones."""
ITEMS = 32
"""Items below which an architecture's own mean says little; fewer where the study had fewer."""


@dataclass(frozen=True, eq=False)
class Insight:
    """Everything derived from a record, each worked out when it is asked for.

    Attributes:
        record: the study's.
    """

    record: Record

    @cached_property
    def believed(self) -> dict[int, Stood]:
        """What is believed of each architecture, by row."""
        return {stood.arm: stood for stood in self.record.standings}

    @cached_property
    def ranked(self) -> list[Arm]:
        """The measured architectures, best belief first; those without one last."""
        order = {stood.arm: n for n, stood in enumerate(self.record.standings)}
        return sorted(self.record.arms, key=lambda arm: order.get(arm.row, len(order)))

    def few(self, arm: Arm) -> bool:
        """Whether an architecture saw so few items that its own mean says little."""
        return arm.items < min(ITEMS, len(self.record.groups))

    @cached_property
    def _importances(self) -> tuple[list[Share], int]:
        import numpy as np

        record = self.record
        columns = []
        for place, name in enumerate(record.objectives):
            if place == 0:
                known = (self.believed.get(arm.row) for arm in record.arms)
                columns.append([np.nan if s is None else s.mean for s in known])
                continue
            sign = 1 if name == "score" else -1
            values = (arm.values.get(name) for arm in record.arms)
            columns.append([np.nan if v is None else sign * v for v in values])
        merits = np.array(columns, float).T.reshape(len(record.arms), len(record.objectives))
        return importances(record.holes, record.rows(), merits)

    @property
    def importances(self) -> list[Share]:
        """How much each hole decides, the greatest first; nothing for too few architectures."""
        return self._importances[0]

    @property
    def judged(self) -> int:
        """Architectures that importances are worked out from."""
        return self._importances[1]

    @cached_property
    def features(self) -> Features:
        """What differs between the architectures whose single scores are kept."""
        return features_of([self.record.arms[place] for place in self.record.scored])

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], int]:
        """The largest groups of the dev items, and how many others there are."""
        sizes = Counter(self.record.groups).most_common()
        names = tuple(name for name, _ in sizes[:MOST_GROUPS])
        return (names if len(sizes) > 1 else ()), max(0, len(sizes) - MOST_GROUPS)

    @cached_property
    def effects(self) -> list[Effect]:
        """What each technique, model and doubling of samples does, over all items and by group."""
        if not self.features.names:
            return []
        return effects(self.features, self._scores, self.record.groups, self.groups[0])

    @cached_property
    def interactions(self) -> list[Effect]:
        """What two together do beyond what each does, the surest first."""
        if not self.features.names:
            return []
        return interactions(self.features, self._scores)

    @cached_property
    def _scores(self) -> Floats:
        return self.record.matrix()

    @property
    def out(self) -> Sequence[Stood]:
        """Architectures that are less than 5 % likely to be within a point of the best."""
        return [stood for stood in self.record.standings if stood.chance < 0.05]
