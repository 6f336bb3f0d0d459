"""What a report says of a study in sentences: the claim, and what to know before relying on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from archon.report.wording import amount, count, dollars, percent, points, span, times
from archon.search.insight import Insight
from archon.search.record import Record, Stood

__all__ = ["Saying", "Scale", "sayings", "sharing", "warnings"]

_MANY_FAILED = 0.1


@dataclass(frozen=True, slots=True)
class Saying:
    """A sentence of the verdict; what is claimed is of the kind `claim`."""

    text: str
    kind: Literal["claim", "even"] = "even"


@dataclass(frozen=True, slots=True)
class Scale:
    """The first objective: how values of it are written; a cost is kept as a negative merit."""

    name: str

    @property
    def share(self) -> bool:
        """Whether it is a score between 0 and 1."""
        return self.name == "score"

    def value(self, merit: float) -> float:
        """Return a merit as the value that it stands for."""
        return merit if self.share else -merit

    def tell(self, value: float | None) -> str:
        """Return a value as text."""
        if self.share or value is None:
            return percent(value)
        return dollars(value) if self.name in ("usd", "cost_of_pass") else f"{value:,.4g}"

    def ends(self, low: float, high: float) -> str:
        """Return an interval as text."""
        if self.share:
            return span(max(0.0, low), min(1.0, high))
        return f"{self.tell(max(0.0, low))} to {self.tell(max(0.0, high))}"

    def interval(self, stood: Stood) -> tuple[float, float]:
        """Return the 95 % interval of a belief, in values."""
        ends = (self.value(stood.mean - 1.96 * stood.sd), self.value(stood.mean + 1.96 * stood.sd))
        return min(ends), max(ends)

    def belief(self, stood: Stood) -> str:
        """Return the posterior mean with its interval."""
        said = self.tell(self.value(stood.mean))
        return f"{said} (95 % {self.ends(*self.interval(stood))})"


def sayings(record: Record) -> list[Saying]:
    """Return the verdict: the claim in words, or that there is none yet."""
    if record.found is not None:
        return list(_found(record, record.found))
    if not record.standings:
        failed = sum(told.state == "failed" for told in record.trials)
        what = f"all {count(failed, 'trial')} failed" if failed else "no trial has ended"
        return [Saying(f"Nothing was measured: {what}.")]
    best, scale = record.standings[0], Scale(record.objectives[0])
    return [
        Saying(
            "Nothing is claimed: no winner was confirmed on items that took no part in choosing."
        ),
        Saying(
            f"Recommended so far: architecture #{best.arm}, posterior mean of {scale.name}"
            f" {scale.belief(best)} on the items that proposed it. The score on new items may well"
            " be lower."
        ),
    ]  # fmt: skip


def _found(record: Record, found: dict[str, Any]) -> Iterator[Saying]:
    verdict, winner = found["verdict"], found["winner"]
    said = verdict["said"][:1].upper() + verdict["said"][1:]
    yield Saying(f"{said}.", "claim" if verdict["better"] else "even")
    how = (
        "printed by folds: each fold's items score what the other folds chose"
        if found["stage"] == "crossed"
        else "items that took no part in any choice"
    )
    yield Saying(
        f"The winner {winner['name']} scores {percent(winner['score'])}"
        f" ({span(winner['low'], winner['high'])}) on {count(winner['items'], 'item')}, {how}."
    )
    looks = found.get("looks", 1)
    yield Saying(
        f"These items have been looked at {count(looks, 'time')} on this benchmark, this study"
        f" included; the tests were made at the level {verdict['level']:.3g}."
    )


def sharing(record: Record) -> str:
    """Return what the search cost with and without sharing."""
    paid = record.history[-1].calls if record.history else None
    text = f"Alone, without sharing, the trials would have cost {amount(record.alone)} calls"
    if not paid:
        return f"{text}. The search newly paid none: the pool had them."
    ratio = record.alone / paid
    more = f", {times(ratio)} times as many" if ratio > 1 else ""
    return f"{text}{more}; the search newly paid {amount(paid)}. The rest was in the pool."


def warnings(insight: Insight) -> list[str]:
    """Return what one should know before relying on a study."""
    return list(_warnings(insight))


def _warnings(insight: Insight) -> Iterator[str]:
    record = insight.record
    if not record.ended:
        yield (
            "This study has not ended: it goes on, or was killed. The page shows it as last"
            " recorded."
        )
    elif record.ended == "stopped":
        yield "The study was stopped; the same command goes on where it was."
    elif record.ended.startswith("budget"):
        yield f"The search ended with the {record.ended}, not because it ran out of ideas."
    failed = [told for told in record.trials if told.state == "failed"]
    if failed and len(failed) >= _MANY_FAILED * len(record.trials):
        yield (
            f"{count(len(failed), 'trial')} of {len(record.trials):,} failed; the reasons are"
            " below."
        )
    best = insight.ranked[0] if record.standings else None
    if best is not None and insight.few(best):
        yield (
            f"The recommended architecture has seen {count(best.items, 'item')}: its mean is"
            " mostly belief."
        )
    if record.spent.get("usd") is None:
        yield "What the study cost in dollars is unknown: a model has no price."
    yield from _found_warnings(record)
    yield from record.notes


def _found_warnings(record: Record) -> Iterator[str]:
    found = record.found
    if found is None:
        return
    if found.get("cut_short"):
        yield f"The budget of {found['cut_short']} ended before confirm and test were whole."
    if found.get("looks", 1) > 1:
        yield (
            "The items of the printed score had been looked at before: whoever chose this study's"
            " settings by earlier scores of theirs has chosen on them."
        )
    entrants, chosen = found["finalists"], found["winner"]["score"]
    if found["stage"] != "crossed" and entrants and chosen is not None:
        lead = entrants[0]["score"]
        if lead is not None and len(entrants) > 1 and lead - chosen > 0.01:
            yield (
                f"On the confirm items, which chose it, the winner scored"
                f" {points(lead - chosen, sign=False)} points more than on test items: the best of"
                f" {len(entrants)} is partly luck. Rely on the test score."
            )
