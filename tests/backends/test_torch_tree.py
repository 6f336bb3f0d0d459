"""The prefix tree against a plain list of texts, and its budget."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from archon.backends.torch_cache import Segment  # noqa: E402
from archon.backends.torch_tree import PrefixTree  # noqa: E402

EACH = 2 * 2 * 3 * 4 + 2 * 2 * 1 * 4
"""Bytes of a token below: two layers, two heads, keys of three and values of one number."""


def segment(ids: Sequence[int], begin: int = 0) -> Segment:
    """Return keys and values that name their token and its place."""
    numbers = torch.tensor([100.0 * place + ids[place] for place in range(begin, len(ids))])
    shape = (2, 2, len(numbers))
    keys = numbers[None, None, :, None].expand(*shape, 3)
    return Segment(keys.contiguous(), numbers[None, None, :, None].expand(*shape, 1).contiguous())


def found(tree: PrefixTree, ids: Sequence[int], most: int | None = None) -> list[float]:
    """Return what the tree holds of a text, one number for each token."""
    parts = tree.match(ids, len(ids) if most is None else most)
    for part in parts:
        assert bool((part.keys == part.values).all())
    return [float(x) for part in parts for x in part.keys[1, 1, :, 2]]


def numbers(ids: Sequence[int], count: int) -> list[float]:
    return [100.0 * place + ids[place] for place in range(count)]


def common(a: Sequence[int], b: Sequence[int]) -> int:
    places = [n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y]
    return min([*places, len(a), len(b)])


def held(tree: PrefixTree) -> int:
    """Return the bytes that the tree really holds in memory."""
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for node in tree._recent
        for tensor in (node.segment.keys, node.segment.values)  # type: ignore[union-attr]
    }
    return sum(storages.values())


texts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), max_size=20)


@given(texts, st.lists(st.integers(0, 2), min_size=1, max_size=12))
def test_it_finds_the_longest_beginning(known: list[list[int]], wanted: list[int]) -> None:
    tree = PrefixTree(10**9)
    for ids in known:
        tree.add(ids, segment(ids))
    longest = max((common(ids, wanted) for ids in known), default=0)
    assert found(tree, wanted) == numbers(wanted, longest)
    distinct = {tuple(ids[: n + 1]) for ids in known for n in range(len(ids))}
    assert tree.bytes == len(distinct) * EACH == held(tree)


@given(texts, st.integers(0, 12))
def test_no_more_than_the_budget_and_never_something_wrong(
    known: list[list[int]], budget: int
) -> None:
    tree = PrefixTree(budget * EACH)
    for ids in known:
        tree.add(ids, segment(ids))
        assert tree.bytes <= budget * EACH
        assert held(tree) == tree.bytes
        for other in known:
            got = found(tree, other)
            assert got == numbers(other, len(got))


def test_what_was_used_least_recently_goes_first() -> None:
    tree = PrefixTree(8 * EACH)
    for first in (1, 2):
        tree.add([first, 0, 0, 0], segment([first, 0, 0, 0]))
    assert len(found(tree, [1, 0, 0, 0])) == 4
    tree.add([3, 0], segment([3, 0]))
    assert found(tree, [2, 0, 0, 0]) == []
    assert len(found(tree, [1, 0, 0, 0])) == 4


def test_a_beginning_outlives_what_follows_it() -> None:
    tree = PrefixTree(6 * EACH)
    tree.add([1, 1, 1, 1], segment([1, 1, 1, 1]))
    tree.add([1, 1, 1, 1, 5, 5], segment([1, 1, 1, 1, 5, 5], 4))
    assert len(found(tree, [1, 1, 1, 1])) == 4
    tree.add([1, 1, 1, 1, 6, 6], segment([1, 1, 1, 1, 6, 6], 4))
    assert found(tree, [1, 1, 1, 1, 6, 6]) == numbers([1, 1, 1, 1, 6, 6], 6)
    assert len(found(tree, [1, 1, 1, 1, 5, 5])) == 4


def test_an_end_without_its_beginning_is_not_kept() -> None:
    tree = PrefixTree(100 * EACH)
    tree.add([1, 2, 3, 4], segment([1, 2, 3, 4], 2))
    assert tree.bytes == 0
    tree.add([1, 2], segment([1, 2]))
    tree.add([1, 2, 3, 4], segment([1, 2, 3, 4], 2))
    assert found(tree, [1, 2, 3, 4]) == numbers([1, 2, 3, 4], 4)
    assert found(tree, [1, 2, 3, 4], most=3) == numbers([1, 2, 3, 4], 3)


def test_shrinking_and_clearing() -> None:
    tree = PrefixTree(100 * EACH)
    for first in range(10):
        tree.add([first, 7, 7], segment([first, 7, 7]))
    tree.shrink(9 * EACH)
    assert tree.bytes == 9 * EACH == held(tree)
    assert len(found(tree, [9, 7, 7])) == 3
    tree.add([50, 1], segment([50, 1]))
    assert tree.bytes <= 9 * EACH
    tree.clear()
    assert (tree.bytes, len(tree), found(tree, [9, 7, 7])) == (0, 0, [])
