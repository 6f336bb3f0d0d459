"""An architecture as Mermaid text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archon.drawing.parts import COLOURS, INK, Graph, Role, short

__all__ = ["mermaid"]


def mermaid(graph: Graph) -> str:
    """Return a flowchart from left to right."""
    lines = ["flowchart LR"]
    names = iter(f"n{i}" for i in range(1_000_000_000))
    used: set[Role] = set()
    lines += _mermaid_graph(graph, names, used, "  ")
    for role, (fill, stroke) in COLOURS.items():
        if role in used:
            lines.append(f"  classDef {role}_ fill:{fill},stroke:{stroke},color:{INK}")
    return "\n".join(lines) + "\n"


def _mermaid_graph(
    graph: Graph, names: Iterator[str], used: set[Role], indent: str
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
    return re.sub(r"[^\w .,:+*/()\xd7·…-]", lambda match: f"#{ord(match[0])};", short(text))
