"""What the page of a study shows, as values that the template only has to place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from archon.report import study_tables as tables
from archon.report.charts import Dot, scatter
from archon.report.comparing import pareto
from archon.report.study_charts import Line, Rail, Step, climb, parallel, score_marks
from archon.report.study_words import Saying, Scale, sayings, sharing, warnings
from archon.report.view import Chart, Picture, Table, picture
from archon.report.wording import amount, count, dollars, percent, when
from archon.search.insight import Insight
from archon.search.record import Arm, Hole, Record

__all__ = ["StudyView", "view_of_study"]

MOST_DOTS = 300
MOST_LINES = 150
MOST_RAILS = 14
_BEST = 10
_WIDE, _NARROW = (760, 380), (330, 320)
_UNITS = (("calls", "Calls"), ("usd", "Dollars"), ("tokens", "Tokens"))


@dataclass(frozen=True, slots=True)
class StudyView:
    """What the page of a study shows; None where there is nothing to show."""

    name: str
    verdict: Sequence[Saying]
    warnings: Sequence[str]
    about: Sequence[tuple[str, str]]
    sharing: str
    budget: Table | None
    climb: Chart | None
    moments: Table | None
    tested: Table | None
    confirmed: Table | None
    crossed: bool
    claims: Table | None
    charts: Sequence[Chart]
    dots: str
    importance: Table | None
    judged: int
    parallel: Markup
    lines: str
    effects: Table | None
    interactions: Table | None
    picture: Picture | None
    arms: Table | None
    failures: Table | None
    dropped: str


def view_of_study(insight: Insight) -> StudyView:
    """Return what is shown of a study."""
    record, found = insight.record, insight.record.found
    dots = _chosen(insight, MOST_DOTS)
    lines = _chosen(insight, MOST_LINES)
    best = record.best
    return StudyView(
        name=record.name,
        verdict=sayings(record),
        warnings=warnings(insight),
        about=_about(record),
        sharing=sharing(record),
        budget=tables.budget(record),
        climb=_climb(record) if record.history else None,
        moments=tables.moments(record) if record.history else None,
        tested=tables.tested(record, found) if found else None,
        confirmed=tables.confirmed(record, found) if found else None,
        crossed=bool(found and found["stage"] == "crossed"),
        claims=tables.claims(found) if found else None,
        charts=_charts(insight, dots),
        dots=_some(len(dots), len(record.arms)),
        importance=tables.importance(insight),
        judged=insight.judged,
        parallel=_parallel(insight, lines) if lines else Markup(),
        lines=_some(len(lines), len(record.arms)),
        effects=tables.effects(insight),
        interactions=tables.interactions(insight),
        picture=picture(best["name"] or "the best", best["digest"], best["yaml"]) if best else None,
        arms=tables.arms(insight) if record.arms else None,
        failures=tables.failures(record),
        dropped=_dropped(insight),
    )


def _about(record: Record) -> list[tuple[str, str]]:
    settings = record.settings
    items: dict[str, object] = settings.get("items") or {}
    parts = ", ".join(
        f"{name} {items[name]}" for name in ("dev", "confirm", "test") if name in items
    )
    searcher = settings.get("searcher") or {}
    tried = f"{len(record.arms):,} of {record.architectures:,}"
    return [
        ("Benchmark", str((settings.get("benchmark") or {}).get("name", "?"))),
        ("Items", parts or amount(len(record.groups))),
        ("Sought", ", ".join(record.objectives)),
        ("Searcher", str(searcher.get("name", "?") if isinstance(searcher, dict) else searcher)),
        ("Seed", str(settings.get("seed", "?"))),
        ("Architectures tried", tried),
        ("Trials", amount(len(record.trials))),
        ("Search ended", record.ended or "not yet"),
        ("Newly paid", f"{amount(record.spent.get('calls'))} calls"),
        ("In dollars", dollars(record.spent.get("usd"))),
        ("Recorded", when(record.written)),
    ]  # fmt: skip


def _climb(record: Record) -> Chart:
    scale = Scale(record.objectives[0])
    steps = []
    for m in record.history:
        ends = sorted(scale.value(m.mean + side * 1.96 * m.sd) for side in (-1, 1))
        steps.append(Step(m.calls, scale.value(m.mean), *ends))
    name = f"{scale.name}, posterior mean"
    tell = None if scale.share else scale.tell
    wide, narrow = (climb(steps, name, *size, tell) for size in (_WIDE, _NARROW))
    first, last = steps[0], steps[-1]
    words = (
        f"After {count(int(first.calls), 'paid call')} the recommended architecture had a posterior"
        f" mean of {scale.tell(first.mean)}, after {count(int(last.calls), 'paid call')}"
        f" {scale.tell(last.mean)} (95 % {scale.ends(last.low, last.high)})."
    )
    return Chart("calls", "Calls", wide, narrow, words)


def _chosen(insight: Insight, most: int) -> list[Arm]:
    """Return architectures to draw: the front, the best half, and others evenly by rank."""
    ranked = [arm for arm in insight.ranked if arm.row in insight.believed]
    if len(ranked) <= most:
        return ranked
    front = set(insight.record.front)
    kept = {arm.row for arm in ranked[: most // 2]}
    kept |= set([arm.row for arm in ranked if arm.row in front][: most // 4])
    rest = [arm for arm in ranked if arm.row not in kept]
    room = most - len(kept)
    kept |= {rest[n * (len(rest) - 1) // max(1, room - 1)].row for n in range(room)}
    return [arm for arm in ranked if arm.row in kept]


def _some(shown: int, whole: int) -> str:
    if shown == whole:
        return f"All {count(whole, 'architecture')} are drawn." if whole > 1 else ""
    return (
        f"{shown:,} of {count(whole, 'architecture')} are drawn: the best believed, the front, and"
        " others evenly by rank; not those that fail or break a limit."
    )


def _charts(insight: Insight, chosen: Sequence[Arm]) -> list[Chart]:
    """Return score against each cost: posterior means, or the plain ones for another objective."""
    charts = []
    for unit, name in _UNITS:
        dots, unknown = [], 0
        for arm in chosen:
            cost, (score, low, high) = arm.values.get(unit), _score(insight, arm)
            if cost is None or score is None:
                unknown += 1
                continue
            dots.append((arm, cost, score, low, high))
        if not dots or not any(cost for _, cost, *_ in dots):
            continue
        front = set(pareto([(cost, score) for _, cost, score, *_ in dots]))
        made = [
            Dot(f"#{arm.row}" if n in front else "", cost, score,
                low if n in front else None, high if n in front else None, insight.few(arm))
            for n, (arm, cost, score, low, high) in enumerate(dots)
        ]  # fmt: skip
        wide, narrow = (scatter(made, unit, "score", *size) for size in (_WIDE, _NARROW))
        by_cost = sorted(front, key=lambda n: dots[n][1])
        said = [f"#{dots[n][0].row} ({percent(dots[n][2])})" for n in by_cost[:20]]
        words = f"On the front, by rising cost: {', '.join(said)}."
        if unknown:
            words += f" Not drawn, cost unknown: {unknown:,}."
        charts.append(Chart(unit, name, wide, narrow, words))
    return charts


def _score(insight: Insight, arm: Arm) -> tuple[float | None, float | None, float | None]:
    """Return what is believed of an architecture's score with its 95 % interval."""
    stood = insight.believed.get(arm.row)
    if insight.record.objectives[0] == "score" and stood is not None:
        half = 1.96 * stood.sd
        mean = min(1.0, max(0.0, stood.mean))
        return mean, max(0.0, stood.mean - half), min(1.0, stood.mean + half)
    return arm.values.get("score"), None, None


