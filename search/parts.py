"""The three parts of a benchmark's items: dev proposes, confirm chooses, test prints.

They are fixed by the seed and the sizes before the first trial, and no item is in two of them.
Where a benchmark has too few items for that, there is one part for all, and the printed score
comes from folds (`crossed`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from archon.base import Benchmark, Item, Split
from archon.errors import ConfigError
from archon.plain import canonical

if TYPE_CHECKING:
    from archon.search.files import Sizes

__all__ = ["CROSSED", "FOLDS", "Part", "PartName", "Parts", "cut", "question_tokens"]

PartName = Literal["dev", "confirm", "test"]

CROSSED = 400
"""Items below which they are not divided: every one proposes, and folds print."""
FOLDS = 5
LEAST: dict[PartName, int] = {"dev": 16, "confirm": 16, "test": 30}
"""Items below which a part says nothing about architectures."""
LEAST_CROSSED = 20


@dataclass(frozen=True)
class Part:
    """Items in one order for all trials.

    Attributes:
        split: of the benchmark, which they all are from.
    """

    name: PartName
    split: Split
    items: tuple[Item, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the items in order."""
        return tuple(item.task.id for item in self.items)

    def digest(self) -> str:
        """Return what names this set of items, in any order."""
        return hashlib.sha256(canonical([self.split, sorted(self.ids)]).encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Parts:
    """A benchmark's items as a study uses them.

    Attributes:
        confirm: None where items are too few to be divided.
        test: None likewise.
    """

    dev: Part
    confirm: Part | None = None
    test: Part | None = None

    @property
    def crossed(self) -> bool:
        """Whether every item proposes and the printed score comes from folds."""
        return self.test is None

    @property
    def printed(self) -> Part:
        """The items of the printed score."""
        return self.dev if self.test is None else self.test

    def sizes(self) -> dict[PartName, int]:
        """Return how many items each part has."""
        return {
            part.name: len(part) for part in (self.dev, self.confirm, self.test) if part is not None
        }


def question_tokens(part: Part) -> int:
    """Return how long the questions are on average: four bytes to a token."""
    size = sum(len(m.content.encode()) for item in part.items for m in item.task.messages)
    return max(1, size // (4 * len(part)))


def cut(benchmark: Benchmark, sizes: Sizes, seed: int = 0) -> Parts:
    """Return the parts of a benchmark.

    dev and confirm come from its development split, test from its test split; from one split all
    three where it has only one. Which items, and in what order, depends on their ids and the seed.

    Raises:
        ConfigError: for a split that is too small, before anything is paid.
    """
    found = {split: _shuffled(benchmark, split, seed) for split in benchmark.splits}
    found = {split: items for split, items in found.items() if items}
    if not found:
        raise ConfigError(f"{benchmark.name}: no items to search on")
    total = sum(map(len, found.values()))
    if len(found) == 1:
        [(split, items)] = found.items()
        if total < CROSSED:
            return _whole(benchmark, split, items)
        asked = _sizes(sizes, len(items))
        test = items[: asked["test"] or max(1, len(items) // 3)]
        return _parts(benchmark, sizes, split, items[len(test) :], split, test)
    dev, test = found["dev"], found["test"]
    if len(dev) < LEAST["dev"] + LEAST["confirm"]:  # a handful of examples is no split to choose on
        asked = _sizes(sizes, len(test))
        rest = test[asked["test"] or len(test) // 3 :]
        if len(test) < CROSSED:
            return _whole(benchmark, "test", test)
        return _parts(benchmark, sizes, "test", rest, "test", test[: len(test) - len(rest)])
    return _parts(benchmark, sizes, "dev", dev, "test", test[: _sizes(sizes, len(test))["test"]])


def _sizes(sizes: Sizes, items: int) -> dict[str, int | None]:
    """Return sizes in items; a share is of the split."""
    made: dict[str, int | None] = {}
    for name in ("dev", "confirm", "test"):
        size = getattr(sizes, name)
        made[name] = int(size * items) if isinstance(size, float) else size
    return made


def _shuffled(benchmark: Benchmark, split: Split, seed: int) -> list[Item]:
    def place(item: Item) -> bytes:
        return hashlib.sha256(f"{seed}/{item.task.id}".encode()).digest()

    items = list(benchmark.items(split))
    if len({item.task.id for item in items}) < len(items):
        raise ConfigError(f"{benchmark.name}: two items of the split {split!r} have the same id")
    return sorted(items, key=place)


def _whole(benchmark: Benchmark, split: Split, items: Sequence[Item]) -> Parts:
    if len(items) < LEAST_CROSSED:
        raise ConfigError(
            f"{benchmark.name}: {len(items)} items cannot tell architectures apart; a search"
            f" needs at least {LEAST_CROSSED}"
        )
    return Parts(Part("dev", split, tuple(items)))


def _parts(
    benchmark: Benchmark,
    sizes: Sizes,
    split: Split,
    choosing: Sequence[Item],
    test_split: Split,
    test: Sequence[Item],
) -> Parts:
    asked = _sizes(sizes, len(choosing))
    dev, confirm = asked["dev"], asked["confirm"]
    if dev is None:
        dev = len(choosing) - (confirm if confirm is not None else len(choosing) // 3)
    if confirm is None:
        confirm = len(choosing) - dev
    if dev + confirm > len(choosing):  # both shrink by the same share
        share = len(choosing) / (dev + confirm)
        dev, confirm = int(dev * share), len(choosing) - int(dev * share)
    made = Parts(
        Part("dev", split, tuple(choosing[:dev])),
        Part("confirm", split, tuple(choosing[dev : dev + confirm])),
        Part("test", test_split, tuple(test)),
    )
    for name, size in made.sizes().items():
        if size < LEAST[name]:
            raise ConfigError(
                f"{benchmark.name}: {size} items for {name!r} are too few for the question; it"
                f" needs at least {LEAST[name]}, see `items`"
            )
    return made
