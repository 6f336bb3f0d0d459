"""Runs on LangGraph: order by listing, branches apart, failures as values, nothing left behind."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, StateGraph

import archon
from archon.backends.fake import Fake, Script
from archon.base import Architecture, Bound, Context, Layer, Place, Shape, ports
from archon.errors import BudgetExceeded, ModelError, NodeError
from archon.layers import Generate
from archon.model import Draw, Outcome, Request
from archon.types import Candidate, Note, State

QUESTION = "What is 6 * 7?"


class Slow(Fake):
    """Answers with the model's name, after as many seconds as that name ends in hundredths."""

    def __init__(self, script: Script = None) -> None:
        super().__init__(script or (lambda request, draw: f"{request.model.model}#{draw.number}"))

    async def complete(self, request: Request, draws: tuple[Draw, ...]) -> list[Outcome]:
        await asyncio.sleep(int(request.model.model.rpartition("-")[2]) / 100)
        return await super().complete(request, draws)


class Mark(Layer):
    """Scores each candidate by a number, and says who it was."""

    kind = "mark"
    needs = ports("candidates")
    gives = ports("scores")
    value: float = 1.0
    only: int = -1

    def bound(self, shape: Shape) -> Bound:
        return Bound(shape=shape)

    async def run(self, state: State, ctx: Context) -> State:
        note = Note("score", score=self.value)
        return state.replace(
            candidates=[
                c.with_note(note) if self.only in (-1, i) else c
                for i, c in enumerate(state.candidates)
            ]
        )


class Bug(Layer):
    """A stranger's layer with a mistake."""

    kind = "bug"
    gives = ports("candidates")

    def bound(self, shape: Shape) -> Bound:
        return Bound(shape=shape.with_new(1, 1))

    async def run(self, state: State, ctx: Context) -> State:
        raise ZeroDivisionError("oops")


def _run(node: Any, fake: Fake | None = None, **options: Any) -> archon.Result:
    with archon.Session(None, backends={"fake": fake or Fake()}) as session:
        return archon.run(node, QUESTION, session=session, **options)


def _slow(hundredths: int, samples: int = 1) -> Generate:
    return Generate(model=f"fake/m-{hundredths}", samples=samples)


def test_joins_are_in_listing_order_whoever_ends_first() -> None:
    result = _run(_slow(6) | _slow(0, 2) | _slow(3), Slow())
    texts = [candidate.text for candidate in result.candidates]
    assert texts == ["fake/m-6#0", "fake/m-0#0", "fake/m-0#1", "fake/m-3#0"]
    ids = [candidate.id for candidate in result.candidates]
    assert ids == ["generate:0", "generate-2:0", "generate-2:1", "generate-3:0"]


def test_a_branch_does_not_wait_for_another_before_the_join() -> None:
    fast_then_slow = _slow(0) >> _slow(40)
    slow_then_fast = _slow(40) >> _slow(0)
    began = time.monotonic()
    result = _run((fast_then_slow | slow_then_fast) >> Mark(), Slow())
    seconds = time.monotonic() - began
    assert len(result.candidates) == 2
    # Superstep by superstep it would take 0.8 s.
    assert seconds < 0.75


def test_nested_paths_name_every_node() -> None:
    inner = Generate(model="fake/a") >> Mark()
    result = _run(inner | Generate(model="fake/b"))
    paths = {record.path for record in result.trace}
    assert paths == {"branch/generate", "branch/mark", "generate"}
    assert result.candidates[0].id.startswith("branch/")


def _half_broken(request: Request, draw: Draw) -> str | Exception:
    if request.model.model == "fake/bad":
        return ModelError("broken on purpose")
    return "fine"


def test_a_failed_branch_is_left_out_while_another_holds() -> None:
    ensemble = Generate(model="fake/bad") | Generate(model="fake/good")
    result = _run(ensemble >> Mark(), Fake(_half_broken))
    assert [candidate.text for candidate in result.candidates] == ["fine"]
    failed = [record for record in result.trace if record.status == "failed"]
    assert len(failed) == 1
    assert "broken on purpose" in failed[0].errors[0]


def test_when_every_branch_failed_the_run_fails() -> None:
    with pytest.raises(NodeError, match="broken on purpose"):
        _run(Generate(model="fake/bad") | Generate(model="fake/bad"), Fake(_half_broken))


