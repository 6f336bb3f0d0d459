"""What a layer may touch besides its input: models, nested nodes, seeded chance, its record."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from archon.base.asking import ModelLayer
from archon.base.node import Layer, Node
from archon.errors import ArchonError, BudgetExceeded, FailureKind, ModelError, NodeError
from archon.gateway import Gateway, Spending
from archon.model import Draw, Model, Request
from archon.types import Candidate, Json, Message, Reply, State, Usage

__all__ = ["Context", "Event", "NodeRecord", "Parsed", "Run"]

T = TypeVar("T")
R = TypeVar("R")

_MESSAGES = str | Sequence[Message]


@dataclass(slots=True)
class NodeRecord:
    """What one node of one run did: the trace is a list of these.

    Attributes:
        used: all calls it needed, from the pool or not.
        paid: what was newly asked.
        unparsed: replies that did not parse, each counted.
        errors: calls that failed for good, one line each.
        before, after: the state that came in and went out; None before it is known.
    """

    path: str
    kind: str
    used: Usage = field(default_factory=Usage)
    paid: Usage = field(default_factory=Usage)
    unparsed: int = 0
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    before: State | None = None
    after: State | None = None
    status: Literal["running", "done", "skipped", "failed"] = "running"

    def to_json(self) -> Json:
        """Return everything as plain data."""
        names = ("path", "kind", "status", "seconds", "unparsed", "errors", "warnings")
        data: dict[str, Json] = {name: getattr(self, name) for name in names}
        data |= {"used": self.used.to_json(), "paid": self.paid.to_json()}
        return data | {"in": _summary(self.before), "out": _summary(self.after)}


def _summary(state: State | None) -> Json:
    if state is None:
        return None
    return {
        "candidates": [
            {"id": c.id, "text": c.text, "notes": [note.to_json() for note in c.notes]}
            for c in state.candidates
        ],
        "tests": list(state.tests),
        "reason": state.reason,
    }


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run.

    Attributes:
        kind: `start` and `end` of a node, `reply` for each answered draw, `result` at the end.
        path: the node's place.
        data: the record of the node, the reply, or the result.
    """

    kind: Literal["start", "reply", "end", "result"]
    path: str
    data: Any = None


@dataclass(eq=False)
class Run:
    """One run of an architecture on one task: what all its nodes share.

    Attributes:
        gateway: the door to models.
        spending: budget scopes, pool mode and the run's id.
        seed: names an independent replicate.
        members: each node's place in its family, by path.
        perform: runs a nested node; the executor supplies it.
        notify: is told of every event.
        cut: the limit that ended the run early; after it no call is admitted.
        records: what each node did, in the order in which they began.
    """

    gateway: Gateway
    spending: Spending = field(default_factory=Spending)
    seed: int = 0
    members: Mapping[str, int] = field(default_factory=dict)
    perform: Callable[[Node, State, Run, str], Awaitable[State]] | None = None
    notify: Callable[[Event], None] = lambda event: None
    cut: str = ""
    records: list[NodeRecord] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """A reply and what was read from it; `value` is None when no re-ask parsed either."""

    value: T | None
    reply: Reply


_EQUALS: ContextVar[tuple[int, int]] = ContextVar("_EQUALS", default=(0, 1))
"""Inside `each`: the item's place among equal ones, and how many are equal."""


