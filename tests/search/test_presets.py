"""Every file in configs/search/ loads, counts, and is what its header says."""

from __future__ import annotations

import random
from functools import cache

import pytest

import archon
from archon.search import SearchFile, TemplateSpace, read_search
from archon.search.arithmetic import assignments
from archon.search.counting import Count
from archon.search.files import shipped_searches

NAMES = sorted(shipped_searches())
SMALL = [name for name in NAMES if name not in ("paper", "open", "closed", "pareto")]


@cache
def search(name: str) -> SearchFile:
    return read_search(name)


@cache
def count(name: str) -> Count:
    return search(name).space.count(limits=search(name).limits.max)


def test_what_was_promised_is_there() -> None:
    assert {"paper", "small", "nano", "open", "closed", "pareto"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_has_its_name_and_says_what_it_is(name: str) -> None:
    assert search(name).name == name
    assert shipped_searches()[name].read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("name", NAMES)
def test_its_architectures_can_be_drawn_and_written(name: str) -> None:
    space, rng = search(name).space, random.Random(0)
    for _ in range(5):
        assignment = space.random(rng)
        architecture = space.architecture(assignment)
        assert space.decode(space.encode(assignment)) == assignment
        assert archon.loads(archon.dumps(architecture)).digest() == architecture.digest()


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in SMALL else pytest.mark.slow) for n in NAMES]
)
def test_it_counts(name: str) -> None:
    found = count(name)
    assert found.complete
    assert found.architectures is not None
    assert found.architectures >= 40
    assert found.alone is not None
    assert found.shared is not None
    assert found.shared < found.alone
    if found.fitting is not None:
        assert found.fitting.value > found.architectures / 2


def test_the_first_file_is_short() -> None:
    lines = shipped_searches()["small"].read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if not line.startswith("#")]) <= 18
    assert count("small").architectures == 2 * 6 * 4


def test_the_embedded_models_have_a_ground_of_their_own() -> None:
    found = count("nano")
    # one or two of five writers, six numbers of samples
    answers = (5 + 10) * 6
    # a vote; best or vote by each of three ways to score lines, or by checks; two greedy ones
    assert found.architectures == 8 * answers + 2
    # 8 draws of each writer, a reason and a verdict for each of them; two greedy ones
    assert found.shared == 5 * 8 * (1 + 2) + 2


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("paper", 38 * (4 + 16 + 64) * 3),
        # four judges, four numbers of samples, all but the empty set of four writers; none, one or
        # two rounds, with or without critique, of two widths; three endings
        ("open", 4 * 4 * 15 * (1 + 4 + 16) * 3),
        # six temperatures; eight numbers of samples; alone, or with one or two votes and two ways
        # to choose, or in two to eight waves of three confidences
        ("pareto", 6 * (8 + 8 * 2 * 2 + 8 * 7 * 3)),
    ],
)
def test_it_is_counted_without_listing_it(name: str, exact: int) -> None:
    space = search(name).space
    assert isinstance(space, TemplateSpace)
    assert assignments(space) == exact


def test_several_objectives() -> None:
    assert search("pareto").objective == ("score", "calls")
