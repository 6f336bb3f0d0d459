"""The validator of replies, and what is counted for them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.backends.http_reply import Malformed, decode, read
from archon.backends.http_verdicts import verdict_probs
from archon.backends.metering import Tokens, counted, shares, tokens_of, usages
from archon.errors import ModelError
from archon.model import Model, Outcome, Price, Request
from archon.types import Message, Reply, TextPart, ToolCall, Usage

REQUEST = Request(Model("openai/x", max_tokens=50), (Message("user", "?"),))


def choice(content: Any = "42", finish: Any = "stop", **message: Any) -> dict[str, Any]:
    return {"message": {"content": content, **message}, "finish_reason": finish}


def one(choice: Any) -> Outcome:
    [outcome] = read({"choices": [choice]}, REQUEST, 1, None, whole=False)
    return outcome


@pytest.mark.parametrize(
    ("given", "text", "finish"),
    [
        (choice(), "42", "stop"),
        (choice("", "length"), "", "length"),
        (choice("", "stop"), "", "stop"),
        (choice(None, "length"), "", "length"),
        (choice(None, "content_filter"), "", "filter"),
        (choice("", "SAFETY"), "", "filter"),
        (choice(None, "stop", refusal="No."), "No.", "refusal"),
        (choice(None, "stop", reasoning="hm"), "", "stop"),
        (choice("42", "eos"), "42", "stop"),
        (choice("42", "max_output_tokens"), "42", "length"),
        (choice("42", "never heard of"), "42", "stop"),
        (choice([{"type": "text", "text": "4"}, "2"]), "42", "stop"),
        (choice("a\ud800"), "a?", "stop"),
        (choice("a\0b"), "a\0b", "stop"),
    ],
)
def test_replies(given: Any, text: str, finish: str) -> None:
    outcome = one(given)
    assert isinstance(outcome, Reply), outcome
    assert (outcome.text, outcome.finish) == (text, finish)


@pytest.mark.parametrize(
    "given",
    [
        None,
        5,
        {},
        {"message": None, "finish_reason": "stop"},
        choice(None),
        choice(42),
        choice({"text": "42"}),
        choice([5]),
        choice([{"type": "image"}]),
        choice("42", None),
        choice("42", 5),
        choice("42", ""),
        choice("", "never heard of"),
        choice(None, "tool_calls"),
        choice(None, "tool_calls", tool_calls=5),
        choice(None, "tool_calls", tool_calls=[{"function": {"arguments": "{}"}}]),
        choice(None, "tool_calls", tool_calls=[{"function": {"name": "f", "arguments": 5}}]),
    ],
)
def test_what_breaks_the_protocol(given: Any) -> None:
    outcome = one(given)
    assert isinstance(outcome, ModelError)
    assert (outcome.kind, outcome.billed) == ("malformed", True)


@pytest.mark.parametrize("reason", ["abort", "error", "insufficient_system_resource"])
def test_a_server_that_gave_up(reason: str) -> None:
    outcome = one(choice("4", reason))
    assert isinstance(outcome, ModelError)
    assert (outcome.kind, outcome.billed) == ("transient", True)


def test_tool_calls() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    outcome = one(choice("so", "tool_calls", tool_calls=[call]))
    assert isinstance(outcome, Reply)
    assert outcome.parts == (TextPart("so"), ToolCall("c", "f", '{"a": 1}'))
    old = one(choice(None, "function_call", function_call={"name": "f", "arguments": "{}"}))
    assert isinstance(old, Reply)
    assert old.parts == (ToolCall("", "f", "{}"),)


def test_more_choices_than_asked_for_are_paid() -> None:
    body = {
        "choices": [choice("a"), choice("b"), choice("c")],
        "usage": {"prompt_tokens": 3, "completion_tokens": 9},
    }
    first, second = read(body, REQUEST, 2, Price(input=1, output=1), whole=False)
    assert isinstance(first, Reply)
    assert isinstance(second, Reply)
    assert first.paid is not None
    assert second.paid is not None
    total = first.paid + second.paid
    assert (total.output_tokens, total.microusd) == (9, 12)


def test_a_broken_choice_does_not_harm_the_others() -> None:
    body = {
        "choices": [choice(5), choice("b")],
        "usage": {"prompt_tokens": 3, "completion_tokens": 9},
    }
    first, second = read(body, REQUEST, 2, None, whole=False)
    assert isinstance(first, ModelError)
    assert isinstance(second, Reply)
    assert second.usage.input_tokens == 3


@pytest.mark.parametrize(
    "data",
    [
        b"", b"nul", b"{", b'{"a": NaN}', b"[Infinity]", b'"\xff"', b"\xef\xbb\xbf{}",
        b"[" * 200_000, b'{"a":' * 100_000, b"[1" + b"0" * 5000 + b"]",
    ],
)  # fmt: skip
def test_what_is_not_json(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode(data)


NAMES = [
    "choices", "message", "content", "finish_reason", "usage", "error", "text", "code", "refusal",
    "tool_calls", "function", "name", "arguments", "prompt_tokens", "logprobs", "top_logprobs",
    "tokens", "token", "logprob",
]  # fmt: skip

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(values, st.integers(1, 3), st.sampled_from(["chat", "completion"]))
def test_anything_gives_one_outcome_for_each_draw(body: Any, count: int, protocol: Any) -> None:
    model = Model("openai/x", protocol=protocol)
    request = Request(model, (Message("user", "?"),), prefix="p", verdicts=("a", "b"))
    choices = {"choices": body if isinstance(body, list) else [body]}
    for given_body in (body, choices):
        outcomes = read(given_body, request, count, Price(input=1, output=1), whole=True)
        assert len(outcomes) == count
        for outcome in outcomes:
            assert isinstance(outcome, (Reply, ModelError))
            if isinstance(outcome, Reply):
                assert outcome.text.startswith("p")
                json.dumps(outcome.to_json(), allow_nan=False).encode()


# Metering


@pytest.mark.parametrize("value", [-1, True, "3", 3.0, None, 10_000_001, 10**15, [3]])
def test_what_is_no_count(value: Any) -> None:
    assert counted(value) is None


def test_tokens() -> None:
    assert tokens_of({"prompt_tokens": 4, "completion_tokens": 5}) == (4, 5)
    assert tokens_of({"prompt_tokens": 0, "completion_tokens": 0}) == (None, None)
    assert tokens_of({"prompt_tokens": 4, "completion_tokens": -1}) == (4, None)
    assert tokens_of(None) == (None, None)
    apart = {
        "prompt_tokens": 4,
        "completion_tokens": 5,
        "total_tokens": 16,
        "completion_tokens_details": {"reasoning_tokens": 7},
    }
    assert tokens_of(apart) == (4, 12)
    assert tokens_of(apart | {"total_tokens": 9}) == (4, 5)


@given(
    st.integers(0, 10**6),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=9),
    st.none() | st.integers(1, 10**5),
)
def test_shares_sum_up(total: int, weights: list[int], most: int | None) -> None:
    parts = shares(total, weights, most)
    assert sum(parts) == total
    assert len(parts) == len(weights)
    assert min(parts) >= 0
    if most is not None and total <= most * len(parts):
        assert max(parts) <= most


@given(
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.lists(st.integers(0, 999), min_size=2, max_size=9),
    st.floats(0, 1e4),
    st.floats(0, 1e4),
)
def test_payments_sum_up(
    into: int, out: int, weights: list[int], per_in: float, per_out: float
) -> None:
    price = Price(input=per_in, output=per_out, flops=3)
    pairs = usages(Tokens(into, out), weights, price)
    total = Usage.sum(paid for _, paid in pairs if paid)
    assert (total.calls, total.input_tokens, total.output_tokens) == (len(weights), into, out)
    assert total.microusd == price.microusd(into, out)
    assert total.flops == price.operations(into, out)
    for usage, paid in pairs:
        assert paid is not None
        assert paid.output_tokens == usage.output_tokens
        assert usage.microusd == price.microusd(into, usage.output_tokens)


def test_unknown_tokens_and_prices_stay_unknown() -> None:
    [(usage, paid)] = usages(Tokens(3, None), [1], Price(input=1, output=1))
    assert (usage.microusd, paid) == (None, None)
    (_, first), (_, second) = usages(Tokens(None, 4), [1, 1], Price(input=1, output=1))
    assert first is not None
    assert second is not None
    assert (first + second).microusd is None
    assert usages(Tokens(3, 4), [1], None)[0][0].microusd is None


# Verdicts


def position(token: str, p: float, **others: float) -> dict[str, Any]:
    top = [{"token": token, "logprob": math.log(p)}]
    top += [{"token": text, "logprob": math.log(q)} for text, q in others.items()]
    return {"token": token, "logprob": math.log(p), "top_logprobs": top}


def probs(verdicts: tuple[str, ...], *content: Any, prefix: str = "") -> dict[str, float]:
    request = Request(REQUEST.model, (), prefix=prefix, verdicts=verdicts)
    return dict(verdict_probs(request, {"content": list(content)}))


def test_the_first_token_decides() -> None:
    got = probs(("yes", "no"), position(" yes", 0.6, no=0.2, maybe=0.2))
    assert got == pytest.approx({"yes": 0.75, "no": 0.25})
    assert probs(("yes", "no"), position("y", 0.3, ye=0.3, n=0.2))["yes"] == pytest.approx(0.75)


def test_verdicts_that_begin_alike_are_followed() -> None:
    verdicts = ("[Correct]", "[Incorrect]")
    got = probs(verdicts, position("[", 0.9), position("In", 0.8, Correct=0.2), position("c", 1.0))
    assert got == pytest.approx({"[Correct]": 0.2, "[Incorrect]": 0.8})
    after = probs(verdicts, position("In", 0.8, Correct=0.2), prefix="[")
    assert after == pytest.approx({"[Correct]": 0.2, "[Incorrect]": 0.8})


def test_what_says_nothing_about_verdicts() -> None:
    assert probs(("yes", "no"), position("Well", 1.0), position("yes", 1.0)) == {}
    assert probs(("yes", "no")) == {}
    assert probs(("yes", "no"), {"token": "yes", "logprob": "NaN"}) == {}
    oddities: list[Any] = [None, [], {"content": [5]}, {"tokens": ["yes"]}, {"content": "yes"}]
    for odd in oddities:
        request = Request(REQUEST.model, (), verdicts=("yes", "no"))
        assert verdict_probs(request, odd) == ()


# Tokens and stop strings


def test_the_tokens_of_a_reply_are_shown() -> None:
    request = Request(REQUEST.model, (), logprobs=2)
    shown = [position("4", 0.5, x=0.1, seven=0.3), position("2", 0.25)]
    body = {"choices": [choice("42") | {"logprobs": {"content": shown}}]}
    [reply] = read(body, request, 1, None, whole=False)
    assert isinstance(reply, Reply)
    first, second = reply.logprobs
    assert (first.text, first.id, second.text) == ("4", None, "2")
    assert first.logprob == pytest.approx(math.log(0.5))
    assert [text for text, _ in first.top] == ["4", "seven"]
    [(text, logprob)] = second.top
    assert text == "2"
    assert logprob == pytest.approx(math.log(0.25))
    assert Reply.from_json(json.loads(json.dumps(reply.to_json()))) == reply


def test_the_tokens_of_a_reply_are_numbered() -> None:
    """vLLM's list has the token that ends a reply, but none after a stop string."""
    model = REQUEST.model.model_copy(update={"stop": ("\n",)})
    request = Request(model, (), tokens=True, logprobs=1)
    shown = {"content": [position("4", 0.5), position("2", 0.25), position("<end>", 0.9)]}
    said = choice("42") | {"logprobs": shown, "token_ids": [7, 8, 2]}
    [ended] = read({"choices": [said]}, request, 1, None, whole=False)
    assert isinstance(ended, Reply)
    assert ended.tokens == (7, 8)
    assert [token.id for token in ended.logprobs] == [7, 8, 2]
    [stopped] = read({"choices": [said | {"stop_reason": "\n"}]}, request, 1, None, whole=False)
    assert isinstance(stopped, Reply)
    assert (stopped.stop, stopped.tokens) == ("\n", (7, 8, 2))


