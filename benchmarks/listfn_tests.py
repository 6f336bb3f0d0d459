"""Tests of list functions: two that a task shows, and two tiers that it hides.

The strong tier holds, besides lists of every sort, one that tells the function from each of its
typical wrong forms (`archon.benchmarks.listfn_steps.mutants`). The weak tier is what a hasty
author writes: a few short lists of small positive numbers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from archon.benchmarks.listfn_steps import Step, Value, mutants, run

__all__ = ["fingerprint", "probes", "shown", "strong", "told_apart", "weak"]

Numbers = tuple[int, ...]


@cache
def probes() -> tuple[Numbers, ...]:
    """Fixed lists on which functions are compared."""
    rng = random.Random("archon-listfn-probes")
    lists: list[Numbers] = [()]
    for low, high in ((-9, 9), (0, 30), (-30, 60), (-60, 120)) * 6:
        size = rng.randint(1, 9)
        row = [rng.randint(low, high) for _ in range(size)]
        lists.append((*row, *row[: rng.randint(0, 2)]))
    return tuple(lists)


def fingerprint(steps: Sequence[Step], count: int | None = None) -> tuple[Value, ...]:
    """What a function returns for the first `count` probes, or all.

    Functions that behave alike have the same one.
    """
    return tuple(run(steps, row) for row in probes()[:count])


def _wide(steps: Sequence[Step], rng: random.Random) -> Iterator[Numbers]:
    """Lists that may tell functions apart: short to long, around the numbers of the steps."""
    near = [value for step in steps for value in (step.k - 1, step.k, step.k + 1)]
    offsets = [0, *(sign * step.k for step in steps for sign in (1, -1) if step.op.kind == "map")]
    for turn in range(60):
        high = (12, 30, 60, 120)[turn % 4]
        row = [rng.randint(-high // 2, high) for _ in range(rng.randint(1, 9))]
        if turn % 2:
            row += [rng.choice(near) + rng.choice(offsets) for _ in range(3)]
        row += row[: rng.randint(0, 2)]
        rng.shuffle(row)
        yield tuple(row)
    for low in (-400, -120, -40, 0, 40, 100, 160, 300):
        yield tuple(range(low, low + 60))
        yield tuple(range(low + 59, low - 1, -1))


def told_apart(
    steps: Sequence[Step], other: Sequence[Step], lists: Sequence[Numbers]
) -> Numbers | None:
    """The first list for which two functions return different values."""
    return next((row for row in lists if run(steps, row) != run(other, row)), None)


def strong(steps: Sequence[Step], rng: random.Random) -> list[Numbers]:
    """Lists that tell the function from every typical wrong one."""
    wide = list(_wide(steps, rng))
    single = min((row for row in wide if len(row) < 4), key=len, default=(1,))
    tests = {row: run(steps, row) for row in ((), single, *wide[:5])}
    # Shorter lists first, so that tests stay short where they can be.
    search = {row: run(steps, row) for row in sorted(wide, key=len)}
    for _, wrong in mutants(steps):
        if _found(wrong, tests) is None:
            found = _found(wrong, search)
            if found is not None:
                row = _shortened(steps, wrong, found)
                tests[row] = run(steps, row)
    return list(tests)


def _found(wrong: Sequence[Step], values: Mapping[Numbers, Value]) -> Numbers | None:
    """The first list for which a wrong function does not return the right value."""
    return next((row for row, value in values.items() if run(wrong, row) != value), None)


def _shortened(steps: Sequence[Step], wrong: Sequence[Step], row: Numbers) -> Numbers:
    """A shorter list that still tells two functions apart, by leaving numbers out."""
    size = len(row) // 2
    while size:
        start = 0
        while start < len(row):
            less = (*row[:start], *row[start + size :])
            if run(steps, less) != run(wrong, less):
                row = less
            else:
                start += size
        size //= 2
    return row


def weak(rng: random.Random) -> list[Numbers]:
    """Three short lists of small positive numbers."""
    return [tuple(rng.sample(range(1, 10), rng.randint(2, 4))) for _ in range(3)]


def shown(steps: Sequence[Step], rng: random.Random) -> list[Numbers]:
    """Two lists for the task to show; none comes out empty, unchanged or long if that can be."""
    found: list[Numbers] = []
    for turn in range(40):
        high = (12, 30, 60, 60)[turn % 4]
        row = tuple(rng.randint(-high // 4, high) for _ in range(rng.randint(3, 5)))
        value = run(steps, row)
        dull = value in ([], 0) or value == list(row) or len(str(value)) > 24
        if row not in found and (not dull or turn > 30):
            found.append(row)
            if len(found) == 2:
                break
    return found
