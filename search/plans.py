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
    _by_text: dict[str, tuple[str, int, tuple[str, ...] | None]] = field(default_factory=dict)
    _models: dict[str, tuple[str, Mapping[str, Model]]] = field(default_factory=dict)

    def plan(self, data: Json | Architecture) -> Plan:
        """Return the plan of an architecture, or of what `archon.base.parse` makes one of."""
        try:
            if isinstance(data, Architecture):
                places = tuple((p.id, self._node(p.node), p.after) for p in data.places)
            else:
                places = self._places(data)
        except ConfigError as error:
            return Plan(None, error=error)
        found = self._parts(places)
        return Plan(places, error=found) if isinstance(found, ConfigError) else Plan(places, found)

    def _node(self, node: Node) -> int:
        if node not in self._by_node:
            self._by_node[node] = len(self._nodes)
            self._nodes.append(node)
            inside = [layer for _, layer in node.walk()]
            layers = [node, *inside] if isinstance(node, Layer) else inside
            self._families.append(tuple(self._signatures(x.signature()) for x in layers))
        return self._by_node[node]

    def _places(self, data: Json) -> tuple[tuple[str, int, tuple[str, ...]], ...]:
        name, models = self._model_set(data.get("models") or {})
        if "stages" in data:
            return self._staged(data["stages"], name, models)
        if "nodes" not in data:
            raise ConfigError("nothing is left of the stages")
        places: dict[str, tuple[str, int, tuple[str, ...]]] = {}
        for item in data["nodes"]:
            id_, node, after = self._entry(item, name, models)
            id_ = id_ or unique(self._nodes[node].label, places)
            if id_ in places:
                raise ArchitectureError(f"the node id {id_!r} is used twice")
            places[id_] = (id_, node, after or ())
        check_edges(tuple(Place(id_, self._nodes[n], after) for id_, n, after in places.values()))
        return tuple(places.values())

    def _staged(
        self, stages: Sequence[Json], name: str, models: Mapping[str, Model]
    ) -> tuple[tuple[str, int, tuple[str, ...]], ...]:
        places: list[tuple[str, int, tuple[str, ...]]] = []
        taken: set[str] = set()
        before: tuple[str, ...] = ()
        for stage in stages:
            ids = []
            for item in stage if isinstance(stage, list) else [stage]:
                id_, node, after = self._entry(item, name, models)
                id_ = id_ or unique(self._nodes[node].label, taken)
                if after is not None or id_ in taken:
                    wrong = f"the node id {id_!r} is used twice"
                    raise ArchitectureError(wrong if after is None else "`after` in `stages`")
                taken.add(id_)
                ids.append(id_)
                places.append((id_, node, before))
            if not ids:
                raise ArchitectureError("a stage needs at least one layer")
            before = tuple(ids)
        return tuple(places)

    def _entry(
        self, item: Json, name: str, models: Mapping[str, Model]
    ) -> tuple[str, int, tuple[str, ...] | None]:
        text = f"{name}{item!r}"
        if text not in self._by_text:
            id_, node, after = read_entry(item, models)
            self._by_text[text] = (id_, self._node(node), after)
        return self._by_text[text]

    def _model_set(self, models: Mapping[str, Json]) -> tuple[str, Mapping[str, Model]]:
        """Return a name for a set of models, and the models."""
        text = repr(models)
        if text not in self._models:
            read = {name: read_model(name, settings) for name, settings in models.items()}
            self._models[text] = (f"{len(self._models)}:", read)
        return self._models[text]

    def _parts(
        self, places: tuple[tuple[str, int, tuple[str, ...]], ...]
    ) -> tuple[int, ...] | ConfigError:
        members = self._members(places)
        done: dict[str, int] = {}
        last: tuple[str, ...] | None = None
        before: tuple[int, ...] = ()
        for id_, node, after in _ordered(places):
            if after is not last:  # the branches of a stage share one tuple
                last, before = after, tuple(done[one] for one in after)
            key = (node, members[id_], before)
            number = self._numbers.get(key)
            if number is None:
                number = self._numbers[key] = len(self.parts)
                self.parts.append(self._part(*key, id_))
            flow = self.parts[number].flow
            if isinstance(flow, ArchitectureError):
                return flow
            done[id_] = number
        return self._checked(places, done)

    def _checked(
        self, places: tuple[tuple[str, int, tuple[str, ...]], ...], done: Mapping[str, int]
    ) -> tuple[int, ...] | ConfigError:
        """Return the parts if the whole can stand alone."""
        waited = {id_ for _, _, after in places for id_ in after}
        for id_, _, _ in places:
            flow = self.parts[done[id_]].flow
            if id_ not in waited and isinstance(flow, Flow) and flow.needs:
                return ArchitectureError(
                    f"the first layers need {min(flow.needs)!r}, and nothing stands before them"
                    "; put `generate` in front"
                )
        return tuple(done[id_] for id_, _, _ in places)

    def _members(
        self, places: Sequence[tuple[str, int, tuple[str, ...]]]
    ) -> dict[str, tuple[int, ...]]:
        """Return each place's layers' members in their families, as `archon.base.families`."""
        seen: Counter[int] = Counter()
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


def _ordered(
    places: tuple[tuple[str, int, tuple[str, ...]], ...],
) -> Sequence[tuple[str, int, tuple[str, ...]]]:
    """Return places such that each stands behind those it waits for."""
    seen: set[str] = set()
    for id_, _, after in places:
        if not seen.issuperset(after):
            break
        seen.add(id_)
    else:
        return places
    by_id = {place[0]: place for place in places}
    graph = {id_: after for id_, _, after in places}
    return [by_id[id_] for id_ in TopologicalSorter(graph).static_order()]
