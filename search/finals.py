"""A winner that holds: ablation, confirm, baselines, and one look at the items that print.

dev proposed the finalists. The leader gives way to the smallest architecture made of it that is
not worse by a point on dev. confirm chooses. The baselines are tuned on the items that choose.
Only then the test items are looked at, once, by the winner (or the front) and the baselines; no
score of theirs took part in any choice. With too few items for three parts, every fold's items
print the score of what the others chose.
"""

from __future__ import annotations

import dataclasses
import math
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from archon.base import Architecture
from archon.outcomes import Outcome, TrialRow, count_look, looks
from archon.search.ablation import ablations
from archon.search.baselines import SINGLE, SPENT, at_equal_cost, leading_models, singles
from archon.search.books import Books, Standing
from archon.search.claims import LEVEL, Verdict, verdict
from archon.search.contenders import answers_for, contender, merit_of, named
from archon.search.crew import Crew
from archon.search.ground import Candidates
from archon.search.money import Purse
from archon.search.parts import FOLDS, Part, Parts, question_tokens
from archon.search.reserve import MOST, FinalsPlan, together
from archon.search.searchers import Searcher
from archon.search.study import Contender, Finding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Finals"]

POINT = 0.01
DEARER = 1.25
"""A baseline may cost so much more than the winner: numbers of samples are whole."""
FEW = 4
CAREFUL = 0.9
"""Share of what is left that the test is planned with: its items may cost more than others did."""


