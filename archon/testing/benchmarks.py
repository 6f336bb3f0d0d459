"""The contracts of a benchmark: each takes what makes one, as it is registered."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import get_args

from archon.base import Benchmark, Item, Split
from archon.plain import canonical
from archon.types import AnswerKind, Candidate, Task

__all__ = ["BENCHMARK_CONTRACTS", "check_benchmark"]

Make = Callable[[], Benchmark]
Contract = Callable[[Make], None]
BENCHMARK_CONTRACTS: dict[str, Contract] = {}
"""Every contract by name."""

SPLITS: tuple[Split, ...] = get_args(Split)
WRONG = ("", "no idea", "NaN", "\x00", "9" * 2000, "####", "{[(", "#### 1e999")


def _contract(check: Contract) -> Contract:
    BENCHMARK_CONTRACTS[check.__name__] = check
    return check


def check_benchmark(make: Make, contracts: Iterable[str] = ()) -> None:
    """Check a benchmark against all contracts, or against those named.

    Raises:
        AssertionError: saying what the benchmark did.
    """
    for name in contracts or BENCHMARK_CONTRACTS:
        BENCHMARK_CONTRACTS[name](make)


def _questions(items: Iterable[Item]) -> list[str]:
    return [canonical([m.to_json() for m in item.task.messages]) for item in items]


@_contract
def declares_itself(make: Make) -> None:
    """It follows the protocol, and its digest stays."""
    benchmark = make()
    assert isinstance(benchmark, Benchmark), f"{type(benchmark).__name__} lacks part of it"
    assert benchmark.name, "it has no name"
    assert benchmark.about, "it does not say what it is about"
    assert benchmark.answer in get_args(AnswerKind), f"unknown answer kind {benchmark.answer!r}"
    assert benchmark.digest() == make().digest(), "the digest changes"


@_contract
def keeps_its_order(make: Make) -> None:
    """The first n items are the first n of any larger limit, in every instance."""
    for split in SPLITS:
        many = list(make().items(split, 12))
        assert many, f"the split {split!r} is empty"
        assert list(make().items(split, 12)) == many, f"another instance has another {split!r}"
        for n in (1, 5):
            few = list(make().items(split, n))
            assert few == many[:n], f"the first {n} of {split!r} depend on the limit"


@_contract
def names_its_items(make: Make) -> None:
    """Every item has an id and a group of its own split, and its task a question to answer."""
    for split in SPLITS:
        items = list(make().items(split, 30))
        ids = [item.task.id for item in items]
        assert len(set(ids)) == len(ids), f"two items of {split!r} have one id"
        for item in items:
            assert item.task.question.strip(), f"{item.task.id!r} asks nothing"
            assert item.task.answer == make().answer, f"{item.task.id!r} has another answer kind"
            assert Task.from_json(item.task.to_json()) == item.task, "a task has no JSON form"


@_contract
def splits_apart(make: Make) -> None:
    """No question of one split stands in the other."""
    dev, test = (set(_questions(make().items(split, 200))) for split in SPLITS)
    assert not dev & test, f"{len(dev & test)} questions stand in both splits"


@_contract
def hides_the_target(make: Make) -> None:
    """The task does not carry the expected answer in its metadata."""
    for split in SPLITS:
        for item in make().items(split, 20):
            values = [str(value) for value in item.task.metadata.values()]
            assert str(item.target) not in values, f"the metadata of {item.task.id!r} tells it"


@_contract
def scores_in_range(make: Make) -> None:
    """A score is a finite number from 0 to 1; no answer scores 0; a score never raises."""
    benchmark = make()
    for split in SPLITS:
        for item in benchmark.items(split, 10):
            assert benchmark.score(item, None) == 0, "no candidate must score 0"
            for text in (*WRONG, str(item.target)):
                score = benchmark.score(item, Candidate.of(text))
                fine = math.isfinite(score) and 0 <= score <= 1
                assert fine, f"{text[:20]!r} scores {score!r}"
            assert benchmark.score(item, Candidate.of("")) == 0, "an empty answer must score 0"


@_contract
def can_be_solved(make: Make) -> None:
    """The target itself, given as the answer, scores more than what is wrong."""
    benchmark = make()
    for item in benchmark.items("dev", 10):
        right = benchmark.score(item, Candidate.of(str(item.target)))
        assert right > benchmark.score(item, Candidate.of("no idea")), f"{item.task.id!r}: {right}"
