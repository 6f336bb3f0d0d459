"""Counts against brute force over small random spaces, and estimates against what is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.budget import Budget
from archon.config import Source, Tagged
from archon.errors import ConfigError
from archon.search import TemplateSpace, arithmetic, read_space
from archon.search.arithmetic import assignments
from tests.search.conftest import space_of


def number_of(walked: TemplateSpace) -> int:
    return sum(1 for _ in walked.walk())


def tagged(tag: str, value: Any) -> Tagged:
    return Tagged(tag, value, "drawn")


SCALARS = st.one_of(
    st.tuples(st.integers(1, 2), st.integers(0, 2)).map(
        lambda ends: tagged("!int", {"low": ends[0], "high": ends[0] + ends[1]})
    ),
    st.sampled_from([tagged("!ref", "n"), 1, 2]),
    st.just(tagged("!choice", [1, 2, tagged("!ref", "m")])),
)
LAYERS = st.one_of(
    SCALARS.map(lambda samples: {"generate": {"model": "a", "samples": samples}}),
    st.builds(
        lambda samples, when: {"generate": {"model": "b", "samples": samples}, "when": when},
        SCALARS,
        st.sampled_from(["n > 1", "m == 2 and n == 1", "b", "not b"]),
    ),
    st.just(tagged("!maybe", "vote")),
    st.just(tagged("!maybe", {"of": "vote", "when": "n == 1"})),
    st.just(
        tagged(
            "!each", {"of": tagged("!ref", "s"), "do": {"fuse": {"model": tagged("!ref", "item")}}}
        )
    ),
)


def wrapped(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(
            lambda of: tagged("!choice", {"of": dict(enumerate(of))})
        ),
        inner.map(lambda of: tagged("!maybe", {"of": [of]})),
        st.builds(
            lambda of, most: tagged("!repeat", {"of": [of], "max": most}), inner, st.integers(0, 2)
        ),
        inner.map(lambda of: tagged("!repeat", {"of": [of], "times": tagged("!ref", "n")})),
        st.builds(
            lambda do, take: tagged(
                "!each",
                {
                    "of": tagged("!subset", {"of": ["a", "b", "fake/c"], "max": 2, "take": take}),
                    "do": do,
                },
            ),
            inner,
            st.sampled_from(["any", "ordered", "first"]),
        ),
    )


STAGES = st.lists(st.recursive(LAYERS, wrapped, max_leaves=4), min_size=1, max_size=3)


def drawn(stages: list[Any], requires: list[str]) -> TemplateSpace:
    data = {
        "models": {"a": "fake/a", "b": "fake/b"},
        "holes": {
            "n": tagged("!int", {"low": 1, "high": 2}),
            "m": tagged("!choice", {"of": [2, 3], "when": "n == 2"}),
            "b": tagged("!maybe", "vote"),
            "s": tagged("!subset", {"of": ["a", "b"], "min": 0}),
        },
        "require": ["n < 9 and m < 9 and len(s) < 9 and b in [True, False]", *requires],
        "stages": [{"generate": {"model": "a"}}, *stages],
    }
    return read_space(data)


@given(
    STAGES,
    st.lists(st.sampled_from(["n == 1", "len(s) > 0", "m * n > 4 or b", "n > 5"]), max_size=2),
)
def test_arithmetic_agrees_with_listing(stages: list[Any], requires: list[str]) -> None:
    space = drawn(stages, requires)
    listed = 0
    for listed, _ in enumerate(space.walk(), 1):
        if listed > 1000:
            return
    assert assignments(space) == listed


@given(STAGES)
def test_what_is_equal_is_counted_once(stages: list[Any]) -> None:
    """Rows against digests of the architectures that are built one by one."""
    space = drawn(stages, [])
    digests: dict[str, int] = {}
    errors = 0
    for number, (trial, _) in enumerate(space.walk()):
        if number > 150:
            return
        try:
            built = space.architecture(trial.assignment())
        except ConfigError:
            errors += 1
            continue
        digests[built.digest()] = built.bound().calls
    if errors:
        with pytest.raises(ConfigError, match="with "):
            space.table()
        return
    table = space.table()
    found = {table.architecture(i).digest(): int(table.calls[i]) for i in range(len(table))}
    assert found == digests
    assert len(table) == len(digests)


def test_a_space_as_large_as_nobody_lists() -> None:
    text = "stages:\n  - generate: {model: a}\n" + "".join(
        "  - !choice [vote, {refine: {model: !choice [a, b], keep: !choice [true, false]}},"
        f" {{fuse: {{model: a, samples: !int [1, {i + 5}]}}}}]\n"
        for i in range(9)
    )
    space = space_of(text)
    exact = math.prod(1 + 4 + i + 5 for i in range(9))
    assert exact > 10**10
    counted = space.count(sample=150, limits=Budget(calls=10**9))
    assert counted.assignments.exact
    assert counted.assignments.value == exact
    assert counted.architectures is counted.alone is counted.shared is None
    assert counted.fitting is not None
    assert counted.fitting.value == exact
    assert 0.2 * exact < counted.fitting.low < counted.fitting.high == exact
    assert counted.listed <= 150


def test_estimates_hold_what_they_promise() -> None:
    """Of 20 intervals of 95 %, 19 hold the number that listing gives; fewer than 15: 1 in 2,000."""
    text = """\
