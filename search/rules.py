"""What each layer that comes with archon asks, and what comes out of it, on symbols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from archon.layers import (
    Best,
    Critique,
    Fuse,
    Generate,
    Loop,
    Rank,
    Refine,
    TestEval,
    UnitTests,
    Verify,
    Vote,
)
from archon.search.calls import Asked, Symbols, count_layers, layer_calls

__all__: list[str] = []


def _shown(asked: Asked) -> tuple[tuple[int, int], ...]:
    """Return the candidates as a prompt shows them: their order depends on texts alone."""
    assert asked.facts is not None
    reviewed = asked.facts.reviewed
    return tuple(sorted((text, critique * reviewed) for text, critique in asked.state.candidates))


def _new(asked: Asked, texts: Sequence[int], keep: bool) -> Symbols:
    state = asked.state
    new = tuple((text, 0) for text in texts)
    if keep:
        return replace(state, candidates=(*state.candidates, *new))
    return replace(state, candidates=new, notes=0)


def _chosen(asked: Asked, state: Symbols, most: int) -> Symbols:
    """Return what is left when `most` of the candidates are kept, by scores not known yet."""
    if most >= len(state.candidates):
        return state
    return _slots(asked, state, most)


def _slots(asked: Asked, state: Symbols, count: int) -> Symbols:
    """Return so many of the candidates; which ones is not known."""
    key = (asked.text, asked.member, tuple(sorted(state.candidates)), state.notes)
    reviewed = any(critique for _, critique in state.candidates)
    slots = [asked.names.symbols("kept", key, i) for i in range(count)]
    return replace(state, candidates=tuple((slot, slot * reviewed) for slot in slots))


def _noted(asked: Asked, state: Symbols) -> Symbols:
    """Return the state with scores: whoever reads them depends on who gave them, and on what."""
    key = (asked.text, asked.member, tuple(sorted(state.candidates)), state.tests, state.notes)
    return replace(state, notes=asked.names.symbols("notes", key))


@layer_calls.register
def _(layer: Generate, asked: Asked) -> Symbols:
    draws = [asked.ask((), j) for j in range(layer.samples)]
    return _new(asked, [asked.written(call) for call in draws], layer.keep)


@layer_calls.register
def _(layer: Fuse, asked: Asked) -> Symbols:
    shown = _shown(asked)
    draws = [asked.ask(shown, j) for j in range(layer.samples)]
    return _new(asked, [asked.written(call) for call in draws], layer.keep)


@layer_calls.register
def _(layer: Refine, asked: Asked) -> Symbols:
    shown = [(text, critique) for text, critique in asked.state.candidates]
    texts = [asked.written(asked.ask(one, 0)) for one in shown]
    return _new(asked, texts, layer.keep)


@layer_calls.register
def _(layer: Critique, asked: Asked) -> Symbols:
    state = asked.state
    texts = [text for text, _ in state.candidates]
    if layer.per == "candidate":
        seen = asked.facts is not None and asked.facts.reviewed
        about = [(text, critique * seen) for text, critique in state.candidates]
        said = [asked.written(asked.ask(one, "candidate")) for one in about]
    else:
        # The groups come from an order that all the texts decide, hence all of them in each.
        groups = range(-(-len(texts) // layer.group_size))
        calls = [asked.ask(tuple(sorted(texts)), i) for i in groups]
        written = asked.names.symbols.together([asked.written(call) for call in calls])
        said = [asked.names.symbols("critique", written, text) for text in texts]
    if layer.unparsed == "drop":
        return replace(state, candidates=tuple(zip(said, said, strict=True)))
    return replace(state, candidates=tuple(zip(texts, said, strict=True)))


@layer_calls.register
def _(layer: Rank, asked: Asked) -> Symbols:
    count = asked.bound(layer).calls
    shown = _shown(asked)
    if layer.method == "points":
        for one in shown:
            for vote in range(layer.votes):
                asked.ask(one, "points", vote)
    else:
        # Later rounds of a tournament depend on all votes of the first.
        single = count == layer.votes
        about = (shown, 0 if single else layer.votes)
        for call in range(count):
            asked.ask(about, call // layer.votes, call % layer.votes)
    most = len(shown) if layer.keep is None or layer.unparsed == "all" else layer.keep
    return _chosen(asked, _noted(asked, asked.state), most)


@layer_calls.register
def _(layer: Verify, asked: Asked) -> Symbols:
    for one in _shown(asked):
        for vote in range(layer.votes):
            reason = asked.ask(one, "reason", vote)
            asked.ask((one, reason), "verdict", vote)
    return _filtered(layer, asked, layer.keep)


@layer_calls.register
def _(layer: TestEval, asked: Asked) -> Symbols:
    for one in _shown(asked):
        for vote in range(layer.votes):
            asked.ask((one, asked.state.tests), vote)
    return _filtered(layer, asked, layer.keep)


def _filtered(layer: Verify | TestEval, asked: Asked, keep: int | str) -> Symbols:
    """Return what `keep` lets through: unless it is all, nobody knows which they are."""
    state = _noted(asked, asked.state)
    count = len(state.candidates)
    whole = keep == "all" or (isinstance(keep, int) and keep >= count and layer.first is None)
    if whole or (count == 1 and keep == "passed" and layer.none != "nothing"):
        return state
    return _slots(asked, state, min(asked.bound(layer).candidates, count))


@layer_calls.register
def _(layer: UnitTests, asked: Asked) -> Symbols:
    return replace(asked.state, tests=asked.written(asked.ask((), 0)))


@layer_calls.register
def _(layer: Best, asked: Asked) -> Symbols:
    return _chosen(asked, asked.state, layer.keep)


@layer_calls.register
def _(layer: Vote, asked: Asked) -> Symbols:
    state = asked.state
    if layer.source is not None:
        size, inner = count_layers(layer.source), iter(asked.members[1:])
        waves = [
            asked.within(layer.source, asked.state, asked.shape, tuple(islice(inner, size)))
            for _ in range(layer.waves)
        ]
        state = replace(state.join(waves, asked.names.symbols), tests=state.tests)
    return _chosen(asked, _noted(asked, state), 1)


@layer_calls.register
def _(layer: Loop, asked: Asked) -> Symbols:
    inner, size = iter(asked.members[1:]), count_layers(layer.body)
    state, shape = asked.state, asked.shape
    every: list[Symbols] = []
    for _ in range(layer.rounds):
        state = asked.within(layer.body, state, shape, tuple(islice(inner, size)))
        shape = asked.names.bound(layer.body, shape).shape
        every.append(state)
    if layer.until is None and layer.returns == "last":
        return state
    if layer.until is None and layer.returns == "all":
        return every[0].join(every[1:], asked.names.symbols)
    # Which round was the last is not known, nor which of its candidates is the best.
    symbols, key = asked.names.symbols, (asked.text, asked.members, tuple(every))
    slots = [symbols("round", key, i) for i in range(asked.bound(layer).candidates)]
    return Symbols(tuple((slot, slot) for slot in slots), state.tests, symbols("rounds", key))
