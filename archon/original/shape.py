"""Layer strings: an original architecture in one line.

`8G > C > R(k5) > 1F`: eight generators, a critic, a ranker that keeps five, a fuser. `G` generator,
`F` fuser, `C` critic, `R(kN)` ranker, `V` verifier (`fN`: stops at N passes), `T(N)` unit-test
generator with N tests, `E` unit-test evaluator. A number in front counts equal components, `xN`
are samples each, `(lc)` is length control.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from archon.original.components import Component, Original

__all__ = ["layer_string"]

_LETTERS = {
    "generator": "G", "fuser": "F", "critic": "C", "ranker": "R", "verifier": "V",
    "unit_test_generator": "T", "unit_test_evaluator": "E",
}  # fmt: skip


def layer_string(original: Original) -> str:
    """Return the layers of a file in one line, as the file gives them."""
    return " > ".join(_layer(layer) for layer in original.layers)


def _layer(layer: Sequence[Component]) -> str:
    counts = Counter(_component(component) for component in layer)
    return " + ".join(f"{_count(text, n)}{text}" for text, n in counts.items())


def _count(text: str, n: int) -> str:
    return str(n) if n > 1 or text[0] in "GF" else ""


def _component(component: Component) -> str:
    said: list[str] = []
    fields = component.fields
    if component.is_pairrm:
        said.append("PairRM")
    if component.kind == "unit_test_generator" and "unit_test_cap" in fields:
        said.append(str(fields["unit_test_cap"]))
    if component.first is not None:
        said.append(f"f{component.first}")
    if "top_k" in fields:
        said.append(f"k{fields['top_k']}")
    if fields.get("length_control"):
        said.append("lc")
    samples = component.samples if component.kind in ("generator", "fuser") else 1
    times = f"x{samples}" if samples > 1 else ""
    details = f"({','.join(said)})" if said else ""
    return f"{_LETTERS[component.kind]}{times}{details}"
