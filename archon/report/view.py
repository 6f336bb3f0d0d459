"""The tables and charts of the page, as values that the template only has to place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from archon.config import loads
from archon.errors import ConfigError
from archon.measured import Group
from archon.redaction import redact
from archon.report.browsing import NodeCost
from archon.report.charts import Dot, bar, scatter, whisker
from archon.report.comparing import LEVEL, Kin, pareto
from archon.report.reading import Subject
from archon.report.trimming import shown
from archon.report.wording import amount, count, dollars, p_value, percent, points, span, when
from archon.stats import bounded
from archon.types import Usage

__all__ = ["Cell", "Chart", "Picture", "Table", "View", "picture", "view_of"]

_UNITS = (("usd", "Dollars"), ("tokens", "Tokens"), ("calls", "Calls"))
_WIDE, _NARROW = (760, 380), (330, 320)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what it says.
        sort: by what a column is ordered; None goes last.
        small: a second line, such as an interval.
        picture: a small drawing of the same.
        kind: a class of the style sheet.
    """

    text: str
    sort: float | str | None = None
    small: str = ""
    picture: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: names of columns, then for each row its head and its cells."""

    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """Score against one cost, drawn for wide and for narrow screens, and in words."""

    unit: str
    name: str
    wide: Markup
    narrow: Markup
    words: str


@dataclass(frozen=True, slots=True)
class Picture:
    """An architecture: its picture, its YAML, and why there is none."""

    label: str
    digest: str
    svg: Markup
    yaml: str
    missing: str


@dataclass(frozen=True, slots=True)
class View:
    """What the page shows of evaluations on the same items."""

    name: str
    about: Sequence[tuple[str, str]]
    runs: Table
    charts: Sequence[Chart]
    pairs: Table | None
    groups: Table | None
    nodes: Sequence[tuple[str, Table]]
    pictures: Sequence[Picture]


def view_of(kin: Kin, nodes: Sequence[Mapping[str, NodeCost]]) -> View:
    """Return what is shown of evaluations on the same items.

    Args:
        kin: the evaluations.
        nodes: for each of them, what its nodes needed.
    """
    return View(
        kin.name,
        _about(kin),
        _runs(kin),
        _charts(kin),
        _pairs(kin) if len(kin.subjects) > 1 else None,
        _groups(kin),
        [(s.label, _nodes(found)) for s, found in zip(kin.subjects, nodes, strict=True) if found],
        [_picture(subject) for subject in kin.subjects],
    )


def _about(kin: Kin) -> list[tuple[str, str]]:
    e = kin.first
    seeds = sorted({subject.evaluation.seed for subject in kin.subjects})
    started = [s.started for s in kin.subjects if s.started is not None]
    sizes = sorted({len(subject.evaluation.rows) for subject in kin.subjects})
    digest = e.benchmark_digest
    facts = [
        ("Benchmark", e.benchmark),
        ("Split", e.split),
        ("Items", amount(sizes[0]) if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"),
        ("Seed", ", ".join(map(str, seeds))),
        ("Score", e.metric),
        ("Benchmark digest", "unknown until the run ends" if digest.startswith("~") else digest),
    ]
    if started:
        first, last = when(min(started)), when(max(started))
        facts.append(("Measured", first if first == last else f"{first} to {last}"))
    return facts


def _runs(kin: Kin) -> Table:
    figures = [figure for s in kin.subjects for figure in s.evaluation.figures]
    names = list(dict.fromkeys(figure.name for figure in figures))
    notes = dict.fromkeys(f"{figure.name}: {figure.about}" for figure in figures if figure.about)
    judged = any(s.evaluation.judge_used.calls or s.evaluation.misjudged for s in kin.subjects)
    ended = all(s.status == "done" and not s.evaluation.cut_short for s in kin.subjects)
    columns = [
        kin.first.metric, *names, "items", "failed", *(["misjudged"] if judged else []), "unparsed",
        "calls / item", "tokens / item", "dollars / item", *(["judge"] if judged else []), "paid",
        *([] if ended else ["status"]),
    ]  # fmt: skip
    rows = [(s.label, _run(s, names, judged, ended)) for s in kin.subjects]
    return Table(columns, rows, list(notes))


def _run(subject: Subject, names: Sequence[str], judged: bool, ended: bool) -> list[Cell]:
    e = subject.evaluation
    low, high = subject.interval
    of = f"of {e.total:,}" if e.total and e.total != e.n else ""
    cut = f"cut short: {e.cut_short}" if e.cut_short else ""
    return [
        Cell(percent(e.accuracy), e.accuracy, span(low, high), whisker(e.accuracy, low, high)),
        *(_figure(subject, name) for name in names),
        Cell(amount(e.n), e.n, of),
        _bad(e.failures),
        *([_bad(e.misjudged)] if judged else []),
        _bad(e.unparsed),
        _number(subject.cost("calls"), 1),
        _number(subject.cost("tokens"), 0),
        _dollars(subject.cost("usd")),
        *([_spent(e.judge_used)] if judged else []),
        _spent(e.paid),
        *([] if ended else [Cell(subject.status, subject.status, cut)]),
    ]


def _spent(usage: Usage) -> Cell:
    return Cell(dollars(usage.usd), usage.usd, count(usage.calls, "call"))


def _figure(subject: Subject, name: str) -> Cell:
    found = next((f for f in subject.evaluation.figures if f.name == name), None)
    if found is None or found.value is None:
        return Cell("?")
    unit = f" {found.unit}" if found.unit else ""
    known = found.low is not None and found.high is not None
    ends = f"{found.low:,.4g} to {found.high:,.4g}" if known else ""
    return Cell(f"{found.value:,.4g}{unit}", found.value, ends)


def _number(value: float | None, digits: int) -> Cell:
    return Cell(amount(value, digits), value)


def _dollars(value: float | None) -> Cell:
    return Cell(dollars(value), value)


def _bad(number: int) -> Cell:
    return Cell(amount(number), number, kind="bad" if number else "")


def _charts(kin: Kin) -> list[Chart]:
    charts = []
    for unit, name in _UNITS:
        dots = []
        unknown = []
        for subject in kin.subjects:
            cost, score = subject.cost(unit), subject.evaluation.accuracy
            if cost is None or score is None:
                unknown.append(subject.label)
            else:
                dots.append(Dot(subject.label, cost, score, *subject.interval))
        if dots and any(dot.cost for dot in dots):
            metric = shown(kin.first.metric)
            wide, narrow = (scatter(dots, unit, metric, *size) for size in (_WIDE, _NARROW))
            charts.append(Chart(unit, name, wide, narrow, _words(dots, unknown, unit)))
    return charts


def _words(dots: Sequence[Dot], unknown: Sequence[str], unit: str) -> str:
    front = pareto([(dot.cost, dot.score) for dot in dots])
    said = {n: f"{d.label} ({percent(d.score)} at {_at(d.cost, unit)})" for n, d in enumerate(dots)}
    text = f"On the Pareto front, by rising cost: {', '.join(said[n] for n in front)}."
    beaten = [said[n] for n in range(len(dots)) if n not in front]
    if beaten:
        text += f" Beaten by one that costs no more: {', '.join(beaten)}."
    if unknown:
        text += f" Not drawn, cost or score unknown: {', '.join(unknown)}."
    return text


def _at(cost: float, unit: str) -> str:
    if unit == "usd":
        return dollars(cost)
    return f"{amount(cost, 1 if cost < 10 else 0)} {unit}"


def _pairs(kin: Kin) -> Table:
    labels = [subject.label for subject in kin.subjects]
    rows = [(one, [_pair(kin, one, other) for other in labels]) for one in labels]
    return Table(labels, rows)


def _pair(kin: Kin, one: str, other: str) -> Cell:
    if one == other:
        return Cell("", kind="self")
    found = kin.pairwise.differences.get((one, other))
    sign = 1
    if found is None:
        found, sign = kin.pairwise.differences.get((other, one)), -1
    if found is None:
        return Cell("no shared item", kind="even")
    low, high = (found.low, found.high) if sign > 0 else (-found.high, -found.low)
    difference, p = sign * found.difference, kin.pairwise.p(one, other)
    sure = found.claim and (p is None or p <= LEVEL)
    kind = "win" if sure and low > 0 else "loss" if sure and high < 0 else "even"
    mark = {"win": "▲ better", "loss": "▼ worse", "even": "no claim"}[kind]
    small = f"{span(bounded(low), bounded(high))} · p {p_value(p)} · n {found.n:,}"
    lost = f" · {found.lost} lost" if found.lost else ""
    return Cell(f"{points(difference)} {mark}", difference, small + lost, kind=kind)


def _groups(kin: Kin) -> Table | None:
    found = [{g.group: g for g in s.evaluation.groups} for s in kin.subjects]
    names = list(dict.fromkeys(name for groups in found for name in groups))
    if len(names) < 2:
        return None
    rows = [(name or "(none)", [_group(groups.get(name)) for groups in found]) for name in names]
    return Table([subject.label for subject in kin.subjects], rows)


def _group(group: Group | None) -> Cell:
    if group is None or group.accuracy is None:
        return Cell("?")
    ends = group.interval
    low, high = (None, None) if ends is None else (bounded(ends.low), bounded(ends.high))
    return Cell(
        percent(group.accuracy), group.accuracy, f"{span(low, high)} · n {group.n:,}",
        whisker(group.accuracy, low, high),
    )  # fmt: skip


def _nodes(nodes: Mapping[str, NodeCost]) -> Table:
    columns = ["layer", "calls / item", "tokens / item", "dollars / item", "share of tokens",
               "unparsed", "failed calls"]  # fmt: skip
    items = max(cost.items for cost in nodes.values())
    whole = Usage.sum(cost.used for cost in nodes.values()).tokens
    rows = [(path, _node(cost, items, whole)) for path, cost in nodes.items()]
    return Table(columns, rows, [f"Over {count(items, 'item')} with a trail."])


def _node(cost: NodeCost, items: int, whole: int | None) -> list[Cell]:
    used, tokens, usd = cost.used, cost.used.tokens, cost.used.usd
    share = None if tokens is None or not whole else tokens / whole
    return [
        Cell(cost.kind, cost.kind),
        _number(used.calls / items, 1),
        _number(None if tokens is None else tokens / items, 0),
        _dollars(None if usd is None else usd / items),
        Cell(percent(share, 0), share, picture=bar(share)),
        _bad(cost.unparsed),
        _bad(cost.errors),
    ]


def _picture(subject: Subject) -> Picture:
    text, digest = subject.evaluation.architecture, subject.evaluation.digest
    if not text:
        return Picture(subject.label, digest, Markup(), "", "This run holds no architecture.")
    return picture(subject.label, digest, text)


def picture(label: str, digest: str, yaml: str) -> Picture:
    """Return an architecture's picture beside its YAML, from which API keys are taken out."""
    text = redact(yaml)
    try:
        svg, missing = loads(text).draw().svg, ""
    except ConfigError as error:
        svg, missing = "", f"No picture: {error}."
    # The drawing escapes every text that it takes from the architecture.
    return Picture(label, digest, Markup(svg), text, missing)  # noqa: S704
