"""What each fault of the provider does on the wire, and which request gets which."""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import json
import time
from collections.abc import Callable
from typing import Any, get_args

import aiohttp
import pytest

from archon.testing.provider import FAULTS, Kind, Provider
from tests.testing.conftest import BOMB, CHAT, HELLO, LARGE, Answer, Client, eventually, statuses


def refusal(status: int, *parts: str) -> Callable[[Answer], bool]:
    def check(answer: Answer) -> bool:
        seen = answer.head + str(answer.json)
        return answer.status == status and all(part in seen for part in parts)

    return check


def broken_json(answer: Answer) -> bool:
    try:
        return answer.json is None
    except (ValueError, RecursionError):
        return answer.status == 200 and answer.end == "whole"


def usage(fits: Callable[[Any], bool]) -> Callable[[Answer], bool]:
    return lambda answer: all(fits(count) for count in answer.json["usage"].values())


def dated(answer: Answer) -> bool:
    date = answer.head.partition("Retry-After: ")[2].split("\r")[0]
    return 0 < email.utils.parsedate_to_datetime(date).timestamp() - time.time() <= 2


def odd(part: str) -> Callable[[Answer], bool]:
    return lambda answer: part in answer.text and answer.text.startswith("answer ")


def same(answer: Answer) -> bool:
    return answer.said.startswith("answer ") and b"[DONE]" in answer.plain


def finish(answer: Answer) -> str:
    return str(answer.json["choices"][0]["finish_reason"])


