"""The evaluations that a report is about, read from the record of runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from archon.errors import ConfigError, did_you_mean
from archon.measured import Evaluation
from archon.pool import Pool
from archon.redaction import redact
from archon.report.trimming import shown
from archon.runs import find_run, list_runs
from archon.stats import bounded
from archon.trails import RunItem, count_items, read_items
from archon.types import Json, Usage

__all__ = ["Measured", "Subject", "newest", "subjects"]

Measured: TypeAlias = "str | Evaluation"
"""A run by its name, or what `archon.evaluate` returned."""
_LISTED = 5
_ALL = 100_000


@dataclass(frozen=True, eq=False)
class Subject:
    """One evaluation of a report.

    Attributes:
        label: what it is called there; no two share one.
        evaluation: figures and rows; of a run that has not ended, those so far.
        status: `running`, `done`, `stopped` or `failed`.
        started, ended: seconds since 1970, None where unknown.
        pool: the file that holds its items; None where it holds none.
        missing: items that its figures counted and that are no longer stored.
    """

    label: str
    evaluation: Evaluation
    status: str = "done"
    started: float | None = None
    ended: float | None = None
    pool: Pool | None = None
    missing: int = 0

    @cached_property
    def used(self) -> Usage:
        """All calls that the items that count needed, added up once."""
        return self.evaluation.used

    def cost(self, name: str) -> float | None:
        """Return what an item needs on average, in `usd`, `tokens` or `calls`."""
        return self.evaluation.per_item(getattr(self.used, name))

    @cached_property
    def interval(self) -> tuple[float | None, float | None]:
        """The ends of the score's interval, None where it has none."""
        found = self.evaluation.interval
        return (None, None) if found is None else (bounded(found.low), bounded(found.high))

    def items(self) -> Iterator[RunItem]:
        """Yield the stored items with their trails, others that came since perhaps among them."""
        if self.pool is None:
            rows = enumerate(self.evaluation.rows)
            return (RunItem(n, row.to_json(), None) for n, row in rows)
        return read_items(self.pool, self.evaluation.run)


def subjects(measured: Sequence[Measured], pool: Pool) -> list[Subject]:
    """Return what a report is about, in the order given.

    Args:
        measured: runs by name or by the unique beginning of one, or evaluations.
        pool: where runs are looked up.

    Raises:
        ConfigError: for no run, an unknown one, the same twice, or one that is no evaluation.
    """
    if not measured:
        raise ConfigError(f"a report needs a run{_recent(pool)}")
    found = [
        _of_evaluation(one, pool) if isinstance(one, Evaluation) else _of_run(one, pool)
        for one in measured
    ]
    names = [subject.evaluation.run for subject in found if subject.evaluation.run]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"the run {name!r} is given twice")
    found = _resolved(found)
    labels = _labels([subject.evaluation for subject in found])
    return [replace(s, label=label) for s, label in zip(found, labels, strict=True)]


def newest(pool: Pool, count: int) -> list[str]:
    """Return the newest evaluations by name, the oldest of them first.

    Raises:
        ConfigError: when there is none.
    """
    names = [row["id"] for row in list_runs(pool, _ALL) if row["what"] == "eval"]
    if not names:
        raise ConfigError("nothing was evaluated yet: `archon eval` makes a run to report on")
    return names[:count][::-1]


def _recent(pool: Pool) -> str:
    rows = [row for row in list_runs(pool, 50) if row["what"] == "eval"][:_LISTED]
    if not rows:
        return "; nothing was evaluated yet"
    return "; the newest: " + ", ".join(f"{row['id']} ({row['name']})" for row in rows)


def _of_evaluation(evaluation: Evaluation, pool: Pool) -> Subject:
    stored = bool(evaluation.run) and count_items(pool, evaluation.run) >= len(evaluation.rows)
    return Subject("", evaluation, pool=pool if stored and evaluation.rows else None)


