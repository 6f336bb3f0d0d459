"""Runs architectures on LangGraph: the only module that imports it.

One LangGraph node for each layer, the fan-out inside it; a nested architecture is a graph of its
own, so that no branch waits for another before the join. What is a mere chain needs no graph
inside another, and is run node by node. Every node writes its output under its
own id, and a join reads those it waits for in listing order: nothing depends on who ends first.
Values in the graph are JSON, so that any checkpointer can keep them; what must be shared beside
them (gateway, budget, record) travels in a context variable.
"""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from archon.base import (
    Architecture,
    Context,
    Event,
    Layer,
    Node,
    Place,
    Run,
    as_architecture,
)
from archon.budget import Ledger
from archon.errors import ArchonError, BudgetExceeded, BudgetRefused, ModelError, NodeError
from archon.gateway import Gateway
from archon.model import Request
from archon.result import Result, conclude
from archon.session import Session, default_session
from archon.types import Candidate, Json, Note, State, Task, Usage

__all__ = ["Graph", "compile", "perform", "start"]

Graph = CompiledStateGraph[Any, Any, Any, Any]

_RUN: ContextVar[Run | None] = ContextVar("archon_run", default=None)
_EMBEDDED: OrderedDict[str, Run] = OrderedDict()
"""Runs of graphs that somebody else's application invokes, by the id in their state."""
_EMBEDDED_KEPT = 1024


def _merge(old: dict[str, Json], new: dict[str, Json]) -> dict[str, Json]:
    return {**old, **new}


class _Input(TypedDict, total=False):
    question: str
    messages: list[Json]
    task: Json


class _Output(TypedDict, total=False):
    answer: str | None
    candidates: list[Json]
    usage: Json


class _Channels(_Input, _Output, total=False):
    run: str
    path: str
    outputs: Annotated[dict[str, Json], _merge]


_RESERVED = frozenset(_Channels.__annotations__) | {START, END}
_Step = Callable[[_Channels], Coroutine[Any, Any, dict[str, Json]]]
_inner_graphs: dict[str, Graph] = {}


def compile(architecture: Architecture, **options: Any) -> Graph:  # noqa: A001 (LangGraph's word)
    """Return the LangGraph graph of an architecture.

    Input: `question` (text) or `messages` (chat messages). Output: `answer`, `candidates` and
    `usage`, JSON types only. It can be a subgraph of any LangGraph application and streams
    LangGraph's events.

    Args:
        architecture: what to compile; it must stand alone.
        **options: for `StateGraph.compile`, such as `checkpointer`. The checkpointer keeps the
            place in the graph; what protects money is the pool.

    Raises:
        ArchitectureError: when a port is missing in front.
        ConfigError: for what cannot be done on this machine, such as executing code.
    """
    architecture.check()
    architecture.ready()
    graph: Any = StateGraph(_Channels, input_schema=_Input, output_schema=_Output)
    graph.add_node("_begin", _either(_begin(architecture)))
    graph.add_node("_finish", _either(_finish(architecture)))
    _add_places(graph, architecture, "_begin", "_finish", _either)
    graph.add_edge(START, "_begin")
    graph.add_edge("_finish", END)
    return _compiled(graph, architecture, **options)


def _inner(architecture: Architecture) -> Graph:
    """Return the graph of a nested architecture, made once for each digest."""
    digest = architecture.digest()
    if digest not in _inner_graphs:
        graph = StateGraph(_Channels)
        _add_places(graph, architecture, START, END, checkpoints=False)
        # A nested graph keeps no checkpoints of its own: loops run it many times in one node.
        _inner_graphs[digest] = _compiled(graph, architecture, checkpointer=False)
    return _inner_graphs[digest]


def _compiled(graph: Any, architecture: Architecture, **options: Any) -> Graph:
    compiled: Graph = graph.compile(name=architecture.name or "archon", **options)
    return compiled.with_config(recursion_limit=len(architecture.places) + 8)


