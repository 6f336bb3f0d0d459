"""Layers and architectures: two kinds of node, composed by the same operators."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationInfo,
)

from archon.base.bounds import QUESTION_TOKENS, Bound, Shape
from archon.base.flow import GIVERS, Flow, Ports, ports
from archon.base.places import Place, append, check_edges
from archon.base.places import stages as stages_of
from archon.errors import ArchitectureError
from archon.model import Ability, Model
from archon.plain import canonical
from archon.registry import Registry
from archon.types import Json, State, Task

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from archon.base.context import Context
    from archon.drawing import Drawing

__all__ = [
    "LAYERS",
    "Architecture",
    "Layer",
    "Node",
    "NodeRef",
    "as_architecture",
    "families",
    "register",
]


class Node(ABC):
    """A layer or an architecture: what both can do.

    `a >> b` runs b on what a hands on; `a | b` runs both on the same input and joins their
    candidates in that order. Both give an `Architecture`.
    """

    @property
    @abstractmethod
    def label(self) -> str:
        """Short name in ids, tables and pictures."""

    @abstractmethod
    def flow(self, flow: Flow, path: str = "") -> Flow:
        """Return the ports behind this node; raise ArchitectureError if one is missing."""

    @abstractmethod
    def bound(self, shape: Shape) -> Bound:
        """Return the most this node can cost on a state of that shape, and what comes out."""

    @abstractmethod
    def children(self) -> Iterator[tuple[str, Node]]:
        """Yield nested nodes as if written out, each with its place in this one's path."""

    @abstractmethod
    def models(self) -> Iterator[Model]:
        """Yield every model that may be called, nested ones too, in listing order."""

    @abstractmethod
    def check_task(self, task: Task) -> None:
        """Raise ConfigError if this node cannot work on `task`; called before any call."""

    def ready(self) -> None:
        """Refuse, before any call, what cannot be done on this machine.

        Loading, checking and planning do not ask for it; whatever is about to run does.

        Raises:
            ConfigError: saying what is missing and what mends it.
        """
        for _, child in self.children():
            child.ready()

    def lint(self) -> Iterator[str]:
        """Yield what is legal but probably not meant, one line each."""
        for name, child in self.children():
            for message in child.lint():
                yield f"{name}/{message}" if isinstance(child, Architecture) else message

    def walk(self, path: str = "") -> Iterator[tuple[str, Layer]]:
        """Yield every layer with its path, depth first, loops written out."""
        for name, child in self.children():
            inner = f"{path}/{name}" if path else name
            if isinstance(child, Layer):
                yield inner, child
            yield from child.walk(inner)

    def __rshift__(self, other: Node) -> Architecture:
        return _chain(self, other) if isinstance(other, Node) else NotImplemented

    def __or__(self, other: Node) -> Architecture:
        return _parallel(self, other) if isinstance(other, Node) else NotImplemented


def _build(value: object, info: ValidationInfo) -> object:
    if isinstance(value, Node) or not info.context or "build" not in info.context:
        return value
    return info.context["build"](value)


NodeRef = Annotated[Node, BeforeValidator(_build)]
"""A field that holds a nested layer or architecture; in YAML, a layer or a list of stages."""


