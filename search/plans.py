"""The cost of many architectures that are alike: each layer and each beginning is worked out once.

An architecture is taken here as numbers: a node is interned by what it is, and a place by its
node, its layers' members in their families, and the places before it. Two architectures with the
same beginning have the same places there, whose bounds, ports and calls are then known. What comes
out is what `Architecture` says itself: equal numbers where digests are equal, the same bounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from archon.base import (
    Architecture,
    Bound,
    Flow,
    Layer,
    Node,
    Place,
    Shape,
    read_entry,
    read_model,
)
from archon.base.places import check_edges, unique
from archon.errors import ArchitectureError, ConfigError
from archon.model import Model
from archon.search import rules as _rules  # noqa: F401 (registers how each layer is traced)
from archon.search.calls import Asked, Namer, Names, Symbols, trace
from archon.types import Json

__all__ = ["Plan", "Plans"]

MOST_HELD = 20_000
"""Entries that are known by their identity."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One architecture.

    Attributes:
        key: equal for equal architectures.
        parts: numbers of its places, each a row of what `Plans` knows.
        error: why it is none, with no parts then.
    """

    key: Hashable
    parts: tuple[int, ...] = ()
    error: ConfigError | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A place and all before it: its own cost and what comes out of it.

    Attributes:
        bound: of the place alone.
        calls: the numbers of its calls.
        flow: the ports behind it; or why there are none.
    """

    bound: Bound
    calls: tuple[int, ...]
    state: Symbols
    flow: Flow | ArchitectureError


_Place = tuple[str, int, tuple[str, ...]]
"""An id, the number of a node, and the ids of what it comes after."""
_Entry = tuple[str, int, tuple[str, ...] | None]
"""An entry of a file: an id or none, the number of a node, and `after` where it is said."""


@dataclass(frozen=True, slots=True)
class _Beginning:
    """The first stages of an architecture.

    Attributes:
        number: of this beginning.
        places: in listing order.
        parts: number of the part of each place, by id.
        seen: layers so far, by family.
        ends: the ids of the last stage.
        error: why nothing that begins so is an architecture.
    """

    number: int
    places: tuple[_Place, ...] = ()
    parts: Mapping[str, int] = field(default_factory=dict)
    seen: Mapping[int, int] = field(default_factory=dict)
    ends: tuple[str, ...] = ()
    error: ConfigError | None = None