CHECKS: dict[str, Callable[[Answer], bool]] = {
    "rate_limit": lambda a: a.status == 429 and a.head.endswith("Retry-After: 1"),
    "rate_limit_date": dated,
    "rate_limit_bare": lambda a: a.status == 429 and "Retry-After" not in a.head,
    "rate_limit_hour": refusal(429, "Retry-After: 3600"),
    "server_error": refusal(500, "server_error"),
    "bad_gateway": refusal(502),
    "unavailable": refusal(503),
    "gateway_timeout": refusal(504),
    "overloaded": refusal(529, "overloaded_error"),
    "mislabelled": refusal(503, "invalid_request_error"),
    "request_timeout": refusal(408),
    "conflict": refusal(409),
    "quota": refusal(429, "insufficient_quota"),
    "unauthorized": refusal(401, "My-Key"),
    "payment_required": refusal(402),
    "forbidden": refusal(403),
    "unknown_model": refusal(404, "model_not_found"),
    "bad_parameter": refusal(400, "unsupported_parameter"),
    "context_length": refusal(400, "context_length_exceeded"),
    "filtered_prompt": refusal(400, "content_filter"),
    "redirect": lambda a: a.status == 307 and f"Location: /elsewhere{CHAT}" in a.head,
    "hang": lambda a: a.end == "open" and not a.head,
    "slow_loris": lambda a: a.end == "open" and a.head == "HTTP/1.1",
    "reset": lambda a: a.end == "reset" and not a.head,
    "reset_in_body": lambda a: a.end == "reset" and a.status == 200 and len(a.body) > 50,
    "closed": lambda a: a.end == "closed" and not a.head,
    "truncated": lambda a: a.end == "closed" and a.status == 200 and len(a.body) > 50,
    "not_http": lambda a: a.end == "closed" and not a.status,
    "short_length": lambda a: a.json and int(a.head.split("Length: ")[1].split("\r")[0]) < 200,
    "early_hints": lambda a: a.status == 103 and b"HTTP/1.1 200 OK" in a.body,
    "malformed_json": broken_json,
    "html": lambda a: "text/html" in a.head and a.body.startswith(b"<html>"),
    "empty_body": lambda a: a.status == 200 and a.end == "whole" and not a.body,
    "error_in_200": lambda a: a.status == 200 and a.json["error"]["type"] == "server_error",
    "bad_utf8": lambda a: b"bad \xff" in a.body and broken_json(a),
    "byte_order_mark": lambda a: a.body[:3] == b"\xef\xbb\xbf",
    "deep_json": broken_json,
    "large_answer": lambda a: len(a.text) > LARGE,
    "gzip_bomb": lambda a: (
        "gzip" in a.head
        and len(a.body) < BOMB / 100
        and len(json.loads(gzip.decompress(a.body))["choices"][0]["message"]["content"]) == BOMB
    ),
    "blank_start": lambda a: a.body.isspace() is False and a.body[:1] == b"\n" and odd("answer")(a),
    "wrong_type": lambda a: "text/plain" in a.head and odd("answer")(a),
    "json_null": lambda a: a.json is None,
    "no_choices": lambda a: a.json["choices"] == [],
    "missing_choices": lambda a: "choices" not in a.json and "usage" in a.json,
    "null_message": lambda a: a.json["choices"][0]["message"] is None,
    "nan": lambda a: b'"prompt_tokens": NaN' in a.body,
    "null_content": lambda a: a.text is None,
    "integer_content": lambda a: a.text == 42,
    "list_content": lambda a: isinstance(a.text, list),
    "unknown_finish": lambda a: finish(a) == "moved" and odd("answer")(a),
    "missing_usage": lambda a: "usage" not in a.json and odd("answer")(a),
    "negative_usage": usage(lambda count: count < 0),
    "text_usage": usage(lambda count: isinstance(count, str)),
    "boolean_usage": usage(lambda count: count is True),
    "absurd_usage": usage(lambda count: count == 10**15),
    "filtered_reply": lambda a: a.text == "" and finish(a) == "content_filter",
    "refusal": lambda a: a.text is None and a.json["choices"][0]["message"]["refusal"],
    "cut_text": lambda a: finish(a) == "length" and len(a.text) == 8,
    "empty_text": lambda a: a.text == "" and finish(a) == "stop",
    "lone_surrogate": lambda a: odd("\ud800")(a) and b"\\ud800" in a.body,
    "nul": odd("\0"),
    "bidi": odd("\u202e"),
    "template_tokens": odd("<|im_start|>"),
    "wrong_model": lambda a: a.json["model"] == "another-model",
    "cut_stream": lambda a: a.end == "closed" and "chunked" not in a.head and 0 < len(a.said) < 10,
    "broken_stream": lambda a: a.end == "closed" and "chunked" in a.head and 0 < len(a.said) < 10,
    "stalled_stream": lambda a: a.end == "open" and a.said == "" and len(a.events) == 1,
    "stream_error": lambda a: "error" in a.events[-1] and a.end == "whole",
    "stream_garbage": lambda a: b"%%%" in a.plain and b"[DONE]" in a.plain,
    "stream_only_done": lambda a: a.plain == b"data: [DONE]\n\n",
    "stream_not_done": lambda a: a.said.startswith("answer") and b"[DONE]" not in a.plain,
    "stream_comments": lambda a: same(a) and a.plain.startswith(b": "),
    "stream_bytewise": lambda a: same(a) and b"1\r\nd\r\n1\r\na\r\n" in a.body,
}
OPEN = ("hang", "slow_loris", "stalled_stream")


def test_there_is_a_check_of_each_fault() -> None:
    assert CHECKS.keys() == FAULTS.keys()
    assert len(FAULTS) >= 40
    for name, fault in FAULTS.items():
        assert fault.name == name
        assert fault.kind in get_args(Kind)
        assert fault.help
        assert "\n" not in fault.help


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_does_what_it_says(provider: Provider, client: Client, name: str) -> None:
    fault = FAULTS[name]
    provider.set(one_shot=[name])
    patience = 0.15 if name in OPEN else 5.0
    stream = fault.streaming is True
    answer = client.ask(CHAT, "Authorization: Bearer My-Key", patience=patience, stream=stream)
    assert CHECKS[name](answer), answer
    client.sock.close()
    eventually(lambda: bool(provider.stats()["in_flight"] == 0))
    [entry] = provider.log()
    assert (entry["fault"], entry["billed"]) == (name, fault.billed)
    assert entry["delivered"] is (fault.kind == "reply")
    stats = provider.stats()
    assert stats["faults"] == {name: 1}
    assert stats["kinds"] == {fault.kind: 1}
    assert bool(stats["tokens_out"]) is fault.billed


