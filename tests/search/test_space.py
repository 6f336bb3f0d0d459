from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archon
from archon.errors import ConfigError
from archon.layers import Best, Generate, Verify, Vote
from archon.search import FunctionSpace, Space, Trial, read_space
from archon.search.trial import Given, Randomly
from tests.search.conftest import MODELS, space_of

MIXED = """\
groups: {all: [a, b, fake/c]}
holes:
  samples: !int {low: 1, high: 4, log: true}
  judge: !choice [a, b]
  depth: !int {low: 0, high: 2}
require: depth + samples <= 5
stages:
  - - !each
      of: !subset {name: writers, of: all, max: 2}
      do: {generate: {model: !ref item, samples: !ref samples}}
  - !repeat
    name: round
    times: !ref depth
    of:
      - !maybe {critique: {model: !ref judge}}
      - fuse: {model: !choice [a, b], samples: !choice [1, 2]}
  - rank: {model: !ref judge, keep: 1}
    when: judge == 'a' and depth > 0
  - verify: {model: !ref judge, threshold: !float {low: 0.2, high: 0.6, step: 0.2}}
    when: judge == 'b'
"""


def rows(space: Space) -> list[dict[str, archon.search.holes.Value]]:
    return [trial.assignment() for trial, _ in space.walk()]


@given(st.integers(0, 10**6))
def test_encoding_and_decoding_are_inverse(seed: int) -> None:
    space = space_of(MIXED)
    assignment = space.random(random.Random(seed))
    row = space.encode(assignment)
    assert row.shape == (len(space.columns),)
    assert space.decode(row) == assignment
    absent = {c.name for c, code in zip(space.columns, row, strict=True) if math.isnan(code)}
    assert absent.isdisjoint(assignment)
    assert absent | set(assignment) == {column.name for column in space.columns}
    assert space.architecture(space.decode(row)).digest() == space.architecture(assignment).digest()


@given(st.integers(0, 10**6))
def test_codes_of_holes_that_are_not_reached_do_not_count(seed: int) -> None:
    space, rng = space_of(MIXED), random.Random(seed)
    assignment = space.random(rng)
    row = space.encode(assignment)
    for i, column in enumerate(space.columns):
        if math.isnan(row[i]):
            row[i] = rng.randrange(len(column.levels))
    assert space.decode(row) == assignment


def test_decisions_that_are_shared_conditional_and_repeated() -> None:
    space = space_of(MIXED)
    decided = {
        "samples": 3, "writers[a]": True, "writers[b]": False, "writers[fake/c]": True, "depth": 2,
        "round[1].critique": True, "judge": "a", "round[1].fuse.model": "b",
        "round[1].fuse.samples": 2, "round[2].critique": False, "round[2].fuse.model": "a",
        "round[2].fuse.samples": 1,
    }  # fmt: skip
    wanted = archon.loads(
        MODELS
        + """\
stages:
  - - generate: {model: a, samples: 3}
    - generate: {model: fake/c, samples: 3}
  - critique: {model: a}
  - fuse: {model: b, samples: 2}
  - fuse: {model: a}
  - rank: {model: a, keep: 1}
"""
    )
    assert space.architecture(decided) == wanted
    assert space.decode(space.encode(decided)) == decided
    with pytest.raises(ConfigError, match=r"outside of the space, by `require`: .*samples=4"):
        space.architecture(decided | {"samples": 4})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"samples": 5}, "samples is one of 1, 2, 3, 4, got 5"),
        ({"samples": True}, "samples is one of"),
        ({"sampels": 1}, "there is no hole 'sampels'; did you mean 'samples'"),
        ({"judge": None}, "judge is one of 'a', 'b'"),
        (
            {"writers[b]": True, "writers[fake/c]": True},
            r"writers\[fake/c\] can only be False here",
        ),
        ({"depth": 1}, "no value"),
    ],
)
def test_assignments_that_are_none(change: dict[str, archon.types.Json], said: str) -> None:
    space = space_of(MIXED)
    good = {
        "samples": 1, "writers[a]": True, "writers[b]": False, "writers[fake/c]": False,
        "depth": 0, "judge": "a",
    }  # fmt: skip
    assert space.architecture(good).bound().calls == 1
    with pytest.raises(ConfigError, match=said):
        space.architecture(good | change)


def test_a_row_of_another_width() -> None:
    space = space_of(MIXED)
    with pytest.raises(ConfigError, match="a row has 13 codes, got 2"):
        space.decode([0.0, 1.0])


def test_a_superfluous_value_is_not_encoded() -> None:
    space = space_of("stages: [generate: {model: a}, !maybe {refine: {model: !choice [a, b]}}]\n")
    assert len(space.encode({"refine": False})) == 2
    with pytest.raises(ConfigError, match=r"'refine.model' is not reached"):
        space.encode({"refine": False, "refine.model": "a"})


