"""The provider for tests, over real sockets: its protocol, its limits, and what it counts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from archon.testing.provider import FAULTS, Provider, ProviderProcess
from archon.testing.provider.__main__ import main
from tests.testing.conftest import CHAT, HELLO, Client, eventually, statuses

# The protocol


def test_a_chat_is_answered_from_its_prompt_alone(client: Client) -> None:
    first, again = client.ask(), client.ask(temperature=0.5)
    assert first.status == 200
    assert first.text == again.text
    assert first.text.startswith("answer ")
    assert first.json["choices"][0]["finish_reason"] == "stop"
    assert first.json["usage"] == {"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}
    other = client.ask(messages=[{"role": "user", "content": "Goodbye?"}])
    assert other.text != first.text


def test_parts_of_a_message_count_like_its_text(client: Client) -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo?"}]
    answer = client.ask(messages=[{"role": "user", "content": parts}])
    assert answer.json["usage"]["prompt_tokens"] == 2


def test_a_completion_of_the_old_kind(client: Client) -> None:
    answer = client.ask("/v1/completions", echo=True, logprobs=1, n=2)
    texts = [choice["text"] for choice in answer.json["choices"]]
    assert [text[-1] for text in texts] == ["0", "1"]
    assert all(text.startswith("Hello?answer") for text in texts)
    logprobs = answer.json["choices"][0]["logprobs"]
    assert "".join(logprobs["tokens"]) == texts[0]
    assert logprobs["text_offset"][:2] == [0, len(logprobs["tokens"][0])]
    stream = client.ask("/v1/completions", stream=True, prompt=["Hello?"])
    assert "".join(event["choices"][0]["text"] for event in stream.events) == texts[0][6:]


def test_models_are_listed(provider: Provider, client: Client) -> None:
    provider.set(models=["a", "b"])
    assert [model["id"] for model in client.get("/v1/models")["data"]] == ["a", "b"]


@pytest.mark.parametrize(("mode", "given"), [("honour", 3), ("ignore", 1), ("fewer", 2)])
def test_the_modes_of_n(provider: Provider, client: Client, mode: str, given: int) -> None:
    provider.set(n=mode)
    choices = client.ask(n=3).json["choices"]
    assert [choice["index"] for choice in choices] == list(range(given))
    assert len({choice["message"]["content"] for choice in choices}) == given
    assert len(client.ask(n=1).json["choices"]) == 1
    assert [entry["n"] for entry in provider.log()] == [3, 1]


def test_n_can_be_refused(provider: Provider, client: Client) -> None:
    provider.set(n="refuse")
    answer = client.ask(n=2)
    assert answer.status == 400
    assert "'n' must be 1" in answer.json["error"]["message"]
    assert client.ask().status == 200
    assert provider.stats()["refused"] == {"bad_request": 1}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_cuts_the_text(client: Client, name: str) -> None:
    answer = client.ask(CHAT, **{name: 2})
    assert answer.text == "answer " + client.ask().text[7]
    assert answer.json["choices"][0]["finish_reason"] == "length"
    assert answer.json["usage"]["completion_tokens"] == 2


def test_stop_ends_the_text(client: Client) -> None:
    assert client.ask(stop=" ").text == "answer"
    assert client.ask(stop=["zzz", "we"]).text == "ans"


def test_logprobs_come_with_alternatives(client: Client) -> None:
    answer = client.ask(logprobs=True, top_logprobs=20)
    content = answer.json["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in content) == answer.text
    for token in content:
        top = [other["logprob"] for other in token["top_logprobs"]]
        assert token["logprob"] == top[0] <= 0
        assert top == sorted(top, reverse=True)
        assert len({other["token"] for other in token["top_logprobs"]}) == 20
    assert client.ask(logprobs=True, top_logprobs=21).status == 400


SCHEMA = {
    "type": "object",
    "required": ["text", "count", "share", "sure", "label", "items", "inner", "empty", "one"],
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer", "minimum": 3},
        "share": {"type": "number"},
        "sure": {"type": "boolean"},
        "label": {"enum": ["A", "B"]},
        "items": {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 2},
        "inner": {"$ref": "#/$defs/Inner"},
        "empty": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        "one": {"const": 1},
        "left_out": {"type": "string"},
    },
    "$defs": {"Inner": {"properties": {"x": {"type": "number"}}, "required": ["x"]}},
}


def test_a_reply_fits_its_schema(client: Client) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    found = json.loads(client.ask(response_format=wanted).text)
    assert found.pop("text").startswith("answer ")
    assert [text[:6] for text in found.pop("items")] == ["answer", "answer"]
    assert found == {
        "count": 3,
        "share": 0,
        "sure": True,
        "label": "A",
        "inner": {"x": 0},
        "empty": None,
        "one": 1,
    }
    assert "answer" in json.loads(client.ask(response_format={"type": "json_object"}).text)


def test_a_reply_can_continue_the_assistant(client: Client) -> None:
    messages = [*HELLO, {"role": "assistant", "content": "Well,"}]
    assert client.ask(messages=messages, continue_final_message=True).text.startswith("[continued]")
    assert client.ask(messages=messages).text.startswith("answer")
    assert client.ask(continue_final_message=True).text.startswith("answer")


def test_a_stream_holds_the_same_reply(client: Client) -> None:
    plain = client.ask(n=2)
    stream = client.ask(n=2, stream=True, stream_options={"include_usage": True})
    assert stream.said == plain.text
    assert stream.plain.endswith(b"data: [DONE]\n\n")
    assert stream.events[-1]["usage"] == plain.json["usage"]
    assert stream.events[-1]["choices"] == []
    ends = [c["finish_reason"] for event in stream.events for c in event["choices"]]
    assert ends.count("stop") == 2
    assert "usage" not in client.ask(stream=True).events[-1]


def test_a_script_says_the_texts() -> None:
    def script(messages: list[dict[str, Any]], i: int) -> str:
        return f"{messages[-1]['content']} {i}"

    with Provider(script=script) as provider, Client(provider.url) as client:
        assert [c["message"]["content"] for c in client.ask(n=2).json["choices"]] == [
            "Hello? 0",
            "Hello? 1",
        ]


def test_no_two_replies_are_the_same_if_asked_for(provider: Provider, client: Client) -> None:
    provider.set(unique=True)
    texts = [c["message"]["content"] for _ in range(3) for c in client.ask(n=3).json["choices"]]
    assert len(set(texts)) == 9


@pytest.mark.parametrize(
    ("path", "data", "message"),
    [
        (CHAT, {"model": None}, "model"),
        (CHAT, {"messages": []}, "messages"),
        (CHAT, {"messages": ["Hello?"]}, "role"),
        (CHAT, {"n": 0}, "n must be"),
        (CHAT, {"n": True}, "n must be"),
        ("/v1/completions", {"prompt": 7}, "prompt"),
        ("/v1/nothing", {}, "Invalid URL"),
    ],
)
def test_bad_requests_are_refused(
    client: Client, path: str, data: dict[str, Any], message: str
) -> None:
    answer = client.ask(path, **data)
    assert answer.status == (404 if path == "/v1/nothing" else 400)
    assert message in answer.json["error"]["message"]
    assert client.ask().status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST /v1/models\r\n\r\n", 400),
        (b"POST /v1/models HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST /v1/models HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 411),
        (b"x" * 70_000, 431),
    ],
)
def test_what_is_not_http_is_refused_and_closed(client: Client, sent: bytes, status: int) -> None:
    client.sock.sendall(sent)
    answer = client.receive()
    assert answer.status == status
    assert client.sock.recv(1) == b""


def test_requests_come_in_pieces_and_ahead_of_answers(provider: Provider, client: Client) -> None:
    provider.set(latency=0.02)
    body = json.dumps({"model": "m", "messages": HELLO}).encode()
    request = b"POST %b HTTP/1.1\r\ncOnTeNt-LeNgTh: %d\r\n\r\n%b" % (CHAT.encode(), len(body), body)
    for at in range(0, len(request), 40):
        client.sock.sendall(request[at : at + 40])
        time.sleep(0.002)
    assert client.receive().status == 200
    client.sock.sendall(request * 3)
    eventually(lambda: bool(provider.stats()["delivered"] == 4))
    assert provider.stats()["peak"] == 1


def test_a_client_can_ask_first_whether_to_send(client: Client) -> None:
    client.send("POST", CHAT, b"", "Expect: 100-continue")
    assert b"100 Continue" in client.sock.recv(100)


def test_a_connection_is_closed_on_demand(client: Client) -> None:
    assert client.ask(CHAT, "Connection: close").status == 200
    assert client.sock.recv(1) == b""


# Limits, keys, settings


def test_a_key_can_be_required(provider: Provider, client: Client) -> None:
    provider.set(api_key="Secret-1")
    answer = client.ask(CHAT, "Authorization: Bearer Wrong-2")
    assert answer.status == 401
    assert "Wrong-2" in answer.json["error"]["message"]
    assert client.ask().status == 401
    assert client.ask(CHAT, "authorization: Bearer Secret-1").status == 200
    assert provider.stats()["refused"] == {"api_key": 2}
    assert [entry["fault"] for entry in provider.log()] == ["api_key", "api_key", ""]


def test_requests_per_minute_can_be_limited(provider: Provider, client: Client) -> None:
    provider.set(rpm=6, burst=2)
    time.sleep(0.01)
    answers = [client.ask() for _ in range(4)]
    assert [answer.status for answer in answers].count(429) >= 2
    assert 1 <= int(answers[-1].head.partition("Retry-After: ")[2].split("\r")[0]) <= 10
    provider.set(rpm=600_000, burst=1000)
    time.sleep(0.01)
    assert statuses(client, 3) == [200] * 3


def test_requests_in_flight_can_be_limited(provider: Provider, client: Client) -> None:
    provider.set(max_in_flight=1, one_shot=["hang"])
    with Client(provider.url) as other:
        other.ask(patience=0)
        eventually(lambda: bool(provider.stats()["in_flight"] == 1))
        answer = client.ask()
        assert answer.status == 429
        assert "Retry-After: 1" in answer.head
    eventually(lambda: bool(provider.stats()["in_flight"] == 0))
    assert client.ask().status == 200
    assert provider.stats()["refused"] == {"max_in_flight": 1}


def test_latency_and_jitter(provider: Provider, client: Client) -> None:
    provider.set(latency=0.03, jitter=0.05)
    began = time.monotonic()
    client.ask()
    assert time.monotonic() - began >= 0.03


def test_settings_change_over_http(provider: Provider, client: Client) -> None:
    client.send("POST", "/settings", json.dumps({"n": "ignore", "one_shot": ["closed"]}).encode())
    assert client.receive().json == {}
    assert provider.stats()["one_shot_left"] == 1
    assert client.ask(n=3).end == "closed"
    with Client(provider.url) as again:
        assert len(again.ask(n=3).json["choices"]) == 1
        for wrong in (b"[]", b"{", b'{"speed": 1}', b'{"faults": {"hangs": 1}}'):
            again.send("POST", "/settings", wrong)
            assert again.receive().status == 400


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"speed": 1}, "unknown settings: speed"),
        ({"latency": -1}, "latency must be"),
        ({"latency": "fast"}, "latency must be"),
        ({"n": "some"}, "n must be one of"),
        ({"rpm": 0}, "rpm must be"),
        ({"rpm": "many"}, "not supported"),
        ({"burst": 0}, "burst must be"),
        ({"kinds": 7}, "not iterable"),
        ({"faults": {"hangs": 0.1}}, "unknown fault 'hangs'"),
        ({"faults": {"hang": 0.6, "closed": 0.6}}, "sum up to 1"),
        ({"faults": {"hang": 0.6}, "fault_share": 0.1}, "either"),
        ({"fault_share": 0.1, "kinds": ["transients"]}, "did you mean 'transient'"),
        ({"one_shot": ["nothing"]}, "unknown fault"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Provider(**wrong)


def test_an_address_in_use_is_an_error(provider: Provider) -> None:
    port = int(provider.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"), Provider(port=port):
        pass


# What it counts


def test_stats_and_log_tell_what_happened(provider: Provider, client: Client) -> None:
    client.ask(n=2)
    client.ask(messages=[{"role": "user", "content": "x" * 300}])
    provider.set(one_shot=["unavailable"])
    client.ask()
    stats = client.get("/stats")
    expected = {
        "requests": 3,
        "in_flight": 0,
        "peak": 1,
        "connections": 1,
        "connections_total": 1,
        "delivered": 2,
        "billed": 2,
        "tokens_in": 77,
        "tokens_out": 15,
        "faults": {"unavailable": 1},
        "kinds": {"transient": 1},
    }
    assert expected.items() <= stats.items()
    first, second, third = client.get("/log")
    assert first["id"] < second["id"] < third["id"]
    assert first["prompt"] == third["prompt"] != second["prompt"]
    assert len(first["prompt"]) == 16
    assert (first["text"], first["n"], first["fault"], first["billed"]) == ("Hello?", 2, "", True)
    assert second["text"] == "x" * 200
    assert (third["fault"], third["billed"], third["delivered"]) == ("unavailable", False, False)
    client.send("POST", "/reset")
    assert client.receive().status == 200
    assert client.get("/log") == []
    assert client.get("/stats")["requests"] == 0
    assert client.get("/stats")["connections_total"] == 1


def test_what_nobody_waits_for_is_billed_and_not_delivered(
    provider: Provider, client: Client
) -> None:
    provider.set(latency=0.2)
    client.ask(patience=0)
    eventually(lambda: bool(provider.stats()["in_flight"] == 1))
    client.sock.close()
    eventually(lambda: bool(provider.stats()["in_flight"] == 0))
    [entry] = provider.log()
    assert (entry["billed"], entry["delivered"]) == (True, False)
    assert provider.stats()["delivered"] == 0


def test_a_thousand_requests_are_held_at_once(provider: Provider) -> None:
    provider.set(faults={"hang": 1.0}, max_in_a_row=1_000_000)
    clients = [Client(provider.url) for _ in range(1_000)]
    body = json.dumps({"model": "m", "messages": HELLO}).encode()
    for client in clients:
        client.send("POST", CHAT, body)
    eventually(lambda: bool(provider.stats()["in_flight"] == 1_000))
    assert provider.stats()["connections"] == 1_000
    for client in clients:
        client.sock.close()
    eventually(lambda: bool(provider.stats()["in_flight"] == 0))
    assert provider.stats()["peak"] == 1_000


def test_stats_remain_when_it_has_ended() -> None:
    with Provider() as provider, Client(provider.url) as client:
        client.ask(patience=5)
    assert provider.stats()["requests"] == 1
    assert len(provider.log()) == 1


# As a process


def test_a_process_of_its_own() -> None:
    with ProviderProcess(latency=0.001, one_shot=["server_error"], n="ignore") as provider:
        assert provider.pid != os.getpid()
        with Client(provider.url) as client:
            assert statuses(client, 2) == [500, 200]
            assert len(client.ask(n=2).json["choices"]) == 1
        assert provider.stats()["requests"] == 3
        assert [entry["fault"] for entry in provider.log()] == ["server_error", "", ""]
        provider.set(n="honour")
        with pytest.raises(ValueError, match="unknown settings: speed"):
            provider.set(speed=1)
        provider.reset()
        assert provider.stats()["requests"] == 0
    with pytest.raises(ProcessLookupError):
        os.kill(provider.pid, 0)


def test_the_command_line_and_the_end_of_stdin() -> None:
    command = [sys.executable, "-m", "archon.testing.provider", "--until-stdin-closes"]
    command += ["--faults", "closed=0.5,hang=0.5", "--max-in-a-row", "0", "--unique"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert said["pid"] == process.pid
        with Client(said["url"]) as client:
            assert "#1.0" in client.ask().text
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_signal_ends_it_in_good_order(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = []

    def announced(url: str) -> None:
        urls.append(url)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("archon.testing.provider.__main__._announce", announced)
    main(["--latency", "0.1", "--settings", '{"n": "ignore"}', "--one-shot", "hang,closed"])
    assert urls[0].startswith("http://127.0.0.1:")


def test_faults_are_listed_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--list-faults"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(FAULTS)


def test_wrong_options_end_with_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--kinds", "nothing", "--fault-share", "0.1"])
    assert "unknown fault 'nothing'" in capsys.readouterr().err


def test_a_process_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(RuntimeError, match="ended with code 1"), ProviderProcess():
        pass
