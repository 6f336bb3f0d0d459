"""The paper's space, counted a second time by loops that know its shape and nothing of holes."""

from __future__ import annotations

import itertools
from collections.abc import Hashable

import pytest

from archon.search import Table, read_search

FUSERS = (2, 4, 6, 8)


@pytest.fixture(scope="module")
def table() -> Table:
    return read_search("paper").space.table()


def by_hand() -> list[list[Hashable]]:
    """Return the calls of every architecture, each named by all that it depends on."""
    found = []
    widths = [w for depth in (1, 2, 3) for w in itertools.product(FUSERS, repeat=depth)]
    for models, samples in itertools.product(range(1, 11), range(1, 6)):
        if models * samples > 24:
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


def test_the_figures_of_the_paper(table: Table) -> None:
    counted = by_hand()
    assert len(table) == len(counted) == 9576
    assert table.calls.sum() == sum(map(len, counted)) == 364_308
    assert table.node_count == len({call for calls in counted for call in calls}) == 55_899
    assert sorted(table.calls) == sorted(map(len, counted))


def test_every_pair_shares_what_it_shares_by_hand(table: Table) -> None:
    """The overlap of architectures, as a multiset over rows that many hand-made ones share."""
    counted = by_hand()
    often: dict[Hashable, int] = {}
    for calls in counted:
        for call in calls:
            often[call] = often.get(call, 0) + 1
    numbers: dict[int, int] = {}
    for node in table.nodes.tolist():
        numbers[node] = numbers.get(node, 0) + 1
    assert sorted(often.values()) == sorted(numbers.values())


def test_bounds_are_those_of_the_architectures(table: Table) -> None:
    for row in range(0, len(table), 1200):
        bound = table.architecture(row).bound()
        assert table.calls[row] == bound.calls == len(table.nodes_of(row))
        assert table.reasks[row] == bound.reasks
        assert table.tokens[row] == bound.tokens
        assert table.usd[row] == pytest.approx(bound.usd)