@dataclass
class Plans:
    """Plans that share what they have in common.

    Attributes:
        question_tokens: how long a question is taken to be.
        parts: every part so far; a plan names them by number.
        names: numbers calls, from 1.
    """

    question_tokens: int
    parts: list[Part] = field(default_factory=list)
    names: Names = field(default_factory=Names)
    _numbers: dict[Hashable, int] = field(default_factory=dict)
    _nodes: list[Node] = field(default_factory=list)
    _families: list[tuple[int, ...]] = field(default_factory=list)
    _signatures: Namer = field(default_factory=Namer)
    _by_node: dict[Node, int] = field(default_factory=dict)
    _by_text: dict[str, _Entry] = field(default_factory=dict)
    _by_id: dict[tuple[int, str], tuple[Json, _Entry]] = field(default_factory=dict)
    _models: dict[str, tuple[str, Mapping[str, Model]]] = field(default_factory=dict)
    _beginnings: dict[Hashable, _Beginning] = field(default_factory=dict)

    def plan(self, data: Json | Architecture) -> Plan:
        """Return the plan of an architecture, or of what `archon.base.parse` makes one of."""
        try:
            if isinstance(data, Architecture):
                places = tuple((p.id, self._node(p.node), p.after) for p in data.places)
                whole = self._extended(_Beginning(-1), places)
            elif "stages" in data:
                whole = self._staged(data)
            else:
                whole = self._extended(_Beginning(-1), self._listed(data))
        except ConfigError as error:
            return Plan(None, error=error)
        wrong = whole.error or self._open(whole)
        if wrong is not None:
            return Plan(whole.places, error=wrong)
        return Plan(whole.places, tuple(whole.parts[id_] for id_, _, _ in whole.places))

    def _node(self, node: Node) -> int:
        if node not in self._by_node:
            self._by_node[node] = len(self._nodes)
            self._nodes.append(node)
            inside = [layer for _, layer in node.walk()]
            layers = [node, *inside] if isinstance(node, Layer) else inside
            self._families.append(tuple(self._signatures(x.signature()) for x in layers))
        return self._by_node[node]

    def _listed(self, data: Json) -> tuple[_Place, ...]:
        """Return the places of `nodes`."""
        if "nodes" not in data:
            raise ConfigError("nothing is left of the stages")
        name, models = self._model_set(data.get("models") or {})
        places: dict[str, _Place] = {}
        for item in data["nodes"]:
            id_, node, after = self._entry(item, name, models)
            id_ = id_ or unique(self._nodes[node].label, places)
            if id_ in places:
                raise ArchitectureError(f"the node id {id_!r} is used twice")
            places[id_] = (id_, node, after or ())
        check_edges(tuple(Place(id_, self._nodes[n], after) for id_, n, after in places.values()))
        return tuple(places.values())

    def _staged(self, data: Json) -> _Beginning:
        """Return `stages`, one after the other: each beginning is worked out once."""
        name, models = self._model_set(data.get("models") or {})
        whole = _Beginning(-1)
        for stage in data["stages"]:
            items = stage if isinstance(stage, list) else [stage]
            entries = tuple([self._entry(item, name, models) for item in items])
            key = (whole.number, entries)
            found = self._beginnings.get(key)
            if found is None:
                found = self._extended(whole, self._stage(whole, entries), len(self._beginnings))
                self._beginnings[key] = found
            whole = found
            if whole.error is not None:
                break
        return whole

    def _stage(self, before: _Beginning, entries: Sequence[_Entry]) -> tuple[_Place, ...]:
        taken = set(before.parts)
        places = []
        for id_, node, after in entries:
            new = id_ or unique(self._nodes[node].label, taken)
            if after is not None or new in taken:
                wrong = f"the node id {new!r} is used twice"
                raise ArchitectureError(wrong if after is None else "`after` in `stages`")
            taken.add(new)
            places.append((new, node, before.ends))
        if not places:
            raise ArchitectureError("a stage needs at least one layer")
        return tuple(places)

    def _entry(self, item: Json, name: str, models: Mapping[str, Model]) -> _Entry:
        # Walks hand in the same object again and again. What is kept holds it, so that its id
        # stays its own.
        held = self._by_id.get((id(item), name))
        if held is not None:
            return held[1]
        text = f"{name}{item!r}"
        if text not in self._by_text:
            id_, node, after = read_entry(item, models)
            self._by_text[text] = (id_, self._node(node), after)
        if len(self._by_id) < MOST_HELD:
            self._by_id[id(item), name] = (item, self._by_text[text])
        return self._by_text[text]

    def _model_set(self, models: Mapping[str, Json]) -> tuple[str, Mapping[str, Model]]:
        """Return a name for a set of models, and the models."""
        text = repr(models)
        if text not in self._models:
            read = {name: read_model(name, settings) for name, settings in models.items()}
            self._models[text] = (f"{len(self._models)}:", read)
        return self._models[text]

    def _extended(
        self, before: _Beginning, places: tuple[_Place, ...], number: int = -1
    ) -> _Beginning:
        """Return a beginning with more places behind it."""
        seen = Counter(before.seen)
        members = self._members(places, seen)
        parts = dict(before.parts)
        error: ConfigError | None = None
        last: tuple[str, ...] | None = None
        ahead: tuple[int, ...] = ()
        for id_, node, after in _ordered(places, before.parts):
            if after is not last:  # the branches of a stage share one tuple
                last, ahead = after, tuple(parts[one] for one in after)
            key = (node, members[id_], ahead)
            part = self._numbers.get(key)
            if part is None:
                part = self._numbers[key] = len(self.parts)
                self.parts.append(self._part(*key, id_))
            flow = self.parts[part].flow
            if isinstance(flow, ArchitectureError):
                error = flow
                break
            parts[id_] = part
        ends = tuple(id_ for id_, _, _ in places)
        return _Beginning(number, before.places + places, parts, seen, ends, error)

    def _open(self, whole: _Beginning) -> ConfigError | None:
        """Return why an architecture cannot stand alone, if it cannot."""
        waited = {id_ for _, _, after in whole.places for id_ in after}
        for id_, part in whole.parts.items():
            flow = self.parts[part].flow
            if id_ not in waited and isinstance(flow, Flow) and flow.needs:
                return ArchitectureError(
                    f"the first layers need {min(flow.needs)!r}, and nothing stands before them"
                    "; put `generate` in front"
                )
        return None

    def _members(self, places: Sequence[_Place], seen: Counter[int]) -> dict[str, tuple[int, ...]]:
        """Return each place's layers' members in their families, as `archon.base.families`."""
        members = {}
        for id_, node, _ in places:
            own = []
            for family in self._families[node]:
                own.append(seen[family])
                seen[family] += 1
            members[id_] = tuple(own)
        return members

    def _part(
        self, node: int, members: tuple[int, ...], before: tuple[int, ...], path: str
    ) -> Part:
        parts = [self.parts[number] for number in before]
        state, shape, flow = Symbols(), Shape(self.question_tokens), Flow()
        if parts:
            state = parts[0].state.join([part.state for part in parts[1:]], self.names.symbols)
            flow = Flow.join([part.flow for part in parts if isinstance(part.flow, Flow)])
            shape = parts[0].bound.shape
            for part in parts[1:]:
                shape = shape.join(part.bound.shape)
        made = self._nodes[node]
        try:
            after = made.flow(flow, path)
        except ArchitectureError as error:
            return Part(Bound(), (), state, error)
        asked = Asked(state, shape, members, self.names)
        behind = trace(made, asked)
        bound = self.names.bound(made, shape)
        return Part(bound, tuple(asked.calls), behind, after)


def _ordered(places: tuple[_Place, ...], there: Mapping[str, int]) -> Sequence[_Place]:
    """Return places such that each stands behind those it waits for."""
    seen = set(there)
    for id_, _, after in places:
        if not seen.issuperset(after):
            break
        seen.add(id_)
    else:
        return places
    by_id = {place[0]: place for place in places}
    graph = {id_: after for id_, _, after in places}
    return [by_id[id_] for id_ in TopologicalSorter(graph).static_order()]
