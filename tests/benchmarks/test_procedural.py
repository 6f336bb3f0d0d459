"""What all generated benchmarks promise: splits, order, levels, the same everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from archon import benchmarks
from archon.benchmarks import Constraints, Countdown, ListFn, Procedure
from archon.benchmarks.procedural import Listing, Procedural, Split, drawn, split_of
from archon.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
CLASSES: list[type[Procedural[Any]]] = [ListFn, Countdown, Constraints, Procedure]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
FEW = {("listfn", 1), ("constraints", 2)}
"""Levels with so few problems that one may come again in other words."""


@pytest.mark.parametrize("family", CLASSES)
def test_splits_share_no_problem_across_seeds_and_levels(family: type[Procedural[Any]]) -> None:
    keys = {
        split: {
            p.key
            for level in family.levels
            for seed in (0, 1)
            for p in islice(family.stream(level, split, seed), 7)
        }
        for split in SPLITS
    }
    assert all(len(found) > 7 * len(family.levels) for found in keys.values())
    assert not keys["train"] & keys["dev"]
    assert not keys["train"] & keys["test"]
    assert not keys["dev"] & keys["test"]
    assert {split_of(key) for key in keys["test"]} == {"test"}


@pytest.mark.parametrize("family", CLASSES)
def test_no_question_comes_twice_and_ids_are_names(family: type[Procedural[Any]]) -> None:
    for level in family.levels:
        found = list(islice(family.stream(level, "dev", 3), 24))
        assert len({p.question for p in found}) == len({p.id for p in found}) == 24
        if (family.name, level) not in FEW:
            assert len({p.key for p in found}) >= 23
        assert {p.level for p in found} == {level}
        assert found[7].id == f"{family.name}-{level}-dev-3-7"


@pytest.mark.parametrize("hash_seed", ["4242"])
def test_another_process_gives_the_same_items(hash_seed: str) -> None:
    code = (
        "from archon import benchmarks as b\n"
        "for name in ('listfn', 'countdown', 'constraints', 'procedure'):\n"
        "    x = b.get(name, level='mixed')\n"
        "    print([(i.task.question, i.target) for i in x.items('test', 4)])\n"
    )
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    out = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    ).stdout
    here = ""
    for family in CLASSES:
        mixed: Procedural[Any] = family("mixed")
        items = [(i.task.question, i.target) for i in mixed.items("test", 4)]
        here += f"{items}\n"
    assert out == here


@pytest.mark.parametrize("family", CLASSES)
def test_mixed_takes_the_levels_in_turn_and_digests_tell_levels_apart(
    family: type[Procedural[Any]],
) -> None:
    items = family("mixed").items("test", len(family.levels) + 1)
    groups = [f"level {level}" for level in (*family.levels, family.levels[0])]
    assert [item.group for item in items] == groups
    second: int = family.levels[1]
    assert family("mixed").items("test", 2)[1] == family(second).items("test", 1)[0]
    assert family(second).items("test", 3, seed=1) != family(second).items("test", 3)
    levels: list[int | str] = [*family.levels[:2], "mixed"]
    assert len({family(level).digest() for level in levels}) == 3


@pytest.mark.parametrize("family", CLASSES)
def test_mistakes_say_what_would_be_right(family: type[Procedural[Any]]) -> None:
    known = ", ".join(map(str, family.levels))
    with pytest.raises(
        ConfigError, match=f"{family.name}: unknown level 99; known: {known}, mixed"
    ):
        benchmarks.get(family.name, level=99)
    with pytest.raises(ConfigError, match="unknown split 'train'; known: dev, test"):
        family().items("train", 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="level must be one of"):
        next(iter(family.stream(99, "test", 0)))


class Tiny:
    """One of three problems."""

    def __init__(self, number: int) -> None:
        self.key = self.question = f"tiny {number}"


def test_a_stream_that_runs_dry_says_so_and_a_listing_keeps_what_there_was() -> None:
    train = [n for n in range(3) if split_of(f"tiny {n}") == "train"]
    stream = drawn("tiny", "train", lambda rng: Tiny(rng.randrange(3)), lambda t, name, rng: t)
    listed = Listing(stream)
    assert train
    assert {listed[i].question for i in range(len(train))} == {f"tiny {n}" for n in train}
    with pytest.raises(RuntimeError, match=f"no new problem after {len(train)}"):
        listed[len(train)]
    with pytest.raises(RuntimeError, match=f"no new problem after {len(train)}"):
        listed[len(train)]
    with pytest.raises(IndexError):
        listed[-1]
