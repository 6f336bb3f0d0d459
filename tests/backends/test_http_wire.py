"""What the direct backend puts on the wire, and how it reads bytes that a test wrote."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from archon.backends.http import HTTP
from archon.errors import ConfigError, ModelError
from archon.model import Draw, Model, Outcome, Request
from archon.types import Message, Reply, TextPart, ToolCall

KEY = "test-0123456789-secret-value"
GOOD = {
    "choices": [{"message": {"content": "42"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 3},
}


class Server:
    """Answers each request with the next of `answers`, the last one again and again."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.seen: list[tuple[dict[str, str], Any]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")[1:-2]
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
                data = await reader.readexactly(int(headers["content-length"]))
                self.seen.append((headers, json.loads(data)))
                writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def http(body: Any, status: int = 200, *headers: str, kind: str = "application/json") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(data)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + data


def events(*chunks: Any, end: bytes = b"data: [DONE]\n\n", line: bytes = b"\n") -> bytes:
    said = b"".join(b"data: " + json.dumps(chunk).encode() + line * 2 for chunk in chunks)
    return http(said + end, kind="text/event-stream")


def delta(index: int = 0, finish: str | None = None, **said: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": said, "finish_reason": finish}]}


def ask(server: Server, *requests: Request, count: int = 1) -> list[list[Outcome]]:
    """Send requests one after the other, to the server in place of their `base_url`."""

    async def work() -> list[list[Outcome]]:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        backend, outcomes = HTTP(), []
        draws = tuple(Draw(0, i) for i in range(count))
        for request in requests:
            model = request.model
            if model.base_url == "?":
                model = model.model_copy(update={"base_url": url})
            there = Request(**{**vars(request), "model": model})
            outcomes.append(await backend.complete(there, draws))
        await backend.close()
        listening.close()
        await asyncio.sleep(0.01)
        return outcomes

    return asyncio.run(work())


def request(name: str = "openai/test", **settings: Any) -> Request:
    fields = {k: settings.pop(k) for k in ("prefix", "schema", "verdicts") if k in settings}
    usual = {"base_url": "?", "max_tokens": 50}
    messages = (Message("system", "short"), Message("user", "6 * 7?"))
    return Request(Model(name, **(usual | settings)), messages, **fields)


def sent(asked: Request, *answers: bytes, count: int = 1) -> tuple[dict[str, str], Any]:
    server = Server(*(answers or [http(GOOD)]))
    ask(server, asked, count=count)
    return server.seen[-1]


def one(answer: bytes, **settings: Any) -> Outcome:
    [[outcome]] = ask(Server(answer), request(**settings))
    return outcome


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_VARIABLE", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "provider-key-123")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")


def test_every_setting_is_sent() -> None:
    asked = request(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        min_p=0.1,
        stop=("END",),
        params={"seed": 5},
        headers={"X-Extra": "yes"},
        api_key_env="MY_VARIABLE",
        schema='{"type":"object"}',
    )
    headers, body = sent(asked, count=3)
    assert headers["x-extra"] == "yes"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"] == "application/json"
    assert "openai-organization" not in headers
    assert body == {
        "model": "test",
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.1,
        "max_tokens": 50,
        "stop": ["END"],
        "seed": 5,
        "n": 3,
        "messages": [
            {"role": "system", "content": "short"},
            {"role": "user", "content": "6 * 7?"},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
        },
    }


def test_what_is_not_given_is_not_sent() -> None:
    headers, body = sent(request())
    assert body.keys() == {"model", "max_tokens", "messages"}
    assert "authorization" not in headers, "a provider's key goes to nobody else"
    assert "cookie" not in headers


def test_long_replies_are_streamed() -> None:
    for settings in ({"max_tokens": None}, {"max_tokens": 2049}, {"effort": "low"}):
        _, body = sent(request(**settings))
        assert body["stream"] is True
        assert body["stream_options"] == {"include_usage": True}
    assert "stream" not in sent(request(max_tokens=2048))[1]


def test_the_providers_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """What OpenAI itself gets, at the address that LiteLLM's variable names."""

    async def work() -> tuple[dict[str, str], Any]:
        server = Server(http(GOOD))
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        backend = HTTP()
        await backend.complete(request(base_url=None), (Draw(0, 0),))
        await backend.close()
        listening.close()
        return server.seen[0]

    headers, body = asyncio.run(work())
    assert headers["authorization"] == "Bearer provider-key-123"
    assert body["max_tokens"] == 50


