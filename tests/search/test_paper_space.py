"""The paper's space, counted a second time by loops that know its shape and nothing of holes."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable, Iterable

import pytest

from archon.config import Source
from archon.search import Table, read_search
from archon.search.files import shipped_searches
from archon.search.reading import TAGS

FUSERS = (2, 4, 6, 8)


def table(most: int) -> Table:
    """Return the paper's space with at most so many first answers."""
    text = shipped_searches()["paper"].read_text(encoding="utf-8")
    assert text.count("<= 24") == 1
    return read_search(Source(text.replace("<= 24", f"<= {most}"), "paper", TAGS)).space.table()


def by_hand(most: int) -> list[list[Hashable]]:
    """Return the calls of every architecture, each named by all that it depends on."""
    found = []
    widths = [w for depth in (1, 2, 3) for w in itertools.product(FUSERS, repeat=depth)]
    for models, samples in itertools.product(range(1, 11), range(1, 6)):
        if models * samples > most:
            continue
        for fusers, evaluation in itertools.product(widths, ("none", "verifier", "tests")):
            calls: list[Hashable] = [
                ("generate", model, draw) for model in range(models) for draw in range(samples)
            ]
            behind: tuple[Hashable, ...] = (models, samples)
            for width in fusers:
                calls += [("critique", behind), ("rank", behind)]
                calls += [("fuse", behind, fuser) for fuser in range(width)]
                before, behind = behind, (*behind, width)
            if evaluation == "verifier":
                for fuser in range(fusers[-1]):
                    calls += [("reason", before, fuser), ("verdict", before, fuser)]
            if evaluation == "tests":
                calls.append("unit tests")
                calls += [("test", before, fuser) for fuser in range(fusers[-1])]
            calls += [(step, behind, evaluation) for step in ("critique", "rank", "last")]
            found.append(calls)
    return found


def often(calls: Iterable[Hashable]) -> list[int]:
    """Return how many architectures make each call, sorted."""
    return sorted(Counter(calls).values())


def check(most: int) -> tuple[int, int, int]:
    """Compare with the loops and return architectures, calls alone, and calls shared."""
    found, counted = table(most), by_hand(most)
    assert sorted(found.calls) == sorted(map(len, counted))
    assert often(found.nodes.tolist()) == often(call for calls in counted for call in calls)
    for row in range(0, len(found), 1 + len(found) // 8):
        bound = found.architecture(row).bound()
        assert found.calls[row] == bound.calls == len(found.nodes_of(row))
        assert (found.reasks[row], found.tokens[row]) == (bound.reasks, bound.tokens)
        assert found.usd[row] == pytest.approx(bound.usd)
    return len(found), int(found.calls.sum()), found.node_count


def test_a_corner_of_the_papers_space() -> None:
    counted = by_hand(2)
    calls = {call for calls in counted for call in calls}
    # one or two models with one or two samples, at most two answers: three pairs
    assert check(2) == (3 * 84 * 3, sum(map(len, counted)), len(calls))


@pytest.mark.slow
def test_the_figures_of_the_paper() -> None:
    assert check(24) == (9576, 364_308, 55_899)
