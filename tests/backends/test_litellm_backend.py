"""The LiteLLM backend against a real HTTP server on this machine."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from archon.backends import litellm as module
from archon.backends import litellm_errors as errors
from archon.backends.litellm import LiteLLM
from archon.errors import ConfigError, MissingKey, ModelError, ModelNotFound
from archon.model import Draw, Model, Outcome, Price, Request
from archon.types import Message, Reply, TextPart, ToolCall

# LiteLLM's streams use what pydantic has deprecated, and types that it warns about.
pytestmark = [
    pytest.mark.filterwarnings(r"ignore:(?s).*`ReadOnly` qualifier"),
    pytest.mark.filterwarnings(r"ignore:Accessing the 'model_"),
]

KEY = "test-0123456789-secret-value"
VARIABLE = "ARCHON_TEST_KEY"


def body(message: Any = None, **rest: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "42"} if message is None else message,
        "finish_reason": rest.pop("finish", "stop"),
    }
    usage = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "test",
        "choices": [choice],
        "usage": usage,
    } | rest


class Server:
    """What the next requests are answered with, and what they said."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: Any = body()
        self.headers: dict[str, str] = {}
        self.delay = 0.0
        self.seen: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.busy = self.peak = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                outer.seen.append(
                    ({k.lower(): v for k, v in self.headers.items()}, json.loads(raw))
                )
                outer.busy += 1
                outer.peak = max(outer.peak, outer.busy)
                time.sleep(outer.delay)
                outer.busy -= 1
                answer = outer.answer
                if callable(answer):
                    answer(self)
                    return
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(outer.status)
                for name, value in {"content-type": "application/json", **outer.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that hangs up is part of the tests."""

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    for groups in errors.KEYS.values():
        for name in (name for group in groups for name in group):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(VARIABLE, KEY)


def make(server: Server, **settings: Any) -> Model:
    name = settings.pop("name", "openai/test")
    usual = {"base_url": server.url, "api_key_env": VARIABLE, "max_tokens": 50}
    return Model(name, **(usual | settings))


def stream(*texts: str, finish: str | None = "stop", usage: bool = True) -> bytes:
    """Return the events of a streamed reply."""
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "test"}
    choices: list[dict[str, Any]] = [{"delta": {"role": "assistant", "content": ""}}]
    choices += [{"delta": {"content": text}} for text in texts]
    choices += [{"delta": {}, "finish_reason": finish}] if finish else []
    chunks: list[dict[str, Any]] = [
        head | {"choices": [{"index": 0, "finish_reason": None} | choice]} for choice in choices
    ]
    if usage:
        chunks.append(head | {"choices": [], "usage": body()["usage"]})
    events = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    return events + (b"data: [DONE]\n\n" if finish else b"")


def ask(model: Model, count: int = 1, **rest: Any) -> list[Outcome]:
    request = Request(model, (Message("system", "short"), Message("user", "6 * 7?")), **rest)

    async def work() -> list[Outcome]:
        backend = LiteLLM()
        try:
            return await backend.complete(request, tuple(Draw(0, i) for i in range(count)))
        finally:
            await backend.close()

    return asyncio.run(work())


def reply(model: Model, **rest: Any) -> Reply:
    (outcome,) = ask(model, **rest)
    assert isinstance(outcome, Reply), outcome
    return outcome


def failure(model: Model, **rest: Any) -> ModelError:
    (outcome,) = ask(model, **rest)
    assert isinstance(outcome, ModelError), outcome
    assert KEY not in str(outcome)
    assert KEY not in repr(outcome)
    return outcome


def test_a_good_reply(server: Server) -> None:
    got = reply(make(server, price=Price(input=5, output=15)))
    assert (got.text, got.finish, got.model) == ("42", "stop", "openai/test")
    assert (got.usage.calls, got.usage.input_tokens, got.usage.output_tokens) == (1, 10, 3)
    assert got.usage.microusd == 95
    assert not got.usage.seconds, "the gateway fills them in"
    headers, sent = server.seen[0]
    assert headers["authorization"] == f"Bearer {KEY}"
    assert sent["model"] == "test"
    assert sent["messages"] == [
        {"role": "system", "content": "short"},
        {"role": "user", "content": "6 * 7?"},
    ]


def test_every_setting_is_sent(server: Server) -> None:
    model = make(
        server,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        min_p=0.1,
        max_tokens=7,
        stop=("END",),
        params={"seed": 5},
        headers={"X-Extra": "yes"},
    )
    reply(model, schema='{"type":"object"}')
    headers, sent = server.seen[0]
    assert headers["x-extra"] == "yes"
    expected = {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1, "seed": 5}
    assert sent.items() >= expected.items()
    assert sent["stop"] == ["END"]
    assert 7 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_what_is_not_given_is_not_sent(server: Server) -> None:
    reply(make(server))
    assert server.seen[0][1].keys() <= {"model", "messages", "max_retries", "max_tokens"}


def streaming(server: Server, data: bytes) -> None:
    server.headers, server.answer = {"content-type": "text/event-stream"}, data


def test_what_may_take_long_is_streamed(server: Server) -> None:
    streaming(server, stream("4", "2"))
    got = reply(make(server, max_tokens=None, price=Price(input=5, output=15)))
    assert (got.text, got.finish, got.usage.microusd) == ("42", "stop", 95)
    assert (got.usage.input_tokens, got.usage.output_tokens) == (10, 3)
    assert server.seen[0][1]["stream"] is True
    assert server.seen[0][1]["stream_options"] == {"include_usage": True}


def test_a_streamed_reply_may_be_cut_by_its_length(server: Server) -> None:
    streaming(server, stream("4", finish="length"))
    assert reply(make(server, max_tokens=9999)).finish == "length"


def test_a_stream_that_was_cut_is_no_reply(server: Server) -> None:
    streaming(server, stream("4", finish=None, usage=False))
    error = failure(make(server, max_tokens=None))
    assert (error.kind, error.billed) == ("transient", True)
    assert len(server.seen) == 1


def test_unknown_usage_of_a_stream_is_not_guessed(server: Server) -> None:
    streaming(server, stream("4", "2", usage=False))
    usage = reply(make(server, max_tokens=None)).usage
    assert (usage.input_tokens, usage.output_tokens) == (None, None)


@pytest.mark.parametrize("value", [-5, 10**15, 0])
def test_absurd_usage_is_unknown(server: Server, value: int) -> None:
    server.answer = body(usage={"prompt_tokens": value, "completion_tokens": 3})
    usage = reply(make(server, price=Price(input=1, output=1))).usage
    assert (usage.input_tokens, usage.microusd) == (None, None)


def test_a_huge_text_is_malformed(server: Server) -> None:
    server.answer = body({"role": "assistant", "content": "x" * (8 * 2**20 + 1)})
    assert failure(make(server)).kind == "malformed"


def test_effort_is_sent_or_refused_but_never_dropped(server: Server) -> None:
    streaming(server, stream("42"))
    reply(make(server, name="openai/o3-mini", effort="high"))
    assert server.seen[0][1]["reasoning_effort"] == "high"
    error = failure(make(server, name="openai/gpt-4o", effort="high"))
    assert (error.kind, error.billed) == ("fatal", False)
    assert len(server.seen) == 1


def test_draws_go_out_together(server: Server) -> None:
    server.delay = 0.3
    outcomes = ask(make(server), 6)
    assert [isinstance(outcome, Reply) for outcome in outcomes] == [True] * 6
    assert len(server.seen) == 6
    assert server.peak >= 3


@pytest.mark.parametrize(
    ("given", "finish"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "filter"),
        ("tool_calls", "tool_calls"),
    ],
)
def test_finish(server: Server, given: str, finish: str) -> None:
    server.answer = body(finish=given)
    assert reply(make(server)).finish == finish


def test_an_empty_text_is_a_reply(server: Server) -> None:
    server.answer = body({"role": "assistant", "content": ""}, finish="length")
    got = reply(make(server))
    assert (got.text, got.parts, got.finish) == ("", (), "length")


def test_a_refusal_is_a_reply(server: Server) -> None:
    server.answer = body({"role": "assistant", "content": None, "refusal": "I will not."})
    got = reply(make(server))
    assert (got.text, got.finish) == ("I will not.", "refusal")


def test_tool_calls(server: Server) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    message = {"role": "assistant", "content": "let me", "tool_calls": [call]}
    server.answer = body(message, finish="tool_calls")
    got = reply(make(server))
    assert got.parts == (TextPart("let me"), ToolCall("c1", "add", '{"a":1}'))
    assert got.finish == "tool_calls"


def test_reasoning_is_kept_apart(server: Server) -> None:
    server.answer = body({"role": "assistant", "content": "42", "reasoning_content": "6*7"})
    got = reply(make(server))
    assert (got.text, got.reasoning) == ("42", "6*7")


def test_unknown_usage_stays_unknown(server: Server) -> None:
    server.answer = body()
    del server.answer["usage"]
    usage = reply(make(server, price=Price(input=1, output=1))).usage
    assert (usage.input_tokens, usage.output_tokens, usage.microusd) == (None, None, None)


def test_an_unknown_price_stays_unknown(server: Server) -> None:
    assert reply(make(server)).usage.microusd is None


@pytest.mark.parametrize(
    "answer",
    [
        b"{not json",
        b"",
        b"null",
        b"[]",
        b"<html>busy</html>",
        body(choices=[]),
        body(choices=None),
        body({"role": "assistant", "content": None}),
        {"id": "x"},
    ],
    ids=str,
)
def test_malformed(server: Server, answer: Any) -> None:
    server.answer = answer
    error = failure(make(server))
    assert (error.kind, error.retryable, error.billed) == ("malformed", True, True)


def fault(status: int, message: str = "no", **rest: Any) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"message": message, **rest}}


@pytest.mark.parametrize(
    ("answer", "kind", "billed"),
    [
        (fault(400), "fatal", False),
        (fault(401, f"Incorrect API key provided: {KEY}"), "fatal", False),
        (fault(402), "fatal", False),
        (fault(403, f"Bearer {KEY}"), "fatal", False),
        (fault(404), "fatal", False),
        (fault(422), "fatal", False),
        (fault(400, "maximum context length is 5", code="context_length_exceeded"), "fatal", False),
        (fault(400, "x", code="content_policy_violation"), "content", False),
        (fault(408), "transient", True),
        (fault(429), "transient", False),
        (fault(429, "pay", type="insufficient_quota", code="insufficient_quota"), "fatal", False),
        (fault(500), "transient", True),
        (fault(502), "transient", True),
        (fault(503), "transient", True),
        (fault(529), "transient", True),
    ],
    ids=str,
)
def test_status(
    server: Server, answer: tuple[int, dict[str, Any]], kind: str, billed: bool
) -> None:
    server.status, server.answer = answer
    error = failure(make(server))
    assert (error.kind, error.billed) == (kind, billed), error
    assert len(server.seen) == 1, "only the gateway retries"


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        (formatdate(time.time() + 3600, usegmt=True), 3000, 3600),
    ],
    ids=["seconds", "part of a second", "an hour from now"],
)
def test_retry_after(server: Server, value: str, least: float, most: float) -> None:
    server.status, server.answer = fault(429)
    server.headers = {"Retry-After": value}
    error = failure(make(server))
    assert error.retry_after is not None
    assert least <= error.retry_after <= most


@pytest.mark.parametrize(
    "value",
    [None, "soon", "0", "nan", "inf", formatdate(time.time() - 60, usegmt=True)],
    ids=["none", "a word", "zero", "nan", "infinite", "a minute ago"],
)
def test_no_retry_after(server: Server, value: str | None) -> None:
    server.status, server.answer = fault(429)
    server.headers = {"Retry-After": value} if value else {}
    assert failure(make(server)).retry_after is None


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    error = failure(Model("openai/test", base_url=url, api_key_env=VARIABLE))
    assert (error.kind, error.billed) == ("transient", False)


def test_a_connection_that_breaks(server: Server) -> None:
    def hang_up(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)

    server.answer = hang_up
    error = failure(make(server))
    assert (error.kind, error.billed) == ("transient", True)


def test_a_timeout_of_its_own(server: Server) -> None:
    server.delay = 2.0
    error = failure(make(server, timeout=0.3))
    assert (error.kind, error.billed) == ("transient", True)


def test_cancellation_cuts_a_slow_reply(server: Server) -> None:
    server.delay = 1.0
    request = Request(make(server), (Message("user", "?"),))

    async def work() -> None:
        backend = LiteLLM()
        await asyncio.to_thread(errors.library)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await backend.complete(request, (Draw(0, 0), Draw(0, 1)))
        assert time.monotonic() - began < 0.9
        left = [t for t in asyncio.all_tasks() if "_one" in repr(t.get_coro())]
        assert left == []
        await backend.close()

    asyncio.run(work())


def test_no_key_goes_to_an_endpoint_of_the_users_own(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    reply(make(server, api_key_env=None))
    assert KEY not in str(server.seen)


def test_secret_headers_and_params_stay_out_of_messages(server: Server) -> None:
    server.status, server.answer = fault(400, "bad abcdef123 and Basic zyxwvu987 and pqrstu555")
    model = make(
        server,
        headers={"X-Api-Key": "abcdef123", "Authorization": "Basic zyxwvu987"},
        params={"aws_secret": "pqrstu555"},
    )
    text = str(failure(model))
    assert not any(secret in text for secret in ("abcdef123", "zyxwvu987", "pqrstu555"))


def test_a_prefix_is_refused(server: Server) -> None:
    error = failure(make(server), prefix="The answer")
    assert error.kind == "fatal"
    assert server.seen == []


def test_a_prefix_is_continued_where_litellm_can(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    able = Model("mistral/mistral-large-latest", max_tokens=5)
    assert "continue_from_prefix" in LiteLLM().abilities(able)
    assert "continue_from_prefix" not in LiteLLM().abilities(Model("openai/gpt-4o"))
    monkeypatch.setattr(module, "_continues", lambda model: True)
    assert reply(make(server), prefix="It is ").text == "It is 42"
    assert server.seen[0][1]["messages"][-1]["content"] == "It is "


def exceptions() -> dict[str, tuple[Callable[[], Exception], str, bool]]:
    litellm = errors.library()
    usual: dict[str, Any] = {"message": "m", "llm_provider": "openai", "model": "test"}
    response = httpx.Response(400, request=httpx.Request("POST", "http://x"))
    kinds: dict[str, tuple[str, bool]] = {
        "AuthenticationError": ("fatal", False),
        "NotFoundError": ("fatal", False),
        "BadRequestError": ("fatal", False),
        "UnprocessableEntityError": ("fatal", False),
        "UnsupportedParamsError": ("fatal", False),
        "Timeout": ("transient", True),
        "PermissionDeniedError": ("fatal", False),
        "RateLimitError": ("transient", False),
        "ContextWindowExceededError": ("content", False),
        "PaymentRequiredError": ("fatal", False),
        "RejectedRequestError": ("content", False),
        "ContentPolicyViolationError": ("content", False),
        "InternalServerError": ("transient", True),
        "ServiceUnavailableError": ("transient", True),
        "BadGatewayError": ("transient", True),
        "APIError": ("transient", True),
        "APIConnectionError": ("transient", True),
        "APIResponseValidationError": ("malformed", True),
        "OpenAIError": ("fatal", True),
        "JSONSchemaValidationError": ("malformed", True),
    }
    special: dict[str, dict[str, Any]] = {
        "APIError": {**usual, "status_code": 500},
        "OpenAIError": {},
        "JSONSchemaValidationError": {
            "model": "test", "llm_provider": "openai", "raw_response": "r", "schema": "s",
        },
        "RejectedRequestError": {**usual, "request_data": {}},
        "UnprocessableEntityError": {**usual, "response": response},
        "PermissionDeniedError": {**usual, "response": response},
    }  # fmt: skip
    public = {kind.__name__ for kind in litellm.LITELLM_EXCEPTION_TYPES}
    assert public == kinds.keys()

    def maker(name: str) -> Callable[[], Exception]:
        kind = getattr(litellm.exceptions, name)
        return lambda: kind(**special.get(name, usual))

    return {name: (maker(name), *outcome) for name, outcome in kinds.items()}


def test_every_exception_of_litellm_has_a_kind() -> None:
    for name, (make_one, kind, billed) in exceptions().items():
        error = errors.failure(make_one(), Model("openai/test"))
        assert (error.kind, error.billed) == (kind, billed), name


# check


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("openai/gpt-4o", "OPENAI_API_KEY"),
        ("anthropic/claude-x", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-x", "GEMINI_API_KEY"),
        ("together_ai/a/b", "TOGETHER_API_KEY"),
        ("bedrock/x", "AWS_ACCESS_KEY_ID"),
        ("xai/grok", "XAI_API_KEY"),
    ],
)
def test_a_missing_key_is_named(name: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingKey, match=variable):
        LiteLLM().check(Model(name))
    monkeypatch.setenv(variable, KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    LiteLLM().check(Model(name))


def test_any_of_several_variables_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "me")
    LiteLLM().check(Model("bedrock/x"))


def test_the_named_variable_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    LiteLLM().check(Model("openai/x", api_key_env=VARIABLE))
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(MissingKey, match=VARIABLE):
        LiteLLM().check(Model("openai/x", base_url="http://x", api_key_env=VARIABLE))
    LiteLLM().check(Model("openai/x", base_url="http://x"))
    LiteLLM().check(Model("ollama/x"))


def test_unknown_names() -> None:
    with pytest.raises(ModelNotFound, match="did you mean 'anthropic'"):
        LiteLLM().check(Model("antropic/x"))
    with pytest.raises(ModelNotFound, match="openai/gpt-4o"):
        LiteLLM().check(Model("gpt-4o"))
    with pytest.raises(ConfigError, match="num_retries"):
        LiteLLM().check(Model("ollama/x", params={"num_retries": 3}))
    with pytest.raises(ConfigError, match=r"aws_secret_access_key.*api_key_env"):
        LiteLLM().check(Model("bedrock/x", params={"aws_secret_access_key": "x"}))
    with pytest.raises(ConfigError, match="protocol"):
        LiteLLM().check(Model("ollama/x", protocol="completion"))


def test_prices() -> None:
    listed = LiteLLM().price(Model("openai/gpt-4o"))
    assert listed is not None
    assert listed.input > 0
    assert LiteLLM().price(Model("openai/no-such-model")) is None
    own = Price(input=1, output=2)
    assert LiteLLM().price(Model("openai/x", price=own)) == own


def test_the_provider_list_is_litellms() -> None:
    known = {str(getattr(p, "value", p)) for p in errors.library().provider_list}
    assert known <= module._providers()


def test_check_imports_no_litellm() -> None:
    code = (
        "import sys; from archon.backends.litellm import LiteLLM; from archon.model import Model;"
        "LiteLLM().check(Model('ollama/x')); LiteLLM().price(Model('openai/gpt-4o'));"
        "assert not {'litellm', 'openai', 'httpx'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