def _of_run(name: str, pool: Pool) -> Subject:
    row = find_run(pool, name) or _by_beginning(name, pool)
    if row["what"] != "eval":
        raise ConfigError(
            f"{name!r} answered one question; a report is on what `archon eval` measured"
            f"{_recent(pool)}"
        )
    stored = count_items(pool, row["id"]) > 0
    result: Json = row["result"] or _so_far(row)
    items = (item.row for item in read_items(pool, row["id"], trails=False))
    wanted = None
    if row["result"] is not None:
        # What an earlier, longer measurement under this name left behind does not count.
        wanted = result["n"] + result["failures"] + result.get("misjudged", 0)
    rows = list(itertools.islice(items, wanted)) if stored else result.get("rows", [])
    evaluation = Evaluation.from_json({**result, "run": row["id"]}, rows)
    return Subject(
        "", evaluation, row["status"], row["started"], row["ended"], pool if stored else None,
        max(0, (wanted or 0) - len(rows)),
    )  # fmt: skip


def _by_beginning(name: str, pool: Pool) -> dict[str, Json]:
    rows = list_runs(pool, _ALL)
    found = [row["id"] for row in rows if name and row["id"].startswith(name)]
    if len(found) > 1:
        some = ", ".join(found[:_LISTED])
        raise ConfigError(f"{name!r} is the beginning of {len(found)} runs: {some}")
    row = find_run(pool, found[0]) if found else None
    if row is None:
        known = [row["id"] for row in rows]
        hint = did_you_mean(name, known) if known else ""
        near = hint if "did you mean" in hint else ""  # else it lists all, which may be many
        from archon.search.record import no_study  # only on the way to an error

        raise ConfigError(f"no run or study {name!r}{near or no_study(name)}{_recent(pool)}")
    return row


def _so_far(row: dict[str, Json]) -> Json:
    """Return the figures of a run that has none yet; its name says what it measures."""
    digest = row["digest"]
    rest = row["id"].removeprefix(f"{digest}-").rsplit("-", 3)
    benchmark, split, seed, tail = rest if len(rest) == 4 else ("?", "?", "0", row["id"])
    return {
        "name": row["name"], "digest": digest, "benchmark": benchmark, "benchmark_digest":
        f"~{tail}", "split": split, "seed": int(seed) if seed.isdigit() else 0, "total": 0,
        "cut_short": "", "seconds": 0.0, "paid": row["paid"] or Usage().to_json(),
    }  # fmt: skip


def _resolved(found: list[Subject]) -> list[Subject]:
    """Give a run that has not ended the benchmark's digest of one on the same items.

    The last part of a run's name stands for the benchmark and the limits of an item.
    """
    known = {s.evaluation.run.rpartition("-")[2]: s.evaluation.benchmark_digest for s in found
             if not s.evaluation.benchmark_digest.startswith("~")}  # fmt: skip

    def resolve(subject: Subject) -> Subject:
        digest = subject.evaluation.benchmark_digest
        if not digest.startswith("~") or digest[1:] not in known:
            return subject
        evaluation = replace(subject.evaluation, benchmark_digest=known[digest[1:]])
        return replace(subject, evaluation=evaluation)

    return [resolve(subject) for subject in found]


def _labels(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return names that tell all apart: where two share one, by what differs between them."""
    labels = [shown(redact(evaluation.name or "architecture")) for evaluation in evaluations]
    for more in (lambda e: e.benchmark, lambda e: f"seed {e.seed}", lambda e: e.digest[:6]):
        twice = {label for label in labels if labels.count(label) > 1}
        for label in twice:
            same = [n for n, one in enumerate(labels) if one == label]
            if len({more(evaluations[n]) for n in same}) > 1:
                for n in same:
                    labels[n] = f"{label} ({more(evaluations[n])})"
    seen: dict[str, int] = {}
    for n, label in enumerate(labels):
        seen[label] = seen.get(label, 0) + 1
        labels[n] = label if seen[label] == 1 else f"{label} #{seen[label]}"
    return labels
