"""A provider that misbehaves in every known way: nothing lost, nothing wrong, nothing hidden."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from archon import limits
from archon.backends.litellm import LiteLLM
from archon.budget import Budget, Ledger
from archon.errors import ModelError
from archon.gateway import Gateway, Spending
from archon.model import Backend, Draw, Model, Outcome, Request
from archon.testing.provider import FAULTS, Provider
from archon.types import Reply
from tests.faults.conftest import (
    at,
    each,
    one,
    play,
    question,
    quiet_litellm,
    right,
    rows,
    single,
    texts,
)

SILENT = ("hang", "slow_loris", "stalled_stream")
"""Whoever asks ends these by a deadline: by design that is the draw, an empty one."""
REPLIES = {
    "filtered_reply", "refusal", "list_content", "unknown_finish", "negative_usage", "text_usage",
    "boolean_usage", "absurd_usage",
}  # fmt: skip
"""What the provider's list calls otherwise, and the design a valid reply: text came, and usage that
cannot be believed is charged as it was reserved."""
FATAL = {"redirect"}
"""The same address would redirect again."""
TOO_LATE = "rate_limit_hour"
"""May be asked again after an hour, which is beyond any deadline here."""
KINDS = {
    name: "reply" if name in REPLIES else "fatal" if name in FATAL else fault.kind
    for name, fault in FAULTS.items()
}
CHANGED = {"cut_text", "empty_text", "lone_surrogate", "nul", "bidi", "template_tokens"}
"""Odd but valid: the text is not the usual one, and stands all the same."""
EMPTY = {"empty_text", "filtered_reply"}
PASSING = [
    name
    for name, kind in KINDS.items()
    if kind in ("transient", "malformed") and name not in (*SILENT, TOO_LATE)
]
# LiteLLM's streams use what pydantic has deprecated, and types that it warns about.
pytestmark = [
    pytest.mark.filterwarnings(r"ignore:(?s).*`ReadOnly` qualifier"),
    pytest.mark.filterwarnings(r"ignore:Accessing the 'model_"),
]
KEY = "sk-planted-0123456789abcdef"


def streams(name: str) -> bool:
    return FAULTS[name].streaming is True


def limit(name: str) -> int | None:
    """Return the limit with which a call is sent in the form that a fault needs."""
    return None if streams(name) else 32


def names(*kinds: str, but: Iterable[str] = ()) -> list[str]:
    return [name for name, kind in KINDS.items() if kind in kinds and name not in but]


def test_enough_kinds_are_covered() -> None:
    assert len(PASSING) >= 27
    assert {*names("transient", "malformed", "fatal", "content", "reply")} == FAULTS.keys()


# Each kind by itself


def _once(provider: Provider, path: Path, name: str, model: Model) -> Outcome:
    provider.set(one_shot=[name])
    request = question(model, f"once {name}")
    return play(lambda gate: one(gate, request), path)


@pytest.mark.parametrize("name", names("fatal", "content"))
def test_what_cannot_pass_is_asked_once(
    provider: Provider, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", KEY)
    model = at(provider, api_key_env="PLANTED", max_tokens=limit(name))
    error = _once(provider, tmp_path / "pool.db", name, model)
    assert isinstance(error, ModelError), error
    assert error.kind == KINDS[name]
    assert model.model in str(error)
    assert KEY not in str(error)
    assert provider.stats()["requests"] == 1
    assert rows(tmp_path / "pool.db", "SELECT state, outcome FROM attempts") == [
        ("failed", KINDS[name])
    ]
    assert single(tmp_path / "pool.db", "SELECT count(*) FROM replies") == 0


@pytest.mark.parametrize("name", names("reply"))
def test_an_odd_reply_is_the_draw_and_is_stored_once(
    provider: Provider, tmp_path: Path, name: str
) -> None:
    model, path = at(provider, max_tokens=limit(name)), tmp_path / "pool.db"
    reply = _once(provider, path, name, model)
    assert isinstance(reply, Reply), reply
    if name in EMPTY:
        assert reply.text == ""
    elif name not in {*CHANGED, "refusal"}:
        assert reply.text == right(question(model, f"once {name}"))
    again = play(lambda gate: one(gate, question(model, f"once {name}")), path)
    assert isinstance(again, Reply)
    assert (again.pooled, again.text) == (True, reply.text)
    assert provider.stats()["requests"] == 1
    assert single(path, "SELECT count(*) FROM replies") == 1


@pytest.mark.parametrize("name", PASSING)
def test_what_can_pass_is_asked_again(provider: Provider, tmp_path: Path, name: str) -> None:
    model, path = at(provider, max_tokens=limit(name)), tmp_path / "pool.db"
    reply = _once(provider, path, name, model)
    assert isinstance(reply, Reply), reply
    assert reply.text == right(question(model, f"once {name}"))
    stats = provider.stats()
    assert (stats["requests"], stats["delivered"]) == (2, 1)
    states = rows(path, "SELECT state, calls, input_tokens > 1 FROM attempts ORDER BY id")
    assert [state for state, *_ in states] == ["failed", "done"]
    # What may have been billed is on the books, whole; the other way round is only cautious.
    assert states[0][2] or not FAULTS[name].billed


@pytest.mark.parametrize("name", SILENT)
def test_a_provider_that_falls_silent_ends_in_time(
    provider: Provider, tmp_path: Path, name: str
) -> None:
    model, path = at(provider, max_tokens=limit(name), timeout=0.4), tmp_path / "pool.db"
    began = time.monotonic()
    reply = _once(provider, path, name, model)
    assert time.monotonic() - began < 0.4 + 1
    assert isinstance(reply, Reply), reply
    assert (reply.text, reply.finish) == ("", "timeout")
    # Nobody said what it cost, so the whole reservation is charged.
    upper = question(model, f"once {name}").upper(model.price)
    assert rows(path, "SELECT input_tokens FROM attempts") == [(upper.input_tokens,)]


def test_a_wait_beyond_the_deadline_is_a_failure_at_once(
    provider: Provider, tmp_path: Path
) -> None:
    error = _once(provider, tmp_path / "pool.db", TOO_LATE, at(provider, timeout=5))
    assert isinstance(error, ModelError)
    assert (error.kind, error.retryable) == ("transient", True)
    assert single(tmp_path / "pool.db", "SELECT count(*) FROM replies") == 0
    assert provider.stats()["requests"] == 1


# All kinds together


async def _timed(gate: Gateway, requests: list[Request], spending: Spending) -> list[Outcome]:
    """Ask for all and check that each ended before its deadline and a second."""

    async def ask(request: Request) -> Outcome:
        began = time.monotonic()
        outcome = await one(gate, request, spending)
        assert time.monotonic() - began < request.model.timeout + 1
        return outcome

    return list(await asyncio.gather(*map(ask, requests)))


def _campaign(
    provider: Provider, path: Path, requests: list[Request], backend: Backend | None = None
) -> float:
    """Ask for all under a budget, check every promise, and return attempts for each call."""
    uppers = [request.upper(request.model.price).microusd or 0 for request in requests]
    ledger = Ledger(Budget(usd=sum(uppers) * 2 / 1e6), "paid", name="campaign")
    used = {} if backend is None else {requests[0].model.provider: backend}
    outcomes = play(lambda gate: _timed(gate, requests, Spending((ledger,))), path, used)
    lost = [outcome for outcome in outcomes if not isinstance(outcome, Reply)]
    assert not lost, (len(lost), lost[:3])
    for request, outcome in zip(requests, outcomes, strict=True):
        assert isinstance(outcome, Reply)
        assert outcome.text == right(request)
    stats = provider.stats()
    assert stats["requests"] == single(path, "SELECT count(DISTINCT sent) FROM attempts")
    assert single(path, "SELECT count(*) FROM replies") == len(requests)
    billed = stats["tokens_in"] * 100 + stats["tokens_out"] * 200
    booked = single(path, "SELECT sum(microusd) FROM attempts")
    assert billed <= booked == ledger.spent.microusd
    assert booked == single(path, "SELECT microusd FROM scopes WHERE name = 'campaign'")
    assert not ledger.holding
    assert not ledger.broken
    return float(stats["requests"]) / len(requests)


def _mixed(provider: Provider, count: int) -> list[Request]:
    """Return requests of which every fourth is streamed, so that every fault finds its form."""
    models = [at(provider, timeout=60), at(provider, timeout=60, max_tokens=4096)]
    return [question(models[i % 4 == 3], f"question {i}") for i in range(count)]


def test_1000_calls_with_20_percent_faults(provider: Provider, tmp_path: Path) -> None:
    provider.set(fault_share=0.2, kinds=PASSING)
    per_call = _campaign(provider, tmp_path / "pool.db", _mixed(provider, 1000))
    stats = provider.stats()
    print(f"attempts per call: {per_call:.3f}, kinds of fault met: {len(stats['faults'])}")
    assert 1.1 < per_call <= 1.35
    assert len(stats["faults"]) >= 27


@pytest.mark.slow
def test_10_000_calls_with_20_percent_faults(provider: Provider, tmp_path: Path) -> None:
    provider.set(fault_share=0.2, kinds=PASSING)
    per_call = _campaign(provider, tmp_path / "pool.db", _mixed(provider, 10_000))
    print(f"attempts per call: {per_call:.3f}")
    assert 1.1 < per_call <= 1.35
    assert len(provider.stats()["faults"]) == len(PASSING)


def test_several_draws_of_one_request_survive_its_faults(
    provider: Provider, tmp_path: Path
) -> None:
    """A request for many draws that fails takes none of them along."""
    # A reply of one choice that is none would only show that the provider cannot count.
    provider.set(fault_share=0.3, kinds=[*PASSING, "-null_message"])
    model, path = at(provider, timeout=60), tmp_path / "pool.db"
    draws = [Draw(0, number) for number in range(4)]

    async def work(gate: Gateway) -> list[list[Outcome]]:
        requests = [question(model, f"question {i}") for i in range(60)]
        return await asyncio.gather(*(gate.draw(r, draws, Spending()) for r in requests))

    for i, outcomes in enumerate(play(work, path)):
        answer = right(question(model, f"question {i}"))[:-2]
        assert [text[:-2] for text in texts(outcomes)] == [answer] * 4
    stats = provider.stats()
    assert stats["requests"] == single(path, "SELECT count(DISTINCT sent) FROM attempts") < 120
    assert len(stats["faults"]) > 10


def test_silence_among_many_calls(provider: Provider, tmp_path: Path) -> None:
    """Who meets the deadline gets the timeout, and nobody else."""
    provider.set(faults={"hang": 0.1, "slow_loris": 0.1, "server_error": 0.1})
    model = at(provider, timeout=0.6, concurrency=200)
    requests = [question(model, f"question {i}") for i in range(100)]
    outcomes = play(lambda gate: _timed(gate, requests, Spending()), tmp_path / "pool.db")
    silent = {entry["text"] for entry in provider.log() if entry["fault"] in SILENT}
    for request, outcome in zip(requests, outcomes, strict=True):
        if request.messages[0].content in silent:
            # After a fault there is no telling whose fault it was, so that it is no draw either.
            assert isinstance(outcome, ModelError) or outcome.finish == "timeout"  # type: ignore[union-attr]
        else:
            assert isinstance(outcome, Reply)
            assert outcome.text == right(request)
    assert len(silent) > 5


def test_an_outage_beyond_the_deadline_is_no_draw(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BACKOFF", (0.2, 0.4))  # calls spend their time in the queue
    provider.set(faults={"unavailable": 1.0}, max_in_a_row=1000)
    model = at(provider, timeout=0.3, concurrency=4)
    requests = [question(model, f"question {i}") for i in range(20)]
    outcomes = play(lambda gate: each(gate, requests), tmp_path / "pool.db")
    for outcome in outcomes:
        assert isinstance(outcome, ModelError), outcome
        assert outcome.kind == "transient"
    assert single(tmp_path / "pool.db", "SELECT count(*) FROM replies") == 0


# The same through LiteLLM

LITELLM_PASSING = [
    "rate_limit", "rate_limit_bare", "server_error", "bad_gateway", "unavailable", "overloaded",
    "gateway_timeout", "request_timeout", "reset", "closed", "truncated", "malformed_json", "html",
    "no_choices", "null_content", "empty_body",
]  # fmt: skip


@pytest.fixture
def litellm() -> LiteLLM:
    quiet_litellm()
    return LiteLLM()


def _litellm_calls(provider: Provider, path: Path, backend: LiteLLM, count: int) -> float:
    provider.set(fault_share=0.2, kinds=LITELLM_PASSING)
    model = at(provider, timeout=60)
    return _campaign(provider, path, [question(model, f"q {i}") for i in range(count)], backend)


def test_faults_through_litellm(provider: Provider, tmp_path: Path, litellm: LiteLLM) -> None:
    assert 1.1 < _litellm_calls(provider, tmp_path / "pool.db", litellm, 100) <= 1.45


@pytest.mark.slow
def test_1000_calls_through_litellm(provider: Provider, tmp_path: Path, litellm: LiteLLM) -> None:
    assert 1.1 < _litellm_calls(provider, tmp_path / "pool.db", litellm, 1000) <= 1.35


@pytest.mark.parametrize("name", ["quota", "unauthorized", "unknown_model", "context_length"])
def test_what_cannot_pass_is_asked_once_through_litellm(
    provider: Provider,
    tmp_path: Path,
    litellm: LiteLLM,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLANTED", KEY)
    provider.set(one_shot=[name])
    request = question(at(provider, api_key_env="PLANTED"), "once")
    error = play(lambda gate: one(gate, request), tmp_path / "pool.db", {"openai": litellm})
    assert isinstance(error, ModelError)
    assert error.kind == KINDS[name]
    assert KEY not in str(error)
    assert provider.stats()["requests"] == 1
