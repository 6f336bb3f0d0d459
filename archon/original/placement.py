"""Where the paper puts components (section 3.2, Table 4): said as hints, never as errors.

The published files themselves break most of these rules, and all of them run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archon.original.components import Component, Original

__all__ = ["misplaced"]

Layers = Sequence[Sequence[Component]]

_ALONE = ("critic", "ranker", "verifier", "unit_test_generator", "unit_test_evaluator")
_NOT_FIRST = ("critic", "ranker", "verifier", "unit_test_evaluator")
_TESTERS = ("unit_test_generator", "unit_test_evaluator")
_NOUNS = {name: name.replace("_", "-", 1).replace("_", " ") for name in (*_ALONE, *_TESTERS)}


def misplaced(original: Original) -> Iterator[tuple[str, str]]:
    """Yield what the paper would not do, with its place in the file."""
    layers = original.layers
    for number, layer in enumerate(layers):
        yield from _within(number, layer)
        yield from _after(number, layer, layers)
    yield from _tests(layers)
    yield from _last_fusion(layers)


def _within(number: int, layer: Sequence[Component]) -> Iterator[tuple[str, str]]:
    kinds = sorted({component.kind for component in layer})
    if len(kinds) > 1:
        yield f"{' and '.join(kinds)} in one layer; the paper has one type in each", layer[0].where
    elif len(layer) > 1 and kinds[0] in _ALONE:
        yield f"{len(layer)} {kinds[0]}s in one layer; the paper has one", layer[1].where
    if number == 0 and (first := [c for c in layer if c.kind in _NOT_FIRST]):
        yield f"a {first[0].kind} in the first layer", first[0].where


def _after(number: int, layer: Sequence[Component], layers: Layers) -> Iterator[tuple[str, str]]:
    for component in layer:
        if component.kind == "generator" and number > 0:
            yield (
                f"generators in layer {number + 1}; the paper has them in the first alone",
                component.where,
            )
            break
    if any(component.kind == "critic" for component in layer):
        behind = layers[number + 1] if number + 1 < len(layers) else ()
        if not any(component.kind in ("ranker", "fuser") for component in behind):
            yield "no ranker or fuser directly behind this critic", layer[0].where


def _tests(layers: Layers) -> Iterator[tuple[str, str]]:
    wrote, judged = (
        [(i, c) for i, layer in enumerate(layers) for c in layer if c.kind == kind]
        for kind in _TESTERS
    )
    if wrote and not judged:
        yield (
            "unit tests that no evaluator judges: they only add to the question",
            wrote[0][1].where,
        )
    elif wrote and judged and judged[0][0] != wrote[0][0] + 1:
        yield (
            f"the tests of layer {wrote[0][0] + 1} are judged in layer {judged[0][0] + 1}; the"
            " paper has these layers side by side", judged[0][1].where,
        )  # fmt: skip


def _last_fusion(layers: Layers) -> Iterator[tuple[str, str]]:
    fusions = [layer for layer in layers if any(c.kind == "fuser" for c in layer)]
    if fusions and sum(c.kind == "fuser" for c in fusions[-1]) > 1:
        yield "several fusers in the last layer of fusion; the paper has one", fusions[-1][0].where
