"""The tables of a study's page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from archon.report.charts import bar, whisker
from archon.report.study_words import Scale
from archon.report.view import Cell, Table
from archon.report.wording import amount, count, dollars, p_value, percent, points, span
from archon.search.effects import LEAST_ARMS, LEAST_ITEMS, Effect
from archon.search.insight import Insight
from archon.search.record import Arm, Record

__all__ = [
    "arms",
    "budget",
    "claims",
    "confirmed",
    "effects",
    "failures",
    "holes_of",
    "importance",
    "interactions",
    "moments",
    "tested",
]

MOST_ARMS = 200
MOST_HOLES = 40
MOST_MOMENTS = 40
MOST_REASONS = 50
MOST_PAIRS = 30
_MARKS = {"helps": "▲ helps", "hurts": "▼ hurts"}


def holes_of(record: Record, arm: Arm) -> str:
    """Return an architecture as the values of its holes."""
    said = []
    for hole, code in zip(record.holes, arm.codes, strict=True):
        if code is None:
            continue
        value = f"{code:.4g}" if hole.kind == "real" else str(hole.levels[int(code)])
        said.append(f"{hole.name} {value}")
    return ", ".join(said)


def budget(record: Record) -> Table | None:
    """Return limits with what is spent, left and held; None without a limit."""
    rows = []
    for name, limit in record.budget.items():
        spent = None if name == "seconds" else record.spent.get(name)
        left = None if spent is None else max(0.0, limit - spent)
        told = dollars if name == "usd" else amount
        rows.append(
            (
                {"usd": "dollars"}.get(name, name),
                [
                    Cell(told(limit), limit),
                    Cell(told(spent), spent, "" if spent is None else percent(spent / limit)),
                    Cell(told(left), left),
                    Cell(told(record.reserve * limit), record.reserve * limit),
                ],
            )
        )
    if not rows:
        return None
    notes = ["The search leaves the reserve to confirm, test and baselines."]
    if "seconds" in record.budget:
        notes.append("Seconds are a deadline of each command, so they have no sum.")
    return Table(["limit", "spent", "left", "reserve"], rows, notes)


def moments(record: Record) -> Table:
    """Return what was recommended at some times."""
    scale, history = Scale(record.objectives[0]), record.history
    step = max(1, -(-len(history) // MOST_MOMENTS))
    chosen = [*history[:-1:step], history[-1]]
    rows = []
    for m in chosen:
        half = 1.96 * m.sd
        ends = sorted((scale.value(m.mean - half), scale.value(m.mean + half)))
        value = scale.value(m.mean)
        rows.append(
            (
                f"round {m.round:,}",
                [
                    Cell(amount(m.calls), m.calls), Cell(dollars(m.usd), m.usd),
                    Cell(amount(m.trials), m.trials), Cell(f"#{m.arm}", m.arm),
                    Cell(amount(m.items), m.items),
                    Cell(scale.tell(value), value, scale.ends(*ends)),
                ],
            )
        )  # fmt: skip
    columns = ["calls paid", "dollars", "trials", "architecture", "its items", "posterior mean"]
    return Table(columns, rows)


def tested(record: Record, found: dict[str, Any]) -> Table:
    """Return the winner, the front and the baselines on the items of the printed score."""
    winner = found["winner"]
    front = [c for c in found["front"] if c["digest"] != winner["digest"]]
    rows = [(f"winner: {winner['name']}", _contender(winner))]
    rows += [(f"front: {c['name']}", _contender(c)) for c in front]
    rows += [(c["name"], _contender(c)) for c in found["baselines"]]
    notes = []
    if front:
        notes.append("Intervals of the front hold together, all at once at 95 %.")
    return Table(_CONTENDERS, rows, notes)


def confirmed(record: Record, found: dict[str, Any]) -> Table:
    """Return the finalists on the items that chose."""
    rows = [(c["name"], _contender(c)) for c in found["finalists"]]
    return Table(_CONTENDERS, rows)


_CONTENDERS = ["score", "items", "calls / item", "tokens / item", "dollars / item", "note"]


def _contender(c: dict[str, Any]) -> list[Cell]:
    costs = c["costs"]
    calls, tokens, usd = (costs.get(name) for name in ("calls", "tokens", "usd"))
    return [
        Cell(percent(c["score"]), c["score"], span(c["low"], c["high"]),
             whisker(c["score"], c["low"], c["high"])),
        Cell(amount(c["items"]), c["items"]),
        Cell(amount(calls, 1), calls), Cell(amount(tokens), tokens), Cell(dollars(usd), usd),
        Cell(c["note"], c["note"], kind="words"),
    ]  # fmt: skip


def claims(found: dict[str, Any]) -> Table | None:
    """Return the winner against each baseline; None without any."""
    level, rows = found["verdict"]["level"], []
    for claim in found["verdict"]["claims"]:
        sure = claim["p"] <= level and found["verdict"]["better"]
        rows.append(
            (
                claim["baseline"],
                [
                    Cell(points(claim["difference"]), claim["difference"],
                         span(claim["low"], claim["high"])),
                    Cell(p_value(claim["p"]).removeprefix("= "), claim["p"]),
                    Cell(amount(claim["n"]), claim["n"]),
                    Cell("▲ better" if sure else "no claim", sure, kind="win" if sure else ""),
                ],
            )
        )  # fmt: skip
    notes = [
        "One-sided p-values that the winner is better by at most a point, after Holm; the interval"
        " is two-sided at 95 %. A claim needs every baseline beaten."
    ]
    return Table(["difference in points", "p", "pairs", ""], rows, notes) if rows else None


def importance(insight: Insight) -> Table | None:
    """Return the importance of each hole; None for too few architectures."""
    if not insight.importances:
        return None
    shown = insight.importances[:MOST_HOLES]
    rows = [
        (
            share.hole,
            [
                Cell(percent(share.share), share.share, span(share.low, share.high),
                     bar(share.share)),
                Cell(amount(share.reached), share.reached),
                Cell("yes" if share.beyond_chance else "not distinguishable",
                     float(share.beyond_chance)),
            ],
        )
        for share in shown
    ]  # fmt: skip
    left = len(insight.importances) - len(shown)
    notes = [f"{count(left, 'less important hole')} left out."] if left else []
    return Table(["importance", "architectures", "beyond chance"], rows, notes)


def effects(insight: Insight) -> Table | None:
    """Return what each technique does, overall and by group of items; None without any."""
    found = insight.effects
    if not found:
        return None
    by_name: dict[str, dict[str | None, Effect]] = {}
    for effect in found:
        by_name.setdefault(effect.name, {})[effect.group] = effect
    groups, left = insight.groups
    rows = [
        (name, [_effect(by_group.get(group)) for group in (None, *groups)])
        for name, by_group in by_name.items()
    ]
    notes = [f"{count(left, 'smaller group')} left out."] if left else []
    return Table(["all items", *(group or "(none)" for group in groups)], rows, notes)


def interactions(insight: Insight) -> Table | None:
    """Return what two techniques add to each other; None without any pair."""
    found = insight.interactions
    if not found:
        return None
    rows = [(effect.name, [_effect(effect, pair=True)]) for effect in found[:MOST_PAIRS]]
    left = len(found) - len(rows)
    notes = [f"{count(left, 'less sure pair')} left out."] if left else []
    return Table(["difference in points"], rows, notes)


def _effect(effect: Effect | None, *, pair: bool = False) -> Cell:
    if effect is None:
        return Cell("?")
    with_, without = effect.arms
    sides = f"{with_:,} with, {without:,} without"
    if pair:
        sides = f"at least {count(with_, 'architecture')} with both, either and neither"
    size = f"{count(effect.items, 'item')} · {sides}"
    if effect.difference is None:
        reason = {
            "too few items": f"too few items: fewer than {LEAST_ITEMS}",
            "too few architectures": f"too few: {LEAST_ARMS} are needed on either side",
        }.get(effect.said, "not told apart from others")
        return Cell(reason, None, size)
    kind = {"helps": "win", "hurts": "loss"}.get(effect.said, "even")
    mark = _MARKS.get(effect.said, "not distinguishable")
    ends = f"{span(effect.low, effect.high)} · p {p_value(effect.corrected)}"
    return Cell(f"{points(effect.difference)} {mark}", effect.difference, f"{ends} · {size}",
                kind=kind)  # fmt: skip


def arms(insight: Insight) -> Table:
    """Return the architectures that were measured, best belief first."""
    record = insight.record
    scale = Scale(record.objectives[0])
    shown = insight.ranked[:MOST_ARMS]
    rows = [(f"#{arm.row}", list(_arm(insight, scale, arm))) for arm in shown]
    left = len(record.arms) - len(shown)
    notes = []
    if left:
        notes.append(f"{left:,} of {count(len(record.arms), 'architecture')} left out: those"
                     " believed to be the worst, or of which nothing is believed.")  # fmt: skip
    columns = ["posterior mean", "within a point of the best", f"own {scale.name}", "items",
               "calls / item", "dollars / item", "holes", "digest"]  # fmt: skip
    return Table(columns, rows, notes)


def _arm(insight: Insight, scale: Scale, arm: Arm) -> Iterator[Cell]:
    stood = insight.believed.get(arm.row)
    if stood is None:
        yield Cell("?")
        yield Cell("?" if arm.feasible else "breaks a limit")
    else:
        value = scale.value(stood.mean)
        yield Cell(scale.tell(value), value, scale.ends(*scale.interval(stood)))
        out = "out of the race" if stood.chance < 0.05 else ""
        yield Cell(percent(stood.chance, 0), stood.chance, out)
    own, few = arm.values.get(scale.name), insight.few(arm)
    yield Cell(scale.tell(own), own, "few items" if few else "", kind="faint" if few else "")
    yield Cell(amount(arm.items), arm.items)
    calls, usd = arm.values.get("calls"), arm.values.get("usd")
    yield Cell(amount(calls, 1), calls, f"at most {arm.calls:,}")
    yield Cell(dollars(usd), usd)
    said = holes_of(insight.record, arm)
    yield Cell(said, said, kind="words")
    yield Cell(arm.digest, arm.digest)


def failures(record: Record) -> Table | None:
    """Return failed trials by reason; None without any."""
    failed = [told for told in record.trials if told.state == "failed"]
    if not failed:
        return None
    reasons = Counter(told.reason or "no reason given" for told in failed).most_common()
    rows = [
        (reason[:300], [Cell(amount(n), n), Cell(_which(failed, reason), kind="words")])
        for reason, n in reasons[:MOST_REASONS]
    ]
    left = len(reasons) - len(rows)
    notes = [f"{count(left, 'rarer reason')} left out."] if left else []
    return Table(["trials", "architectures"], rows, notes)


def _which(failed: Sequence[Any], reason: str) -> str:
    rows = dict.fromkeys(
        f"#{told.arm}" if told.arm >= 0 else "a seed outside the space"
        for told in failed
        if (told.reason or "no reason given") == reason
    )
    names = list(rows)
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
