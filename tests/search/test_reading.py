from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.config import Source
from archon.errors import ConfigError
from archon.search import read_space
from archon.search.reading import TAGS
from tests.search.conftest import space_of

ONE = "stages: [generate: {model: a}]\n"


def names(text: str) -> list[str]:
    return [column.name for column in space_of(text).columns]


def stages(*lines: str) -> str:
    return "stages:\n" + "".join(f"  {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("stages: [generate: {model: !chioce [a, b]}]", 4, "unknown tag '!chioce'; did you mean"),
        ("stages: [generate: {model: !choice []}]", 4, "!choice takes a list with at least one"),
        ("stages: [generate: {model: !choice {off: [a]}}]", 4, "!choice takes a list, a group"),
        ("stages: [generate: {model: !choice [a, a]}]", 4, "twice"),
        ("stages: [generate: {model: !choice {of: [a], min: 1}}]", 4, "unknown key 'min'"),
        ("stages: [generate: {samples: !int {low: 5, high: 1}}]", 4, "low is at most high"),
        ("stages: [generate: {samples: !int {low: 1}}]", 4, "!int needs 'high'"),
        ("stages: [generate: {samples: !int 5}]", 4, r"!int takes `\{low"),
        ("stages: [generate: {samples: !int {low: 1.5, high: 3}}]", 4, "whole number, got 1.5"),
        ("stages: [generate: {samples: !int {low: 1, high: !int [1, 2]}}]", 4, "got !int"),
        ("stages: [generate: {samples: !int {low: 1, high: 9, log: 1}}]", 4, "log is true or"),
        ("stages: [generate: {samples: !int {low: 1, high: 9, setp: 2}}]", 4, "mean 'step'"),
        ("stages: [!maybe ]", 4, "!maybe takes what may be there"),
        ("stages: [!repeat [vote]]", 4, r"!repeat takes `\{of"),
        ("stages: [!repeat {of: [vote], min: 3, max: 2}]", 4, "min is at most max"),
        ("stages: [!repeat {of: [vote], times: 2, max: 2}]", 4, "either `times`"),
        ("stages: [!repeat {of: [vote], times: 99}]", 4, "at most 64 repetitions"),
        ("stages: [!repeat {of: [vote], times: !choice [x, y]}]", 4, "`times` is a whole number"),
        ("stages: [!repeat {of: [vote], max: -1}]", 4, "max is a whole number from 0"),
        ("stages: [[!each {of: [a], to: vote}]]", 4, r"!each takes `\{of"),
        ("stages: [[!each {of: all, do: vote}]]", 4, "there is no group 'all'"),
        ("stages: [[!each {of: !int [1, 2], do: vote}]]", 4, "`of` is a list, a group"),
        ("stages: [generate: {model: !ref item}]", 4, "`!ref item` stands inside"),
        ("stages: [!subset {of: [vote, best], min: 3}]", 4, "min is at most max"),
        ("stages: [!subset {of: [vote, best], max: 3}]", 4, "3 of 2 items cannot be taken"),
        ("stages: [!subset {of: [vote], take: some}]", 4, "take is any, ordered or first"),
        ("stages: [!subset {of: [vote], sizes: [1], max: 1}]", 4, "either `sizes`"),
        ("stages: [!subset {of: [vote, best], sizes: [2, 1]}]", 4, "rising order"),
        ("stages: [!subset {of: [!maybe vote]}]", 4, "!maybe cannot stand in an item of !subset"),
        ("stages: [generate: {samples: !ref n}]", 4, "there is no hole 'n'; no hole has a name"),
        ("stages: [generate: {samples: !ref }]", 4, "!ref takes the name"),
        ("stages: [generate: {model: a}]\nrequire: n > 1", 5, "there is no hole 'n'"),
        ("stages: [generate: {model: a}]\nrequire: [1 +]", 5, "not a condition"),
        ("stages: [generate: {model: a}]\nrequire: 5", 5, "`require` is a condition or a list"),
        ("stages: [{generate: {model: a}, when: 5}]", 4, "a condition is a text, got 5"),
        ("stages: [{generate: {model: a}, id: !choice [x, y]}]", 4, "cannot stand in 'id'"),
        ("nodes: [{generate: {model: a}, after: !choice [x, y]}]", 4, "cannot stand in 'after'"),
        ("stages: [{!choice a: {model: a}}]", 4, "a key must be a plain word"),
        (f"{ONE}nodes: [vote]", 5, "give either `stages` or `nodes`"),
        (f"{ONE}groups: {{x: []}}", 5, "the group 'x' is a list with at least one"),
        (f"{ONE}groups: {{x: [!maybe a]}}", 5, "!maybe cannot stand in a group"),
        (f"{ONE}holes: {{x: 5}}", 5, "'x' is a hole, such as"),
        (f"{ONE}holes: {{x: !ref y}}", 5, "'x' is a hole, such as"),
        (f"{ONE}holes: {{not: !int [1, 2]}}", 5, "letters, digits and underscores"),
        (f"{ONE}holes: {{item: !int [1, 2]}}", 5, "letters, digits and underscores"),
        (f"{ONE}holes: {{x: !int {{low: 1, high: 2, name: y}}}}", 5, "the key is the name"),
        (f"{ONE}holes: {{x: !choice [!ref y, 1], y: !choice [!ref x, 2]}}", 5, "x > y > x"),
        (f"{ONE}holes: {{x: !int {{low: 1, high: 2, when: x > 1}}}}", 5, "circle: x > x"),
        (f"{ONE}holes: {{x: !int [1, 2]}}", 5, "'x': it is used nowhere"),
        (f"{ONE}hloes: {{}}", 5, "did you mean 'holes'"),
        (f"{ONE}require: false", 5, "`require` is a condition"),
        (f"{ONE}holes: 0", 5, "`holes` maps names to holes"),
        ("stages: []", 4, "at least one layer"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(text: str, where: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        space_of(text + "\n")
    assert caught.value.where == f"space.yaml:{where}", caught.value


def test_a_name_given_twice() -> None:
    text = stages("- generate: {model: !choice {name: x, of: [a, b]}, samples: !int {name: y, %s}}")
    assert names(text % "low: 1, high: 2") == ["x", "y"]
    with pytest.raises(ConfigError, match=r"space\.yaml:5: the name 'x' is given twice"):
        space_of(text.replace("name: y", "name: x") % "low: 1, high: 2")


def test_a_name_inside_of_something_is_not_known_outside() -> None:
    text = stages(
        "- generate: {model: a}",
        "- !maybe {refine: {model: !choice {name: who, of: [a, b]}}}",
        "- fuse: {model: !ref who}",
    )
    with pytest.raises(ConfigError, match=r"space\.yaml:7: 'who' stands inside something"):
        space_of(text)


def test_readable_names_from_places() -> None:
    text = stages(
        "- - generate: {model: a, samples: !int [1, 2]}",
        "  - {id: other, generate: {model: b, samples: !int [1, 2]}}",
        "  - generate: {model: !choice [a, b], samples: !int [1, 2]}",
        "- !maybe {critique: {model: a, per: !choice [all, candidate]}}",
        "- !repeat {name: round, max: 2, of: [{refine: {model: !choice [a, b]}}]}",
        "- !choice [vote, [verify: {model: a, votes: !int [1, 3]}, best]]",
        "- - !each {of: [a, b], do: {fuse: {model: !ref item, samples: !int [1, 2]}}}",
    )
    assert names(text) == [
        "generate.samples", "other.generate.samples", "generate.model", "generate.samples-2",
        "critique", "critique.per",
        "round", "round[1].refine.model", "round[2].refine.model",
        "stage-4", "verify.votes",
        "each[a].fuse.samples", "each[b].fuse.samples",
    ]  # fmt: skip


def test_labels_of_options() -> None:
    text = stages(
        "- generate: {model: a}",
        "- !choice [vote, [verify: {model: a}, best], [], {fuse: {model: a}}, {fuse: {model: b}}]",
    )
    [column] = space_of(text).columns
    assert list(column.levels) == ["vote", "verify+best", "none", "fuse", "fuse-2"]


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        (stages("- generate: {model: a, sampels: !int [1, 2]}"), 5, "no setting 'sampels'"),
        (stages("- !choice [vote, generate: {model: a}]"), 5, r"'candidates'.*stage-1=vote"),
        (
            stages(
                "- generate: {model: a}", "- !maybe {critique: {model: a}}", "- rank: {keep: 1}"
            ),
            7,
            r"needs the setting 'model'.*critique=False",
        ),
        (stages("- generate: {model: a}", "- rank: {model: !choice [a, c]}"), 6, "model 'c'"),
        (stages("- generate: {model: a}", "- !choice [vote, best]"), 6, "'scores'.*stage-2=best"),
        (stages("- !maybe {generate: {model: a}}"), 4, "nothing is left of the stages"),
        ("stages: [generate: {model: a, samples: !int [0, 2]}]\n", 4, "samples.*greater than"),
    ],
)
def test_a_combination_that_is_no_architecture_is_named(text: str, where: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        space_of(text).table()
    assert str(caught.value).startswith("space.yaml:"), caught.value
    assert caught.value.where == f"space.yaml:{where}", caught.value


def test_groups_in_another_order() -> None:
    text = "groups: {all: [a, b]}\n" + stages(
        "- - !each {of: !subset {of: all, take: first}, do: {generate: {model: !ref item}}}"
    )
    space = space_of(text)
    ranked = space.ranked({"all": ["b", "a"]})
    assert [m.model for m in ranked.architecture({"all": 1}).models()] == ["fake/b"]
    assert [m.model for m in space.architecture({"all": 1}).models()] == ["fake/a"]
    with pytest.raises(ConfigError, match="there is no group 'some'"):
        space.ranked({"some": ["a"]})


PIECES = st.sampled_from([
    "!choice", "!int", "!maybe", "!repeat", "!subset", "!each", "!ref", "!float", "[", "]", "{",
    "}", "a", "b", "of:", "do:", "name:", "min:", "max:", "times:", "when:", "low:", "high:", ",",
    " ", "\n", "  ", "-", "- ", "1", "2", "vote", "generate:", "model:", "item", "x", "'x > 1'",
    "stages:", "holes:", "require:", "groups:",
])  # fmt: skip


@given(st.lists(PIECES, max_size=30), st.lists(PIECES, max_size=12))
def test_garbage_is_an_error_with_a_place(pieces: list[str], more: list[str]) -> None:
    text = f"stages:\n  - generate: {{model: a}}\n  - {' '.join(pieces)}\n{' '.join(more)}\n"
    error = None
    try:
        read_space(Source(text, "f.yaml", TAGS))
    except ConfigError as caught:
        error = caught
    assert error is None or error.where.startswith("f.yaml:"), error
