"""The contracts of a backend: each takes what makes one, and a model that it serves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import get_args

from archon.errors import ModelError
from archon.model import Ability, Backend, Draw, Model, Outcome, Request, Scorer
from archon.types import Finish, Message, Reply

__all__ = ["BACKEND_CONTRACTS", "check_backend"]

Make = Callable[[], Backend]
Contract = Callable[[Make, Model], None]
BACKEND_CONTRACTS: dict[str, Contract] = {}
"""Every contract by name."""

HOSTILE = ("", " ", "\x00\x01", "{{ 7 }} %s {0}", "<|im_end|><|endoftext|></s>", "é" * 5000)


def _contract(check: Contract) -> Contract:
    BACKEND_CONTRACTS[check.__name__] = check
    return check


def check_backend(make: Make, model: Model, contracts: Iterable[str] = ()) -> None:
    """Check a backend against all contracts, or against those named.

    Args:
        make: makes a backend, as it is registered.
        model: one that it can serve here and now; its `max_tokens` should be small.
        contracts: names of contracts; all if empty.

    Raises:
        AssertionError: saying what the backend did.
    """
    for name in contracts or BACKEND_CONTRACTS:
        BACKEND_CONTRACTS[name](make, model)


def _with(make: Make, work: Callable[[Backend], Awaitable[None]]) -> None:
    async def run() -> None:
        backend = make()
        try:
            await work(backend)
        finally:
            await backend.close()

    asyncio.run(run())


def _ask(model: Model, text: str = "What is 2 + 2?", *, seed: int = 0) -> Request:
    return Request(model, (Message("user", text),), seed=seed)


def _draws(backend: Backend, model: Model, n: int) -> list[tuple[Draw, ...]]:
    """Return n draws as this backend takes them: together, in parts, or one by one."""
    draws, size = [Draw(0, i) for i in range(n)], backend.batch_size(model)
    return [tuple(draws[i : i + size]) for i in range(0, n, size)]


async def _texts(backend: Backend, request: Request, n: int) -> list[str]:
    outcomes: list[Outcome] = []
    for draws in _draws(backend, request.model, n):
        outcomes += await backend.complete(request, draws)
    return [o.text if isinstance(o, Reply) else repr(o) for o in outcomes]


@_contract
def declares_itself(make: Make, model: Model) -> None:
    """It follows the protocol, says what it can do, and accepts a model that it serves."""

    async def work(backend: Backend) -> None:
        assert isinstance(backend, Backend), f"{type(backend).__name__} lacks part of the protocol"
        unknown = backend.abilities(model) - set(get_args(Ability))
        assert not unknown, f"unknown abilities {sorted(unknown)}"
        size = backend.batch_size(model)
        assert isinstance(size, int), f"`batch_size` gave {size!r}"
        assert size >= 1, f"`batch_size` gave {size!r}"
        backend.check(model)
        assert isinstance(backend.fingerprint(model), str), "a fingerprint is text"
        assert backend.fingerprint(model) == backend.fingerprint(model), "the fingerprint changes"

    _with(make, work)


@_contract
def answers_each_draw(make: Make, model: Model) -> None:
    """One outcome for each draw; a reply is one call and has a JSON form that comes back."""

    async def work(backend: Backend) -> None:
        for draws in _draws(backend, model, 3):
            outcomes = await backend.complete(_ask(model), draws)
            assert len(outcomes) == len(draws), f"{len(outcomes)} outcomes, {len(draws)} draws"
            for outcome in outcomes:
                _good(outcome)

    _with(make, work)


def _good(outcome: Outcome) -> None:
    assert isinstance(outcome, Reply), f"a plain request failed: {outcome!r}"
    assert outcome.finish in get_args(Finish), f"unknown finish {outcome.finish!r}"
    assert outcome.usage.calls == 1, f"a draw is one call, not {outcome.usage.calls}"
    assert not outcome.pooled, "only the pool marks a reply as pooled"
    text = json.dumps(outcome.to_json(), allow_nan=False, ensure_ascii=False)
    text.encode()  # raises for lone surrogates
    stored = replace(outcome, paid=None)
    assert Reply.from_json(json.loads(text)) == stored, "the reply does not survive its JSON form"


@_contract
def keeps_to_max_tokens(make: Make, model: Model) -> None:
    """No reply has more output tokens than the model's settings allow."""
    short = model.model_copy(update={"max_tokens": 2})

    async def work(backend: Backend) -> None:
        for draws in _draws(backend, short, 2):
            for outcome in await backend.complete(_ask(short), draws):
                assert isinstance(outcome, Reply), f"a plain request failed: {outcome!r}"
                tokens = outcome.usage.output_tokens
                assert tokens is None or tokens <= 2, f"{tokens} tokens, but max_tokens is 2"

    _with(make, work)


