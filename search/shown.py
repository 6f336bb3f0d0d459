"""The trials of a study that a sampler is shown: the best and the latest."""

from __future__ import annotations

import math
from bisect import insort

from archon.search.books import Books, Told

__all__ = ["Shown"]


class Shown:
    """Keeps the best and the latest trials of some books as these grow.

    Args:
        most: how many are shown; the best half and the latest half of more.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._whole: list[Told] = []
        self._best: list[tuple[float, int, int]] = []
        self._told = 0

    def of(self, books: Books) -> list[Told]:
        """Return those of the books, in order; always of the same books."""
        sign = -1.0 if books.objectives[0] == "score" else 1.0
        for told in books.trials[self._told :]:
            if told.state == "done" and not any(map(math.isnan, told.values)):
                insort(self._best, (sign * told.values[0], told.number, len(self._whole)))
                del self._best[self.most // 2 :]
                self._whole.append(told)
        self._told, count = len(books.trials), len(self._whole)
        if count <= self.most:
            return list(self._whole)
        places = {place for *_, place in self._best} | {*range(count - self.most // 2, count)}
        return [self._whole[place] for place in sorted(places)]