def test_subsets() -> None:
    text = (
        "stages: [[!each {{of: !subset {{name: who, of: [a, b, fake/c], {}}}, do: "
        "{{generate: {{model: !ref item}}}}}}]]\n"
    )

    def made(rest: str) -> list[list[str]]:
        space = space_of(text.format(rest))
        found = [space.architecture(row) for row in rows(space)]
        assert len({a.digest() for a in found}) == len(found)
        return sorted([[m.model[-1] for m in a.models()] for a in found])

    assert made("min: 1") == [
        ["a"],
        ["a", "b"],
        ["a", "b", "c"],
        ["a", "c"],
        ["b"],
        ["b", "c"],
        ["c"],
    ]
    assert made("sizes: [1, 3]") == [["a"], ["a", "b", "c"], ["b"], ["c"]]
    assert made("take: first") == [["a"], ["a", "b"], ["a", "b", "c"]]
    assert made("take: ordered, sizes: [2]") == [
        ["a", "b"], ["a", "c"], ["b", "a"], ["b", "c"], ["c", "a"], ["c", "b"],
    ]  # fmt: skip


def test_what_is_left_empty_is_left_out() -> None:
    space = space_of("stages: [[generate: {model: a}], [!maybe vote], !maybe [vote, vote]]\n")
    shapes = [str(space.architecture(row)) for row in rows(space)]
    assert shapes == [
        "generate",
        "generate > vote > vote-2",
        "generate > vote",
        "generate > vote > vote-2 > vote-3",
    ]


def test_only_models_that_are_used_are_decided() -> None:
    models = (
        "models:\n  a: {model: fake/a, temperature: !choice [0, 1]}\n  b: {model: "
        "fake/b, temperature: !choice [0, 1, 2]}\n"
    )
    space = space_of("stages: [generate: {model: !choice [a, b]}]\n", models)
    assert [c.name for c in space.columns] == ["generate.model", "a.temperature", "b.temperature"]
    assert len(rows(space)) == 5


def test_a_branch_that_is_a_chain() -> None:
    space = space_of(
        "stages: [[generate: {model: a}, !choice {name: c, of: {x: [[generate: {model: "
        "b}, vote]], y: [vote: {source: {generate: {model: b}}, stop: agreed}]}}]]\n"
    )
    assert [str(space.architecture(row)) for row in rows(space)] == [
        "generate | branch",
        "generate | vote",
    ]


def test_nodes() -> None:
    space = space_of(
        "nodes:\n  - {id: x, generate: {model: !choice [a, b]}}\n  - {id: y, rank: "
        "{model: a}, after: x}\n"
    )
    assert len({space.architecture(row).digest() for row in rows(space)}) == 2


def test_a_continuous_hole() -> None:
    space = space_of(
        "stages: [generate: {model: {model: fake/x, temperature: !float {low: 0.1, high: "
        "2, log: true}}}]\n"
    )
    [column] = space.columns
    assert column.kind == "real"
    drawn = space.random(random.Random(0))
    assert space.decode(space.encode(drawn)) == drawn
    with pytest.raises(ConfigError, match=r"generate\.model\.temperature is continuous"):
        rows(space)


def test_random_follows_the_seed_and_reaches_every_level() -> None:
    space = space_of(MIXED)
    drawn = [space.random(random.Random(i)) for i in range(200)]
    assert drawn[:50] == [space.random(random.Random(i)) for i in range(50)]
    for column in space.columns:
        seen = {row[column.name] for row in drawn if column.name in row}
        assert seen == set(column.levels), column.name


def test_a_space_that_chance_cannot_enter() -> None:
    space = space_of(
        "holes: {x: !int [1, 2]}\nrequire: x > 5\nstages: [generate: {model: a, samples: !ref x}]\n"
    )
    with pytest.raises(ConfigError, match="the space may be empty"):
        space.random(random.Random(0))
    with pytest.raises(ConfigError, match="the space is empty"):
        space.table()


def test_equal_meanings_are_one_row() -> None:
    text = """\
stages:
  - generate: {model: !choice [a, a2], samples: !choice [1, 2]}
  - !choice {name: end, of: {x: [], y: {rank: {model: a, method: list}}, z: {rank: {model: a}}}}
"""
    models = MODELS + "  a2: {model: fake/a, max_tokens: 50}\n"
    space = space_of(text, models)
    table = space.table()
    assert len(rows(space)) == 12
    digests = {space.architecture(row).digest() for row in rows(space)}
    assert len(table) == len(digests) == 4
    assert table.repeated == 8
    assert {table.architecture(i).digest() for i in range(4)} == digests


def test_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(MODELS + "stages: [generate: {model: !choice [a, b]}]\n")
    assert len(rows(read_space(path))) == 2


def build(trial: Trial) -> archon.Architecture:
    model = archon.Model(
        trial.suggest_categorical("model", ["fake/a", "fake/b"]),
        temperature=trial.suggest_float("temperature", 0, 1, step=0.5),
    )
    answers = Generate(model=model, samples=trial.suggest_int("samples", 1, 4))
    if not trial.suggest_maybe("checked"):
        return answers >> Vote()
    votes = trial.suggest_int("votes", 1, 3, step=2)
    trial.require(votes * trial.suggest_int("samples", 1, 4) <= 6)
    return answers >> Verify(model=model, votes=votes) >> Best()