@pytest.mark.parametrize(
    ("name", "more", "last"),
    [
        (
            "hosted_vllm/x",
            {"continue_final_message": True, "add_generation_prompt": False},
            {"role": "assistant", "content": "It is "},
        ),
        ("mistral/x", {}, {"role": "assistant", "content": "It is ", "prefix": True}),
    ],
)
def test_a_prefix(name: str, more: dict[str, Any], last: dict[str, Any]) -> None:
    server = Server(http(GOOD))
    [[outcome]] = ask(server, request(name, prefix="It is "))
    assert isinstance(outcome, Reply)
    assert outcome.text == "It is 42"
    body = server.seen[0][1]
    assert body["messages"][-1] == last
    assert body.items() >= more.items()


def test_a_server_may_repeat_the_prefix() -> None:
    choice = {"message": {"content": "It is 42"}, "finish_reason": "stop"}
    [[outcome]] = ask(Server(http({"choices": [choice]})), request("mistral/x", prefix="It is "))
    assert isinstance(outcome, Reply)
    assert outcome.text == "It is 42"


def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    model = Model("openai/x", base_url="http://far.example/v1")
    [[error]] = ask(Server(http(GOOD)), Request(model, (Message("user", "?"),)))
    assert isinstance(error, ModelError)
    assert (error.kind, error.billed) == ("transient", False)
    assert "127.0.0.1:9" in str(error)
    assert isinstance(one(http(GOOD)), Reply), "the local server is asked directly"
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:9")
    with pytest.raises(ConfigError, match="socks5 proxy"):
        HTTP().check(model)


def test_lone_surrogates_are_never_sent() -> None:
    asked = Request(Model("openai/x", base_url="?", max_tokens=5), (Message("user", "a\ud800ü"),))
    assert sent(asked)[1]["messages"][0]["content"] == "a?ü"


def refusal(message: str, status: int = 400, *headers: str, **rest: Any) -> bytes:
    return http({"error": {"message": message, **rest}}, status, *headers)


@pytest.mark.parametrize(
    ("settings", "message", "word", "instead"),
    [
        ({"max_tokens": None}, "Unknown field stream_options", "stream_options", "stream"),
        ({"verdicts": ("a", "b")}, "logprobs are not supported", "logprobs", "messages"),
        ({}, "Use 'max_completion_tokens' instead", "max_tokens", "max_completion_tokens"),
    ],
)
def test_what_a_server_does_not_take_is_left_out_next_time(
    settings: dict[str, Any], message: str, word: str, instead: str
) -> None:
    server = Server(refusal(message), http(GOOD))
    [[first], [second]] = ask(server, *[request(**settings)] * 2)
    assert isinstance(first, ModelError)
    assert (first.kind, first.billed, first.retry_after) == ("transient", False, 0.0)
    assert isinstance(second, Reply)
    assert word in server.seen[0][1]
    assert word not in server.seen[1][1]
    assert instead in server.seen[1][1]


def test_a_refusal_that_names_no_word_is_final() -> None:
    [[error]] = ask(Server(refusal("do not like it")), request())
    assert isinstance(error, ModelError)
    assert (error.kind, error.billed) == ("fatal", False)


@pytest.mark.parametrize(
    ("answer", "kind", "billed"),
    [
        (refusal("x", 401), "fatal", False),
        (refusal("x", 402), "fatal", False),
        (refusal("x", 404), "fatal", False),
        (refusal("x", 413), "fatal", False),
        (refusal("x", 422), "fatal", False),
        (refusal("x", 308), "fatal", False),
        (refusal("x", 400, code="content_policy_violation"), "content", False),
        (refusal("x", 429), "transient", False),
        (refusal("x", 429, type="insufficient_quota"), "fatal", False),
        (refusal("x", 425), "transient", True),
        (refusal("x", 504), "transient", True),
        (http(b"<html>busy</html>", 502, kind="text/html"), "transient", True),
        (http(b"busy", 503, kind="text/plain"), "transient", True),
        (http({"detail": "no"}, 422), "fatal", False),
        (http([{"error": {"message": "no", "code": 400}}], 400), "fatal", False),
        (http({"error": {"message": "m", "code": 429}}), "transient", True),
        (http({"error": {"message": "m", "code": 400}}), "fatal", True),
        (http({"error": {"message": "m", "type": "overloaded_error"}}), "transient", True),
        (http({"error": "what"}), "transient", True),
    ],
)
def test_status(answer: bytes, kind: str, billed: bool) -> None:
    error = one(answer)
    assert isinstance(error, ModelError)
    assert (error.kind, error.billed) == (kind, billed), error


