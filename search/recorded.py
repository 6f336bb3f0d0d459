"""What the pool has recorded of architectures that only select: a sample matrix, and no call.

The draws of a source and what a check says of them are read by running that source alone through
the pool, in mode `only`; samples that were drawn or imported without a study count too. Each is
graded once. From there on a selection is arithmetic: see `archon.search.subsets`.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from archon import answers
from archon.base import Architecture, Benchmark, Item, as_architecture
from archon.budget import Ledger
from archon.errors import ArchonError, StoreError
from archon.item_work import ItemWork
from archon.layers import Generate
from archon.matrix import Sample, SampleMatrix, read_samples
from archon.matrix.labels import model_label
from archon.matrix.trails import samples_of_trail
from archon.outcomes import Outcome
from archon.plain import normal_text
from archon.search.selection import Selection, Source
from archon.search.subsets import Bests, Votes, missed
from archon.session import Session
from archon.types import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["MOST", "Recorded"]

MOST = 64
"""Draws of a source that are looked for where nobody knows how many there are."""
AMOUNTS = ("calls", "input_tokens", "output_tokens", "microusd")
_WINDOW = 32
"""Items that are read at once."""


@dataclass(frozen=True, slots=True)
class _Draws:
    """The draws of a source on an item.

    Attributes:
        samples: in order; those that the check could not judge have no signal.
        texts: a number for each distinct text.
        checks: mean `AMOUNTS` of checking one text.
    """

    samples: tuple[Sample, ...]
    texts: tuple[int, ...]
    checks: tuple[float | None, ...] = ()


@dataclass(eq=False)
class Recorded:
    """Draws by source and item, as far as they were asked for.

    Attributes:
        run: the name under which the pool is read.
    """

    session: Session
    benchmark: Benchmark
    run: str
    _draws: dict[tuple[str, str], _Draws] = field(default_factory=dict)
    _asked: dict[tuple[str, str], int] = field(default_factory=dict)
    _ready: dict[tuple[object, ...], Bests | Votes] = field(default_factory=dict)
    _samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether draws can be graded one by one without a judge or a sandbox."""
        return not self.benchmark.needs

    def count(self, source: Source, item: Item) -> int:
        """Return how many draws of a source are known on an item."""
        found = self._draws.get((source.name, item.task.id))
        return 0 if found is None else len(found.samples)

    async def learn(self, source: Source, items: Sequence[Item], draws: int | None = None) -> None:
        """Read the first draws of a source, or all that there are.

        Args:
            source: whose.
            items: on which.
            draws: how many; None for as many as the pool and the samples have.
        """
        wanted = MOST if draws is None else draws
        missing = [i for i in items if self._asked.get((source.name, i.task.id), 0) < wanted]
        missing = [item for item in missing if self._single(item)]
        if not missing:
            return
        gate = asyncio.Semaphore(_WINDOW)
        work = ItemWork(
            self.session, _alone(source, wanted), self.benchmark, 0, "only", self.run, Ledger(),
            None, True,
        )  # fmt: skip

        async def one(item: Item) -> None:
            async with gate:
                found = await self._read(work, source, item, draws)
                if found is not None:
                    self._draws[source.name, item.task.id] = found
                self._asked[source.name, item.task.id] = wanted

        await asyncio.gather(*map(one, missing))
        self._ready.clear()

    def _single(self, item: Item) -> bool:
        return not item.turns and item.task.answer == self.benchmark.answer

    async def _read(
        self, work: ItemWork, source: Source, item: Item, draws: int | None
    ) -> _Draws | None:
        """Return the draws of one item; None where not all that are wanted are there."""
        try:
            worked = await work.work(item)
        except StoreError:
            raise  # nothing can be read any more
        except ArchonError:  # a stranger's scorer; the trial itself has failed for it
            return None
        found = None if worked.trail is None else _drawn(source, item, worked.trail, draws)
        if draws is None and source.check is None:
            imported = self._imported(source, item)
            if len(imported) > (0 if found is None else len(found.samples)):
                # Their texts are not read; what they say matters to a check alone.
                found = _Draws(tuple(imported), tuple(range(len(imported))))
        if found is None or len(found.samples) < (draws or 1):
            return None
        return found

    def _imported(self, source: Source, item: Item) -> list[Sample]:
        """Return graded samples that were drawn or imported apart from any study."""
        label = model_label(source.layer.model)
        if label not in self._samples:
            known = self._samples[label] = {}
            rows = read_samples(self.session.pool, self.benchmark.digest(), [label], texts=False)
            for sample in rows:
                if _score(sample.score):
                    known.setdefault(sample.item, []).append(replace(sample, sampler=source.name))
        return [
            replace(sample, draw=place)
            for place, sample in enumerate(self._samples[label].get(item.task.id, ()))
        ]

    def mean(self, selection: Selection, items: Sequence[Item], draws: Sequence[int]) -> Floats:
        """Return what a selection is worth on each item, over all subsets of the first draws.

        Args:
            selection: what is valued.
            items: that were learnt.
            draws: how many count of each source, at least as many as the selection takes.

        Returns:
            Means by item; nan where a source has fewer draws, or one without a score.
        """
        import numpy as np

        found = np.full(len(items), np.nan)
        known = [
            place for place, item in enumerate(items)
            if all(
                self.count(source, item) >= n
                for source, n in zip(selection.sources, draws, strict=True)
            )
        ]  # fmt: skip
        if not known:
            return found
        some = tuple(items[place] for place in known)
        found[known] = self._prepared(selection, some, tuple(draws)).mean(_taken(selection))
        return found

    def _prepared(
        self, selection: Selection, items: tuple[Item, ...], draws: tuple[int, ...]
    ) -> Bests | Votes:
        """Return draws such that any number of each source is arithmetic."""
        first = selection.how == "first"
        sources = selection.sources[:1] if first else selection.sources
        names = tuple(source.name for source in sources)
        key = (selection.how, selection.least, names, draws, tuple(i.task.id for i in items))
        if key not in self._ready:
            self._ready[key] = self._arrays(selection, sources, items, draws)
        return self._ready[key]

    def _arrays(
        self,
        selection: Selection,
        sources: Sequence[Source],
        items: tuple[Item, ...],
        draws: tuple[int, ...],
    ) -> Bests | Votes:
        import numpy as np

        matrix = self.matrix(sources, items, draws)
        parts = [matrix.of(source.name) for source in sources]
        scores = [part.scores for part in parts]
        if selection.how == "vote":
            return Votes(scores, [part.answers for part in parts])
        signals = [part.signals.get("check", np.full(part.scores.shape, np.nan)) for part in parts]
        if selection.least is not None:
            least = selection.least
            scores = [
                np.where(said >= least, worth, 0.0)
                for worth, said in zip(scores, signals, strict=True)
            ]
        return Bests(scores, signals)

    def matrix(
        self, sources: Sequence[Source], items: Sequence[Item], draws: Sequence[int]
    ) -> SampleMatrix:
        """Return the first draws of some sources as a sample matrix.

        The samplers are the sources' names; what a check says is the signal `check`.
        """
        rows = [
            sample
            for source, n in zip(sources, draws, strict=False)
            for item in items
            for sample in self._draws[source.name, item.task.id].samples[:n]
        ]
        return SampleMatrix.from_rows(
            rows, benchmark=self.benchmark.name, items=items, answer=self.benchmark.answer
        )

    def outcomes(self, selection: Selection, items: Sequence[Item]) -> dict[str, Outcome]:
        """Return what a selection makes of the items of which all that it needs is recorded.

        Scores are means over all subsets of all recorded draws; so are costs, which are rounded
        to whole numbers. Checks cost what checking one text costs on average; seconds and FLOPs
        are not known.
        """
        groups: dict[tuple[int, ...], list[Item]] = {}
        for item in items:
            have = tuple(self.count(source, item) for source in selection.sources)
            if all(n >= k for n, k in zip(have, selection.draws, strict=True)):
                groups.setdefault(have, []).append(item)
        found: dict[str, Outcome] = {}
        for have, some in groups.items():
            scores = self.mean(selection, some, have)
            for item, score in zip(some, scores.tolist(), strict=True):
                if not math.isnan(score):
                    found[item.task.id] = self._outcome(selection, item, score)
        return found

    def _outcome(self, selection: Selection, item: Item, score: float) -> Outcome:
        drawn = [self._draws[source.name, item.task.id] for source in selection.sources]
        amounts: dict[str, int | None] = {}
        for place, name in enumerate(AMOUNTS):
            total: float | None = 0.0
            for found, k in zip(drawn, selection.draws, strict=True):
                total = _plus(total, _times(k, _each(found.samples, name)))
            if drawn[0].checks:
                total = _plus(total, _times(_texts(selection, drawn), drawn[0].checks[place]))
            amounts[name] = None if total is None else round(total)
        return Outcome(
            item.task.id, min(1.0, max(0.0, score)), amounts["calls"] or 0,
            amounts["input_tokens"], amounts["output_tokens"], amounts["microusd"],
        )  # fmt: skip