class Finals:
    """The last stages of a study.

    Args:
        crew: measures.
        purse: the whole of it pays; the reserve is theirs.
        candidates: what is searched.
        parts: the items.
        books: of the search.
        searcher: recommends.
        plan: how many of what.
        fix: is told how many test items there is money for, before the first is looked at, and
            returns how many it is to be: what was fixed before holds.
        earlier: how often this study has printed a score of these items before.
    """

    def __init__(
        self,
        crew: Crew,
        purse: Purse,
        candidates: Candidates,
        parts: Parts,
        books: Books,
        searcher: Searcher,
        plan: FinalsPlan,
        fix: Callable[[int], Awaitable[int]],
        earlier: int = 0,
    ) -> None:
        self.plan, self.fix = plan, fix
        self.crew, self.purse, self.candidates = crew, purse, candidates
        self.parts, self.books, self.searcher = parts, books, searcher
        self.level = LEVEL / 2**earlier
        self.cut = ""
        self.test = 0
        self.tuned: list[Contender] = []

    async def found(self) -> Finding | None:
        """Return what there is to say; None when no architecture has a score."""
        finalists = self._finalists(self.books)
        if not finalists:
            return None
        self.models = leading_models(self.candidates, [standing.arm for standing in finalists])
        if self.parts.crossed:
            return await self._crossed(finalists)
        return await self._confirmed(finalists)

    # ---- finalists

    def _finalists(self, books: Books) -> list[Standing]:
        """Return the front, or the arms that may be best: those that keep to every limit."""
        from archon.search.objectives import front

        ranked = list(self.searcher.recommend(books))
        places = {int(arm): place for place, arm in enumerate(books.arms)}
        feasible = books.feasible
        kept = [s for s in ranked if s.arm in places and feasible[places[s.arm]]]
        if len(books.objectives) > 1:
            inside = front(books, [places[s.arm] for s in kept])
            return [s for s, good in zip(kept, inside, strict=True) if good][:MOST]
        return kept[:MOST]

    async def _ablated(self, leader: Standing) -> tuple[Architecture, int | None, str]:
        """Return the smallest architecture made of the leader that is not worse by a point."""
        whole = self.candidates.architecture(leader.arm)
        if self.books.objectives != ("score",):
            return whole, leader.arm, ""
        stop = max(1, self.books.seen(leader.arm))
        best, note, row, least = whole, "", leader.arm, whole.bound().calls
        base = await self._on(self.parts.dev, whole, stop=stop)
        for said, smaller in ablations(whole):
            if smaller.bound().calls >= least:
                continue
            scores = await self._on(self.parts.dev, smaller, stop=stop)
            both = [
                (score, theirs) for item, score in scores.items()
                if score is not None and (theirs := base.get(item)) is not None
            ]  # fmt: skip
            if not both or sum(a - b for a, b in both) / len(both) < -POINT:
                continue
            best, note, least = smaller, said, smaller.bound().calls
            row = self.candidates.row_of(smaller)  # type: ignore[assignment]
        return best, row, note

    # ---- measuring

    async def _on(
        self, part: Part, architecture: Architecture, start: int = 0, stop: int | None = None
    ) -> dict[str, float | None]:
        """Measure on items of a part and return the scores by item."""
        found = await self._measured(part, architecture, start, stop)
        return {item: outcome.score for item, outcome in found.items()}

    async def _measured(
        self, part: Part, architecture: Architecture, start: int = 0, stop: int | None = None
    ) -> dict[str, Outcome]:
        end = len(part) if stop is None else stop
        if not self.cut:
            measured = await self.crew.measured(architecture, part, start, end, (self.purse.whole,))
            await self.crew.keep(part, architecture.digest(), measured.outcomes)
            self.cut = self.cut or measured.stopped
        known = self.crew.outcomes(part, architecture.digest())
        return {id_: known[id_] for id_ in part.ids[start:end] if id_ in known}

    async def _contender(
        self,
        name: str,
        architecture: Architecture,
        part: Part,
        row: int | None = None,
        note: str = "",
    ) -> Contender:
        stop = {"test": self.test, "confirm": self.plan.confirm}.get(part.name)
        outcomes = await self._measured(part, architecture, stop=stop)
        return contender(name, architecture, outcomes, row, note)

    # ---- confirm and test

    async def _confirmed(self, finalists: Sequence[Standing]) -> Finding | None:
        assert self.parts.confirm is not None
        assert self.parts.test is not None
        entrants: dict[str, tuple[Architecture, int | None, str]] = {}
        for rank, standing in enumerate(finalists[: self.plan.finalists], 1):
            architecture, row, note = self.candidates.architecture(standing.arm), standing.arm, ""
            if rank == 1:
                architecture, row, note = await self._ablated(standing)  # type: ignore[assignment]
            entrants.setdefault(
                architecture.digest(),
                (architecture, row, f"finalist {rank}" + (f", {note}" if note else "")),
            )
        confirmed = [
            await self._contender(named(architecture), architecture, self.parts.confirm, row, note)
            for architecture, row, note in entrants.values()
        ]
        confirmed = sorted(
            (c for c in confirmed if c.known),
            key=lambda c: (-self._merit(c), c.costs["calls"] or 0),
        )
        if not confirmed:
            return None
        chosen = confirmed[0]
        baselines = await self._tuned((self.parts.confirm,), chosen)
        test = self.parts.test
        self.test = await self.fix(self._tested([chosen, *self.tuned]))
        winner = await self._contender(
            chosen.name, chosen.architecture, test, chosen.row, chosen.note
        )
        against = [
            await self._contender(name, architecture, test, note=note)
            for name, (architecture, note) in baselines.items()
        ]
        front = await self._front(confirmed, winner)
        said = verdict(
            winner.scores, {c.name: c.scores for c in against}, self.level, self.books.seed
        )
        return await self._finding("confirmed", confirmed, winner, front, against, said)

    def _merit(self, contender: Contender) -> float:
        """Return how good a finalist is on the items that choose; -inf where it breaks a limit."""
        name = self.books.objectives[0]
        if name != "score":
            value = contender.costs.get(name)
            least = self.books.least
            if value is None or (least is not None and contender.mean < least):
                return -math.inf
            return -value
        if any(
            (contender.costs.get(limit) or 0) > most for limit, most in self.books.limits.items()
        ):
            return -math.inf
        return contender.mean

    async def _front(self, confirmed: Sequence[Contender], winner: Contender) -> list[Contender]:
        """Measure what is on the front of the confirm items; the winner alone for one objective."""
        import numpy as np

        from archon.search.objectives import undominated

        if len(self.books.objectives) == 1:
            return [winner]
        merits = np.array(
            [[merit_of(c, name) for name in self.books.objectives] for c in confirmed]
        )
        assert self.parts.test is not None
        return [
            await self._contender(c.name, c.architecture, self.parts.test, c.row, c.note)
            for c, good in zip(confirmed, undominated(merits), strict=True)
            if good
        ]

    def _tested(self, entrants: Sequence[Contender]) -> int:
        """Return how many test items there is money for, by what confirm items have cost.

        Calls that several make are paid once.
        """
        assert self.parts.test is not None
        unit, tokens = self.purse.unit, question_tokens(self.parts.dev)
        each = sum(contender.costs.get(unit) or 0.0 for contender in entrants)
        architectures = [contender.architecture for contender in entrants]
        alone = sum(together([architecture], unit, tokens) for architecture in architectures)
        if alone:
            each *= together(architectures, unit, tokens) / alone
        room = self.purse.left(unit)
        if math.isinf(room) or not each:
            return len(self.parts.test)
        return min(len(self.parts.test), int(CAREFUL * room / each))

    async def _tuned(
        self, parts: Sequence[Part], chosen: Contender, keep: Iterable[str] | None = None
    ) -> dict[str, tuple[Architecture, str]]:
        """Return the best of each kind of baseline on items that choose, by kind."""
        ids = None if keep is None else set(keep)
        alone = await self._tried(singles(self.models), parts, ids)
        if not alone:
            return {}
        ranked = sorted(alone, key=lambda c: (-c.mean, c.name))
        made = {SINGLE: (ranked[0].architecture, ranked[0].name)}
        self.tuned = [ranked[0]]
        leading = {
            next(c.architecture.models()): answers_for(chosen, c)
            for c in ranked[: self.plan.models]
        }
        spent = await self._tried(
            at_equal_cost(leading, self.crew.benchmark.answer, question_tokens(self.parts.dev)),
            parts,
            ids,
            most=DEARER * (chosen.costs.get(self.purse.unit) or math.inf),
        )
        if spent:
            best = max(spent, key=lambda c: c.mean)
            made[SPENT] = (best.architecture, best.name)
            self.tuned.append(best)
        return made

    async def _tried(
        self,
        architectures: Mapping[str, Architecture],
        parts: Sequence[Part],
        ids: set[str] | None,
        most: float = math.inf,
    ) -> list[Contender]:
        """Measure baselines on items that choose; what costs too much on the first few is left."""
        found = []
        for name, architecture in architectures.items():
            some = contender(
                name, architecture, await self._measured(parts[0], architecture, 0, FEW)
            )
            if (some.costs.get(self.purse.unit) or 0.0) > most:
                continue
            outcomes: dict[str, Outcome] = {}
            for part in parts:
                stop = self.plan.confirm if part.name == "confirm" else None
                outcomes |= await self._measured(part, architecture, stop=stop)
            kept = {k: o for k, o in outcomes.items() if ids is None or k in ids}
            made = contender(name, architecture, kept)
            if made.known:
                found.append(made)
        return found

    # ---- folds

    async def _crossed(self, finalists: Sequence[Standing]) -> Finding | None:
        """Let every fold print the score of what the other folds choose."""
        import numpy as np

        dev = self.parts.dev
        folds = np.arange(len(dev)) % FOLDS
        scores: dict[str, dict[str, float | None]] = {}
        outcomes: dict[str, Outcome] = {}
        entrants: dict[str, Contender] = {}
        for fold in range(FOLDS):
            keep: NDArray[np.bool_] = folds != fold
            ids = [id_ for id_, inside in zip(dev.ids, keep, strict=True) if inside]
            held = [id_ for id_ in dev.ids if id_ not in set(ids)]
            leading = self._finalists(self.books.restricted(keep))
            if not leading:
                return None
            architecture = self.candidates.architecture(leading[0].arm)
            whole = await self._measured(dev, architecture)
            outcomes |= {id_: whole[id_] for id_ in held if id_ in whole}
            chosen = contender(
                named(architecture), architecture,
                {id_: whole[id_] for id_ in ids if id_ in whole}, leading[0].arm,
                f"fold {fold + 1}",
            )  # fmt: skip
            entrants.setdefault(architecture.digest(), chosen)
            for kind, (baseline, _) in (await self._tuned((dev,), chosen, ids)).items():
                theirs = await self._on(dev, baseline)
                scores.setdefault(kind, {}).update({id_: theirs.get(id_) for id_ in held})
        delivered = self.candidates.architecture(finalists[0].arm)
        winner = contender(
            named(delivered), delivered, outcomes, finalists[0].arm,
            "the score is that of the folds' winners on their held-out folds",
        )  # fmt: skip
        against = [
            Contender(kind, delivered, None, found, {}, "tuned in each fold")
            for kind, found in scores.items()
        ]
        said = verdict(winner.scores, scores, self.level, self.books.seed)
        return await self._finding("crossed", [*entrants.values()], winner, [winner], against, said)

    async def _finding(
        self,
        stage: str,
        finalists: Sequence[Contender],
        winner: Contender,
        front: Sequence[Contender],
        baselines: Sequence[Contender],
        said: Verdict,
    ) -> Finding:
        if self.cut:
            said = dataclasses.replace(
                said, better=False,
                said=f"nothing is claimed: the budget of {self.cut} ended before all was measured",
            )  # fmt: skip
        read, part = self.crew.session.pool.store.read, self.parts.printed
        number = looks(read, self.crew.digest, part.digest())
        return Finding(
            stage, tuple(finalists), winner, tuple(front), tuple(baselines), said.to_json(),
            number, self.cut,
        )  # fmt: skip


async def look(crew: Crew, part: Part, row: TrialRow) -> None:
    """Count a look at the items of the printed score, before it is taken."""

    def write(db: sqlite3.Connection) -> None:
        count_look(db, crew.digest, part.digest(), crew.study, f"verdict {row.number}")

    await crew.session.pool.store.write(write)