def _either(step: _Step) -> RunnableLambda[_Channels, dict[str, Json]]:
    """Let a step work in `invoke` as in `ainvoke`: without a loop, it runs on the session's."""

    def wait(channels: _Channels) -> dict[str, Json]:
        return default_session().wait(step(channels))

    return RunnableLambda(wait, afunc=step)


def _add_places(
    graph: Any,
    architecture: Architecture,
    first: str,
    last: str,
    wrap: Callable[[_Step], Any] = lambda step: step,
    *,
    checkpoints: bool = True,
) -> None:
    for place in architecture.places:
        graph.add_node(_name(place.id), wrap(_step(place, checkpoints)))
    for place in architecture.places:
        if not place.after:
            graph.add_edge(first, _name(place.id))
        elif len(place.after) == 1:
            graph.add_edge(_name(place.after[0]), _name(place.id))
        else:
            graph.add_edge([_name(id_) for id_ in place.after], _name(place.id))
    ends = [_name(place.id) for place in architecture.ends]
    graph.add_edge(ends if len(ends) > 1 else ends[0], last)


def _name(id_: str) -> str:
    """Return a node's name in LangGraph, where channels and nodes share one set of names."""
    return f"{id_}_" if id_ in _RESERVED or id_.startswith("_") else id_


def _begin(architecture: Architecture) -> _Step:
    async def begin(channels: _Channels) -> dict[str, Json]:
        if "task" in channels:
            task = Task.from_json(channels["task"])
        else:
            task = Task.of(channels.get("question") or channels.get("messages") or "")
        run = _RUN.get()
        name = ""
        if run is None:
            name, run = _embed(architecture, task)
        return {"run": name, "path": "", "outputs": {"": State(task).to_json()}}

    return begin


def _embed(architecture: Architecture, task: Task) -> tuple[str, Run]:
    """Make the run of a graph that another application invokes, in the default session."""
    name = uuid.uuid4().hex
    run = start(default_session(), architecture, task)
    _EMBEDDED[name] = run
    while len(_EMBEDDED) > _EMBEDDED_KEPT:
        _EMBEDDED.popitem(last=False)
    return name, run


def _run_of(channels: _Channels) -> Run:
    run = _RUN.get() or _EMBEDDED.get(channels.get("run", ""))
    if run is None:
        # Resumed from a checkpoint in another process: the pool has what was paid before.
        run = Run(default_session().gateway(), perform=perform)
    return run


def _finish(architecture: Architecture) -> _Step:
    async def finish(channels: _Channels) -> dict[str, Json]:
        run = _run_of(channels)
        _EMBEDDED.pop(channels.get("run", ""), None)
        state = _final(channels["outputs"], architecture.ends)
        answer, _, _, candidates = conclude(state)
        used = Usage.sum(record.used for record in run.records)
        return {
            "answer": answer,
            "candidates": [candidate.to_json() for candidate in candidates],
            "usage": used.to_json(),
            "outputs": {"final": {"state": state.to_json()}},
        }

    return finish


def _step(place: Place, checkpoints: bool) -> _Step:
    """Return what a place's node does.

    Args:
        place: in the architecture.
        checkpoints: whether outputs must be JSON, so that a checkpointer can keep them.
    """

    async def step(channels: _Channels) -> dict[str, Json]:
        run, prefix = _run_of(channels), channels.get("path", "")
        path = f"{prefix}/{place.id}" if prefix else place.id
        try:
            state = _before(channels["outputs"], place)
            after = await perform(place.node, state, run, path)
            output = after.to_json() if checkpoints else after
        except ArchonError as error:
            # Raised into LangGraph it would cancel the siblings and lose what they paid for.
            output = _error_json(error)
        return {"outputs": {place.id: output}}

    return step


def _error_json(error: ArchonError) -> Json:
    limit = error.limit if isinstance(error, BudgetExceeded) else ""
    kind = error.kind if isinstance(error, (ModelError, NodeError)) else "fatal"
    return {"error": str(error), "limit": limit, "kind": kind}