def test_a_function_is_a_space() -> None:
    space = FunctionSpace(build)
    assert [c.name for c in space.columns] == [
        "model",
        "temperature",
        "samples",
        "checked",
        "votes",
    ]
    # 2 models, 3 temperatures; 4 votes, and 4 + 2 checks that the requirement lets through
    assert len(space.table()) == 2 * 3 * (4 + 4 + 2)
    assignment = {"model": "fake/b", "temperature": 0.5, "samples": 2, "checked": True, "votes": 3}
    assert space.architecture(assignment).bound().calls == 2 + 2 * 2 * 3
    assert space.decode(space.encode(assignment)) == assignment
    with pytest.raises(ConfigError, match="outside of the space"):
        space.architecture(assignment | {"samples": 3})


def test_a_function_of_subsets_and_things() -> None:
    def spread(trial: Trial) -> archon.Layer | archon.Architecture:
        chosen = trial.suggest_subset("who", [Generate(model="fake/a"), Generate(model="fake/b")])
        node: archon.Layer | archon.Architecture = chosen[0]
        for other in chosen[1:]:
            node = node | other
        return node >> trial.suggest_categorical(
            "end", [Vote(), Vote(weight="none", min_share=0.5)]
        )

    assert len(FunctionSpace(spread).table()) == 6


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda trial: "vote", "returns an architecture, got str"),
        (lambda trial: Vote(), "the first layers need 'candidates'"),
        (lambda trial: trial.suggest_int("n", 3, 1), "low is at most high"),
        (lambda trial: trial.suggest_categorical("n", []), "nothing to choose from"),
        (lambda trial: trial.suggest_categorical("n", [1, 1]), "twice"),
        (lambda trial: trial.suggest_subset("n", ["x"], min=2), "cannot be taken"),
        (
            lambda trial: [trial.suggest_int("n", 1, 2), trial.suggest_int("n", 1, 3)],
            "asked for twice with different values",
        ),
    ],
)
def test_functions_that_are_no_space(function: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        FunctionSpace(function).table()  # type: ignore[arg-type]


def test_a_large_function_is_explored_by_chance() -> None:
    def wide(trial: Trial) -> archon.Architecture:
        samples = sum(trial.suggest_int(f"n{i}", 1, 10) for i in range(8))
        if trial.suggest_maybe("vote"):
            return Generate(model="fake/a", samples=samples) >> Vote()
        return Generate(model="fake/a", samples=samples) >> Vote(min_share=0.1)

    space = FunctionSpace(wide, explored=100)
    assert len(space.columns) == 9
    drawn = space.random(random.Random(3))
    assert space.decode(space.encode(drawn)) == drawn
    counted = space.count(sample=300)
    assert counted.architectures is None
    assert counted.assignments.low <= 2 * 10**8 <= counted.assignments.high


def test_trials_say_what_was_decided() -> None:
    trial = Randomly(random.Random(1))
    assert trial.suggest_int("n", 1, 8, log=True) == trial.suggest_int("n", 1, 8, log=True)
    real = trial.suggest_float("x", 0.1, 10, log=True)
    assert 0.1 <= real <= 10
    assert trial.assignment() == {"n": trial.suggest_int("n", 1, 8, log=True), "x": real}
    assert trial.weight == 8
    again = Given(trial.assignment())
    assert again.suggest_float("x", 0.1, 10, log=True) == real


def test_a_requirement_on_an_absent_hole_is_kept() -> None:
    space = space_of("""\
holes:
  many: !choice [few, some]
  width: !int {low: 1, high: 3, when: many == 'some'}
require: width > 2
stages:
  - generate: {model: a, samples: !ref width}
  - vote: {min_share: !choice {name: share, of: [0.2, 0.4], when: many == 'few'}}
""")
    assert rows(space) == [
        {"many": "few", "share": 0.2}, {"many": "few", "share": 0.4}, {"many": "some", "width": 3},
    ]  # fmt: skip
    assert [space.architecture(row).bound().calls for row in rows(space)] == [1, 1, 3]


def test_a_name_inside_is_one_decision_for_each_repetition() -> None:
    space = space_of("""\
stages:
  - generate: {model: a}
  - !repeat
    max: 2
    of:
      - critique: {model: !choice {name: judge, of: [a, b]}}
      - rank: {model: !ref judge}
      - {refine: {model: a}, when: judge == 'b'}
""")
    found = {str(space.architecture(row)) for row in rows(space)}
    assert len(rows(space)) == 1 + 2 + 4
    once, twice = "critique > rank", "critique > rank > refine"
    assert f"generate > {once}" in found
    assert f"generate > {twice}" in found
    assert f"generate > {twice} > critique-2 > rank-2" in found
    for row in rows(space):
        layers = [layer for _, layer in space.architecture(row).walk()]
        kinds = [(layer.kind, next(layer.models()).model) for layer in layers]
        for number in range(int(row["repeat"] or 0)):
            judge = f"fake/{row[f'repeat[{number + 1}].judge']}"
            place = [i for i, (kind, _) in enumerate(kinds) if kind == "critique"][number]
            assert kinds[place : place + 2] == [("critique", judge), ("rank", judge)]
