"""Which calls an architecture makes for one item, and which of them two architectures share.

A layer runs here on symbols instead of texts. A call is known by what the pool knows it by: the
family of the asking layer (models and templates), what it is asked about, the layer's member in
the family, and the number of the draw. What depends on replies is a new symbol: the candidates
that a filter lets through are none of those that came in, so that sharing is never overstated.
Calls are those of the bound: every reply parses, no early exit, no two texts are equal.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from itertools import islice

from archon.base import Architecture, Bound, Layer, ModelLayer, Node, Shape

__all__ = ["Asked", "Namer", "Names", "Symbols", "count_layers", "layer_calls", "trace"]


@dataclass(frozen=True, slots=True)
class Symbols:
    """A state whose texts are not known yet.

    Attributes:
        candidates: the symbol of each, with that of its critique (0: none).
        tests: the symbol of the unit tests (0: none).
        notes: the symbol of all scores and verdicts on the candidates (0: none).
    """

    candidates: tuple[tuple[int, int], ...] = ()
    tests: int = 0
    notes: int = 0

    def join(self, others: Sequence[Symbols], namer: Namer) -> Symbols:
        """Return the join of branches."""
        states = [self, *others]
        candidates = tuple(dict.fromkeys(c for state in states for c in state.candidates))
        tests = list(dict.fromkeys(state.tests for state in states if state.tests))
        notes = list(dict.fromkeys(state.notes for state in states if state.notes))
        return Symbols(candidates, namer.together(tests), namer.together(notes))


@dataclass
class Namer:
    """Numbers things by what they are: equal descriptions, equal numbers from 1."""

    known: dict[Hashable, int] = field(default_factory=dict)

    def __call__(self, *what: Hashable) -> int:
        """Return the number of a description."""
        return self.known.setdefault(what, len(self.known) + 1)

    def together(self, symbols: Sequence[int]) -> int:
        """Return one symbol for several."""
        if len(symbols) < 2:
            return symbols[0] if symbols else 0
        return self("all", *symbols)


HARMLESS = frozenset({
    "alone", "at_least", "duplicates", "first", "keep", "model", "none", "on_error", "prompt",
    "reasks", "samples", "threshold", "unparsed", "votes", "with_critiques",
})  # fmt: skip
"""Settings that do not shape a request: model and prompt are in the signature, the others say how
often it is asked, or what is done with the reply."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What tracing asks of a layer again and again.

    Attributes:
        family: its signature, with the settings that shape a request beside it.
        text: equal for equal layers.
        reviewed: whether its prompts depend on critiques.
        tested: whether they show the unit tests.
    """

    layer: Layer
    family: str
    text: str
    reviewed: bool
    tested: bool

    @classmethod
    def of(cls, layer: Layer) -> Facts:
        """Return the facts of a layer."""
        settings = layer.settings()
        shaping = {name: value for name, value in settings.items() if name not in HARMLESS}
        reviewed = isinstance(layer, ModelLayer) and _sees(layer, "critique", "reviewed")
        return cls(
            layer,
            f"{layer.signature()}{shaping!r}",
            repr(layer),
            reviewed and settings.get("with_critiques") is not False,
            bool(settings.get("with_tests")),
        )


@dataclass
class Names:
    """The numbers of everything that was traced so far.

    Attributes:
        calls: numbers of calls.
        symbols: numbers of outputs.
    """

    calls: Namer = field(default_factory=Namer)
    symbols: Namer = field(default_factory=Namer)
    _facts: dict[int, Facts] = field(default_factory=dict)
    _bounds: dict[tuple[int, Shape], tuple[Node, Bound]] = field(default_factory=dict)

    def facts(self, layer: Layer) -> Facts:
        """Return the facts of a layer."""
        found = self._facts.get(id(layer))
        if found is None:
            # The facts hold the layer, so that its id stays its own.
            found = self._facts[id(layer)] = Facts.of(layer)
        return found

    def bound(self, node: Node, shape: Shape) -> Bound:
        """Return a node's bound on a shape."""
        key = (id(node), shape)
        if key not in self._bounds:
            self._bounds[key] = (node, node.bound(shape))
        return self._bounds[key][1]


