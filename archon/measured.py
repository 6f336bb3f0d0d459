"""What an evaluation ends with: a row for each item, the figures, and paired differences."""

from __future__ import annotations

from dataclasses import dataclass, field

from archon import stats
from archon.errors import ConfigError
from archon.types import Json, Usage

__all__ = ["MOST_FAILED", "Evaluation", "Progress", "Row"]

MOST_FAILED = 0.02
"""Share of items lost to infrastructure above which no claim is made."""
_FIGURES = (
    "run", "name", "digest", "benchmark", "benchmark_digest", "split", "seed", "total", "n",
    "accuracy", "failures", "unparsed", "cut_short", "claim", "seconds",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one item.

    Attributes:
        id: the item's.
        group: its stratum, such as the level.
        score: None where the infrastructure failed, so that the item is left out.
        answer: the parsed answer; the text where it did not parse or is free text.
        used: all calls it needed.
        paid: what was newly asked.
        seconds: wall time, our own queue included.
        error: why there is no answer.
        cut_short: the limit of the item's budget that fired.
        unparsed: whether there is an answer in which none of the benchmark's kind was found.
        finish: why the final reply ended: stop, length, refusal …
    """

    id: str
    group: str
    score: float | None
    answer: str | None = None
    used: Usage = field(default_factory=Usage)
    paid: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    error: str = ""
    cut_short: str = ""
    unparsed: bool = False
    finish: str = ""

    def to_json(self) -> Json:
        """Return every field by name."""
        names = ("id", "group", "score", "answer", "seconds", "error", "cut_short", "unparsed")
        data: dict[str, Json] = {name: getattr(self, name) for name in names}
        return data | {
            "finish": self.finish, "used": self.used.to_json(), "paid": self.paid.to_json(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an evaluation is.

    Attributes:
        done: items that ended.
        total: items in all.
        scored: those that did not fail.
        points: the sum of their scores.
    """

    done: int
    total: int
    scored: int
    points: float
    used: Usage
    paid: Usage
    seconds: float

    @property
    def accuracy(self) -> float | None:
        """Mean score so far; None before the first."""
        return self.points / self.scored if self.scored else None

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the pace so far; None before the first item."""
        return self.seconds / self.done * (self.total - self.done) if self.done else None


@dataclass(frozen=True)
class Evaluation:
    """An architecture measured on the items of a benchmark.

    Attributes:
        rows: one for each item, in the benchmark's order; a prefix of it if `cut_short`.
        total: how many items were asked for.
        before: what earlier calls of this evaluation paid under the same budget.
        paid: everything newly spent, failed calls and items behind the prefix included.
        cut_short: what ended it early: a limit of its budget, or `failures`.
    """

    name: str
    digest: str
    benchmark: str
    benchmark_digest: str
    split: str
    seed: int
    rows: tuple[Row, ...]
    total: int
    paid: Usage
    seconds: float
    cut_short: str = ""
    run: str = ""
    before: Usage = field(default_factory=Usage)

    @property
    def scores(self) -> list[float]:
        """Scores of the items that count."""
        return [row.score for row in self.rows if row.score is not None]

    @property
    def n(self) -> int:
        """How many items count."""
        return len(self.scores)

    @property
    def failures(self) -> int:
        """Items lost to the infrastructure."""
        return len(self.rows) - self.n

    @property
    def unparsed(self) -> int:
        """Items whose final answer could not be read; they count as wrong."""
        return sum(row.unparsed for row in self.rows)

    @property
    def accuracy(self) -> float | None:
        """Mean score; None without any."""
        return sum(self.scores) / self.n if self.n else None

    @property
    def interval(self) -> stats.Interval | None:
        """The 95 % interval: Wilson's for right or wrong, else Student's t."""
        return stats.interval(self.scores) if self.n else None

    @property
    def claim(self) -> bool:
        """Whether a claim may rest on this: at most 2 % of the items were lost."""
        return self.n > 0 and self.failures <= MOST_FAILED * len(self.rows)

    @property
    def used(self) -> Usage:
        """All calls that the items that count needed; what accuracy is compared to."""
        return Usage.sum(row.used for row in self.rows if row.score is not None)

    def per_item(self, amount: float | None) -> float | None:
        """Divide an amount of `used` by the items that count; unknown stays unknown."""
        return None if amount is None or not self.n else amount / self.n

    def compare(self, other: Evaluation) -> stats.PairedDifference:
        """Return how much better this is than `other` on the items that both have.

        Raises:
            ConfigError: when they were not measured on the same benchmark and split, or share
                no item.
        """
        mine = (self.benchmark_digest, self.split)
        if mine != (other.benchmark_digest, other.split):
            raise ConfigError("only evaluations on the same benchmark and split can be compared")
        theirs = {row.id: row.score for row in other.rows}
        common = [(row.score, theirs[row.id]) for row in self.rows if row.id in theirs]
        pairs = [(a, b) for a, b in common if a is not None and b is not None]
        if not pairs:
            raise ConfigError(f"{self.name} and {other.name} share no item that both answered")
        first, second = zip(*pairs, strict=True)
        return stats.paired(first, second, seed=self.seed, lost=len(common) - len(pairs))

    def to_json(self, *, rows: bool = True) -> Json:
        """Return plain data.

        Args:
            rows: with the record of every item.
        """
        span, used = self.interval, self.used
        data: dict[str, Json] = {name: getattr(self, name) for name in _FIGURES}
        data["interval"] = (
            None if span is None else [stats.bounded(span.low), stats.bounded(span.high)]
        )
        data |= {"used": used.to_json(), "paid": self.paid.to_json()}
        data["paid_before"] = self.before.to_json()
        data["per_item"] = {
            "calls": self.per_item(used.calls),
            "tokens": self.per_item(used.tokens),
            "usd": self.per_item(used.usd),
        }
        return data | {"rows": [row.to_json() for row in self.rows]} if rows else data
