"""What generated benchmarks share: streams of problems, splits that cannot overlap, levels.

A problem has a canonical `key`: what is asked, without names and wording. A hash of the key alone
decides whether the problem belongs to `train`, `dev` or `test`, so two splits never share a
problem, whatever the seed, the level or the wording. `train` belongs to programs that train
models; a benchmark lists `dev` and `test` only.
"""

from __future__ import annotations

import hashlib
import random
from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, Generic, Literal, Protocol, TypeVar

from archon import base
from archon.base import Item
from archon.errors import ConfigError
from archon.plain import canonical
from archon.types import Json

__all__ = ["DEFAULT_ITEMS", "GIVE_UP_AFTER", "Listing", "Procedural", "Split", "drawn", "split_of"]

Split = Literal["train", "dev", "test"]

GIVE_UP_AFTER = 20_000
"""Draws without a new problem after which a stream ends."""

_PATIENCE = 80
"""Draws without a problem that was not yet asked after which one may be asked in other words."""

DEFAULT_ITEMS = 1000
"""How many items a split has where no limit is given; the stream itself goes on."""


class Asked(Protocol):
    """What a problem of any family has."""

    @property
    def key(self) -> str:
        """What decides the split."""

    @property
    def question(self) -> str:
        """What is asked, in words."""


class Keyed(Protocol):
    """A problem before it has words."""

    @property
    def key(self) -> str:
        """What decides the split."""


S = TypeVar("S", bound=Keyed)
P = TypeVar("P", bound=Asked)
Stream = Callable[[int, Split, int], Iterator[P]]


def split_of(key: str) -> Split:
    """The split a canonical key belongs to: tenths 0-7 train, 8 dev, 9 test."""
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    tenth = int.from_bytes(digest, "big") % 10
    if tenth < 8:
        return "train"
    return "dev" if tenth == 8 else "test"


def drawn(
    stream: str,
    split: Split,
    draw: Callable[[random.Random], S],
    tell: Callable[[S, str, random.Random], P],
    fits: Callable[[S], bool] = lambda _: True,
) -> Iterator[P]:
    """Problems of one split in a fixed order, no question twice; the same in every process.

    Where a level has few problems, one comes again in other words, in `dev` and `test` only when
    no other is found soon.

    Args:
        stream: names family, level, split and seed, as `countdown-4-test-0`: the seed of all
            chance, and the beginning of each problem's id.
        split: which problems to keep.
        draw: makes a problem, without words.
        tell: puts it into words, given its id.
        fits: whether a problem of the split is to be asked: what takes too long for `draw`.

    Raises:
        RuntimeError: There is no further problem within reach.
    """
    rng = random.Random(f"archon-{stream}")
    seen: set[str] = set()
    keys: set[str] = set()
    patience = 0 if split == "train" else _PATIENCE
    misses = 0
    while misses < GIVE_UP_AFTER:
        found = draw(rng)
        stale = found.key in keys and misses < patience
        if stale or split_of(found.key) != split or not fits(found):
            misses += 1
            continue
        problem = tell(found, f"{stream}-{len(seen)}", rng)
        if problem.question in seen:
            misses += 1
            continue
        seen.add(problem.question)
        keys.add(problem.key)
        misses = 0
        yield problem
    raise RuntimeError(f"{stream}: no new problem after {len(seen)}")


class Listing(Generic[P]):
    """A stream of problems, kept so that they can be asked for by index."""

    def __init__(self, stream: Iterator[P]) -> None:
        self._stream = stream
        self._items: list[P] = []

    def __getitem__(self, index: int) -> P:
        if index < 0:
            raise IndexError(f"problem index must not be negative, got {index}")
        missing = index + 1 - len(self._items)
        if missing > 0:
            self._items.extend(islice(self._stream, missing))
        if index >= len(self._items):
            raise RuntimeError(f"no new problem after {len(self._items)}")
        return self._items[index]


@lru_cache(maxsize=128)
def _listing(stream: Stream[Any], level: int, split: Split, seed: int) -> Listing[Any]:
    return Listing(stream(level, split, seed))


def listing(stream: Stream[P], level: int, split: Split, seed: int) -> Listing[P]:
    """The listing of a stream, one for all who ask in this process."""
    kept: Listing[P] = _listing(stream, level, split, seed)
    return kept


class Procedural(base.Benchmark, Generic[P]):
    """A benchmark whose problems are generated: seeded, with levels and disjoint splits.

    Args:
        level: one of `levels`, or `mixed` for all of them in turn.
    """

    def __init__(self, level: int | str = 3) -> None:
        known = [str(value) for value in self.levels] + ["mixed"]
        if str(level) not in known:
            raise ConfigError(f"{self.name}: unknown level {level!r}; known: {', '.join(known)}")
        self.level: int | Literal["mixed"] = "mixed" if level == "mixed" else int(level)

    @staticmethod
    @abstractmethod
    def stream(level: int, split: Split, seed: int) -> Iterator[P]:
        """Distinct problems of one level and split, the same ones in every process."""

    @abstractmethod
    def item(self, problem: P) -> Item:
        """Return the problem as an item."""

    def items(self, split: base.Split, limit: int | None = None, seed: int = 0) -> list[Item]:
        """Return the first `limit` items of a split in a fixed order; 1000 without a limit.

        Raises:
            ConfigError: for another split, or when a level has no more distinct problems.
        """
        if split not in ("dev", "test"):
            raise ConfigError(f"{self.name}: unknown split {split!r}; known: dev, test")
        count = DEFAULT_ITEMS if limit is None else limit
        levels = self.levels if self.level == "mixed" else (self.level,)
        lists = [listing(self.stream, level, split, seed) for level in levels]
        try:
            return [self.item(lists[i % len(lists)][i // len(lists)]) for i in range(count)]
        except RuntimeError as error:
            raise ConfigError(f"{self.name}: {error}; set a smaller limit") from None

    def scorer(self) -> list[Json]:
        """Return what else identifies the scorer, besides name, level and kind of answer."""
        return []

    def digest(self) -> str:
        """Return the hash of level, scorer and a sample of the items of both splits."""
        sample = [
            [item.task.question, item.target]
            for split in ("dev", "test")
            for item in self.items(split, 20)
        ]
        text = canonical([self.name, str(self.level), self.answer, sample, *self.scorer()])
        return hashlib.sha256(text.encode()).hexdigest()[:16]