class Layer(Node, BaseModel):
    """One technique with its settings.

    A subclass declares its fields (its settings) and its ports, defines `bound` and `run`, and
    registers itself; everything else follows. Instances are frozen and stateless: `run` must not
    keep anything between calls and must not change its input.

    Class attributes:
        needs: ports that must be there.
        uses: ports it looks at when they are there.
        gives: ports it adds. `candidates` means that it writes new ones, which ends all notes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    kind: ClassVar[str] = ""
    needs: ClassVar[Ports] = ports()
    uses: ClassVar[Ports] = ports()
    gives: ClassVar[Ports] = ports()

    def __hash__(self) -> int:
        return hash((self.kind, repr(self.settings())))

    @property
    def label(self) -> str:
        """The layer's registered name."""
        return self.kind

    def required(self) -> Ports:
        """Return the ports that these settings need; `needs` unless a subclass says more."""
        return self.needs

    def provided(self) -> Ports:
        """Return the ports that these settings give; `gives` unless a subclass says more."""
        return self.gives

    def flow(self, flow: Flow, path: str = "") -> Flow:
        """Return the ports behind this layer."""
        return flow.through(repr(path or self.kind), self.required(), self.provided())

    @abstractmethod
    def bound(self, shape: Shape) -> Bound:
        """Return the most this layer can cost on a state of that shape, and what comes out."""

    @abstractmethod
    async def run(self, state: State, ctx: Context) -> State:
        """Return the next state. `ctx` is the only way to a model; never change `state`."""

    def children(self) -> Iterator[tuple[str, Node]]:
        """Yield nested nodes; none unless a subclass holds some."""
        yield from ()

    def models(self) -> Iterator[Model]:
        """Yield every model among the settings, then those of nested nodes."""
        for name in type(self).model_fields:
            yield from _models_in(getattr(self, name))

    def abilities(self) -> Iterator[tuple[Model, Ability]]:
        """Yield what models must be able to do beyond chat; checked before any call."""
        yield from ()

    def check_task(self, task: Task) -> None:
        """Accept any task; a layer that cannot work on some says so here, before any call."""

    def signature(self) -> str:
        """Return what makes two nodes of one family, whose equal requests get different draws."""
        return canonical([self.kind, [model.signature for model in self.models()]])

    def settings(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults, values as they are."""
        fields = type(self).model_fields
        return {
            name: getattr(self, name)
            for name in fields
            if getattr(self, name) != fields[name].get_default(call_default_factory=True)
        }


def _models_in(value: object) -> Iterator[Model]:
    match value:
        case Model():
            yield value
        case Node():
            yield from value.models()
        case tuple() | list():
            for item in value:
                yield from _models_in(item)
        case dict():
            for item in value.values():
                yield from _models_in(item)


_ABOUT = ("name", "metadata")
"""What the data of an architecture says about it, and not what it does."""

LAYERS: Registry[type[Layer]] = Registry("archon.layers", "layer")


L = TypeVar("L", bound=type[Layer])


def register(kind: str) -> Callable[[L], L]:
    """Name a layer class so that YAML, the command line, the search and the tests find it."""

    def add(cls: L) -> L:
        cls.kind = kind
        LAYERS.add(kind, cls)
        return cls

    return add


@dataclass(frozen=True)
class Architecture(Node):
    """A directed acyclic graph of nodes: pure data, checked and costed before it is paid for.

    Made by `>>` and `|`, by `archon.load`, or from places. It is usable wherever a layer is.

    Attributes:
        places: the nodes and their edges, in listing order.
        name: what it is called in tables; no part of the digest.
        metadata: where it comes from and the like, plain data; no part of the digest.
        remarks: what its reader found odd in the file; `lint` yields them first.
    """

    places: tuple[Place, ...]
    name: str = ""
    metadata: Mapping[str, Json] = field(default_factory=dict, compare=False)
    remarks: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not self.places:
            raise ArchitectureError("an architecture needs at least one layer")
        check_edges(self.places)
        self.flow(Flow())

    @property
    def label(self) -> str:
        """Its name as an id may be written, or `branch`."""
        return re.sub(r"[/:]", "-", self.name) or "branch"

    @cached_property
    def order(self) -> tuple[Place, ...]:
        """The places such that each stands after those it waits for."""
        by_id = {place.id: place for place in self.places}
        graph = {place.id: place.after for place in self.places}
        return tuple(by_id[id_] for id_ in TopologicalSorter(graph).static_order())

    @cached_property
    def ends(self) -> tuple[Place, ...]:
        """The places that nothing waits for, in listing order; their candidates are the result."""
        waited = {id_ for place in self.places for id_ in place.after}
        return tuple(place for place in self.places if place.id not in waited)

    def flow(self, flow: Flow, path: str = "") -> Flow:
        """Return the ports behind the whole."""
        done: dict[str, Flow] = {}
        for place in self.order:
            before = Flow.join([done[id_] for id_ in place.after]) if place.after else flow
            inner = f"{path}/{place.id}" if path else place.id
            done[place.id] = place.node.flow(before, inner)
        return Flow.join([done[place.id] for place in self.ends])

    def lint(self) -> Iterator[str]:
        """Yield what its layers say, and edges that make a join wait for whole supersteps."""
        yield from self.remarks
        yield from super().lint()
        if stages_of(self.places) is None:
            yield (
                "the edges are not nested forks and joins: a node starts when all nodes of the "
                "step before have ended"
            )

    def check(self) -> Architecture:
        """Return itself if it can stand alone.

        Raises:
            ArchitectureError: naming the port that its first layers would need from outside.
        """
        if needs := sorted(self.flow(Flow()).needs):
            raise ArchitectureError(
                f"the first layers need {needs[0]!r}, and nothing stands before them"
                f"; put {GIVERS[needs[0]]} in front"
            )
        return self

    def bound(self, shape: Shape | None = None, *, question_tokens: int = QUESTION_TOKENS) -> Bound:
        """Return the most one question can cost: calls, reasks, tokens, dollars, candidates.

        Args:
            shape: the state that comes in, for a part of something larger.
            question_tokens: how long a question is taken to be.
        """
        parts = self.bounds(shape, question_tokens=question_tokens)
        total = Bound()
        for part in parts.values():
            total = total + part
        return replace(total, shape=_joined([parts[place.id].shape for place in self.ends]))

    def bounds(
        self, shape: Shape | None = None, *, question_tokens: int = QUESTION_TOKENS
    ) -> dict[str, Bound]:
        """Return the bound of each node by id, in listing order."""
        start = Shape(question_tokens) if shape is None else shape
        done: dict[str, Bound] = {}
        for place in self.order:
            before = _joined([done[id_].shape for id_ in place.after]) if place.after else start
            done[place.id] = place.node.bound(before)
        return {place.id: done[place.id] for place in self.places}

    def children(self) -> Iterator[tuple[str, Node]]:
        """Yield the nodes by id in listing order."""
        for place in self.places:
            yield place.id, place.node

    @cached_property
    def members(self) -> Mapping[str, int]:
        """Each layer's place in its family, by path."""
        return families(self)

    @cached_property
    def needed_abilities(self) -> tuple[tuple[Model, Ability], ...]:
        """What models must be able to do beyond chat, once each."""
        needed = (pair for _, layer in self.walk() for pair in layer.abilities())
        return tuple(dict.fromkeys(needed))

    def models(self) -> Iterator[Model]:
        """Yield every model that may be called, in listing order."""
        for place in self.places:
            yield from place.node.models()

    def check_task(self, task: Task) -> None:
        """Raise ConfigError if a node cannot work on `task`."""
        for place in self.places:
            place.node.check_task(task)

    def digest(self) -> str:
        """Return the hash of the content, 16 hex digits; the name is not part of it."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        data = {key: value for key, value in self.dump().items() if key not in _ABOUT}
        return hashlib.sha256(canonical(data).encode()).hexdigest()[:16]

    def dump(self) -> dict[str, Json]:
        """Return plain data that `archon.parse` and YAML read back."""
        from archon.base.build import dump  # build needs Architecture to parse

        return dump(self)

    def compile(self, **options: Any) -> CompiledStateGraph[Any, Any, Any, Any]:
        """Return the LangGraph graph: `question` or `messages` in, `answer`, `candidates` out."""
        from archon import executor  # the one place upward: LangGraph loads only when used

        return executor.compile(self, **options)

    def draw(self) -> Drawing:
        """Return a picture: `.mermaid`, `.svg`, `.save(path)`; shown as such in a notebook."""
        from archon import drawing  # upward on use, as compile

        return drawing.draw(self)

    def _repr_svg_(self) -> str:
        return self.draw().svg

    def named(self, name: str) -> Architecture:
        """Return a copy with that name; in a composition it stays one node."""
        return replace(self, name=name)

    def __str__(self) -> str:
        stages = stages_of(self.places)
        if stages is None:
            return " ".join(place.id for place in self.places)
        return " > ".join(" | ".join(place.id for place in stage) for stage in stages)


def _joined(shapes: Sequence[Shape]) -> Shape:
    total = shapes[0]
    for shape in shapes[1:]:
        total = total.join(shape)
    return total


def families(node: Node) -> dict[str, int]:
    """Return each layer's place among the layers of equal call signature, by path.

    It is fixed by the architecture alone, never by who comes first: two nodes that ask the same
    request get different draws, the same ones in every run.
    """
    seen: Counter[str] = Counter()
    members: dict[str, int] = {}
    for path, layer in node.walk():
        signature = layer.signature()
        members[path] = seen[signature]
        seen[signature] += 1
    return members


def _parts(node: Node) -> tuple[Place, ...]:
    """Return what a node contributes to a composition: an unnamed one is taken apart."""
    if isinstance(node, Architecture) and not node.name:
        return node.places
    return (Place(node.label, node),)


def _branches(node: Node) -> tuple[Place, ...]:
    """Return a node's parallel branches; a chain is one branch and stays together."""
    parts = _parts(node)
    if any(place.after for place in parts):
        return (Place(node.label, node),)
    return parts


def _chain(first: Node, second: Node) -> Architecture:
    before, behind = _parts(first), _parts(second)
    waited = {id_ for place in before for id_ in place.after}
    ends = tuple(place.id for place in before if place.id not in waited)
    joined = append(before, behind)
    return Architecture(
        tuple(
            replace(place, after=ends) if i >= len(before) and not place.after else place
            for i, place in enumerate(joined)
        )
    )


def _parallel(first: Node, second: Node) -> Architecture:
    return Architecture(append(_branches(first), _branches(second)))


def as_architecture(node: Node) -> Architecture:
    """Return a node as an architecture of its own."""
    return node if isinstance(node, Architecture) else Architecture((Place(node.label, node),))
