"""Pictures of architectures, drawn here without any dependency: Mermaid text, SVG, PNG.

Colours tell what a layer does with candidates, as its ports say; they hold on light and dark
backgrounds. A nested architecture and a layer that holds one are frames around their inside.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeAlias

from archon.base import Architecture, Layer, Node, as_architecture
from archon.errors import ConfigError
from archon.model import Model

__all__ = ["Drawing", "draw"]

Role: TypeAlias = Literal["writes", "rewrites", "judges", "tests", "chooses", "end", "frame"]

COLOURS: Mapping[Role, tuple[str, str]] = {
    "writes": ("#dbeafe", "#3b82f6"),
    "rewrites": ("#d1fae5", "#10b981"),
    "judges": ("#fef3c7", "#d97706"),
    "tests": ("#ede9fe", "#8b5cf6"),
    "chooses": ("#ffe4e6", "#e11d48"),
    "end": ("#e5e7eb", "#768390"),
    "frame": ("none", "#768390"),
}
"""Fill and stroke; text on a fill is dark, everything else is a grey that both themes show."""
INK, GREY = "#111827", "#768390"
GAP_X, GAP_Y, PAD, HEAD, LINE = 52.0, 14.0, 14.0, 19.0, 15.0
LONGEST = 34
"""Characters of one line; what is longer ends in an ellipsis, the tooltip has all of it."""


@dataclass(frozen=True)
class Drawing:
    """A picture of an architecture; a notebook shows it as such.

    Attributes:
        mermaid: a Mermaid flowchart, for Markdown.
        svg: a complete SVG document.
    """

    mermaid: str
    svg: str
    _scene: _Scene = field(repr=False, compare=False)

    def save(self, path: str | Path) -> Path:
        """Write the picture in the format that the ending names: .svg, .mmd, .md or .png.

        Raises:
            ConfigError: for another ending, a file that cannot be written, or .png without
                matplotlib.
        """
        path = Path(path)
        writers: dict[str, Callable[[], object]] = {
            ".svg": lambda: path.write_text(self.svg, encoding="utf-8"),
            ".mmd": lambda: path.write_text(self.mermaid, encoding="utf-8"),
            ".md": lambda: path.write_text(f"```mermaid\n{self.mermaid}```\n", encoding="utf-8"),
            ".png": lambda: _save_png(self._scene, path),
        }
        if path.suffix.lower() not in writers:
            raise ConfigError(f"a picture ends in {', '.join(writers)}, got {str(path)!r}")
        try:
            writers[path.suffix.lower()]()
        except OSError as error:
            raise ConfigError(str(error.strerror).lower(), where=str(path)) from None
        return path

    def _repr_svg_(self) -> str:
        return self.svg


def draw(node: Node) -> Drawing:
    """Return the picture of an architecture or a layer."""
    architecture = as_architecture(node)
    graph = _graph(architecture)
    scene = _scene(graph, _clean(architecture.name))
    return Drawing(_mermaid(graph), _svg(scene), scene)


# What is drawn: items in graphs, frames with graphs inside.


@dataclass(frozen=True)
class _Item:
    title: str
    lines: tuple[str, ...]
    role: Role
    inner: tuple[_Graph, ...] = ()
    again: bool = False


@dataclass(frozen=True)
class _Graph:
    items: dict[str, _Item]
    after: dict[str, tuple[str, ...]]

    @property
    def ends(self) -> list[str]:
        waited = {id_ for ids in self.after.values() for id_ in ids}
        return [id_ for id_ in self.items if id_ not in waited]


def _graph(architecture: Architecture) -> _Graph:
    order = {place.id: place for place in architecture.order}
    items = {id_: _item(place.node) for id_, place in order.items()}
    return _Graph(items, {id_: place.after for id_, place in order.items()})


def _item(node: Node) -> _Item:
    if not isinstance(node, Layer):
        return _Item(_clean(node.label), (), "frame", (_graph(as_architecture(node)),))
    children = [child for _, child in node.children()]
    # A loop yields its body once for each round; it is drawn once, with an arrow back.
    distinct = {id(child): child for child in children}
    inner = tuple(_graph(as_architecture(child)) for child in distinct.values())
    count = getattr(node, "samples", 1)
    title = (
        f"{node.kind} \N{MULTIPLICATION SIGN}{count}"
        if isinstance(count, int) and count > 1
        else node.kind
    )
    role: Role = "frame" if inner else _role(node)
    lines = (*_models(node), *_settings(node))
    return _Item(_clean(title), lines, role, inner, len(children) > len(distinct))


def _role(layer: Layer) -> Role:
    needs, gives = layer.required(), layer.provided()
    if "candidates" in gives:
        return "rewrites" if "candidates" in needs else "writes"
    if gives & {"tests", "asserts"}:
        return "tests"
    return "judges" if gives else "chooses"


def _models(layer: Layer) -> Iterator[str]:
    for name in type(layer).model_fields:
        value = getattr(layer, name)
        for model in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(model, Model):
                heat = "" if model.temperature is None else f" · T {model.temperature:g}"
                yield _clean(model.model.rpartition("/")[2] + heat)


def _settings(layer: Layer) -> Iterator[str]:
    shown = [
        f"{name} {value}" if value is not True else name
        for name, value in layer.settings().items()
        if isinstance(value, (str, int, float)) and name != "samples"
    ]
    if shown:
        yield _clean(", ".join(shown))


def _clean(text: str) -> str:
    """Return text that XML and Mermaid may hold: control characters and the like are dropped."""
    text = " ".join(text.split())
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Cn"))


# Mermaid.


def _mermaid(graph: _Graph) -> str:
    lines = ["flowchart LR"]
    names = iter(f"n{i}" for i in range(1_000_000_000))
    used: set[Role] = set()
    lines += _mermaid_graph(graph, names, used, "  ")
    for role, (fill, stroke) in COLOURS.items():
        if role in used:
            lines.append(f"  classDef {role}_ fill:{fill},stroke:{stroke},color:{INK}")
    return "\n".join(lines) + "\n"


def _mermaid_graph(
    graph: _Graph, names: Iterator[str], used: set[Role], indent: str
) -> Iterator[str]:
    ids = {id_: next(names) for id_ in graph.items}
    for id_, item in graph.items.items():
        label = "<br/>".join(map(_quoted, (item.title, *item.lines)))
        if not item.inner:
            used.add(item.role)
            yield f'{indent}{ids[id_]}["{label}"]:::{item.role}_'
            continue
        yield f'{indent}subgraph {ids[id_]}["{label}{" ↻" if item.again else ""}"]'
        for inner in item.inner:
            yield from _mermaid_graph(inner, names, used, indent + "  ")
        yield f"{indent}end"
    for id_, before in graph.after.items():
        for other in before:
            yield f"{indent}{ids[other]} --> {ids[id_]}"


def _quoted(text: str) -> str:
    """Return text for a Mermaid label, where everything but plain characters is a number."""
    return re.sub(r"[^\w .,:+*/()\xd7·…-]", lambda match: f"#{ord(match[0])};", _short(text))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


# The scene: what stands where. SVG and PNG are two ways of putting it on paper.


@dataclass(frozen=True)
class _Rect:
    x: float
    y: float
    w: float
    h: float
    role: Role
    tip: str = ""


@dataclass(frozen=True)
class _Text:
    x: float
    y: float
    text: str
    size: int
    colour: str
    bold: bool = False
    middle: bool = True


@dataclass(frozen=True)
class _Curve:
    x1: float
    y1: float
    x2: float
    y2: float
    arrow: bool = True
    dip: float = 0.0
    """How far below a line back from right to left runs; 0 for a forward line."""


_Mark: TypeAlias = _Rect | _Text | _Curve


@dataclass(frozen=True)
class _Scene:
    width: float
    height: float
    marks: tuple[_Mark, ...]
    name: str


def _scene(graph: _Graph, name: str) -> _Scene:
    ends = {"": _Item("question", (), "end"), "/": _Item("answer", (), "end")}
    items = {"": ends[""], **graph.items, "/": ends["/"]}
    after = {id_: before or ("",) for id_, before in graph.after.items()}
    whole = _Layout(_Graph(items, {"": (), **after, "/": tuple(graph.ends)}))
    marks = list(whole.marks(PAD, PAD))
    roles = dict.fromkeys(m.role for m in marks if isinstance(m, _Rect))
    legend = [role for role in COLOURS if role in roles and role not in ("end", "frame")]
    y = whole.height + 2 * PAD + 6
    for i, role in enumerate(legend):
        marks.append(_Rect(PAD + 84 * i, y, 11, 11, role))
        marks.append(_Text(PAD + 84 * i + 17, y + 9.5, role, 11, GREY, middle=False))
    width = max(whole.width + 2 * PAD, PAD + 84 * len(legend))
    return _Scene(width, y + 11 + PAD, tuple(marks), name)


class _Layout:
    """One graph in columns from left to right: each item stands behind all it waits for."""

    def __init__(self, graph: _Graph) -> None:
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
        texts = [_wide(_short(item.title)) * 7.6, *(_wide(_short(t)) * 6.3 for t in item.lines)]
        wide, high = max(texts) + 2 * PAD, HEAD + LINE * len(item.lines) + 11
        if not item.inner:
            return max(wide, 84.0), high
        inside = self.inner[id_]
        high += sum(layout.height + GAP_Y for layout in inside) + (GAP_Y if item.again else 0)
        return max(wide, *(layout.width + 2 * PAD for layout in inside)), high

    def marks(self, x0: float, y0: float) -> Iterator[_Mark]:
        """Yield lines, boxes and texts with their places."""
        rects: dict[str, _Rect] = {}
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
                rects[id_] = _Rect(x + (width - wide) / 2, y, wide, high, role, tip)
                y += high + GAP_Y
            x += width + GAP_X
        yield from self._lines(rects, x0)
        for id_, rect in rects.items():
            if id_ in self.graph.items:
                yield from self._box(id_, rect)
            else:
                y = rect.y + rect.h / 2
                yield _Curve(rect.x, y, rect.x + rect.w, y, arrow=False)

    def _lines(self, rects: Mapping[str, _Rect], x0: float) -> Iterator[_Curve]:
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
                yield from (_Curve(*start, x, y, arrow=False) for start in starts)
                starts = [(x, y)]
            for target, (x, y) in zip(targets, stops, strict=True):
                touches = rects[target].x == x and target in self.graph.items
                yield from (_Curve(*start, x, y, arrow=touches) for start in starts)
        yield from self._stubs(rects, edges)

    def _edges(self, x0: float) -> dict[str, tuple[float, float]]:
        """Return the left and right end of each item's column."""
        edges: dict[str, tuple[float, float]] = {}
        for column, width in zip(self.columns, self.widths, strict=True):
            edges |= dict.fromkeys(column, (x0, x0 + width))
            x0 += width + GAP_X
        return edges

    def _stubs(
        self, rects: Mapping[str, _Rect], edges: Mapping[str, tuple[float, float]]
    ) -> Iterator[_Curve]:
        """Yield what is left between a box and its column's ends, where it is narrower."""
        sources = {source for before in self.before.values() for source in before}
        for id_, rect in rects.items():
            (left, right), y = edges[id_], rect.y + rect.h / 2
            if rect.x > left and self.before[id_]:
                yield _Curve(left, y, rect.x, y)
            if rect.x > left and id_ in sources:
                yield _Curve(rect.x + rect.w, y, right, y, arrow=False)

    def _box(self, id_: str, rect: _Rect) -> Iterator[_Mark]:
        item = self.graph.items[id_]
        yield rect
        colour, faint = (GREY, GREY) if item.inner else (INK, "#374151")
        middle, y = rect.x + rect.w / 2, rect.y + HEAD
        yield _Text(middle, y, _short(item.title), 13, colour, bold=True)
        for line in item.lines:
            y += LINE
            yield _Text(middle, y, _short(line), 11, faint)
        y += 11
        for layout in self.inner[id_]:
            x = rect.x + (rect.w - layout.width) / 2
            yield from layout.marks(x, y)
            y += layout.height + GAP_Y
            if item.again:
                low = y - GAP_Y / 2
                yield _Curve(x + layout.width - 20, low - 4, x + 20, low - 4, dip=16)


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0