class Context:
    """A layer's view of a run. One is made for each node of each run.

    Attributes:
        run_: what all nodes of the run share.
        path: the node's place in the architecture.
        record: what the node did so far.
    """

    def __init__(self, run: Run, path: str, layer: Layer) -> None:
        self.run_ = run
        self.path = path
        self.layer = layer
        self.record = NodeRecord(path, layer.kind)
        self._asked: Counter[tuple[Request, int]] = Counter()
        self._drop, self._at_least, self._reasks = False, 1, 0
        if isinstance(layer, ModelLayer):
            self._drop = layer.on_error == "drop"
            self._at_least, self._reasks = layer.at_least, layer.reasks

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.run_.seed

    def rng(self, *content: object) -> random.Random:
        """Return chance seeded by content and the run's seed, never by node, trial or clock."""
        text = "\x1f".join([str(self.seed), *map(str, content)])
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        return random.Random(int.from_bytes(digest[:8], "big"))

    async def ask(self, model: Model, messages: _MESSAGES, **wanted: Any) -> Reply:
        """Ask once and return the reply.

        Args:
            model: who is asked.
            messages: chat messages, or the text of one user turn.
            **wanted: fields of `archon.model.Request`, such as `prefix`, `schema`, `verdicts`,
                `logprobs`, `hooks`.

        Raises:
            ModelError: when the call failed for good.
            BudgetExceeded: when it may not be made.
        """
        [outcome] = await self._draw(model, messages, 1, **wanted)
        if isinstance(outcome, Reply):
            return outcome
        raise outcome

    async def sample(
        self, model: Model, messages: _MESSAGES, n: int, **wanted: Any
    ) -> tuple[Reply, ...]:
        """Ask for n samples of one request and return the replies in draw order.

        Draws that failed are left out as the layer's `on_error` says; so are those that the
        budget refuses, as long as there is one reply.
        """
        outcomes = await self._draw(model, messages, n, **wanted)
        self._tolerate([o for o in outcomes if isinstance(o, Exception)], n)
        return tuple(o for o in outcomes if isinstance(o, Reply))

    async def parsed(
        self,
        model: Model,
        messages: _MESSAGES,
        parse: Callable[[str], T | None],
        **wanted: Any,
    ) -> Parsed[T]:
        """Ask until a reply parses: the layer's `reasks` times more at most.

        `parse` returns None for what it cannot read. Every failure is counted in the trace; what
        a missing value means is the layer's to say.
        """
        for retry in range(self._reasks + 1):
            reply = await self.ask(model, messages, retry=retry, **wanted)
            value = parse(reply.text)
            if value is not None:
                break
            self.record.unparsed += 1
        return Parsed(value, reply)

    async def score(self, model: Model, question: str, answers: Sequence[str]) -> list[float]:
        """Return how good a scoring model finds each answer, in [0, 1]; it is no call.

        Raises:
            ModelError: when they cannot be scored.
        """
        return await self.run_.gateway.score(model, question, answers)

    async def embed(self, model: Model, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of length 1 for each text, from an embedding model; it is no call.

        Raises:
            ModelError: when they cannot be read.
        """
        return await self.run_.gateway.embed(model, texts)

    async def each(
        self,
        work: Callable[[T], Awaitable[R]],
        items: Iterable[T],
        *,
        key: Callable[[T], Hashable] | None = None,
    ) -> tuple[R, ...]:
        """Work on all items at once; results in order, failed ones left out as `on_error` says."""
        results = await self.try_each(work, items, key=key)
        return tuple(result for result in results if result is not None)

    async def try_each(
        self,
        work: Callable[[T], Awaitable[R]],
        items: Iterable[T],
        *,
        key: Callable[[T], Hashable] | None = None,
    ) -> tuple[R | None, ...]:
        """Like `each`, with None in the place of each item that failed.

        Args:
            work: what is done with one item.
            items: what it is done with.
            key: what makes two items equal, so that their equal requests get different draws;
                a candidate's text by default.
        """
        things = list(items)
        content = [(key or _content)(thing) for thing in things]
        total, before = Counter(content), Counter[Hashable]()

        async def one(thing: T, same: Hashable, place: int) -> R | _Failed:
            _EQUALS.set((place, total[same]))
            try:
                return await work(thing)
            except ArchonError as error:
                return _Failed(error)

        tasks = []
        for thing, same in zip(things, content, strict=True):
            tasks.append(asyncio.ensure_future(one(thing, same, before[same])))
            before[same] += 1
        outcomes = await _gather(tasks)
        errors = [o.error for o in outcomes if isinstance(o, _Failed)]
        self._tolerate(errors, len(outcomes))
        return tuple(None if isinstance(o, _Failed) else o for o in outcomes)

    async def run(self, node: Node, state: State, name: str) -> State:
        """Run a nested layer or architecture; `name` is its place, as `children` gives it."""
        assert self.run_.perform is not None
        return await self.run_.perform(node, state, self.run_, f"{self.path}/{name}")

    def warn(self, message: str) -> None:
        """Put something into the trace that the user should know."""
        if message not in self.record.warnings:
            self.record.warnings.append(message)

    async def _draw(
        self, model: Model, messages: _MESSAGES, n: int, **wanted: Any
    ) -> list[Reply | Exception]:
        turns = (Message("user", messages),) if isinstance(messages, str) else tuple(messages)
        request = Request(model, model.turns(turns), seed=self.seed, **wanted)
        if self.run_.cut:
            return [BudgetExceeded("the run was cut short", limit=self.run_.cut)] * n
        outcomes = await self.run_.gateway.draw(
            request, self._places(request, n), self.run_.spending
        )
        for outcome in outcomes:
            self._account(outcome)
        return outcomes

    def _places(self, request: Request, n: int) -> tuple[Draw, ...]:
        """Return the draws of a request: fixed by the order of candidates, never by timing."""
        place, total = _EQUALS.get()
        repeat = self._asked[request, place]
        self._asked[request, place] += 1
        first = (repeat * total + place) * n
        member = self.run_.members.get(self.path, 0)
        return tuple(Draw(member, first + i) for i in range(n))

    def _account(self, outcome: Reply | Exception) -> None:
        if isinstance(outcome, Reply):
            self.record.used = self.record.used + outcome.usage
            if not outcome.pooled:
                self.record.paid = self.record.paid + (outcome.paid or outcome.usage)
            self.run_.notify(Event("reply", self.path, outcome))
        elif isinstance(outcome, BudgetExceeded):
            self.run_.cut = self.run_.cut or outcome.limit
        else:
            self.record.errors.append(str(outcome))

    def _tolerate(self, errors: Sequence[Exception], total: int) -> None:
        """Apply `on_error` to what failed of `total`.

        Raises:
            BudgetExceeded: when the budget left nothing.
            NodeError: when more failed than the policy allows.
        """
        refused = [error for error in errors if isinstance(error, BudgetExceeded)]
        failed = [error for error in errors if not isinstance(error, BudgetExceeded)]
        good = total - len(errors)
        if refused and not good:
            raise refused[0]
        if failed and not self._drop:
            message = f"{failed[0]} (on_error: fail)"
            raise NodeError(message, path=self.path, kind=_kind(failed)) from failed[0]
        if failed and good < self._at_least:
            raise NodeError(
                f"{len(failed)} of {total} calls failed, at least {self._at_least} must"
                f" succeed; first: {failed[0]}",
                path=self.path,
                kind=_kind(failed),
            ) from failed[0]


def _kind(errors: Sequence[Exception]) -> FailureKind:
    kinds = [error.kind for error in errors if isinstance(error, (ModelError, NodeError))]
    return kinds[0] if kinds else "fatal"


@dataclass(frozen=True, slots=True)
class _Failed:
    """An item's error, kept apart from whatever its work may return."""

    error: ArchonError


async def _gather(tasks: Sequence[asyncio.Future[Any]]) -> list[Any]:
    """Wait for all; when one raises what is not ours, or we are cancelled, leave none running."""
    try:
        return await asyncio.gather(*tasks)
    except BaseException:  # cancellation too: whatever ends us must leave no task running
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _content(item: object) -> Hashable:
    if isinstance(item, Candidate):
        return item.text
    return item if isinstance(item, Hashable) else repr(item)