@pytest.mark.parametrize("numbers", [None, [], "7", [7.5], [-1], [True]])
def test_numbers_of_tokens_must_come(numbers: object) -> None:
    request = Request(REQUEST.model, (), tokens=True)
    body = {"choices": [choice("42") | {"token_ids": numbers}]}
    [error] = read(body, request, 1, None, whole=False)
    assert isinstance(error, ModelError)
    assert "no token numbers" in str(error)


def test_tokens_that_were_asked_for_must_come() -> None:
    request = Request(REQUEST.model, (), logprobs=2)
    [error] = read({"choices": [choice("42")]}, request, 1, None, whole=False)
    assert isinstance(error, ModelError)
    assert "no log-probabilities" in str(error)
    [empty] = read({"choices": [choice("", "length")]}, request, 1, None, whole=False)
    assert isinstance(empty, Reply)


@pytest.mark.parametrize(
    ("named", "stop"),
    [
        ({"stop_reason": "\n"}, "\n"),
        ({"matched_stop": "END"}, "END"),
        ({"stop_reason": None}, ""),
        ({"stop_reason": 2}, ""),
        ({"stop_reason": "never asked for"}, ""),
    ],
)
def test_the_stop_string_that_was_met(named: dict[str, Any], stop: str) -> None:
    model = Model("hosted_vllm/x", max_tokens=50, stop=("\n", "END"))
    body = {"choices": [choice("42") | named]}
    [reply] = read(body, Request(model, ()), 1, None, whole=False)
    assert isinstance(reply, Reply)
    assert reply.stop == stop