def test_messages_of_errors_are_short_redacted_and_on_one_line() -> None:
    error = one(refusal(f"line\nwith {KEY} " + "x" * 5000), api_key_env="MY_VARIABLE")
    said = str(error)
    assert "line with [key] xxx" in said
    assert "\n" not in said
    assert len(said) < 1100


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Retry-After: 7", 7.0),
        ("Retry-After: 0", None),
        ("Retry-After: soon", None),
        ("Retry-After: nan", None),
        ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT", None),
        ("retry-after-ms: 250", 0.25),
    ],
)
def test_retry_after(header: str, seconds: float | None) -> None:
    error = one(refusal("x", 429, header))
    assert isinstance(error, ModelError)
    assert error.retry_after == seconds


# Streams


def test_choices_of_a_stream_may_be_mixed() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 6}}
    answer = events(
        delta(1, content="b"),
        delta(0, content="a"),
        delta(1, content="B"),
        delta(1, "length"),
        delta(0, "stop", content="A"),
        usage,
    )
    [[first, second]] = ask(Server(answer), request(max_tokens=None), count=2)
    assert isinstance(first, Reply)
    assert isinstance(second, Reply)
    assert (first.text, first.finish, second.text, second.finish) == ("aA", "stop", "bB", "length")
    assert [first.usage.output_tokens, second.usage.output_tokens] == [3, 3]


def test_tool_calls_and_thoughts_of_a_stream() -> None:
    def call(index: int, **function: str) -> dict[str, Any]:
        return {"index": index, "function": function}

    answer = events(
        delta(reasoning_content="hm"),
        delta(reasoning_content="m"),
        delta(tool_calls=[call(0, name="add", arguments='{"a"') | {"id": "c1"}]),
        delta(tool_calls=[call(1, name="sub", arguments="{}") | {"id": "c2"}]),
        delta(tool_calls=[call(0, arguments=": 1}")]),
        delta(0, "tool_calls"),
    )
    outcome = one(answer, max_tokens=None)
    assert isinstance(outcome, Reply)
    assert outcome.parts == (ToolCall("c1", "add", '{"a": 1}'), ToolCall("c2", "sub", "{}"))
    assert (outcome.reasoning, outcome.finish) == ("hmm", "tool_calls")


def test_a_stream_in_parts() -> None:
    think = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    outcome = one(events(delta(content=think), delta(0, "stop", content="42")), max_tokens=None)
    assert isinstance(outcome, Reply)
    assert (outcome.reasoning, outcome.parts) == ("hm", (TextPart("42"),))


@pytest.mark.parametrize("line", [b"\n", b"\r\n"])
@pytest.mark.parametrize("end", [b"data: [DONE]\n\n", b"data:[DONE]", b": bye\n\ndata: [DONE]\n"])
def test_forms_of_events(line: bytes, end: bytes) -> None:
    outcome = one(events(delta(0, "stop", content="42"), end=end, line=line), max_tokens=None)
    assert isinstance(outcome, Reply)
    assert outcome.text == "42"


def test_a_server_that_does_not_stream() -> None:
    outcome = one(http(GOOD), max_tokens=None)
    assert isinstance(outcome, Reply)
    assert outcome.text == "42"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (events(delta(content="4"), delta(0, "stop"), end=b""), "transient"),
        (events(delta(content="4")), "transient"),
        (events(delta(0, "stop", content="4"), delta(1, content="5")), "transient"),
        (events(delta(0, "error", content="4")), "transient"),
        (events({"error": {"message": "m", "code": 400}}), "fatal"),
        (events({"error": {"message": "m", "code": "content_filter"}}), "content"),
        (events(), "malformed"),
        (events([1]), "malformed"),
        (events({"choices": 5}), "malformed"),
        (events({"choices": [5]}), "malformed"),
        (events(delta(content=5)), "malformed"),
        (events(delta(tool_calls=[5])), "malformed"),
        (events(delta(content="x" * 2**20), *[delta(content="y" * 2**20)] * 8), "malformed"),
    ],
)
def test_streams_that_are_no_replies(answer: bytes, kind: str) -> None:
    error = one(answer, max_tokens=None)
    assert isinstance(error, ModelError)
    assert (error.kind, error.billed) == (kind, True), error
