"""The rounds of a study: first the seeds, then what the searcher proposes, as rows of trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archon.errors import ConfigError
from archon.outcomes import TrialRow
from archon.search.books import Books, Proposal
from archon.search.ground import Candidates
from archon.search.searchers import FIRST, Searcher
from archon.types import Json

__all__ = ["SEARCH", "Rounds"]

SEARCH = "search"


@dataclass(frozen=True, eq=False)
class Rounds:
    """Asks for the trials of a study.

    Attributes:
        study: its name.
        candidates: what may be tried.
        searcher: what proposes.
        about: the searcher's name and settings.
        most: architectures to try at most; None for no limit.
    """

    study: str
    candidates: Candidates
    searcher: Searcher
    about: Json
    most: int | None

    def ask(self, books: Books, number: int, room: float) -> list[TrialRow]:
        """Return the rows of the next round.

        Args:
            books: what is known.
            number: of the first row.
            room: calls that may still be paid.

        Raises:
            ConfigError: when the searcher proposes what must not be tried.
        """
        books.room = room
        made: list[TrialRow] = []
        if books.round == 0 and books.seeds:
            first = min(getattr(self.searcher, "first", FIRST), books.items)
            seeds = (Proposal(arm, 0, first, "seed") for arm in books.seeds)
            return [self._row(books, number + place, seed) for place, seed in enumerate(seeds)]
        for proposal in self.searcher.ask(books):
            self._check(books, proposal)
            if not self._one_too_many(books, proposal, made):
                made.append(self._row(books, number + len(made), proposal))
        return made

    def _one_too_many(self, books: Books, proposal: Proposal, made: Sequence[TrialRow]) -> bool:
        if self.most is None or proposal.arm in books:
            return False
        fresh = sum(row.arm not in books for row in made)
        return len(books.arms) + fresh >= self.most

    def _row(self, books: Books, number: int, proposal: Proposal) -> TrialRow:
        digest = self.candidates.digest(proposal.arm)
        return TrialRow(
            self.study, number, books.round, SEARCH, proposal.arm, digest, proposal.start,
            proposal.stop, proposal.why,
        )  # fmt: skip

    def _check(self, books: Books, proposal: Proposal) -> None:
        """Refuse what a stranger's searcher must not propose."""
        good = (
            0 <= proposal.arm < len(books.table)
            and 0 <= proposal.start < proposal.stop <= books.items
        )
        if not good or not books.open[proposal.arm]:
            raise ConfigError(
                f"the searcher {self.about} proposed what cannot be tried: {proposal}"
            )
