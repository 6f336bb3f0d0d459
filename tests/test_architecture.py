"""Composition is closed, checked when built, known in cost, and survives being written down."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archon
from archon.base import Architecture, Bound, Node, Place, Shape, parse
from archon.errors import ArchitectureError, ConfigError
from archon.layers import Best, Critique, Fuse, Generate, Rank

A = Generate(model="fake/a")
B = Generate(model="fake/b", samples=2)
F = Fuse(model="fake/a")
C = Critique(model="fake/a")


def _ids(architecture: Architecture) -> list[str]:
    return [place.id for place in architecture.places]


def test_chain_and_parallel_are_flat_and_associative() -> None:
    assert (A | B) | A == A | (B | A)
    assert (A >> C) >> F == A >> (C >> F)
    assert str((A | B) >> C >> F) == "generate | generate-2 > critique > fuse"
    assert _ids(A | B | A) == ["generate", "generate-2", "generate-3"]


def test_a_chain_in_a_branch_stays_together() -> None:
    whole = (A >> F | B) >> F
    assert str(whole) == "branch | generate > fuse"
    assert isinstance(whole.places[0].node, Architecture)


def test_a_named_architecture_stays_one_node() -> None:
    draft = (A >> F).named("draft")
    assert _ids(draft >> C) == ["draft", "critique"]
    assert draft.digest() == (A >> F).digest()


def test_every_stage_waits_for_the_whole_one_before() -> None:
    whole = (A | B) >> (F | F) >> F
    assert [place.after for place in whole.places] == [
        (), (), ("generate", "generate-2"), ("generate", "generate-2"), ("fuse", "fuse-2"),
    ]  # fmt: skip


def test_operators_take_nodes_only() -> None:
    with pytest.raises(TypeError):
        A >> "fuse"  # type: ignore[operator]
    with pytest.raises(TypeError):
        A | 3  # type: ignore[operator]


def test_layers_are_values() -> None:
    assert Generate(model="fake/a") == A
    assert hash(Generate(model="fake/a")) == hash(A)
    assert A != B
    with pytest.raises(ValueError, match="frozen"):
        setattr(A, "samples", 3)  # noqa: B010 (mypy knows that it is frozen)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"stages": [{"genrate": {}}]}, "unknown layer 'genrate'; did you mean 'generate'?"),
        (
            {"stages": [{"generate": {"model": "fake/a", "sampels": 2}}]},
            "layer 'generate' has no setting 'sampels'; did you mean 'samples'?",
        ),
        ({"stages": [{"generate": {}}]}, "layer 'generate' needs the setting 'model'"),
        (
            {"stages": [{"rank": {"model": "fake/a"}}]},
            "the first layers need 'candidates', and nothing stands before them"
            "; put `generate` in front",
        ),
        ({"stages": []}, "`stages` is a list with at least one layer"),
        ({"stages": [[]]}, "a stage needs at least one layer"),
        ({}, "give either `stages` or `nodes`"),
        ({"stagse": []}, "unknown key 'stagse' in an architecture; did you mean 'stages'?"),
        (
            {"stages": [{"generate": {"model": "strong"}}], "models": {"strng": "fake/a"}},
            "unknown model 'strong'; did you mean 'strng'?",
        ),
        (
            {
                "nodes": [
                    {"id": "a", "fuse": {"model": "fake/a"}, "after": "b"},
                    {"id": "b", "fuse": {"model": "fake/a"}, "after": "a"},
                ]
            },
            "the nodes form a cycle: a > b > a",
        ),
        (
            {"nodes": [{"id": "a", "generate": {"model": "fake/a"}, "after": "c"}]},
            "'a' comes after unknown node 'c'; known: a",
        ),
        (
            {"nodes": [{"id": "a", "generate": {"model": "fake/a"}}] * 2},
            "the node id 'a' is used twice",
        ),
    ],
)
def test_mistakes_are_found_when_it_is_built(data: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(data)
    assert str(caught.value) == message or caught.value.message == message


def test_a_missing_port_names_who_gives_it() -> None:
    with pytest.raises(ArchitectureError, match=r"needs 'scores', .*put `rank`, `verify`"):
        A >> Best()
    with pytest.raises(ArchitectureError, match="the first layers need 'tests'"):
        (A >> F >> Generate(model="fake/a", with_tests=True)).check()


def test_a_port_holds_behind_a_join_only_if_every_branch_gives_it() -> None:
    judged = A >> Rank(model="fake/a")
    assert judged | judged
    with pytest.raises(ArchitectureError, match="needs 'scores'"):
        (judged | B) >> Best()


def test_bounds_add_up_and_shapes_grow() -> None:
    whole = (A | B) >> C >> F
    bound = whole.bound()
    assert (bound.calls, bound.candidates) == (1 + 2 + 1 + 1, 1)
    assert whole.bounds()["generate-2"].candidates == 2
    assert bound.tokens is None  # no max_tokens: unknown, not zero
    capped = Generate(model=archon.Model("fake/a", max_tokens=10), samples=3)
    assert archon.base.as_architecture(capped).bound().tokens is not None


def test_unknown_prices_are_unknown() -> None:
    unpriced = archon.Model("nobody/unheard-of", max_tokens=10)
    assert archon.base.as_architecture(Generate(model=unpriced)).bound().usd is None
    priced = archon.Model("x/y", max_tokens=10, price=archon.Price(input=1, output=1))
    assert archon.base.as_architecture(Generate(model=priced)).bound(question_tokens=90).usd


def test_ten_to_the_nine_samples_are_refused() -> None:
    with pytest.raises(ConfigError, match="less than or equal to 100000"):
        parse({"stages": [{"generate": {"model": "fake/a", "samples": 10**9}}]})


def test_digest_is_the_same_in_a_fresh_process() -> None:
    code = (
        "from archon.layers import Generate, Fuse\n"
        "print(((Generate(model='fake/a') | Generate(model='fake/b', samples=2))"
        " >> Fuse(model='fake/a')).digest())"
    )
    here = ((A | B) >> F).digest()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed, "PATH": ""},
        )  # fmt: skip
        assert done.stdout.strip() == here


def test_digest_follows_the_content() -> None:
    chains: list[Architecture] = [A >> F, B >> F, (A | B) >> F, (B | A) >> F, A >> C >> F]
    chains.append(Generate(model=archon.Model("fake/a", temperature=0.5)) >> F)
    assert len({chain.digest() for chain in chains}) == len(chains)


layers = st.sampled_from(
    [
        Generate(model="fake/a", samples=3),
        Generate(model=archon.Model("fake/a", temperature=0.3, max_tokens=7), keep=True),
        Fuse(model="other/a", prompt="{{ question }}"),
        Critique(model="fake/a-b", per="candidate", on_error="fail"),
        Rank(model=archon.Model("x/fake/a"), keep=2),
        C,
    ]
)
names = st.text("abc-_ é\"'#:\n", max_size=6).filter(lambda s: "/" not in s and ":" not in s)


def _compose(parts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    pairs = st.tuples(parts, parts)
    return st.one_of(
        pairs.map(lambda pair: pair[0] >> pair[1]),
        pairs.map(lambda pair: pair[0] | pair[1]),
        st.tuples(pairs, names).map(lambda x: (x[0][0] >> x[0][1]).named(x[1].strip())),
    )


@given(st.recursive(layers, _compose, max_leaves=7))
def test_what_is_written_down_comes_back(node: Node) -> None:
    whole = A >> node
    again = archon.loads(archon.dumps(whole))
    assert again == whole, archon.dumps(whole)
    assert again.digest() == whole.digest()
    assert again.bound(Shape(candidates=1)) == whole.bound(Shape(candidates=1))


@given(st.recursive(layers, _compose, max_leaves=6))
def test_every_composition_is_sound(node: Node) -> None:
    whole = A >> node
    paths = [path for path, _ in whole.walk()]
    assert len(set(paths)) == len(paths)
    parts = whole.bounds()
    assert whole.bound().calls == sum(part.calls for part in parts.values())
    assert whole.bound() + Bound(shape=whole.bound().shape) == whole.bound()


@given(st.data(), st.integers(2, 6))
def test_random_graphs_come_back(data: st.DataObject, size: int) -> None:
    places = []
    for i in range(size):
        before = data.draw(st.sets(st.integers(0, i - 1), max_size=3)) if i else set()
        after = tuple(f"n{j}" for j in sorted(before))
        places.append(Place(f"n{i}", Generate(model="fake/a", samples=i + 1), after))
    whole = Architecture(tuple(places))
    assert parse(whole.dump()) == whole
    assert archon.loads(archon.dumps(whole)).digest() == whole.digest()