def _wide(text: str) -> int:
    """Return how many narrow characters `text` is as wide as."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


# SVG.


def _svg(scene: _Scene) -> str:
    width, height = f"{scene.width:.0f}", f"{scene.height:.0f}"
    body = "\n".join(map(_svg_mark, scene.marks))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="system-ui, -apple-system, '
        f"'Segoe UI', 'Helvetica Neue', Arial, sans-serif\">\n"
        f"<title>{escape(scene.name or 'architecture')}</title>\n{body}\n</svg>\n"
    )


def _svg_mark(mark: _Mark) -> str:
    if isinstance(mark, _Text):
        anchor = ' text-anchor="middle"' if mark.middle else ""
        bold = ' font-weight="600"' if mark.bold else ""
        return (
            f'<text x="{mark.x:.1f}" y="{mark.y:.1f}" font-size="{mark.size}" '
            f'fill="{mark.colour}"{anchor}{bold}>{escape(mark.text)}</text>'
        )
    if isinstance(mark, _Rect):
        fill, stroke = COLOURS[mark.role]
        dash = ' stroke-dasharray="5 4"' if mark.role == "frame" else ""
        round_ = min(mark.h / 2, 16.0 if mark.role == "end" else 8.0)
        tip = f"<title>{escape(mark.tip)}</title>" if mark.tip else ""
        return (
            f'<rect x="{mark.x:.1f}" y="{mark.y:.1f}" width="{mark.w:.1f}" height="{mark.h:.1f}" '
            f'rx="{round_:.1f}" fill="{fill}" stroke="{stroke}" stroke-width="1.3"{dash}>{tip}'
            "</rect>"
        )
    points = _bezier(mark)
    (x1, y1), *rest = points
    path = f"M{x1:.1f} {y1:.1f}C" + " ".join(f"{x:.1f} {y:.1f}" for x, y in rest)
    line = f'<path d="{path}" fill="none" stroke="{GREY}" stroke-width="1.3"/>'
    if not mark.arrow:
        return line
    head = " ".join(f"{x:.1f},{y:.1f}" for x, y in _head(mark))
    return f'{line}<polygon points="{head}" fill="{GREY}"/>'


def _bezier(mark: _Curve) -> tuple[tuple[float, float], ...]:
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


def _head(mark: _Curve) -> tuple[tuple[float, float], ...]:
    x, y = mark.x2, mark.y2
    if mark.dip:
        return (x, y - 2), (x - 4, y + 6), (x + 4, y + 6)
    return (x, y), (x - 8, y - 4), (x - 8, y + 4)


# PNG.


def _save_png(scene: _Scene, path: Path) -> None:
    """Put the scene on paper with matplotlib.

    Raises:
        ConfigError: when it is not installed.
    """
    try:
        figures: Any = import_module("matplotlib.figure")
        patches: Any = import_module("matplotlib.patches")
        paths: Any = import_module("matplotlib.path")
    except ImportError:
        raise ConfigError(
            f"a PNG needs matplotlib, which is not installed; save as"
            f" {path.with_suffix('.svg').name!r} instead, or pip install matplotlib"
        ) from None
    figure = figures.Figure(figsize=(scene.width / 72, scene.height / 72), dpi=144)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, scene.width), ylim=(scene.height, 0))
    axes.axis("off")
    for mark in scene.marks:
        if isinstance(mark, _Text):
            axes.text(
                mark.x, mark.y, mark.text.replace("$", r"\$"), size=mark.size * 0.95,
                color=mark.colour, ha="center" if mark.middle else "left", va="baseline",
                weight="bold" if mark.bold else "normal",
            )  # fmt: skip
        elif isinstance(mark, _Rect):
            fill, stroke = COLOURS[mark.role]
            style = f"round,pad=0,rounding_size={min(mark.h / 2, 8):.1f}"
            axes.add_patch(
                patches.FancyBboxPatch(
                    (mark.x, mark.y), mark.w, mark.h, boxstyle=style, fc=fill, ec=stroke,
                    linestyle="--" if mark.role == "frame" else "-",
                )
            )  # fmt: skip
        else:
            line = paths.Path(_bezier(mark), [1, 4, 4, 4])
            axes.add_patch(patches.PathPatch(line, fc="none", ec=GREY))
            if mark.arrow:
                axes.add_patch(patches.Polygon(_head(mark), closed=True, fc=GREY, ec="none"))
    figure.savefig(path, facecolor="white")
