"""The three parts of a benchmark's items, and how many of them there are."""

from __future__ import annotations

import pytest

from archon.errors import ConfigError
from archon.search.files import Sizes
from archon.search.parts import cut
from tests.search.ground import Toy


class One(Toy):
    """A benchmark that was published with a test split only."""

    splits = ("test",)


def _ids(benchmark: Toy, sizes: Sizes, seed: int = 0) -> dict[str, set[str]]:
    parts = cut(benchmark, sizes, seed)
    found = [part for part in (parts.dev, parts.confirm, parts.test) if part is not None]
    return {part.name: set(part.ids) for part in found}


@pytest.mark.parametrize(
    ("benchmark", "sizes", "expected"),
    [
        (Toy(900, 500), Sizes(), {"dev": 300, "confirm": 300, "test": 500}),
        (Toy(400, 500), Sizes(), {"dev": 200, "confirm": 200, "test": 500}),
        (Toy(900, 500), Sizes(dev=0.5, confirm=None, test=100),
         {"dev": 450, "confirm": 450, "test": 100}),
        (Toy(900, 500), Sizes(dev=None, confirm=100), {"dev": 800, "confirm": 100, "test": 500}),
        (One(0, 900), Sizes(), {"dev": 300, "confirm": 300, "test": 300}),
        (Toy(8, 900), Sizes(), {"dev": 300, "confirm": 300, "test": 300}),
        (One(0, 399), Sizes(), {"dev": 399}),
    ],
)  # fmt: skip
def test_sizes(benchmark: Toy, sizes: Sizes, expected: dict[str, int]) -> None:
    found = _ids(benchmark, sizes)
    assert {name: len(ids) for name, ids in found.items()} == expected
    assert len(set().union(*found.values())) == sum(expected.values())  # none is in two
    assert cut(benchmark, sizes).crossed == (set(expected) == {"dev"})


def test_the_seed_decides_which_and_in_what_order() -> None:
    one, same, other = (cut(Toy(200, 60), Sizes(dev=50, confirm=50), seed) for seed in (0, 0, 1))
    assert one.dev.ids == same.dev.ids
    assert one.dev.ids != other.dev.ids
    assert one.dev.digest() == same.dev.digest() != other.dev.digest()
    larger = cut(Toy(200, 60), Sizes(dev=80, confirm=50), 0)
    assert larger.dev.ids[:50] == one.dev.ids


def test_what_is_too_small_is_said() -> None:
    with pytest.raises(ConfigError, match="19 items cannot tell architectures apart"):
        cut(One(0, 19), Sizes())
    with pytest.raises(ConfigError, match="29 items for 'test' are too few"):
        cut(Toy(200, 29), Sizes())
    with pytest.raises(ConfigError, match="4 items for 'dev' are too few"):
        cut(Toy(200, 60), Sizes(dev=4, confirm=50))

    class Twice(Toy):
        def items(self, split, limit=None, seed=0):  # type: ignore[no-untyped-def]
            return [*super().items(split), *super().items(split)]

    with pytest.raises(ConfigError, match="same id"):
        cut(Twice(60, 60), Sizes())
