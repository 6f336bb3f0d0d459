"""Charts as SVG, drawn here: score against cost, and small marks inside tables.

They carry no style of their own beside classes, so that the page's style sheet gives them the
colours of light and dark, and no script: they show without one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from archon.report.comparing import pareto
from archon.report.wording import amount, dollars, percent

__all__ = ["Axis", "Dot", "bar", "frame", "scatter", "whisker"]

_LOG_FROM = 10.0
"""Ratio of the largest to the smallest cost from which the axis is logarithmic."""
_LETTER = 0.56
"""Width of a letter beside its height, on average; only used to keep labels apart."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One evaluation on the chart: its cost per item, its score, the ends of its interval.

    Without a label no name is written beside it; a faint one was measured on few items.
    """

    label: str
    cost: float
    score: float
    low: float | None
    high: float | None
    faint: bool = False


@dataclass(frozen=True)
class Axis:
    """A scale from values to places, logarithmic or not."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the place of a value."""
        low, high, value = (
            (math.log(self.low), math.log(self.high), math.log(value))
            if self.log
            else (self.low, self.high, value)
        )
        share = 0.5 if high == low else (value - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round values within."""
        if self.log:
            return self._log_ticks()
        step = _step(self.high - self.low)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [n * step for n in range(first, last + 1)]

    def _log_ticks(self) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in ((1, 2, 5), (1,)):
            found = [m * 10.0**d for d in decades for m in steps]
            found = [v for v in found if self.low <= v * (1 + 1e-9) and v <= self.high * (1 + 1e-9)]
            if len(found) <= 7:
                break
        return found[:: math.ceil(len(found) / 7)]


def _step(width: float) -> float:
    """Return 1, 2 or 5 times a power of ten so that 3 to 7 of it fill a width."""
    if width <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(width / 4))
    return next(power * m for m in (1, 2, 5, 10) if width / (power * m) <= 6)


def scatter(dots: Sequence[Dot], unit: str, metric: str, width: int, height: int) -> Markup:
    """Draw scores with their intervals against cost, the Pareto front as a staircase.

    Args:
        dots: what is drawn; at least one.
        unit: `usd`, `tokens` or `calls`.
        metric: what the score is called.
        width: of the picture in pixels, as it is read without scaling.
        height: of it.
    """
    across, up = _axes(dots, width, height)
    front = pareto([(dot.cost, dot.score) for dot in dots])
    said = f"{_WORDS[unit]} per item"
    shown = [
        frame(across, up, (said, metric), (lambda v: _cost(v, unit), None), width, height),
        _stairs(dots, front, across, up),
    ]
    shown += [_dot(dot, n in front, across, up) for n, dot in enumerate(dots)]
    shown += _names(dots, front, across, up)
    title = escape(f"{metric} against {_WORDS[unit]} per item")
    return Markup(  # noqa: S704 (every part is escaped where it is made)
        f'<svg class="scatter" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="{title}">{"".join(shown)}</svg>'
    )


_WORDS = {"usd": "dollars", "tokens": "tokens", "calls": "calls"}


def _axes(dots: Sequence[Dot], width: int, height: int) -> tuple[Axis, Axis]:
    costs = [dot.cost for dot in dots]
    low, high = min(costs), max(costs)
    log = low > 0 and high / low >= _LOG_FROM
    if log:
        low, high = low / 1.4, high * 1.4
    else:
        # Costs that differ by a hair must not lie a page apart.
        room = max((high - low) * 0.08, high * 0.15) or 1.0
        low, high = max(0.0, low - room), high + room
        low = 0.0 if low < 0.35 * high else low
    scores = [end for dot in dots for end in (dot.low, dot.score, dot.high) if end is not None]
    bottom, top = min(scores), max(scores)
    room = max(0.01, 0.06 * (top - bottom))
    bottom = max(min(bottom, 0.0), bottom - room)
    return (
        Axis(low, high, 58, width - 18, log),
        Axis(bottom, min(max(top, 1.0), top + room), height - 44, 14),
    )


def frame(
    across: Axis,
    up: Axis,
    names: tuple[str, str],
    tells: tuple[Callable[[float], str], Callable[[float], str] | None],
    width: int,
    height: int,
) -> str:
    """Draw axes with their names and round values.

    Args:
        across: the scale from left to right.
        up: the scale from bottom to top.
        names: of both.
        tells: how values of both are written; per cent where there is none.
        width: of the picture.
        height: of it.
    """
    parts = []
    for value in up.ticks():
        y = up.at(value)
        digits = 0 if _step(up.high - up.low) >= 0.01 else 1
        told = tells[1](value) if tells[1] else percent(value, digits)
        parts.append(
            f'<line class="grid" x1="{across.start}" x2="{across.end}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{across.start - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{escape(told)}</text>"
        )
    for value in across.ticks():
        x = across.at(value)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{up.end}" y2="{up.start}"/>'
            f'<text class="tick" x="{x:.1f}" y="{up.start + 17}" text-anchor="middle">'
            f"{escape(tells[0](value))}</text>"
        )
    scale = ", logarithmic" if across.log else ""
    middle = (across.start + across.end) / 2
    parts.append(
        f'<line class="axis" x1="{across.start}" x2="{across.end}" y1="{up.start}"'
        f' y2="{up.start}"/><text class="name" x="{middle:.1f}" y="{height - 8}"'
        f' text-anchor="middle">{escape(names[0] + scale)}</text>'
        f'<text class="name" x="14" y="{(up.start + up.end) / 2:.1f}" text-anchor="middle"'
        f' transform="rotate(-90 14 {(up.start + up.end) / 2:.1f})">{escape(names[1])}</text>'
    )
    return "".join(parts)


def _cost(value: float, unit: str) -> str:
    if unit == "usd":
        return dollars(value)
    return amount(value) if value >= 10 or value == int(value) else f"{value:.2g}"


def _stairs(dots: Sequence[Dot], front: Sequence[int], across: Axis, up: Axis) -> str:
    """Draw what can be had at each cost: flat up to the next evaluation on the front."""
    path = ""
    for n in front:
        x, y = across.at(dots[n].cost), up.at(dots[n].score)
        path += f"M{x:.1f} {y:.1f}" if not path else f"H{x:.1f}V{y:.1f}"
    return f'<path class="front" d="{path}H{across.end:.1f}"/>'


def _dot(dot: Dot, front: bool, across: Axis, up: Axis) -> str:
    x, y = across.at(dot.cost), up.at(dot.score)
    bar = ""
    if dot.low is not None and dot.high is not None:
        low, high = up.at(dot.low), up.at(dot.high)
        bar = (
            f'<path class="span" d="M{x:.1f} {low:.1f}V{high:.1f}M{x - 4:.1f} {low:.1f}h8'
            f'M{x - 4:.1f} {high:.1f}h8"/>'
        )
    kind = ("dot on" if front else "dot") + (" faint" if dot.faint else "")
    mark = (
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
        if front
        else f'<rect class="{kind}" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
    )
    return bar + mark


_Box = tuple[float, float, float, float]


def _names(dots: Sequence[Dot], front: Sequence[int], across: Axis, up: Axis) -> list[str]:
    """Write the names beside the dots, where they cover the least of what is drawn already."""
    longest = 30 if across.end > 500 else 18
    taken = _stair_boxes(dots, front, across, up)
    for dot in dots:
        x, y = across.at(dot.cost), up.at(dot.score)
        taken.append((x - 6, y - 6, x + 6, y + 6))
        if dot.low is not None and dot.high is not None:
            taken.append((x - 5, up.at(dot.high), x + 5, up.at(dot.low)))
    shown = []
    for dot in dots:
        if not dot.label:
            continue
        x, y = across.at(dot.cost), up.at(dot.score)
        name = dot.label if len(dot.label) <= longest else dot.label[: longest - 1] + "…"
        long = len(name) * 12.5 * _LETTER
        places = [(x + side * 9 - (long if side < 0 else 0), y + drop)
                  for drop in (4, -9, 17, -22, 30, -35) for side in (1, -1)]  # fmt: skip
        left_most, right_most = across.start, across.end + 14 - long
        left_most, right_most = across.start, across.end + 14 - long
        inside = [p for p in places if left_most <= p[0] <= right_most] or places
        boxes = [(left, base - 11, left + long, base + 3) for left, base in inside]
        best = min(boxes, key=lambda box: _covered(box, taken))
        taken.append(best)
        left, base = best[0], best[3] - 3
        shown.append(f'<text class="label" x="{left:.1f}" y="{base:.1f}">{escape(name)}</text>')
    return shown


def _stair_boxes(dots: Sequence[Dot], front: Sequence[int], across: Axis, up: Axis) -> list[_Box]:
    """Return what the staircase covers."""
    boxes: list[_Box] = []
    corners = [(across.at(dots[n].cost), up.at(dots[n].score)) for n in front]
    for (x, y), (right, above) in zip(corners, [*corners[1:], (across.end, 0.0)], strict=True):
        boxes.append((x, y - 2, right, y + 2))
        if right < across.end:
            boxes.append((right - 2, above, right + 2, y))
    return boxes


def _covered(box: _Box, taken: Sequence[_Box]) -> float:
    """Return the area of a box that others lie upon."""
    left, top, right, bottom = box
    return sum(
        max(0.0, min(right, r) - max(left, x)) * max(0.0, min(bottom, b) - max(top, y))
        for x, y, r, b in taken
    )


def whisker(score: float | None, low: float | None, high: float | None) -> Markup:
    """Draw a score and its interval on a scale from 0 to 1; its cell says the same in words."""
    if score is None:
        return Markup()
    line = ""
    if low is not None and high is not None:
        line = f'<path class="span" d="M{_on(low)} 6H{_on(high)}"/>'
    return Markup(  # noqa: S704 (numbers only)
        '<svg class="whisker" viewBox="0 0 100 12" width="100" height="12" aria-hidden="true">'
        '<path class="grid" d="M1 11.5H99"/>'
        f'{line}<circle class="dot on" cx="{_on(score)}" cy="6" r="3"/></svg>'
    )


def _on(share: float) -> str:
    return f"{1 + 98 * min(1.0, max(0.0, share)):.1f}"


def bar(share: float | None) -> Markup:
    """Draw a share as a bar; its cell says the same in words."""
    if share is None:
        return Markup()
    return Markup(  # noqa: S704 (numbers only)
        '<svg class="bar" viewBox="0 0 100 10" width="100" height="10" aria-hidden="true">'
        f'<rect class="rest" width="100" height="10"/><rect width="{100 * share:.1f}" height="10"/>'
        "</svg>"
    )