def test_a_bug_in_a_layer_is_an_error_of_its_node() -> None:
    assert _run(Bug() | Generate(model="fake/a")).answer
    with pytest.raises(NodeError, match="ZeroDivisionError: oops"):
        _run(Bug())


def test_a_budget_cut_gives_the_best_so_far() -> None:
    chain = Generate(model="fake/a", samples=3) >> Mark(only=1) >> Generate(model="fake/b")
    result = _run(chain, budget="calls=3")
    assert result.cut_short == "calls"
    assert result.used.calls == 3
    assert result.answer == result.candidates[0].text
    assert result.candidates[0].id == "generate:1"


def test_a_budget_that_leaves_nothing_is_an_error() -> None:
    fake = Fake()
    with pytest.raises((BudgetExceeded, archon.errors.BudgetRefused)):
        _run(Generate(model="fake/a"), fake, budget="calls=0")
    assert not fake.requests


def test_several_finals_are_resolved_by_score_then_order() -> None:
    ensemble = Generate(model="fake/a", samples=3)
    assert _run(ensemble).candidates[0].id == "generate:0"
    assert _run(ensemble >> Mark(only=2)).candidates[0].id == "generate:2"
    assert _run(ensemble >> Mark()).candidates[0].id == "generate:0"
    low = ensemble >> Mark() >> Mark(value=0.0, only=0)
    assert _run(low).candidates[0].id == "generate:1"


def test_draws_of_one_family_differ_and_do_not_depend_on_timing() -> None:
    ensemble = Generate(model="fake/m-0", samples=2) | Generate(model="fake/m-0", samples=2)

    def asked(latency: float) -> list[str]:
        class Late(Fake):
            async def complete(self, r: Request, draws: tuple[Draw, ...]) -> list[Outcome]:
                await asyncio.sleep(random.random() * latency)
                return await super().complete(r, draws)

        fake = Late(lambda request, draw: f"{draw.member}.{draw.number}")
        return [candidate.text for candidate in _run(ensemble, fake).candidates]

    assert asked(0) == asked(0.03) == ["0.0", "0.1", "1.0", "1.1"]


def test_runs_at_the_same_time_do_not_share_anything() -> None:
    chain = Generate(model="fake/a", samples=2) >> Mark()
    fake = Fake(lambda request, draw: request.messages[-1].content, latency=0.01)

    async def work() -> list[archon.Result]:
        session = archon.Session(None, backends={"fake": fake})
        asks = [archon.arun(chain, f"question {i}", session=session) for i in range(12)]
        results = await asyncio.gather(*asks)
        await session.aclose()
        return list(results)

    results = asyncio.run(work())
    assert [result.answer for result in results] == [f"question {i}" for i in range(12)]
    assert {result.used.calls for result in results} == {2}
    assert {len(result.trace) for result in results} == {2}


def test_cancelling_leaves_nothing_running() -> None:
    async def work() -> None:
        fake = Fake(latency=60)
        session = archon.Session(None, backends={"fake": fake})
        ensemble = Generate(model="fake/a", samples=3) | Generate(model="fake/b")
        run = asyncio.ensure_future(archon.arun(ensemble, QUESTION, session=session))
        for _ in range(2000):
            if fake.in_flight == 4:
                break
            await asyncio.sleep(0.001)
        assert fake.in_flight == 4
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await asyncio.sleep(0.05)
        assert fake.in_flight == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await session.aclose()

    asyncio.run(work())


def test_events_stream_while_it_runs() -> None:
    chain = Generate(model="fake/a", samples=2) >> Mark()
    with archon.Session(None, backends={"fake": Fake()}) as session:
        events = list(archon.stream(chain, QUESTION, session=session))
    kinds = [(event.kind, event.path) for event in events]
    assert kinds == [
        ("start", "generate"), ("reply", "generate"), ("reply", "generate"), ("end", "generate"),
        ("start", kinds[4][1]), ("end", kinds[4][1]), ("result", ""),
    ]  # fmt: skip
    assert isinstance(events[-1].data, archon.Result)


