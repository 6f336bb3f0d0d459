"""Usage is an algebra in which unknown absorbs; every value has a JSON form that comes back."""

from __future__ import annotations

import json
import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.errors import ConfigError
from archon.plain import canonical, clean_text, finite
from archon.types import (
    AnswerKind,
    Candidate,
    Finish,
    JsonPart,
    Message,
    Note,
    NoteKind,
    Reply,
    State,
    Task,
    TextPart,
    ToolCall,
    Usage,
)

amounts = st.none() | st.integers(0, 10**9)
usages = st.builds(Usage, st.integers(0, 1000), amounts, amounts, amounts, st.just(0.0))
texts = st.text(max_size=20)
parts = st.one_of(
    st.builds(TextPart, texts),
    st.builds(JsonPart, st.just('{"a":1}')),
    st.builds(ToolCall, texts, texts, texts),
)
replies = st.builds(
    Reply,
    parts=st.lists(parts, max_size=3).map(tuple),
    model=texts,
    finish=st.sampled_from(get_args(Finish)),
    reasoning=texts,
    usage=usages,
    verdict_probs=st.lists(st.tuples(texts, st.floats(0, 1)), max_size=2).map(tuple),
)
notes = st.builds(
    Note,
    kind=st.sampled_from(get_args(NoteKind)),
    text=texts,
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    passed=st.none() | st.booleans(),
    results=st.lists(st.none() | st.booleans(), max_size=3).map(tuple),
    node=texts,
)
candidates = st.builds(
    Candidate, replies, texts, st.lists(texts, max_size=2).map(tuple),
    st.lists(notes, max_size=3).map(tuple),
)  # fmt: skip
tasks = st.builds(
    Task,
    messages=st.lists(
        st.builds(Message, st.sampled_from(["system", "user", "assistant"]), texts), min_size=1
    ).map(tuple),
    id=texts,
    answer=st.sampled_from(get_args(AnswerKind)),
    schema=texts,
    metadata=st.dictionaries(texts, st.integers() | texts, max_size=2),
)
states = st.builds(
    State, tasks, st.lists(candidates, max_size=3).map(tuple),
    st.lists(texts, max_size=2).map(tuple), st.lists(texts, max_size=2).map(tuple), texts,
)  # fmt: skip


@given(usages, usages, usages)
def test_usage_adds_like_numbers(a: Usage, b: Usage, c: Usage) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Usage() == a
    assert Usage.sum([a, b, c]) == a + b + c


@given(usages, usages)
def test_unknown_absorbs_sums(a: Usage, b: Usage) -> None:
    for name in ("input_tokens", "output_tokens", "microusd"):
        unknown = getattr(a, name) is None or getattr(b, name) is None
        assert (getattr(a + b, name) is None) == unknown


def test_unknown_dollars_are_not_zero() -> None:
    assert Usage(calls=1, microusd=None).usd is None
    assert Usage(calls=1, output_tokens=None).tokens is None
    assert Usage(microusd=1_500_000).usd == 1.5


@given(states)
def test_state_comes_back_from_json(state: State) -> None:
    assert State.from_json(json.loads(canonical(state.to_json()))) == state


@given(replies)
def test_reply_comes_back_from_json(reply: Reply) -> None:
    assert Reply.from_json(json.loads(canonical(reply.to_json()))) == reply


@given(st.floats() | st.integers())
def test_finite_lets_only_finite_numbers_through(number: float) -> None:
    try:
        is_finite = math.isfinite(number)
    except OverflowError:
        is_finite = False
    if is_finite:
        assert finite(number) == float(number)
    else:
        with pytest.raises(ValueError, match="must be finite"):
            finite(number)


@pytest.mark.parametrize("value", [True, "1", None, [1.0], 1j, b"1"])
def test_finite_refuses_what_is_no_number(value: object) -> None:
    with pytest.raises(ValueError, match="must be a real number"):
        finite(value)


@pytest.mark.parametrize("score", [math.nan, math.inf, True, "0.5", 10**400])
def test_a_note_takes_no_bad_score(score: float) -> None:
    with pytest.raises(ValueError, match="score"):
        Note("score", score=score)


def test_notes_are_attached_to_a_copy() -> None:
    one = Candidate.of("a")
    two = one.with_note(Note("score", score=0.5, node="x")).with_note(Note("score", score=0.7))
    assert one.notes == ()
    assert (two.score(), two.score(by="x")) == (0.7, 0.5)
    assert two.note("critique") is None


def test_values_are_frozen() -> None:
    state = State(Task.of("2 + 2?"))
    with pytest.raises(AttributeError):
        state.candidates = ()  # type: ignore[misc]
    assert state.replace(tests=["a"]).tests == ("a",)
    assert state.tests == ()


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "there is no question"),
        ("  ", "there is no question"),
        ([{"role": "system", "content": "x"}], "there is no question"),
        ([{"role": "usr", "content": "x"}], "unknown role 'usr'; did you mean 'user'?"),
        ([{"content": "x"}], "a message is"),
        (["x"], "a message is"),
        ([{"role": "user", "content": 7}], "content must be text"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
            "only text is supported in messages, got a part of type 'image_url'",
        ),
    ],
)
def test_bad_messages_are_refused_in_one_line(messages: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")) as caught:
        Task.of(messages)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_text_parts_are_joined_and_a_system_message_goes_in_front() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    task = Task.of([{"role": "user", "content": parts}], system="S")
    assert task.messages == (Message("system", "S"), Message("user", "ab"))
    assert task.asking("c")[-1] == Message("user", "c")
    assert task.messages[-1].content == "ab"
    assert "system: S" in task.conversation


@given(st.text(st.characters(codec=None)))
def test_cleaned_text_is_utf8(text: str) -> None:
    assert clean_text(clean_text(text)).encode().decode() == clean_text(text)
    assert clean_text("a\ud800b") == "a?b"


def test_canonical_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical({"a": math.nan})
