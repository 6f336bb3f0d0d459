"""Charts of a study as SVG: the best so far against paid calls, and parallel coordinates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from archon.report.charts import Axis, frame
from archon.report.trimming import shown
from archon.report.wording import amount, percent

__all__ = ["Line", "Rail", "Step", "climb", "parallel"]

_LOG_FROM = 30.0
_GAP = 118
"""Pixels from one rail to the next."""
_TOP, _BOTTOM, _NOWHERE = 46, 288, 316
_LEVELS = 9
"""Levels of a hole that are all named; of more only the ends."""


@dataclass(frozen=True, slots=True)
class Step:
    """What was recommended at a time: calls paid until then, posterior mean and interval."""

    calls: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rail:
    """One hole, or the score, as an upright line: its name, and marks with places from 0 to 1."""

    name: str
    marks: Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Line:
    """One architecture: its place on every rail, None where a hole is not reached.

    Attributes:
        title: what is said when it is pointed at.
        kind: classes of the style sheet: `best`, `faint`.
    """

    places: Sequence[float | None]
    title: str
    kind: str = ""


def climb(
    steps: Sequence[Step],
    name: str,
    width: int,
    height: int,
    tell: Callable[[float], str] | None = None,
) -> Markup:
    """Draw the posterior mean of what was recommended, with its 95 % interval, against paid calls.

    Args:
        steps: in order; at least one.
        name: of the scale from bottom to top.
        width: of the picture in pixels.
        height: of it.
        tell: how values of that scale are written; per cent if left out.
    """
    across, up = _axes(steps, width, height, whole=tell is None)
    parts = [frame(across, up, ("calls paid so far", name), (amount, tell), width, height)]
    places = [(across.at(s.calls), up.at(s.mean), up.at(s.low), up.at(s.high)) for s in steps]
    parts.append(f'<path class="band" d="{_band(places, across.end)}"/>')
    path = ""
    for x, y, _, _ in places:
        path += f"H{x:.1f}V{y:.1f}" if path else f"M{x:.1f} {y:.1f}"
    parts.append(f'<path class="climb" d="{path}H{across.end:.1f}"/>')
    x, y, *_ = places[-1]
    parts.append(f'<circle class="dot on" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
    said = escape(f"{name} of the recommended architecture against calls paid so far")
    return _svg("scatter", width, height, said, parts)


def _axes(steps: Sequence[Step], width: int, height: int, *, whole: bool) -> tuple[Axis, Axis]:
    calls = [step.calls for step in steps]
    low, high = min(calls), max(calls)
    log = low > 0 and high / low >= _LOG_FROM
    if not log:
        low, high = 0.0, high * 1.04 or 1.0
    ends = [end for step in steps for end in (step.low, step.high)]
    bottom, top = min(ends), max(ends)
    if whole:
        bottom, top = max(0.0, bottom), min(1.0, top)
    room = 0.06 * (top - bottom) or 0.01 * abs(top) or 0.01
    bottom, top = bottom - room, top + room
    if whole:
        bottom, top = max(0.0, bottom), min(1.0, top)
    return Axis(low, high, 64, width - 18, log), Axis(bottom, top, height - 44, 14)


def _band(places: Sequence[tuple[float, float, float, float]], end: float) -> str:
    """Return the outline between the lower and the upper ends, as steps."""
    path = ""
    for x, _, _, high in places:
        path += f"H{x:.1f}V{high:.1f}" if path else f"M{x:.1f} {high:.1f}"
    path += f"H{end:.1f}V{places[-1][2]:.1f}"
    for (x, *_), (*_, low, _) in zip(reversed(places[1:]), reversed(places[:-1]), strict=True):
        path += f"H{x:.1f}V{low:.1f}"
    return f"{path}H{places[0][0]:.1f}Z"


def parallel(rails: Sequence[Rail], lines: Sequence[Line]) -> Markup:
    """Draw every architecture as a line over all holes; what is not reached lies at the foot.

    Args:
        rails: from left to right.
        lines: from the back to the front.
    """
    width, height = _GAP * len(rails) + 40, _NOWHERE + 26
    parts = [_path(line) for line in lines]
    gone = any(place is None for line in lines for place in line.places)
    for number, rail in enumerate(rails):
        parts.append(_rail(rail, _x(number)))
    if gone:
        parts.append(f'<text class="tick" x="{_x(0) - 6}" y="{_NOWHERE + 18}">(not reached)</text>')
    said = f"{len(lines)} architectures as lines over {len(rails)} scales"
    return _svg("parallel", width, height, said, parts)


def _x(number: int) -> int:
    return 24 + _GAP * number


def _y(place: float | None) -> float:
    return _NOWHERE if place is None else _BOTTOM + (_TOP - _BOTTOM) * min(1.0, max(0.0, place))


def _path(line: Line) -> str:
    points = [f"{_x(n)} {_y(place):.1f}" for n, place in enumerate(line.places)]
    kind = f"line {line.kind}".strip()
    title = escape(shown(line.title))
    return f'<path class="{kind}" d="M{"L".join(points)}"><title>{title}</title></path>'


def _rail(rail: Rail, x: int) -> str:
    marks = rail.marks if len(rail.marks) <= _LEVELS else (rail.marks[0], rail.marks[-1])
    said = "".join(
        f'<text class="label" x="{x + 5}" y="{_y(place) + 4:.1f}">'
        f"{escape(_short(shown(text), 14))}</text>"
        for place, text in marks
    )
    return (
        f'<line class="axis" x1="{x}" x2="{x}" y1="{_TOP}" y2="{_BOTTOM}"/>'
        f'<text class="name" x="{x - 6}" y="20">{escape(_short(shown(rail.name), 17))}'
        f"<title>{escape(shown(rail.name))}</title></text>{said}"
    )


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _svg(kind: str, width: int, height: int, said: str, parts: Sequence[str]) -> Markup:
    return Markup(  # noqa: S704 (every part is escaped where it is made)
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="{said}">{"".join(parts)}</svg>'
    )


def score_marks(low: float, high: float) -> list[tuple[float, str]]:
    """Return the marks of a rail of scores."""
    if high <= low:
        return [(0.5, percent(low))]
    return [(n / 4, percent(low + (high - low) * n / 4)) for n in range(5)]