def _before(outputs: dict[str, Json], place: Place) -> State:
    return _joined(outputs, place.after or ("",))


def _final(outputs: dict[str, Json], ends: Sequence[Place]) -> State:
    return _joined(outputs, [place.id for place in ends])


def _joined(outputs: dict[str, Json], ids: Sequence[str]) -> State:
    """Return the join of branches; one that failed is left out while another holds.

    Raises:
        NodeError: when every branch failed.
        BudgetExceeded: when the budget left none.
    """
    found = [outputs[id_] for id_ in ids]
    good = [
        _state(output) for output in found if isinstance(output, State) or "error" not in output
    ]
    if good:
        return good[0] if len(good) == 1 else _union(good)
    raise _error(found[0])


def _error(output: Json) -> ArchonError:
    """Invert `_error_json`: a budget's end stays one, whatever else happened is the node's."""
    if output["limit"]:
        return BudgetExceeded(output["error"], limit=output["limit"])
    return NodeError(output["error"], kind=output["kind"])


def _state(output: Json) -> State:
    return output if isinstance(output, State) else State.from_json(output)


def _union(states: Sequence[State]) -> State:
    """Join states: candidates by id in listing order, with the notes of all branches."""
    candidates: dict[str, Candidate] = {}
    for state in states:
        for candidate in state.candidates:
            known = candidates.get(candidate.id)
            if known is not None:
                new = tuple(note for note in candidate.notes if note not in known.notes)
                candidate = replace(known, notes=(*known.notes, *new))
            candidates[candidate.id] = candidate
    return State(
        task=states[0].task,
        candidates=tuple(candidates.values()),
        tests=tuple(dict.fromkeys(test for state in states for test in state.tests)),
        asserts=tuple(dict.fromkeys(test for state in states for test in state.asserts)),
        reason="; ".join(dict.fromkeys(state.reason for state in states if state.reason)),
    )


async def perform(node: Node, state: State, run: Run, path: str) -> State:
    """Run a node on a state; what `Context.run` does for nested ones.

    Raises:
        NodeError: when it failed beyond its policy.
        BudgetExceeded: when the budget ended it and there was no candidate yet.
    """
    if isinstance(node, Layer):
        return await _perform_layer(node, state, run, path)
    architecture = as_architecture(node)
    if _is_chain(architecture.places):
        return await _perform_chain(architecture.places, state, run, path)
    token = _RUN.set(run)
    try:
        channels = await _inner(architecture).ainvoke({"path": path, "outputs": {"": state}})
    finally:
        _RUN.reset(token)
    return _final(channels["outputs"], architecture.ends)


def _is_chain(places: Sequence[Place]) -> bool:
    """Whether every node comes after the one before it: then nothing is to be scheduled."""
    after: tuple[str, ...] = ()
    for place in places:
        if place.after != after:
            return False
        after = (place.id,)
    return True


async def _perform_chain(places: Sequence[Place], state: State, run: Run, path: str) -> State:
    """Run nodes one after the other; a graph of them would do the same at 2 ms a question.

    Errors are those that the graph's join raises.
    """
    for place in places:
        try:
            state = await perform(
                place.node, state, run, f"{path}/{place.id}" if path else place.id
            )
        except (BudgetExceeded, NodeError):
            raise
        except ArchonError as error:
            raise _error(_error_json(error)) from error
    return state


async def _perform_layer(layer: Layer, state: State, run: Run, path: str) -> State:
    ctx = Context(run, path, layer)
    record = ctx.record
    record.before = state
    run.records.append(record)
    run.notify(Event("start", path, record))
    began = time.monotonic()
    try:
        after = await _run_layer(layer, state, ctx)
        record.status = "done" if record.status == "running" else record.status
    except BudgetExceeded as error:
        after = _cut(state, run, error)
        record.status = "skipped"
    except ArchonError as error:
        record.status = "failed"
        record.errors.append(str(error))
        raise
    finally:
        record.seconds = time.monotonic() - began
        run.notify(Event("end", path, record))
    record.after = after
    return after


