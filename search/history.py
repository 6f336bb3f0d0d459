"""What a study recommended, round by round, beside what it had paid by then.

It is noted as it happens: a curve drawn afterwards, from all that is known at the end, would show
what nobody could have known at the time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archon.errors import ConfigError
from archon.search.books import Books, Standing
from archon.search.record import Moment, keep_record, read_record, record_of
from archon.types import Usage

if TYPE_CHECKING:
    from archon.search.study import Study

__all__ = ["History"]

PAUSE = 15.0
"""Seconds between two records of a study that goes on."""
SHARE = 20
"""A record may take at most one part in so many of the time."""


class History:
    """The moments of a study, and when its record is due.

    Args:
        folder: the study's; its record's moments are taken up. None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._moments: dict[int, Moment] = {moment.round: moment for moment in _earlier(folder)}
        self._known: dict[int, dict[str, Any]] = {}
        self._due = 0.0

    @property
    def moments(self) -> tuple[Moment, ...]:
        """What was recommended, in order."""
        return tuple(self._moments[number] for number in sorted(self._moments))

    def note(self, books: Books, standings: Sequence[Standing], spent: Usage) -> None:
        """Note what is recommended now; a round that was noted before keeps what was said."""
        if not standings or books.round in self._moments:
            return
        best = standings[0]
        items = int(books.counts[books.arms == best.arm].sum())
        self._moments[books.round] = Moment(
            round=books.round, trials=len(books.trials), calls=spent.calls, usd=spent.usd,
            arm=best.arm, mean=best.mean, sd=best.sd, items=items,
        )  # fmt: skip

    @property
    def due(self) -> bool:
        """Whether a record should be written now."""
        return self.folder is not None and time.monotonic() >= self._due

    def keep(self, study: Study) -> None:
        """Write the study's record."""
        if self.folder is None:
            return
        began = time.monotonic()
        keep_record(self.folder, record_of(study, self._known))
        ended = time.monotonic()
        self._due = ended + max(PAUSE, SHARE * (ended - began))


def _earlier(folder: Path | None) -> tuple[Moment, ...]:
    if folder is None:
        return ()
    try:
        return read_record(folder).history
    except ConfigError:
        return ()  # a new study, or a file that the next record replaces
