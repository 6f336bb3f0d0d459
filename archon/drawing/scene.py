"""What stands where on the paper; SVG and PNG are two ways of putting it there."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from archon.drawing.parts import COLOURS, GREY, INK, Graph, Item, Role, short

__all__ = ["Curve", "Mark", "Rect", "Scene", "Text", "bezier", "head", "scene_of"]

GAP_X, GAP_Y, PAD, HEAD, LINE = 52.0, 14.0, 14.0, 19.0, 15.0


@dataclass(frozen=True)
class Rect:
    """A box; `tip` is shown when one points at it."""

    x: float
    y: float
    w: float
    h: float
    role: Role
    tip: str = ""


@dataclass(frozen=True)
class Text:
    """A line of text around or behind a point."""

    x: float
    y: float
    text: str
    size: int
    colour: str
    bold: bool = False
    middle: bool = True


@dataclass(frozen=True)
class Curve:
    """A line from left to right, or with `dip` a line back below."""

    x1: float
    y1: float
    x2: float
    y2: float
    arrow: bool = True
    dip: float = 0.0
    """How far below a line back from right to left runs; 0 for a forward line."""


Mark: TypeAlias = Rect | Text | Curve


@dataclass(frozen=True)
class Scene:
    """Everything on the paper, in the order in which it is drawn."""

    width: float
    height: float
    marks: tuple[Mark, ...]
    name: str


def scene_of(graph: Graph, name: str) -> Scene:
    """Place a graph between question and answer, with a legend of its colours."""
    ends = {"": Item("question", (), "end"), "/": Item("answer", (), "end")}
    items = {"": ends[""], **graph.items, "/": ends["/"]}
    after = {id_: before or ("",) for id_, before in graph.after.items()}
    whole = _Layout(Graph(items, {"": (), **after, "/": tuple(graph.ends)}))
    marks = list(whole.marks(PAD, PAD))
    roles = dict.fromkeys(m.role for m in marks if isinstance(m, Rect))
    legend = [role for role in COLOURS if role in roles and role not in ("end", "frame")]
    y = whole.height + 2 * PAD + 6
    for i, role in enumerate(legend):
        marks.append(Rect(PAD + 84 * i, y, 11, 11, role))
        marks.append(Text(PAD + 84 * i + 17, y + 9.5, role, 11, GREY, middle=False))
    width = max(whole.width + 2 * PAD, PAD + 84 * len(legend))
    return Scene(width, y + 11 + PAD, tuple(marks), name)


class _Layout:
    """One graph in columns from left to right: each item stands behind all it waits for."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.inner = {k: [_Layout(g) for g in item.inner] for k, item in graph.items.items()}
        self.before: dict[str, list[str]] = {}
        self.columns: list[list[str]] = []
        self._level()
        sizes = {id_: self._size(id_) for column in self.columns for id_ in column}
        self.sizes = sizes
        self.widths = [max(sizes[id_][0] for id_ in column) for column in self.columns]
        heights = [
            sum(sizes[id_][1] for id_ in column) + GAP_Y * (len(column) - 1)
            for column in self.columns
        ]
        self.height = max(heights)
        self.width = sum(self.widths) + GAP_X * (len(self.columns) - 1)
        self.tops = [(self.height - height) / 2 for height in heights]

    def _level(self) -> None:
        """Fill the columns; an edge that skips some runs through an empty place in each."""
        levels: dict[str, int] = {}
        for id_, before in self.graph.after.items():
            levels[id_] = 1 + max((levels[other] for other in before), default=-1)
        self.columns = [[] for _ in range(1 + max(levels.values()))]
        for id_, before in self.graph.after.items():
            self.before[id_] = [self._led(o, levels[o], levels[id_]) for o in before]
            self.columns[levels[id_]].append(id_)
        for left, column in zip(self.columns, self.columns[1:], strict=False):
            at = {id_: i for i, id_ in enumerate(left)}
            column.sort(key=lambda id_: _mean(at[o] for o in self.before[id_]))

    def _led(self, source: str, start: int, end: int) -> str:
        """Return the id that stands for `source` just before column `end`."""
        last = source
        for level in range(start + 1, end):
            through = f"{source}:{level}"  # no node id holds a colon
            if through not in self.before:
                self.before[through] = [last]
                self.columns[level].append(through)
            last = through
        return last

    def _size(self, id_: str) -> tuple[float, float]:
        item = self.graph.items.get(id_)
        if item is None:
            return 0.0, 6.0
        texts = [_wide(short(item.title)) * 7.6, *(_wide(short(t)) * 6.3 for t in item.lines)]
        wide, high = max(texts) + 2 * PAD, HEAD + LINE * len(item.lines) + 11
        if not item.inner:
            return max(wide, 84.0), high
        inside = self.inner[id_]
        high += sum(layout.height + GAP_Y for layout in inside) + (GAP_Y if item.again else 0)
        return max(wide, *(layout.width + 2 * PAD for layout in inside)), high

    def marks(self, x0: float, y0: float) -> Iterator[Mark]:
        """Yield lines, boxes and texts with their places."""
        rects: dict[str, Rect] = {}
        x = x0
        for column, width, top in zip(self.columns, self.widths, self.tops, strict=True):
            y = y0 + top
            # Boxes of a column are equally wide, unless a frame among them is much wider.
            leaf = max((self.sizes[id_][0] for id_ in column if not self.inner.get(id_)), default=0)
            for id_ in column:
                wide, high = self.sizes[id_]
                item = self.graph.items.get(id_)
                wide = width if item is None else max(wide, 0 if item.inner else leaf)
                tip = "\n".join((item.title, *item.lines)) if item else ""
                role = item.role if item else "frame"
                rects[id_] = Rect(x + (width - wide) / 2, y, wide, high, role, tip)
                y += high + GAP_Y
            x += width + GAP_X
        yield from self._lines(rects, x0)
        for id_, rect in rects.items():
            if id_ in self.graph.items:
                yield from self._box(id_, rect)
            else:
                y = rect.y + rect.h / 2
                yield Curve(rect.x, y, rect.x + rect.w, y, arrow=False)

    def _lines(self, rects: Mapping[str, Rect], x0: float) -> Iterator[Curve]:
        """Yield the edges; where many lead to many, through one point between them."""
        edges = self._edges(x0)
        groups: dict[tuple[str, ...], list[str]] = {}
        for id_ in rects:
            if self.before[id_]:
                groups.setdefault(tuple(self.before[id_]), []).append(id_)
        for sources, targets in groups.items():
            starts = [(edges[s][1], rects[s].y + rects[s].h / 2) for s in sources]
            stops = [(edges[t][0], rects[t].y + rects[t].h / 2) for t in targets]
            if len(starts) > 1 and len(stops) > 1:
                x = (starts[0][0] + stops[0][0]) / 2
                y = _mean(y for _, y in [*starts, *stops])
                yield from (Curve(*start, x, y, arrow=False) for start in starts)
                starts = [(x, y)]
            for target, (x, y) in zip(targets, stops, strict=True):
                touches = rects[target].x == x and target in self.graph.items
                yield from (Curve(*start, x, y, arrow=touches) for start in starts)
        yield from self._stubs(rects, edges)

    def _edges(self, x0: float) -> dict[str, tuple[float, float]]:
        """Return the left and right end of each item's column."""
        edges: dict[str, tuple[float, float]] = {}
        for column, width in zip(self.columns, self.widths, strict=True):
            edges |= dict.fromkeys(column, (x0, x0 + width))
            x0 += width + GAP_X
        return edges

    def _stubs(
        self, rects: Mapping[str, Rect], edges: Mapping[str, tuple[float, float]]
    ) -> Iterator[Curve]:
        """Yield what is left between a box and its column's ends, where it is narrower."""
        sources = {source for before in self.before.values() for source in before}
        for id_, rect in rects.items():
            (left, right), y = edges[id_], rect.y + rect.h / 2
            if rect.x > left and self.before[id_]:
                yield Curve(left, y, rect.x, y)
            if rect.x > left and id_ in sources:
                yield Curve(rect.x + rect.w, y, right, y, arrow=False)

    def _box(self, id_: str, rect: Rect) -> Iterator[Mark]:
        item = self.graph.items[id_]
        yield rect
        colour, faint = (GREY, GREY) if item.inner else (INK, "#374151")
        middle, y = rect.x + rect.w / 2, rect.y + HEAD
        yield Text(middle, y, short(item.title), 13, colour, bold=True)
        for line in item.lines:
            y += LINE
            yield Text(middle, y, short(line), 11, faint)
        y += 11
        for layout in self.inner[id_]:
            x = rect.x + (rect.w - layout.width) / 2
            yield from layout.marks(x, y)
            y += layout.height + GAP_Y
            if item.again:
                low = y - GAP_Y / 2
                yield Curve(x + layout.width - 20, low - 4, x + 20, low - 4, dip=16)


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0


def _wide(text: str) -> int:
    """Return how many narrow characters `text` is as wide as."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def bezier(mark: Curve) -> tuple[tuple[float, float], ...]:
    """Return start, two control points and end of a line."""
    if mark.dip:
        low = mark.y1 + mark.dip
        return (mark.x1, mark.y1), (mark.x1, low), (mark.x2, low), (mark.x2, mark.y2 + 4)
    half = (mark.x2 - mark.x1) / 2
    end = mark.x2 - 6 if mark.arrow else mark.x2
    return (
        (mark.x1, mark.y1),
        (mark.x1 + half, mark.y1),
        (mark.x2 - half, mark.y2),
        (end, mark.y2),
    )


def head(mark: Curve) -> tuple[tuple[float, float], ...]:
    """Return the corners of an arrow's head."""
    x, y = mark.x2, mark.y2
    if mark.dip:
        return (x, y - 2), (x - 4, y + 6), (x + 4, y + 6)
    return (x, y), (x - 8, y - 4), (x - 8, y + 4)