async def _run_layer(layer: Layer, state: State, ctx: Context) -> State:
    if "candidates" in layer.required() and not state.candidates:
        ctx.record.status = "skipped"
        return state
    try:
        after = await layer.run(state, ctx)
    except ArchonError:
        raise
    except Exception as error:
        # A layer may be a stranger's code; whatever it raises is a failure of its node alone.
        raise NodeError(f"{type(error).__name__}: {error}", path=ctx.path) from error
    return _signed(after, ctx.path)


def _cut(state: State, run: Run, error: BudgetExceeded) -> State:
    """Hand on what came in, the best so far; without any candidate there is nothing to hand on."""
    run.cut = run.cut or error.limit
    if not state.candidates:
        raise error
    return state


def _signed(state: State, path: str) -> State:
    """Give new candidates their ids and new notes the name of their node."""
    return state.replace(
        candidates=tuple(
            _sign(candidate, path, position) for position, candidate in enumerate(state.candidates)
        )
    )


def _sign(candidate: Candidate, path: str, position: int) -> Candidate:
    if candidate.id and all(note.node for note in candidate.notes):
        return candidate
    notes: tuple[Note, ...] = tuple(
        note if note.node else replace(note, node=path) for note in candidate.notes
    )
    return replace(candidate, id=candidate.id or f"{path}:{position}", notes=notes)


def start(session: Session, architecture: Architecture, task: Task, **options: Any) -> Run:
    """Make a run and refuse before any call what cannot work.

    Args:
        session: whose gateway, and whose default budget.
        architecture: what will run.
        task: what it will run on.
        **options: `budget`, `seed`, `mode`, `run_id`, `scopes` of `Session.spending`.

    Raises:
        ConfigError: for a missing key, model or answer kind.
        BudgetRefused: for a limit that cannot be enforced.
    """
    seed, spending = session.spending(**options)
    architecture.check_task(task)
    gateway = session.gateway()
    gateway.check(architecture.models(), spending.scopes)
    for model, ability in architecture.needed_abilities:
        gateway.require(model, ability)
    _check_first(architecture, task, gateway, spending.scopes)
    return Run(gateway, spending, seed, architecture.members, perform)


def _check_first(
    architecture: Architecture, task: Task, gateway: Gateway, scopes: Sequence[Ledger]
) -> None:
    """Refuse a budget that does not even fit the first call."""
    model = next(iter(architecture.models()), None)
    if model is None:
        return
    upper = gateway.upper(Request(model, task.messages))
    for scope in scopes:
        # What the pool has costs a scope of paid calls nothing, so that one cannot tell yet.
        if scope.counts == "paid" or scope.holding:
            continue
        if name := scope.refuses(upper):
            raise BudgetRefused(
                f"the first call, to {model.model!r}, does not fit the limit `{name}` of the budget"
            )


async def finish_run(architecture: Architecture, task: Task, run: Run) -> Result:
    """Run an architecture on a task in a run made by `start`.

    Raises:
        NodeError: when a node failed and nothing else was left.
        BudgetExceeded: when the budget ended it before there was a candidate.
    """
    began = time.monotonic()
    final = await perform(architecture, State(task), run, "")
    answer, value, reason, candidates = conclude(final)
    return Result(
        task=task,
        answer=answer,
        value=value,
        reason=reason,
        candidates=candidates,
        used=Usage.sum(record.used for record in run.records),
        paid=Usage.sum(record.paid for record in run.records),
        cut_short=run.cut,
        trace=tuple(run.records),
        warnings=_warnings(architecture, run),
        seed=run.seed,
        seconds=time.monotonic() - began,
        run=run.spending.run,
        architecture=architecture.name,
        digest=architecture.digest(),
    )


def _warnings(architecture: Architecture, run: Run) -> tuple[str, ...]:
    """Return what the user should know: lint, notes of layers, a bound above the budget."""
    said = [*architecture.lint()]
    said += [f"{record.path}: {text}" for record in run.records for text in record.warnings]
    return tuple(dict.fromkeys(said))