def test_leaving_a_stream_early_cancels_the_run() -> None:
    fake = Fake(latency=0.05)
    chain = Generate(model="fake/a") >> Generate(model="fake/b") >> Generate(model="fake/c")
    with archon.Session(None, backends={"fake": fake}) as session:
        for event in archon.stream(chain, QUESTION, session=session):
            if event.kind == "reply":
                break
    assert len(fake.requests) < 3


def _chain() -> Architecture:
    return Generate(model="fake/a", samples=2) >> Mark()


def test_the_graph_takes_a_question_and_gives_json() -> None:
    graph = _chain().compile()
    out = asyncio.run(graph.ainvoke({"question": QUESTION}))
    assert set(out) == {"answer", "candidates", "usage"}
    assert json.loads(json.dumps(out)) == out
    assert out["usage"]["calls"] == 2
    assert out["answer"] == out["candidates"][0]["text"]
    messages = [{"role": "user", "content": QUESTION}]
    assert asyncio.run(graph.ainvoke({"messages": messages}))["answer"]


def test_the_graph_can_be_a_node_of_another_application() -> None:
    class App(TypedDict, total=False):
        question: str
        answer: str
        loud: str

    async def shout(state: App) -> App:
        return {"loud": state["answer"].upper()}

    app: Any = StateGraph(App)
    app.add_node("archon", _chain().compile())
    app.add_node("shout", shout)
    app.add_edge(START, "archon")
    app.add_edge("archon", "shout")
    app.add_edge("shout", END)
    out = asyncio.run(app.compile().ainvoke({"question": QUESTION}))
    assert out["loud"] == out["answer"].upper() != ""


def test_a_checkpointer_with_the_strict_serializer_keeps_it() -> None:
    serializer = JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=None)
    graph = _chain().compile(checkpointer=InMemorySaver(serde=serializer))
    config: Any = {"configurable": {"thread_id": "1"}}
    out = asyncio.run(graph.ainvoke({"question": QUESTION}, config))
    values = graph.get_state(config).values
    assert values["answer"] == out["answer"]
    assert json.loads(json.dumps(values)) == values


def test_langgraph_streams_its_own_events() -> None:
    async def work() -> list[str]:
        graph = _chain().compile()
        return [
            name
            async for update in graph.astream({"question": QUESTION}, stream_mode="updates")
            for name in update
        ]

    names = asyncio.run(work())
    assert names[0] == "_begin"
    assert "generate" in names
    assert names[-1] == "_finish"


def test_sync_invoke_works() -> None:
    assert _chain().compile().invoke({"question": QUESTION})["answer"]


def test_edges_that_are_no_stages_run() -> None:
    fake = Fake(lambda request, draw: request.model.model)
    places = (
        Place("a", Generate(model="fake/a")),
        Place("b", Generate(model="fake/b")),
        Place("c", Generate(model="fake/c", keep=True), ("a",)),
        Place("d", Mark(), ("c", "b")),
    )
    result = _run(Architecture(places), fake)
    assert [candidate.text for candidate in result.candidates] == ["fake/a", "fake/c", "fake/b"]


def test_a_joined_candidate_keeps_the_notes_of_all_branches() -> None:
    chain = Generate(model="fake/a", samples=2) >> (Mark(value=0.1) | Mark(value=0.9))
    result = _run(chain)
    assert len(result.candidates) == 2
    for candidate in result.candidates:
        assert [note.score for note in candidate.notes] == [0.1, 0.9]
        assert len({note.node for note in candidate.notes}) == 2


def test_no_candidate_is_no_answer_with_a_reason() -> None:
    class Nothing(Mark):
        async def run(self, state: State, ctx: Context) -> State:
            return state.replace(candidates=(), reason="none was good enough")

    result = _run(Generate(model="fake/a") >> Nothing() >> Mark())
    assert (result.answer, result.reason) == (None, "none was good enough")
    assert result.trace[-1].status == "skipped"


def test_the_trace_accounts_for_every_call() -> None:
    result = _run(Generate(model="fake/a", samples=3) >> Generate(model="fake/b", samples=2))
    assert [record.used.calls for record in result.trace] == [3, 2]
    assert result.used.calls == result.paid.calls == 5
    data = json.loads(json.dumps(result.to_json()))
    assert data["trace"][0]["out"]["candidates"][0]["text"]
    assert all(isinstance(candidate, Candidate) for candidate in result.candidates)