holes: {n: !int [1, 6], d: !int [0, 3]}
require: n + d < 8
stages:
  - generate: {model: a, samples: !ref n}
  - !repeat {times: !ref d, of: [fuse: {model: !choice [a, b], samples: !choice [1, 2, 3]}]}
  - !maybe {refine: {model: a}}
"""
    space = space_of(text)
    limits = Budget(calls=9)
    whole = space.count(limits=limits)
    assert whole.complete
    assert whole.fitting is not None
    held = 0
    for seed in range(20):
        part = space.count(limits=limits, most=10, sample=60, seed=seed)
        assert part.assignments.value == whole.assignments.value
        assert part.fitting is not None
        held += part.fitting.low <= whole.fitting.value <= part.fitting.high
    assert 15 <= held <= 20


def test_the_number_is_estimated_where_holes_depend_on_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arithmetic, "MOST_LEAVES", 300)
    holes = "".join(f"  h{i}: !int [1, 4]\n" for i in range(9))
    total = " + ".join(f"h{i}" for i in range(9))
    stages = "".join(f"  - fuse: {{model: a, samples: !ref h{i}}}\n" for i in range(1, 9))
    space = space_of(
        f"holes:\n{holes}require: {total} <= 20\nstages:\n  - generate: {{model: a, "
        f"samples: !ref h0}}\n{stages}"
    )
    assert assignments(space) is None
    # of 4^9 ways, those of nine dice with four sides that show at most 20
    ways = {0: 1}
    for _ in range(9):
        ways = {
            s: sum(ways.get(s - face, 0) for face in (1, 2, 3, 4)) for s in range(max(ways) + 5)
        }
    exact = sum(number for shown, number in ways.items() if shown <= 20)
    counted = space.count(sample=300, most=1000)
    assert not counted.assignments.exact
    assert counted.assignments.low <= exact <= counted.assignments.high


def test_no_end() -> None:
    space = space_of(
        "stages: [generate: {model: {model: fake/x, temperature: !float {low: 0, high: "
        "1}}, samples: !int [1, 4]}]\n"
    )
    counted = space.count(sample=100, limits=Budget(calls=2))
    assert counted.assignments.value == math.inf
    assert counted.to_json()["assignments"] == {"value": None, "low": None, "high": None}
    assert (counted.least["calls"], counted.most["calls"]) == (1, 4)
    assert counted.architectures is None


def test_limits() -> None:
    space = space_of("stages: [generate: {model: a, samples: !int [1, 9]}]\n")
    assert space.count().fitting is None
    found = space.count(limits=Budget(calls=4, tokens=10**6))
    assert found.fitting is not None
    assert found.fitting.to_json() == 4
    with pytest.raises(
        ConfigError, match=r"nothing .* \(calls: the cheapest needs 1, the limit is 0\)"
    ):
        space.count(limits=Budget(calls=0))
    priceless = "models: {x: {model: nobody/x, max_tokens: 5}, y: nobody/y}\n"
    unknown = space_of("stages: [generate: {model: !choice [x, y]}]\n", priceless)
    assert unknown.count(limits=Budget(calls=1)).least["usd"] is None
    for name, why in (("usd", "price"), ("tokens", "max_tokens"), ("flops", "size")):
        with pytest.raises(ConfigError, match=f"a limit on {name} .* a model has no {why}"):
            unknown.count(limits=Budget(**{name: 1}))


def test_an_empty_space() -> None:
    space = space_of(
        "holes: {n: !int [1, 3]}\nrequire: n > 3\nstages: [generate: {model: a, samples: !ref n}]\n"
    )
    with pytest.raises(ConfigError, match="the space is empty"):
        space.count()


def test_progress() -> None:
    told: list[tuple[int, int]] = []
    space_of("stages: [generate: {model: a, samples: !int [1, 250]}]\n").count(
        progress=lambda done, total: told.append((done, total))
    )
    assert told == [(100, 250), (200, 250)]


def test_a_table_that_would_be_too_long() -> None:
    space = space_of("stages: [generate: {model: a, samples: !int [1, 250]}]\n")
    with pytest.raises(ConfigError, match="more than 100 assignments"):
        space.table(most=100)


def test_the_numbers_of_a_table() -> None:
    space = space_of(
        "stages: [generate: {model: a, samples: !int [1, 4]}, fuse: {model: !choice [a, b]}]\n"
    )
    table = space.table()
    # 4 draws, and for each number of them a fusion by each of two models
    assert (len(table), table.node_count) == (8, 4 + 4 * 2)
    assert table.calls.tolist() == [2, 2, 3, 3, 4, 4, 5, 5]
    assert [len(table.nodes_of(i)) for i in range(8)] == table.calls.tolist()
    assert table.units()[:, 0].tolist() == pytest.approx([0, 0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1, 1])
    assert table.rows[:, 1].tolist() == [0, 1] * 4
    assert table.fits(Budget(calls=3)).tolist() == [True] * 4 + [False] * 4
    for i in range(8):
        bound = table.architecture(i).bound()
        assert table.node_tokens[table.nodes_of(i)].sum() == pytest.approx(bound.tokens)
        assert table.amounts["output_tokens"][i] == bound.output_tokens


def test_the_walk_is_pruned_by_requirements() -> None:
    """What a requirement forbids is left early: otherwise this would be 30^5 leaves."""
    holes = "".join(f"  h{i}: !int [1, 30]\n" for i in range(5))
    requires = "".join(f"  - h{i} == 1\n" for i in range(5))
    stages = "".join(f"  - generate: {{model: a, samples: !ref h{i}}}\n" for i in range(5))
    space = space_of(f"holes:\n{holes}require:\n{requires}stages:\n{stages}")
    assert number_of(space) == 1
    assert assignments(space) == 1


def test_yaml_is_what_the_drawn_spaces_are() -> None:
    """The spaces above are built past the YAML reader; one of them through it is the same."""
    text = "stages: [generate: {model: a, samples: !int {low: 1, high: 3}}]\nmodels: {a: fake/a}\n"
    source = Source(text, "x.yaml", ("!int",))
    direct = {
        "models": {"a": "fake/a"},
        "stages": [{"generate": {"model": "a", "samples": tagged("!int", {"low": 1, "high": 3})}}],
    }
    assert number_of(read_space(source)) == number_of(read_space(direct)) == 3
