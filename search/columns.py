"""The columns of a template: everything that a trial may be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archon.search.holes import Column
from archon.search.template import (
    Body,
    Choice,
    Each,
    Mapped,
    Maybe,
    Repeat,
    Single,
    Subset,
    When,
)
from archon.search.trial import flag

__all__ = ["columns"]


def columns(node: Any, prefix: str = "") -> Iterator[Column]:
    """Yield the columns of everything that may be asked for below a node, in order."""
    if isinstance(node, Single):
        yield node.at(prefix)
    elif isinstance(node, Subset):
        yield from _subset_columns(node, prefix + node.name)
    elif isinstance(node, Maybe):
        yield flag(prefix + node.name)
    for part, inner in _below(node):
        yield from columns(part, prefix + inner)


def _below(node: Any) -> Iterator[tuple[Any, str]]:
    """Yield the parts of a node, each with what comes in front of the names in it."""
    match node:
        case Mapped(parts=parts):
            yield from ((part, "") for _, part in parts)
        case Choice(options=options):
            yield from ((option, "") for option in options)
        case Body(node=inside) | Maybe(body=inside) | When(body=inside):
            yield inside, ""
        case Repeat():
            yield node.times, ""
            for number in range(1, node.most + 1):
                yield node.body, f"{node.name}[{number}]."
        case Each():
            yield node.of, ""
            for text in node.labels:
                yield node.body, f"{node.name}[{text}]."


def _subset_columns(node: Subset, name: str) -> Iterator[Column]:
    if node.take == "any":
        yield from (flag(f"{name}[{label}]") for label in node.labels)
        return
    yield Column(name, "ordinal", tuple(node.sizes))
    if node.take == "ordered":
        for position in range(1, max(node.sizes) + 1):
            yield Column(f"{name}[{position}]", "categorical", tuple(node.labels))