def _taken(selection: Selection) -> Sequence[int]:
    # The first candidate is any of the draws: their mean.
    return (1,) if selection.how == "first" else selection.draws


def _alone(source: Source, draws: int) -> Architecture:
    """Return a source with its check as an architecture; draws that are missing are left out."""
    writer = Generate(model=source.layer.model, samples=draws, on_error="drop", at_least=0)
    return as_architecture(writer if source.check is None else writer >> source.check)


def _drawn(source: Source, item: Item, trail: Json, draws: int | None) -> _Draws | None:
    """Return what a trail says of the draws of a source; None where one has no score."""
    written = next((n["path"] for n in trail["nodes"] if n["kind"] == "generate"), "")
    texts = {c["id"]: c["text"] for c in trail["candidates"]}
    codes: dict[str, int] = {}
    samples: list[Sample] = []
    numbers: list[int] = []
    for sample in samples_of_trail(item.task.id, trail, written):
        text = texts[f"{written}:{sample.draw}"]
        said = list(sample.signals.values())
        if source.check is not None and not said and draws is None:
            continue  # nobody has checked it
        if not _score(sample.score):
            return None
        kind = item.task.answer
        samples.append(
            replace(
                sample, sampler=source.name, draw=len(samples),
                signals={"check": said[-1]} if said else {},
                answer=None if kind == "text" else answers.extract(text, kind),
            )
        )  # fmt: skip
        numbers.append(codes.setdefault(normal_text(text), len(codes)))
    if source.check is None:
        return _Draws(tuple(samples), tuple(numbers))
    used = next((n["used"] for n in trail["nodes"] if n["kind"] == "verify"), None)
    if used is None:
        return None
    every = max(1, len(codes))
    each = tuple(None if used[n] is None else used[n] / every for n in AMOUNTS)
    return _Draws(tuple(samples), tuple(numbers), each)


def _score(value: object) -> bool:
    """Whether a scorer's word is a score; a stranger's may be anything."""
    return isinstance(value, (int, float)) and 0 <= value <= 1


def _each(samples: Sequence[Sample], name: str) -> float | None:
    """Return the mean of an amount over draws; None where one is unknown."""
    if name == "calls":
        return 1.0
    known = [getattr(sample, name) for sample in samples]
    return None if any(value is None for value in known) else sum(known) / len(known)


def _texts(selection: Selection, drawn: Sequence[_Draws]) -> float:
    """Return how many different texts are checked, over all subsets.

    Texts of different sources count apart: that they are equal is rare.
    """
    return sum(
        1 - float(missed(len(found.samples), k)[count])
        for found, k in zip(drawn, selection.draws, strict=True)
        for count in Counter(found.texts).values()
    )


def _plus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _times(count: float, each: float | None) -> float | None:
    return None if each is None else count * each
