"""What training texts are made of: the marks of a chat, groups of texts, and bare operations."""

from __future__ import annotations

import random
from dataclasses import dataclass

from archon.benchmarks.arithmetic import Term, key_of, total_of
from archon.benchmarks.procedural import split_of

__all__ = ["ASSISTANT", "END", "PAD", "THINK", "USER", "Group", "drill", "drill_group"]

USER = "<|user|>"
ASSISTANT = "<|assistant|>"
THINK = "<|think|>"
END = "<|end|>"
PAD = "<|pad|>"

DRILLS_IN_GROUP = 14


@dataclass(frozen=True, slots=True)
class Group:
    """Training texts with a common start: the loss is on the ``reply`` of each branch only."""

    keys: tuple[str, ...]
    prefix: str
    branches: tuple[tuple[str, str], ...]


def drill(rng: random.Random) -> tuple[str, tuple[str, str]]:
    """One bare operation whose key is in the train split, as key and (prompt, reply)."""
    while True:
        sign = rng.choice("++--*")
        left = rng.randrange(1, 10 ** rng.choice((1, 2, 2, 3)))
        right = rng.randrange(1, 10 ** rng.choice((1, 2, 2)))
        if sign == "*":
            left, right = rng.randrange(2, 10), rng.randrange(2, 13)
            terms: tuple[Term, ...] = (Term(1, left, right),)
        else:
            left, right = max(left, right), min(left, right)
            if sign == "+" and rng.random() < 0.5:
                left, right = right, left
            terms = (Term(1, 1, left), Term(1 if sign == "+" else -1, 1, right))
        if split_of(key_of(terms)) == "train":
            asked = f"{left} {sign} {right}"
            result = total_of(terms)
            return key_of(terms), (asked + ASSISTANT, f"{asked} = {result}\n#### {result}{END}")


def drill_group(rng: random.Random) -> Group:
    """Bare operations, to learn copying and arithmetic fast."""
    drills = [drill(rng) for _ in range(DRILLS_IN_GROUP)]
    return Group(tuple(key for key, _ in drills), USER, tuple(branch for _, branch in drills))
