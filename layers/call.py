"""Call: any Python function, runnable or agent as a layer."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

from pydantic import AliasChoices, Field, PrivateAttr, field_validator

from archon.base import Bound, Context, Layer, Ports, Shape, ports, register
from archon.errors import ArchonError, BudgetExceeded, NodeError
from archon.layers import importing
from archon.plain import finite
from archon.types import Candidate, Json, Note, State

__all__ = ["Call"]


@register("call")
class Call(Layer):
    """Let code of your own give candidates (`source`), score them (`score`) or change them.

    `function` is `module:name`, or in Python the object: a function, async or not (which then
    runs in a thread), or anything with `ainvoke` or `invoke`, such as a LangChain runnable, a
    LangGraph graph or a whole agent.

    A function gets what its parameters name, out of: `question`, `messages`, `task`, `state`,
    `tests`, `candidates`, `texts`, for scorers `candidate` and `text`, and `ctx`, through which
    its model calls are metered, pooled and held to `calls`. A single parameter of another name
    gets the question (source), the text (score) or the texts (transform). A runnable gets
    `{"messages": […]}`, with `candidate` or `candidates` (texts) beside it, or as `input` says.

    It gives text, a candidate, a message, a mapping with `answer` or `messages`, or a list of
    such; a scorer gives a finite number.
    """

    function: Any = Field(description="module:name of a function, runnable or agent")
    as_: Literal["source", "score", "transform"] = Field(
        "source",
        validation_alias=AliasChoices("as", "as_"),
        serialization_alias="as",
        description="whether it gives candidates, scores each, or changes all",
    )
    input: Literal["messages", "question", "text"] = Field(
        "messages", description="what a runnable gets; text: the question, or the candidate"
    )
    calls: int = Field(
        0, ge=0, le=1_000_000, description="model calls through `ctx` each time it is called"
    )
    most: int | None = Field(
        None, ge=1, description="candidates it may give; 1, or as many as came in"
    )
    keep: bool = Field(False, description="put its candidates behind those that come in")
    on_error: Literal["drop", "fail"] = Field(
        "drop", description="a call that failed: go on without it, or fail the node"
    )
    at_least: int = Field(1, ge=0, description="with drop: how many must succeed all the same")

    _target: Any = PrivateAttr(None)

    @field_validator("function")
    @classmethod
    def _importable(cls, value: object) -> object:
        importing.load(value)
        return value

    def model_post_init(self, context: Any, /) -> None:
        """Resolve the function once, when the layer is built."""
        self._target = importing.load(self.function)

    def __hash__(self) -> int:
        return hash((self.kind, self.as_, id(self._target)))

    def settings(self) -> dict[str, Any]:
        """Return the settings as YAML has them: `as`, and the function by its path."""
        own = super().settings()
        named = {"function": importing.path_of(own.pop("function"))}
        return named | {"as" if name == "as_" else name: value for name, value in own.items()}

    def required(self) -> Ports:
        """Need candidates, except as a source that replaces them."""
        return ports("candidates") if self.as_ != "source" or self.keep else ports()

    def provided(self) -> Ports:
        """Give scores, or new candidates."""
        return ports("scores") if self.as_ == "score" else ports("candidates")

    def bound(self, shape: Shape) -> Bound:
        """Bound the declared calls; their tokens and price are unknown."""
        calls = self.calls * (shape.candidates if self.as_ == "score" else 1)
        cost = Bound(calls, 0, None, None, None, None) if calls else Bound()
        if self.as_ == "score":
            return cost.handing_on(shape)
        after = shape.with_new(self._limit(shape.candidates), None, keep=self.keep)
        return cost.handing_on(after)

    def _limit(self, candidates: int) -> int:
        return self.most or (1 if self.as_ == "source" else candidates)

    async def run(self, state: State, ctx: Context) -> State:
        """Return the state with the new candidates or scores."""
        return await (self._scored(state, ctx) if self.as_ == "score" else self._new(state, ctx))

    async def _scored(self, state: State, ctx: Context) -> State:
        async def score(candidate: Candidate) -> tuple[Candidate | Exception]:
            try:
                number = finite(await self._invoke(state, candidate, ctx))
            except BudgetExceeded:
                raise
            except Exception as error:  # whatever a stranger's code raises is this one's failure
                return (error,)
            return (candidate.with_note(Note("score", score=number)),)

        # In a tuple, an error is a value, and left to this layer's own policy.
        outcomes = [o[0] if o else None for o in await ctx.try_each(score, state.candidates)]
        self._apply(outcomes, ctx)
        scored = [o if isinstance(o, Candidate) else None for o in outcomes]
        return state.replace(
            candidates=[new or old for new, old in zip(scored, state.candidates, strict=True)]
        )

    async def _new(self, state: State, ctx: Context) -> State:
        try:
            result = await self._invoke(state, None, ctx)
            new = _candidates(result, state.candidates if self.as_ == "transform" else ())
        except BudgetExceeded:
            raise
        except Exception as error:  # as above
            self._apply([error], ctx)
            new = ()
        limit = self._limit(len(state.candidates))
        if len(new) > limit:
            ctx.warn(f"{len(new)} candidates were given, the first {limit} are kept (most)")
            new = new[:limit]
        if not self.keep:
            return state.replace(candidates=new)
        known = {candidate.id for candidate in state.candidates if candidate.id}
        return state.replace(candidates=(*state.candidates, *(c for c in new if c.id not in known)))

    def _apply(self, outcomes: Sequence[object], ctx: Context) -> None:
        """Apply `on_error` to what failed."""
        failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if not failed:
            return
        lines = [
            str(e) if isinstance(e, ArchonError) else f"{type(e).__name__}: {e}" for e in failed
        ]
        ctx.record.errors += [line for line in lines if line not in ctx.record.errors]
        if self.on_error == "fail":
            raise NodeError(f"{lines[0]} (on_error: fail)", path=ctx.path) from failed[0]
        if len(outcomes) - len(failed) < self.at_least:
            raise NodeError(
                f"{len(failed)} of {len(outcomes)} calls failed, at least {self.at_least} must"
                f" succeed; first: {lines[0]}",
                path=ctx.path,
            ) from failed[0]

    async def _invoke(self, state: State, candidate: Candidate | None, ctx: Context) -> object:
        target = self._target
        invoke = getattr(target, "ainvoke", None) or getattr(target, "invoke", None)
        if invoke is not None:
            return await _awaited(invoke, (self._payload(state, candidate),), {})
        offered = self._offered(state, candidate, _Declared(ctx, self.calls))
        args, named = _arguments(target, offered, self._main(candidate))
        return await _awaited(target, args, named)

    def _main(self, candidate: Candidate | None) -> str:
        if candidate is not None:
            return "text"
        return "question" if self.as_ == "source" else "texts"

    def _offered(self, state: State, candidate: Candidate | None, ctx: Context) -> dict[str, Any]:
        task = state.task
        offered = {
            "question": task.question,
            "messages": [message.to_json() for message in task.messages],
            "task": task,
            "state": state,
            "tests": list(state.tests),
            "candidates": list(state.candidates),
            "texts": [c.text for c in state.candidates],
            "ctx": ctx,
        }
        return offered | ({"candidate": candidate, "text": candidate.text} if candidate else {})

    def _payload(self, state: State, candidate: Candidate | None) -> Json:
        if self.input == "question" or (self.input == "text" and candidate is None):
            return state.task.question
        if self.input == "text" and candidate is not None:
            return candidate.text
        payload: dict[str, Json] = {"messages": [m.to_json() for m in state.task.messages]}
        if candidate is not None:
            return payload | {"candidate": candidate.text}
        if self.as_ == "transform":
            payload["candidates"] = [c.text for c in state.candidates]
        return payload


class _Declared(Context):
    """The context of one call of a function, held to the calls that the layer declares."""

    def __init__(self, ctx: Context, calls: int) -> None:
        self.__dict__.update(ctx.__dict__)
        self._calls = self._left = calls

    async def _draw(self, model: Any, messages: Any, n: int, **wanted: Any) -> Any:
        self._left -= n
        if self._left < 0:
            raise NodeError(f"the function asks for more calls than `calls: {self._calls}`")
        return await super()._draw(model, messages, n, **wanted)


async def _awaited(
    function: Callable[..., Any], args: Sequence[object], named: Mapping[str, object]
) -> object:
    """Call a function; one that is not async runs in a thread, so that the loop goes on."""
    call = getattr(function, "__call__", function)  # noqa: B004 (an object's method may be async)
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call):
        return await function(*args, **named)
    result = await asyncio.to_thread(function, *args, **named)
    return await result if isinstance(result, Awaitable) else result


def _arguments(
    function: Callable[..., Any], offered: Mapping[str, object], main: str
) -> tuple[list[object], dict[str, object]]:
    """Return what a function is called with: what its parameters name."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # builtins may have none
        return [offered[main]], {}
    named: dict[str, object] = {}
    args: list[object] = []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.name in offered and parameter.kind is not parameter.POSITIONAL_ONLY:
            named[parameter.name] = offered[parameter.name]
        elif parameter.default is parameter.empty and not args:
            args.append(offered[main])
    return args, named


def _candidates(result: object, parents: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return what a function gave as candidates.

    Raises:
        TypeError: for what is no answer.
    """
    if result is None:
        return ()
    items = result if isinstance(result, (list, tuple)) else [result]
    ids = tuple(parent.id for parent in parents)
    return tuple(_candidate(item, ids) for item in items)


def _candidate(item: object, parents: tuple[str, ...]) -> Candidate:
    if isinstance(item, Candidate):
        return item
    text = _text(item)
    if text is None:
        raise TypeError(f"expected text or a candidate, got {type(item).__name__}")
    return Candidate.of(text, parents=parents)


def _text(item: object) -> str | None:
    """Return the answer in text, a message, or what a graph hands out."""
    if isinstance(item, str):
        return item
    if isinstance(item, Mapping):
        if isinstance(item.get("answer"), str):
            return str(item["answer"])
        messages = item.get("messages")
        return _text(messages[-1]) if messages else _text(item.get("content"))
    content = getattr(item, "content", None)
    if isinstance(content, list):
        return "".join(_text(part.get("text", "") if isinstance(part, Mapping) else part) or ""
                       for part in content)  # fmt: skip
    return content if isinstance(content, str) else None
