"""Calls on symbols against calls that are made: same numbers, same sharing."""

from __future__ import annotations

import random
import re
from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archon
from archon.backends.fake import Fake
from archon.base import (
    Architecture,
    Bound,
    Context,
    Layer,
    Shape,
    as_architecture,
    ports,
    register,
)
from archon.base.node import LAYERS
from archon.config import shipped
from archon.layers import Critique, Fuse, Generate, Rank, Refine, UnitTests, Verify
from archon.model import Draw, Request
from archon.search.plans import Plans
from archon.types import State
from tests.search.conftest import space_of

MODEL = st.sampled_from(["fake/a", "fake/b"])


def reply(request: Request, draw: Draw) -> str:
    """Answer whatever is asked, in a form that parses and that no other call is answered with."""
    text = request.messages[-1].content
    own = f"{random.Random(f'{request.key()}:{draw}').randrange(10**12)}"
    if "Reply with nothing but [Correct]" in text:
        return "[Correct]" if int(own) % 2 else "[Incorrect]"
    if "statements about the answer" in text:
        return f'["The answer is {own}.", "The answer has b.", "The answer has c."]'
    if "Ranking: " in text:
        labels = text.rpartition("Ranking: ")[2].partition("\n")[0].split(" > ")
        random.Random(own).shuffle(labels)
        return f"{own}\nRanking: {' > '.join(labels)}"
    if "(strengths and weaknesses of answer" in text:
        labels = re.findall(r"^\[(\w+)\]$", text, re.MULTILINE)
        return "\n".join(f"[{label}]\nIt is {own}." for label in labels)
    return f"It is {own}."


def made_calls(architectures: list[Architecture]) -> list[set[Hashable]]:
    """Run architectures and return the calls of each: request and draw."""
    calls: list[set[Hashable]] = []

    def answer(request: Request, draw: Draw) -> str:
        calls[-1].add((request.key(), draw))
        return reply(request, draw)

    for architecture in architectures:
        calls.append(set())
        # A session of its own: nothing is in its pool, so that every call is seen.
        with archon.Session(pool=None, backends={"fake": Fake(answer)}) as session:
            archon.run(architecture, "6 * 7?", answer="number", seed=0, session=session)
    return calls


def planned_calls(architectures: list[Architecture]) -> list[list[int]]:
    plans = Plans(2000)
    found = []
    for architecture in architectures:
        plan = plans.plan(architecture)
        assert plan.error is None
        found.append([call for number in plan.parts for call in plans.parts[number].calls])
    return found


LAYER = st.one_of(
    st.builds(Generate, model=MODEL, samples=st.integers(1, 3), keep=st.booleans()),
    st.builds(Fuse, model=MODEL, samples=st.integers(1, 3), keep=st.booleans()),
    st.builds(Refine, model=MODEL, keep=st.booleans()),
    st.builds(Critique, model=st.just("fake/a"), per=st.sampled_from(["all", "candidate"])),
    st.builds(Rank, model=MODEL, keep=st.sampled_from([None, 2]), votes=st.integers(1, 2)),
    st.builds(Verify, model=st.just("fake/b"), keep=st.sampled_from(["all", "passed"])),
    st.builds(UnitTests, model=st.just("fake/b"), count=st.just(3)),
)  # fmt: skip


def built(layers: list[Layer]) -> Architecture:
    architecture = as_architecture(Generate(model="fake/a", samples=2))
    for layer in layers:
        architecture = architecture >> layer
    return architecture


def filters(layer: Layer) -> bool:
    """Whether replies decide which candidates go on, or a model is asked less than it might be."""
    return layer.settings().get("keep") == 2 or (
        isinstance(layer, Verify) and layer.keep == "passed"
    )


@given(st.lists(st.lists(LAYER, max_size=3), min_size=2, max_size=4))
def test_what_is_shared_is_shared_when_it_runs(chains: list[list[Layer]]) -> None:
    architectures = [built(layers) for layers in chains]
    planned, made = planned_calls(architectures), made_calls(architectures)
    exact = [not any(map(filters, layers)) for layers in chains]
    for i, (calls, real) in enumerate(zip(planned, made, strict=True)):
        assert len(calls) == len(set(calls)) == architectures[i].bound().calls
        assert len(real) == len(calls) if exact[i] else len(real) <= len(calls)
        for j in range(i):
            shared, really = set(calls) & set(planned[j]), real & made[j]
            if exact[i] and exact[j]:
                assert len(shared) == len(really), f"{architectures[i]} and {architectures[j]}"


