"""What a layer may rely on: chance by content, draws by place, parses counted, policies applied."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.backends.fake import Fake
from archon.base import Bound, Context, Flow, ModelLayer, Shape, plus, ports, times
from archon.errors import ModelError, NodeError
from archon.model import Draw, Model, ModelRef, Request
from archon.testing import play
from archon.types import Candidate, State, Task

amounts = st.none() | st.integers(0, 1000)
MODEL = Model("fake/a", max_tokens=20)


class Asks(ModelLayer):
    """Asks about each candidate for a number."""

    kind = "asks"
    needs = ports("candidates")
    gives = ports("candidates")
    templates = {"ask": {"default": "{{ text }}", "nano": "short {{ text }}"}}
    model: ModelRef

    def bound(self, shape: Shape) -> Bound:
        return self.cost(self.model, shape.candidates, 99, parsed=True).handing_on(shape)

    async def run(self, state: State, ctx: Context) -> State:
        async def number(old: Candidate) -> Candidate:
            text = self.render("ask", self.model, text=old.text)
            said = await ctx.parsed(self.model, text, lambda s: int(s) if s.isdigit() else None)
            return said.reply.candidate([old])

        return state.replace(candidates=await ctx.each(number, state.candidates))


def _state(*texts: str) -> State:
    given = tuple(Candidate.of(text, id=f"x:{i}") for i, text in enumerate(texts))
    return State(Task.of("hi"), given)


@given(st.lists(amounts, max_size=4), amounts, st.integers(0, 9))
def test_unknown_absorbs_bounds(parts: list[int | None], one: int | None, count: int) -> None:
    assert (plus(*parts) is None) == (None in parts)
    assert times(0, one) == 0
    assert (times(count, one) is None) == (one is None and count > 0)


def test_equal_candidates_get_different_draws() -> None:
    fake = Fake(lambda request, draw: "1")
    play(Asks(model=MODEL), _state("same", "same", "other", "same"), fake)
    draws = [(r.messages[-1].content, d.number) for r, d in fake.requests]
    assert sorted(draws) == [("other", 0), ("same", 0), ("same", 1), ("same", 2)]


def test_what_does_not_parse_is_asked_again_under_another_key_and_counted() -> None:
    def say(request: Request, draw: Draw) -> str:
        return "7" if request.retry == 2 else "seven"

    fake = Fake(say)
    played = play(Asks(model=MODEL), _state("a"), fake)
    assert [request.retry for request, _ in fake.requests] == [0, 1, 2]
    assert {draw for _, draw in fake.requests} == {Draw(0, 0)}
    assert played.unparsed == 2
    assert play(Asks(model=MODEL, reasks=0), _state("a"), Fake(say)).sent == 1


def test_on_error_drops_or_fails() -> None:
    def faults() -> list[Exception | None]:
        return [None, ModelError("broken on purpose")]

    state, say = _state("a", "b", "c"), (lambda request, draw: "1")
    dropped = play(Asks(model=MODEL), state, Fake(say, faults=faults()))
    assert dropped.after is not None
    assert len(dropped.after.candidates) == 2
    failed = play(Asks(model=MODEL, on_error="fail"), state, Fake(say, faults=faults()))
    assert isinstance(failed.error, NodeError)
    assert failed.sent == 3
    few = play(Asks(model=MODEL, at_least=3), state, Fake(say, faults=faults()))
    assert "1 of 3 calls failed, at least 3 must succeed" in str(few.error)


def test_templates_are_chosen_by_profile_and_replaced_by_the_user() -> None:
    assert Asks(model=MODEL).render("ask", MODEL, text="x") == "x"
    assert Asks(model=MODEL).render("ask", Model("local/nano"), text="x") == "short x"
    own = Asks(model=MODEL, prompt="my {{ text }}")
    assert own.render("ask", Model("local/nano"), text="x") == "my x"
    with pytest.raises(ValueError, match="unknown step 'asl'; did you mean 'ask'"):
        Asks(model=MODEL, prompt={"asl": "x"})


def test_ports_flow_and_end() -> None:
    judged = (
        Flow().through("a", ports(), ports("candidates")).through("b", ports(), ports("scores"))
    )
    assert judged.have == ports("candidates", "scores")
    written = judged.through("c", ports("scores"), ports("candidates"))
    assert written.have == ports("candidates")
    assert Flow.join([judged, written]).have == ports("candidates")


def test_ids_name_node_and_position() -> None:
    played = play(Asks(model=MODEL), _state("a", "b"), Fake(lambda request, draw: "1"))
    assert played.after is not None
    assert [c.id for c in played.after.candidates] == ["node:0", "node:1"]
    assert [c.parents for c in played.after.candidates] == [("x:0",), ("x:1",)]
