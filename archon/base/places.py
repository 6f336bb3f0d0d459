"""Places of nodes in a graph: ids, edges, and the stages that most graphs are written as."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from archon.errors import ArchitectureError, did_you_mean

if TYPE_CHECKING:
    from archon.base.node import Node

__all__ = ["Place", "append", "check_edges", "stages", "unique"]


@dataclass(frozen=True, slots=True)
class Place:
    """A node's place in an architecture: its id, and the ids of the nodes before it."""

    id: str
    node: Node
    after: tuple[str, ...] = ()


def check_edges(places: tuple[Place, ...]) -> None:
    """Raise ArchitectureError for an id used twice, an unknown one, or a cycle."""
    counts = Counter(place.id for place in places)
    for id_, count in counts.items():
        if count > 1:
            raise ArchitectureError(f"the node id {id_!r} is used {count} times")
        if "/" in id_ or ":" in id_ or not id_:
            raise ArchitectureError(f"a node id may not be empty or hold '/' or ':', got {id_!r}")
    for place in places:
        for id_ in place.after:
            if id_ not in counts:
                known = did_you_mean(id_, counts)
                raise ArchitectureError(f"{place.id!r} comes after unknown node {id_!r}{known}")
    try:
        TopologicalSorter({place.id: place.after for place in places}).prepare()
    except CycleError as error:
        raise ArchitectureError(f"the nodes form a cycle: {' > '.join(error.args[1])}") from None


def unique(id_: str, taken: set[str] | Mapping[str, object]) -> str:
    """Return `id_`, or `id_-2`, `id_-3` … if it is taken."""
    if id_ not in taken:
        return id_
    number = 2
    while f"{id_}-{number}" in taken:
        number += 1
    return f"{id_}-{number}"


def append(first: tuple[Place, ...], second: tuple[Place, ...]) -> tuple[Place, ...]:
    """Put places behind others, with new ids where the old ones are taken."""
    taken = {place.id for place in first}
    names: dict[str, str] = {}
    for place in second:
        base = place.node.label if place.id in taken else place.id
        names[place.id] = unique(base, taken)
        taken.add(names[place.id])
    moved = (
        replace(place, id=names[place.id], after=tuple(names[id_] for id_ in place.after))
        for place in second
    )
    return (*first, *moved)


def stages(places: tuple[Place, ...]) -> list[list[Place]] | None:
    """Return the places as stages, each after the whole one before; None if they are not."""
    result: list[list[Place]] = []
    for place in places:
        before = tuple(p.id for p in result[-2]) if len(result) > 1 else ()
        current = tuple(p.id for p in result[-1]) if result else None
        if current is None:
            if place.after:
                return None
            result.append([place])
        elif place.after == current:
            result.append([place])
        elif place.after == before:
            result[-1].append(place)
        else:
            return None
    return result