def _parallel(insight: Insight, chosen: Sequence[Arm]) -> Markup:
    record = insight.record
    places = _rails(insight)
    rails = [_rail(record.holes[place]) for place in places]
    scale = Scale(record.objectives[0])
    means = [scale.value(insight.believed[arm.row].mean) for arm in chosen]
    low, high = min(means), max(means)
    marks = (
        score_marks(low, high) if scale.share else [(0.0, scale.tell(low)), (1.0, scale.tell(high))]
    )
    rails.append(Rail(f"{scale.name} (posterior)", marks))
    lines = []
    for rank, (arm, mean) in enumerate(zip(chosen, means, strict=True)):
        codes = [arm.codes[place] for place in places]
        where = [_place(record.holes[p], code) for p, code in zip(places, codes, strict=True)]
        where.append((mean - low) / (high - low) if high > low else 0.5)
        kinds = ("best " if rank < _BEST else "") + ("faint" if insight.few(arm) else "")
        title = f"#{arm.row}: {scale.tell(mean)}, {count(arm.items, 'item')}"
        lines.append(Line(where, title, kinds.strip()))
    return parallel(rails, lines[::-1])


def _rails(insight: Insight) -> list[int]:
    """Return the holes to draw: all of them, or the most important ones, in their order."""
    holes = insight.record.holes
    differing = [
        place for place in range(len(holes))
        if len({arm.codes[place] for arm in insight.record.arms}) > 1
    ]  # fmt: skip
    if len(differing) <= MOST_RAILS:
        return differing
    order = {share.hole: n for n, share in enumerate(insight.importances)}
    differing.sort(key=lambda place: order.get(holes[place].name, len(holes)))
    return sorted(differing[:MOST_RAILS])


def _rail(hole: Hole) -> Rail:
    column = hole.column()
    if hole.kind == "real":
        return Rail(hole.name, [(0.0, f"{hole.low:.4g}"), (1.0, f"{hole.high:.4g}")])
    marks = [(column.unit(code), str(level)) for code, level in enumerate(hole.levels)]
    return Rail(hole.name, marks)


def _place(hole: Hole, code: float | None) -> float | None:
    return None if code is None else hole.column().unit(code)


def _dropped(insight: Insight) -> str:
    record, out = insight.record, insight.out
    broken = sum(not arm.feasible for arm in record.arms)
    said = (
        f"{count(len(out), 'architecture')} out of the race: less than 5 % likely to be within a"
        " point of the best."
    )
    if broken:
        said += (
            f" {count(broken, 'architecture')} closed: failed, or clearly beyond a limit on the"
            " mean."
        )
    return said
