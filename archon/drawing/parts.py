"""What is drawn: items in graphs, frames with graphs inside."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from archon.base import Architecture, Layer, Node, as_architecture
from archon.model import Model

__all__ = ["COLOURS", "GREY", "INK", "Graph", "Item", "Role", "clean", "graph_of", "short"]

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
LONGEST = 34
"""Characters of one line; what is longer ends in an ellipsis, the tooltip has all of it."""


@dataclass(frozen=True)
class Item:
    """A box: its title, the lines below, and the graphs inside; `again` means they repeat."""

    title: str
    lines: tuple[str, ...]
    role: Role
    inner: tuple[Graph, ...] = ()
    again: bool = False


@dataclass(frozen=True)
class Graph:
    """Items by id, and for each the ids it stands behind."""

    items: dict[str, Item]
    after: dict[str, tuple[str, ...]]

    @property
    def ends(self) -> list[str]:
        """The ids that nothing stands behind."""
        waited = {id_ for ids in self.after.values() for id_ in ids}
        return [id_ for id_ in self.items if id_ not in waited]


def graph_of(architecture: Architecture) -> Graph:
    """Return what is drawn of an architecture."""
    order = {place.id: place for place in architecture.order}
    items = {id_: _item(place.node) for id_, place in order.items()}
    return Graph(items, {id_: place.after for id_, place in order.items()})


def _item(node: Node) -> Item:
    if not isinstance(node, Layer):
        return Item(clean(node.label), (), "frame", (graph_of(as_architecture(node)),))
    children = [child for _, child in node.children()]
    # A loop yields its body once for each round; it is drawn once, with an arrow back.
    distinct = {id(child): child for child in children}
    inner = tuple(graph_of(as_architecture(child)) for child in distinct.values())
    count = getattr(node, "samples", 1)
    title = (
        f"{node.kind} \N{MULTIPLICATION SIGN}{count}"
        if isinstance(count, int) and count > 1
        else node.kind
    )
    role: Role = "frame" if inner else _role(node)
    lines = (*_models(node), *_settings(node))
    return Item(clean(title), lines, role, inner, len(children) > len(distinct))


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
                yield clean(model.model.rpartition("/")[2] + heat)


def _settings(layer: Layer) -> Iterator[str]:
    shown = [
        f"{name} {value}" if value is not True else name
        for name, value in layer.settings().items()
        if isinstance(value, (str, int, float)) and name != "samples"
    ]
    if shown:
        yield clean(", ".join(shown))


def clean(text: str) -> str:
    """Return text that XML and Mermaid may hold: control characters and the like are dropped."""
    text = " ".join(text.split())
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Cn"))


def short(text: str) -> str:
    """Return what of a line is shown."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