@pytest.mark.parametrize("name", [n for n, f in FAULTS.items() if f.streaming is None])
def test_faults_of_both_forms_also_happen_to_streams(
    provider: Provider, client: Client, name: str
) -> None:
    provider.set(one_shot=[name])
    patience = 0.1 if name in OPEN else 5.0
    options = {"include_usage": True}
    answer = client.ask(stream=True, stream_options=options, patience=patience)
    if FAULTS[name].kind == "reply" and name != "early_hints":
        assert b"[DONE]" in answer.plain
    if name == "missing_usage":
        assert all(event["usage"] is None for event in answer.events)
    if name == "wrong_model":
        assert {event["model"] for event in answer.events} == {"another-model"}


def test_the_slow_answer_arrives_in_drops(provider: Provider, client: Client) -> None:
    provider.set(one_shot=["slow_loris"])
    assert len(client.ask(patience=0.75).head) == 16
    provider.set(one_shot=["slow_loris"], drip_seconds=0.001)
    with Client(provider.url) as other:
        assert other.ask().text.startswith("answer ")
        assert other.sock.recv(1) == b""


def test_a_client_that_follows_a_redirect_is_found_out(provider: Provider) -> None:
    async def follow() -> str:
        async with aiohttp.ClientSession() as session:
            asked = session.post(provider.url + CHAT, json={"model": "m", "messages": HELLO})
            async with asked as answer:
                return str((await answer.json())["choices"][0]["message"]["content"])

    provider.set(one_shot=["redirect"])
    assert asyncio.run(follow()).startswith("answer ")
    stats = provider.stats()
    assert (stats["redirects_followed"], stats["requests"], stats["billed"]) == (1, 2, 1)


# Which request gets which fault


def logged(order: list[int], **settings: Any) -> dict[str, list[str]]:
    """Return the faults of each prompt, asked in some order."""
    found: dict[str, list[str]] = {}
    with Provider(**settings) as provider, Client(provider.url) as client:
        for i in order:
            client.ask(messages=[{"role": "user", "content": f"Question {i}"}])
        for entry in provider.log():
            found.setdefault(entry["text"], []).append(entry["fault"])
    return found


HARMLESS = {"rate_limit": 0.2, "server_error": 0.2, "nul": 0.1, "stream_not_done": 0.1}


def test_faults_follow_from_seed_prompt_and_repetition() -> None:
    order = [i for i in range(20) for _ in range(4)]
    found = logged(order, faults=HARMLESS)
    assert found == logged(sorted(order, key=lambda i: -i), faults=HARMLESS)
    assert found != logged(order, faults=HARMLESS, seed=1)
    seen = [fault for faults in found.values() for fault in faults]
    assert set(seen) == {"", "rate_limit", "server_error", "nul"}
    assert 20 < sum(map(bool, seen)) < 60


def test_a_share_is_spread_over_the_kinds() -> None:
    found = logged(list(range(300)), fault_share=0.3, kinds=("fatal", "-quota", "nul"))
    faults = [fault for faults in found.values() for fault in faults if fault]
    assert 60 < len(faults) < 120
    expected = {name for name, fault in FAULTS.items() if fault.kind == "fatal"} - {"quota"}
    assert set(faults) == expected | {"nul"}


def test_usual_faults_suit_the_request() -> None:
    found = logged(list(range(30)), fault_share=1.0, kinds="reply", max_in_a_row=1)
    kinds = {FAULTS[fault].streaming for faults in found.values() for fault in faults}
    assert True not in kinds


def test_no_more_than_so_many_in_a_row(provider: Provider, client: Client) -> None:
    provider.set(faults={"server_error": 1.0})
    assert statuses(client, 8) == [500, 500, 500, 200, 500, 500, 500, 200]
    provider.set(max_in_a_row=0)
    assert statuses(client, 2) == [200, 200]


def test_one_shot_faults_come_in_order(provider: Provider, client: Client) -> None:
    provider.set(one_shot=["server_error", "", "bad_gateway"])
    assert statuses(client, 4) == [500, 200, 502, 200]