@dataclass
class Asked:
    """What a node is traced with.

    Attributes:
        state: what comes in.
        shape: the same as its bound sees it.
        members: the places in their families of the layers that the node stands for.
        names: numbers calls and outputs.
        calls: the numbers of the calls so far.
        facts: of the layer.
    """

    state: Symbols
    shape: Shape
    members: tuple[int, ...]
    names: Names
    calls: list[int] = field(default_factory=list)
    facts: Facts | None = None

    @property
    def member(self) -> int:
        """The layer's own place in its family."""
        return self.members[0] if self.members else 0

    @property
    def text(self) -> str:
        """The layer's settings."""
        assert self.facts is not None
        return self.facts.text

    def bound(self, layer: Layer) -> Bound:
        """Return the layer's bound."""
        return self.names.bound(layer, self.shape)

    def within(self, node: Node, state: Symbols, shape: Shape, members: tuple[int, ...]) -> Symbols:
        """Run a node that stands inside this one."""
        inner = Asked(state, shape, members, self.names, self.calls)
        return trace(node, inner)

    def ask(self, about: Hashable, *number: Hashable) -> int:
        """Make a call, and return its number.

        Args:
            about: what stands in the request beside templates, question and unit tests.
            *number: which draw, and which step.
        """
        assert self.facts is not None
        tests = self.state.tests if self.facts.tested else 0
        call = self.names.calls(self.facts.family, about, tests, self.member, *number)
        self.calls.append(call)
        return call

    def written(self, call: int) -> int:
        """Return the symbol of what a call says."""
        return self.names.symbols("call", call)


def trace(node: Node, asked: Asked) -> Symbols:
    """Run a node on symbols; its calls are added to `asked.calls`."""
    if isinstance(node, Architecture):
        return _architecture(node, asked)
    assert isinstance(node, Layer)
    asked.facts = asked.names.facts(node)
    return layer_calls(node, asked)


def _architecture(architecture: Architecture, asked: Asked) -> Symbols:
    members = iter(asked.members)
    shares = {
        place.id: tuple(islice(members, count_layers(place.node))) for place in architecture.places
    }
    done: dict[str, tuple[Symbols, Shape]] = {}
    for place in architecture.order:
        state, shape = asked.state, asked.shape
        if place.after:
            before = [done[id_] for id_ in place.after]
            state = before[0][0].join([s for s, _ in before[1:]], asked.names.symbols)
            shape = before[0][1]
            for _, other in before[1:]:
                shape = shape.join(other)
        behind = asked.within(place.node, state, shape, shares[place.id])
        done[place.id] = behind, asked.names.bound(place.node, shape).shape
    ends = [done[place.id][0] for place in architecture.ends]
    return ends[0].join(ends[1:], asked.names.symbols)


def count_layers(node: Node) -> int:
    """Return how many layers a node stands for, as `archon.base.families` counts them."""
    return isinstance(node, Layer) + sum(1 for _ in node.walk())


@singledispatch
def layer_calls(layer: Layer, asked: Asked) -> Symbols:
    """Run a layer on symbols.

    A layer without a rule of its own shares its calls only where all of its settings and all
    that comes in are equal. A package registers a rule with `layer_calls.register`.
    """
    bound, names = asked.bound(layer), asked.names
    key = (asked.text, asked.state, asked.members)
    asked.calls.extend(names.calls("opaque", key, i) for i in range(bound.calls))
    symbol = names.symbols("opaque", key)
    candidates = tuple((names.symbols("new", symbol, i), symbol) for i in range(bound.candidates))
    return Symbols(candidates, asked.state.tests and symbol, symbol)


def _sees(layer: ModelLayer, *words: str) -> bool:
    """Whether a template of the layer names one of these fields."""
    return any(
        layer.shows(step, model, word)
        for model in layer.models() for step in layer.templates for word in words
    )  # fmt: skip
