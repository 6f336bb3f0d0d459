"""How a list function is described: clauses in order, or two turned around, and a lure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from archon.benchmarks.listfn_steps import Step

__all__ = ["LURES", "PLAIN", "Wording", "describe", "worded"]

LURES = {
    "ascending": (
        "The numbers come in no particular order.",
        "The list need not be sorted.",
    ),
    "distinct": (
        "The list may hold repeated numbers.",
        "Some numbers may occur twice.",
    ),
    "absolute": (
        "Some numbers may be negative.",
        "The list can hold negative numbers.",
    ),
}
"""True sentences that ask for nothing, by the step that a hasty reader takes them for."""

_TASK = (
    "Write a Python function f(xs) on a list of integers.",
    "Write f(xs) in Python, where xs is a list of integers.",
    "Given a list of integers xs, write a Python function f(xs).",
)
_LURED = 0.2
_TURNED = 0.25


@dataclass(frozen=True, slots=True)
class Wording:
    """What of a description misleads.

    Attributes:
        lure: the step that a needless sentence suggests; empty without one.
        turned: place of the step that is told behind its successor, -1 for none.
    """

    lure: str = ""
    turned: int = -1


PLAIN = Wording()
"""Nothing misleads."""


def worded(steps: Sequence[Step], rng: random.Random) -> Wording:
    """Draw how a function is described."""
    names = {step.name for step in steps} | ({"ascending"} if _has(steps, "descending") else set())
    lures = [name for name in LURES if name not in names]
    lure = rng.choice(lures) if lures and rng.random() < _LURED else ""
    inner = sum(step.op.kind != "end" for step in steps)
    turned = rng.randrange(inner - 1) if inner > 1 and rng.random() < _TURNED else -1
    return Wording(lure, turned)


def _has(steps: Sequence[Step], name: str) -> bool:
    return any(step.name == name for step in steps)


def describe(steps: Sequence[Step], wording: Wording, rng: random.Random) -> str:
    """Tell what the function does: every step once, in order but for the pair turned around."""
    clauses = [_clause(step, rng) for step in steps if step.op.kind != "end"]
    if wording.turned >= 0:
        place = wording.turned
        first, then = clauses[place : place + 2]
        clauses[place : place + 2] = [f"{then}, but before that {first}"]
    last = steps[-1]
    if last.op.kind == "end":
        clauses.append(f"return {_clause(last, rng)}")
    else:
        clauses.append(rng.choice(("return the list", "return the result")))
    told = _joined(clauses, rng)
    lure = f"{rng.choice(LURES[wording.lure])} " if wording.lure else ""
    return f"{rng.choice(_TASK)} {lure}{told}"


def _clause(step: Step, rng: random.Random) -> str:
    return rng.choice(step.op.phrases).replace("{k}", str(step.k))


def _joined(clauses: Sequence[str], rng: random.Random) -> str:
    style = rng.random()
    if style < 0.4 and 1 < len(clauses) < 5:
        return f"{_upper(', then '.join(clauses[:-1]))}, and {clauses[-1]}."
    if style < 0.7 or len(clauses) == 1:
        return " ".join(f"{_upper(clause)}." for clause in clauses)
    links = ["First ", *(rng.choice(("Then ", "Next ")) for _ in clauses[2:]), "Finally "]
    return " ".join(f"{link}{clause}." for link, clause in zip(links, clauses, strict=True))


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]