@_contract
def returns_errors(make: Make, model: Model) -> None:
    """Whatever the prompt says, a failure is a `ModelError` value, never raised."""

    async def work(backend: Backend) -> None:
        for text in HOSTILE:
            for outcome in await backend.complete(_ask(model, text), (Draw(0, 0),)):
                fine = isinstance(outcome, (Reply, ModelError))
                assert fine, f"the prompt {text[:20]!r} gave {outcome!r}"

    _with(make, work)


@_contract
def draws_are_seeded(make: Make, model: Model) -> None:
    """A backend that declares `seeded` gives the same reply for the same request and draw."""
    first: list[Sequence[str]] = []

    async def work(backend: Backend) -> None:
        if "seeded" in backend.abilities(model):
            first.append(await _texts(backend, _ask(model), 3))

    _with(make, work)
    _with(make, work)
    assert first[:1] == first[1:], "the same draws gave other replies in a fresh backend"


@_contract
def scores_texts(make: Make, model: Model) -> None:
    """A backend that declares `score` grades each text in [0, 1], equal ones alike."""
    answers = ["It is 42.", "", "I do not know.", "It is 42."]
    seen: list[list[float]] = []

    async def work(backend: Backend) -> None:
        if "score" not in backend.abilities(model):
            return
        assert isinstance(backend, Scorer), "it declares `score`, but has no such method"
        scores = await backend.score(model, "What is 6 * 7?", answers)
        assert len(scores) == len(answers), f"{len(scores)} scores for {len(answers)} texts"
        assert all(0 <= score <= 1 for score in scores), f"scores out of [0, 1]: {scores}"
        assert scores[0] == scores[3], "equal texts have different scores"
        assert await backend.score(model, "What is 6 * 7?", []) == []
        seen.append(scores)

    _with(make, work)
    _with(make, work)
    assert seen[:1] == seen[1:], "the same texts got other scores in a fresh backend"


@_contract
def shows_tokens(make: Make, model: Model) -> None:
    """A backend that declares `logprobs` shows the tokens of a reply, as many as were asked for."""

    async def work(backend: Backend) -> None:
        if "logprobs" not in backend.abilities(model):
            return
        [outcome] = await backend.complete(replace(_ask(model), logprobs=1), (Draw(0, 0),))
        _good(outcome)
        assert isinstance(outcome, Reply)
        assert outcome.logprobs or not outcome.text, "a reply with text shows no token"
        for token in outcome.logprobs:
            assert token.logprob <= 1e-6, f"a probability above 1: {token!r}"
            assert len(token.top) <= 1, f"more alternatives than asked for: {token!r}"

    _with(make, work)


@_contract
def closes_twice(make: Make, model: Model) -> None:
    """It can be closed unused, and again."""

    async def work(backend: Backend) -> None:
        await backend.close()

    _with(make, work)


@_contract
def cancels_cleanly(make: Make, model: Model) -> None:
    """A call can be cut; it leaves no task behind, and the backend goes on."""

    async def work(backend: Backend) -> None:
        before = asyncio.all_tasks()
        call = asyncio.ensure_future(backend.complete(_ask(model), (Draw(0, 0),)))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call], timeout=60)
        assert call.done(), "a cut call did not end"
        [outcome] = await backend.complete(_ask(model, "And 3 + 3?"), (Draw(0, 0),))
        _good(outcome)
        left = {task for task in asyncio.all_tasks() - before if not task.done()}
        assert not left - {call}, f"tasks are left: {left}"

    _with(make, work)