@pytest.mark.parametrize("name", sorted(shipped()))
def test_as_many_calls_as_the_bound_says(name: str) -> None:
    architecture = archon.load(name)
    [calls] = planned_calls([architecture])
    assert len(calls) == len(set(calls)) == architecture.bound().calls


def shared(one: str, other: str) -> tuple[int, int]:
    """Return the calls of two architectures together, and how many of them both make."""
    text = "models: {a: fake/a, b: fake/b}\nstages: "
    calls = planned_calls([archon.loads(text + one), archon.loads(text + other)])
    return len(set(calls[0]) | set(calls[1])), len(set(calls[0]) & set(calls[1]))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        # samples nest
        ("[generate: {model: a, samples: 2}]", "[generate: {model: a, samples: 5}]", 2),
        # another member of the family has draws of its own
        ("[generate: {model: a}]", "[[generate: {model: a}, generate: {model: a}]]", 1),
        # another model, another call
        ("[generate: {model: a}]", "[generate: {model: b}]", 0),
        # a fusion of other drafts is another call
        (
            "[generate: {model: a, samples: 2}, fuse: {model: a}]",
            "[generate: {model: a, samples: 3}, fuse: {model: a}]",
            2,
        ),
        # ranking that drops nothing leaves a fusion what it is
        (
            "[generate: {model: a, samples: 3}, fuse: {model: b}]",
            "[generate: {model: a, samples: 3}, rank: {model: a, keep: 3}, fuse: {model: b}]",
            4,
        ),
        # one that drops some does not
        (
            "[generate: {model: a, samples: 3}, fuse: {model: b}]",
            "[generate: {model: a, samples: 3}, rank: {model: a, keep: 2}, fuse: {model: b}]",
            3,
        ),
        # a critique changes the fusion behind it, unless it is hidden
        (
            "[generate: {model: a, samples: 3}, fuse: {model: b}]",
            "[generate: {model: a, samples: 3}, critique: {model: a}, fuse: {model: b}]",
            3,
        ),
        (
            "[generate: {model: a, samples: 3}, fuse: {model: b}]",
            "[generate: {model: a, samples: 3}, critique: {model: a},"
            " fuse: {model: b, with_critiques: false}]",
            4,
        ),
        # a critique that a prompt does not show changes nothing, the fence around quotes included
        (
            "[generate: {model: a}, verify: {model: b}]",
            "[generate: {model: a}, critique: {model: a}, verify: {model: b}]",
            1 + 2,
        ),
        # one that it shows does
        (
            "[generate: {model: a}, verify: {model: b, prompt: {reason: '{{ critique }}'}}]",
            "[generate: {model: a}, critique: {model: a},"
            " verify: {model: b, prompt: {reason: '{{ critique }}'}}]",
            1,
        ),
        # a verifier looks at each candidate alone
        (
            "[generate: {model: a, samples: 2}, verify: {model: b}]",
            "[generate: {model: a, samples: 3}, verify: {model: b}]",
            2 + 4,
        ),
        # the settings of the judging do not shape it
        (
            "[generate: {model: a, samples: 2}, verify: {model: b, threshold: 0.2, keep: all}]",
            "[generate: {model: a, samples: 2}, verify: {model: b, votes: 2}]",
            2 + 4,
        ),
        # prompts do
        (
            "[generate: {model: a, samples: 2}, fuse: {model: b}]",
            "[generate: {model: a, samples: 2}, fuse: {model: b, prompt: 'x {{ question }}'}]",
            2,
        ),
        (
            "[generate: {model: a, samples: 2}, fuse: {model: b}]",
            "[generate: {model: a, samples: 2}, fuse: {model: b, length_control: true}]",
            2,
        ),
        # unit tests depend on the question alone, their judgement on the candidate as well
        (
            "[generate: {model: a}, unit_tests: {model: b}, test_eval: {model: b}]",
            "[generate: {model: a, samples: 2}, unit_tests: {model: b}, test_eval: {model: b}]",
            1 + 1 + 1,
        ),
        (
            "[unit_tests: {model: b, count: 3}, generate: {model: a, with_tests: true}]",
            "[unit_tests: {model: b, count: 4}, generate: {model: a, with_tests: true}]",
            0,
        ),
        # rounds of a loop nest as long as nothing ends it
        (
            "[generate: {model: a}, loop: {rounds: 1, body: {refine: {model: a}}}]",
            "[generate: {model: a}, loop: {rounds: 3, body: {refine: {model: a}}}]",
            2,
        ),
        # waves of a vote
        (
            "[vote: {stop: agreed, waves: 2, source: {generate: {model: a, samples: 2}}}]",
            "[vote: {stop: agreed, waves: 3, source: {generate: {model: a, samples: 2}}}]",
            4,
        ),
        # a branch that is a chain is like the chain
        (
            "[[generate: {model: a}, [generate: {model: b}, refine: {model: b}]],"
            " fuse: {model: a}]",
            "[[generate: {model: a}, [generate: {model: b}, refine: {model: b}]],"
            " fuse: {model: b}]",
            3,
        ),
        # the order of an ensemble does not matter to whom it is shown
        (
            "[[generate: {model: a}, generate: {model: b}], fuse: {model: a}]",
            "[[generate: {model: b}, generate: {model: a}], fuse: {model: a}]",
            3,
        ),
    ],
)
def test_sharing(one: str, other: str, both: int) -> None:
    total, found = shared(one, other)
    assert found == both
    text = "models: {a: fake/a, b: fake/b}\nstages: "
    assert total + found == sum(archon.loads(text + x).bound().calls for x in (one, other))


HIDDEN = [
    "verify: {model: b}",
    "refine: {model: b, prompt: 'again: {{ candidate }} {{ fence }}'}",
    "rank: {model: b, method: points, prompt: {points: '{{ candidate }} {{ fence }} Score: N'}}",
    "rank: {model: b, prompt: {list: '{{ fence }} Ranking: {{ labels | join(\" > \") }}'}}",
    "fuse: {model: b, prompt: '{{ fence }} {{ answers | length }}'}",
    "critique: {model: b, per: candidate}",
]


@pytest.mark.parametrize("judge", HIDDEN)
def test_the_pool_sees_one_call_where_the_prompts_are_the_same(judge: str) -> None:
    text = "models: {a: fake/a, b: fake/b}\nstages: "
    plain = archon.loads(f"{text}[generate: {{model: a, samples: 2}}, {judge}]")
    reviewed = archon.loads(
        f"{text}[generate: {{model: a, samples: 2}}, critique: {{model: a}}, {judge}]"
    )
    first, second = made_calls([plain, reviewed])
    assert first < second
    assert len(second - first) == 1  # the critique itself


def test_a_layer_that_nobody_knows_shares_with_its_like_alone() -> None:
    @register("unheard-of")
    class Unheard(Layer):
        needs = ports("candidates")
        gives = ports("candidates")
        twice: bool = False

        def bound(self, shape: Shape) -> Bound:
            return Bound(1 + self.twice, shape=shape.with_new(1, 5))

        async def run(self, state: State, ctx: Context) -> State:
            return state

    try:
        space = space_of(
            "stages: [generate: {model: a}, unheard-of: {twice: !choice [false, true]},"
            " !maybe {refine: {model: a}}]\n"
        )
        # 1 draw; 1 and 2 calls of the layer; a rewrite of what each gives
        assert space.table().node_count == 1 + (1 + 2) + 2
    finally:
        LAYERS.remove("unheard-of")


@given(st.lists(st.lists(LAYER, max_size=3), min_size=1, max_size=3))
def test_plans_say_what_architectures_say(chains: list[list[Layer]]) -> None:
    plans = Plans(1234)
    keys: dict[object, str] = {}
    for layers in chains:
        architecture = built(layers)
        for form in (architecture, architecture.dump()):
            plan = plans.plan(form)
            total = Bound()
            for number in plan.parts:
                total = total + plans.parts[number].bound
            bound = architecture.bound(question_tokens=1234)
            assert (total.calls, total.tokens, total.usd) == (bound.calls, bound.tokens, bound.usd)
            assert keys.setdefault(plan.key, architecture.digest()) == architecture.digest()
    assert len(set(keys.values())) == len(keys)
