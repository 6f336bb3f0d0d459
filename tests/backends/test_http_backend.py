"""The direct backend against a provider that misbehaves on demand."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from archon.backends import BACKENDS, backend_name, http, http_errors, price_of, streaming
from archon.backends.http import HTTP
from archon.backends.http_endpoints import ENDPOINTS, endpoint_of
from archon.backends.litellm import LiteLLM
from archon.errors import ConfigError, MissingKey, ModelError, ModelNotFound
from archon.model import Draw, Model, Outcome, Price, Request
from archon.redaction import KEYS
from archon.testing import BACKEND_CONTRACTS
from archon.testing.provider import FAULTS, Provider
from archon.tokens import Hooks
from archon.types import Message, Reply, Usage

PRICE = Price(input=5, output=15)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for groups in KEYS.values() for group in groups for name in group]
    bases = [name for endpoint in ENDPOINTS.values() for name in endpoint.base_env]
    for name in names + bases:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def shared() -> Iterator[Provider]:
    with Provider(large_bytes=9_000_000, bomb_bytes=20_000_000) as made:
        yield made


@pytest.fixture
def provider(shared: Provider) -> Iterator[Provider]:
    shared.reset()
    yield shared
    shared.set(n="honour", latency=0.0, api_key=None, script=None)


def model(provider: Provider, **settings: Any) -> Model:
    usual = {"base_url": f"{provider.url}/v1", "max_tokens": 50, "price": PRICE}
    return Model(settings.pop("name", "openai/test"), **(usual | settings))


def ask(asked: Model, count: int = 1, *, backend: HTTP | None = None, **rest: Any) -> list[Outcome]:
    request = Request(asked, (Message("user", "6 * 7?"),), **rest)

    async def work() -> list[Outcome]:
        used = backend or HTTP()
        try:
            return await used.complete(request, tuple(Draw(0, i) for i in range(count)))
        finally:
            await used.close()

    return asyncio.run(work())


def reply(asked: Model, **rest: Any) -> Reply:
    [outcome] = ask(asked, **rest)
    assert isinstance(outcome, Reply), outcome
    return outcome


@pytest.mark.parametrize("limit", [50, None], ids=["whole", "streamed"])
def test_a_good_reply(provider: Provider, limit: int | None) -> None:
    got = reply(model(provider, max_tokens=limit))
    assert got.text.startswith("answer ")
    assert (got.finish, got.model, got.paid) == ("stop", "openai/test", None)
    usage = got.usage
    assert (usage.calls, usage.input_tokens, usage.output_tokens) == (1, 2, 5)
    assert usage.microusd == 2 * 5 + 5 * 15
    assert not usage.seconds, "the gateway fills them in"
    assert provider.stats()["requests"] == 1


@pytest.mark.parametrize("limit", [50, None], ids=["whole", "streamed"])
def test_several_draws_are_one_request(provider: Provider, limit: int | None) -> None:
    asked = model(provider, max_tokens=limit)
    outcomes = ask(asked, 3)
    replies = [outcome for outcome in outcomes if isinstance(outcome, Reply)]
    assert [got.text[-2:] for got in replies] == [" 0", " 1", " 2"]
    [entry] = provider.log()
    assert entry["n"] == 3
    assert [got.usage.input_tokens for got in replies] == [2, 2, 2]
    paid = Usage.sum(got.paid for got in replies if got.paid)
    assert (paid.calls, paid.input_tokens, paid.output_tokens) == (3, 2, 15)
    assert paid.microusd == 2 * 5 + 15 * 15


@pytest.mark.parametrize("answer", ["ignore", "fewer", "refuse"])
def test_n_is_given_up_when_a_server_does_not_honour_it(provider: Provider, answer: str) -> None:
    provider.set(n=answer)
    backend, asked = HTTP(), model(provider)
    assert backend.batch_size(asked) == 128
    outcomes = ask(asked, 3, backend=backend)
    got = {"ignore": 1, "fewer": 2, "refuse": 0}[answer]
    assert [isinstance(outcome, Reply) for outcome in outcomes] == [i < got for i in range(3)]
    for error in outcomes[got:]:
        assert isinstance(error, ModelError)
        assert (error.kind, error.billed, error.retry_after) == ("transient", False, 0.0)
    assert backend.batch_size(asked) == 1
    assert backend.batch_size(model(provider, name="openai/other")) == 128
    assert provider.stats()["requests"] == 1
    # Draws that were grouped before that was known are asked one by one from now on.
    first, second = ask(asked, 2, backend=backend)
    assert isinstance(first, Reply)
    assert isinstance(second, ModelError)
    assert provider.stats()["requests"] == 2


KINDS = {
    "context_length": "content",
    "redirect": "fatal",
    "not_http": "malformed",
    "error_in_200": "transient",
    "stream_not_done": "transient",
}
"""Where this backend names a fault otherwise than the provider does."""
REPLIES = {
    "filtered_reply", "refusal", "list_content", "unknown_finish", "negative_usage", "text_usage",
    "boolean_usage", "absurd_usage",
}  # fmt: skip
NOT_BILLED = {"redirect"}
SLOW = {"hang", "slow_loris", "stalled_stream"}


def cases() -> list[object]:
    found: list[object] = []
    for name, fault in FAULTS.items():
        for streams in (False, True):
            if name not in SLOW and fault.streaming in (None, streams):
                found.append(pytest.param(name, streams, id=f"{name}-{streams:d}"))
    return found


@pytest.mark.parametrize(("name", "streams"), cases())
def test_every_fault_of_a_provider(provider: Provider, name: str, streams: bool) -> None:
    provider.set(one_shot=[name])
    fault = FAULTS[name]
    [outcome] = ask(model(provider, max_tokens=None if streams else 50))
    stats = provider.stats()
    assert stats["requests"] == 1, "only the gateway retries"
    assert stats["redirects_followed"] == 0
    if fault.kind == "reply" or name in REPLIES:
        assert isinstance(outcome, Reply), outcome
        outcome.text.encode()
        return
    assert isinstance(outcome, ModelError), outcome
    assert outcome.kind == KINDS.get(name, fault.kind), outcome
    # What may have been billed must be counted; the other way round is only cautious.
    assert outcome.billed or not fault.billed
    assert "\n" not in str(outcome)


@pytest.mark.parametrize("name", ["missing_usage", "negative_usage", "text_usage", "absurd_usage"])
def test_what_is_no_usage_is_unknown(provider: Provider, name: str) -> None:
    provider.set(one_shot=[name])
    usage = reply(model(provider)).usage
    assert (usage.input_tokens, usage.output_tokens, usage.microusd) == (None, None, None)


def test_a_silent_stream_is_cut(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming.Idle.__init__, "__defaults__", (0.2,))
    provider.set(one_shot=["stalled_stream"])
    [error] = ask(model(provider, max_tokens=None))
    assert isinstance(error, ModelError)
    assert (error.kind, error.billed) == ("transient", True)


def test_a_hanging_call_can_be_cut(provider: Provider) -> None:
    provider.set(one_shot=["hang"])
    request = Request(model(provider), (Message("user", "?"),))

    async def work() -> None:
        backend = HTTP()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await backend.complete(request, (Draw(0, 0),))
        [outcome] = await backend.complete(request, (Draw(0, 0),))
        assert isinstance(outcome, Reply)
        await backend.close()

    asyncio.run(work())


def test_connections_are_kept(provider: Provider) -> None:
    async def work() -> None:
        backend = HTTP()
        for limit in (50, None) * 5:
            request = Request(model(provider, max_tokens=limit), (Message("user", "?"),))
            await backend.complete(request, (Draw(0, 0),))
        await backend.close()
        await backend.close()

    before = provider.stats()["connections_total"]
    asyncio.run(work())
    assert provider.stats()["connections_total"] == before + 1


def test_a_wrong_key_is_not_repeated(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    provider.set(api_key="right")
    monkeypatch.setenv("MY_VARIABLE", "wrong-0123456789")
    [error] = ask(model(provider, api_key_env="MY_VARIABLE"))
    assert isinstance(error, ModelError)
    assert (error.kind, error.billed) == ("fatal", False)
    assert "wrong-0123456789" not in str(error)
    monkeypatch.setenv("MY_VARIABLE", "right")
    assert reply(model(provider, api_key_env="MY_VARIABLE")).text


def test_nobody_listens() -> None:
    [error] = ask(Model("openai/x", base_url="http://127.0.0.1:9/v1"))
    assert isinstance(error, ModelError)
    assert (error.kind, error.billed) == ("transient", False)


def test_tls_with_a_server_that_does_not_speak_it(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_CONNECT_SECONDS", 0.2)
    [error] = ask(model(provider, base_url=provider.url.replace("http:", "https:")))
    assert isinstance(error, ModelError)
    assert (error.kind, error.billed) == ("transient", False)


def test_a_prefix_is_continued_where_the_server_can(provider: Provider) -> None:
    asked = model(provider, name="hosted_vllm/test")
    assert "continue_from_prefix" in HTTP().abilities(asked)
    assert reply(asked, prefix="It is ").text.startswith("It is [continued] ")
    [error] = ask(model(provider), prefix="It is ")
    assert isinstance(error, ModelError)
    assert (error.kind, error.billed) == ("fatal", False)
    assert provider.stats()["requests"] == 1


@pytest.mark.parametrize("limit", [50, None], ids=["whole", "streamed"])
def test_base_models_get_plain_text(provider: Provider, limit: int | None) -> None:
    provider.set(script=lambda messages, i: f"<{messages[-1]['content']}>")
    asked = model(provider, protocol="completion", max_tokens=limit)
    assert reply(asked, prefix="It is").text == "It is<6 * 7?It is>"
    assert reply(asked).text == "<6 * 7?>"


@pytest.mark.parametrize("protocol", ["chat", "completion"])
@pytest.mark.parametrize("limit", [50, None], ids=["whole", "streamed"])
def test_verdicts(provider: Provider, protocol: Any, limit: int | None) -> None:
    provider.set(script=lambda messages, i: "yes")
    asked = model(provider, protocol=protocol, max_tokens=limit)
    assert "verdicts" in HTTP().abilities(asked)
    probs = dict(reply(asked, verdicts=("yes", "no")).verdict_probs)
    assert probs.keys() == {"yes", "no"}
    assert sum(probs.values()) == pytest.approx(1)
    assert probs["yes"] > 0.5


@pytest.mark.parametrize("protocol", ["chat", "completion"])
@pytest.mark.parametrize("limit", [50, None], ids=["whole", "streamed"])
def test_tokens_are_shown(provider: Provider, protocol: Any, limit: int | None) -> None:
    provider.set(script=lambda messages, i: "yes it is")
    asked = model(provider, protocol=protocol, max_tokens=limit)
    assert "logprobs" in HTTP().abilities(asked)
    shown = reply(asked, logprobs=1).logprobs
    assert "".join(token.text for token in shown) == "yes it is"
    assert all(token.top == ((token.text, token.logprob),) for token in shown)


@pytest.mark.parametrize("protocol", ["chat", "completion"])
def test_the_tokens_of_a_prefix_are_shown_where_the_server_can(
    provider: Provider, protocol: Any
) -> None:
    provider.set(script=lambda messages, i: " forty two")
    asked = model(provider, name="hosted_vllm/test", protocol=protocol, max_tokens=None)
    assert "echo" in HTTP().abilities(asked)
    got = reply(asked, prefix="It is", logprobs=2, echo=True)
    pieces = [token.text for token in got.logprobs]
    assert "".join(pieces).endswith(got.text)
    # The plain prompt goes on from the question: its last token began before the prefix.
    assert pieces[0].endswith("It")
    assert pieces[1] == " is"
    for token in got.logprobs:
        assert token.top[0] == (token.text, token.logprob)
    assert len(got.logprobs[1].top) == 2
    assert got.logprobs[1].id is not None
    [entry] = provider.log()
    assert not entry.get("stream")
    written = reply(asked, prefix="It is", logprobs=2).logprobs
    assert [t.text for t in written] == [t.text for t in got.logprobs[-len(written) :]]


@pytest.mark.parametrize("protocol", ["chat", "completion"])
@pytest.mark.parametrize("limit", [50, None], ids=["whole", "long"])
def test_vllm_names_the_tokens_of_a_reply(
    provider: Provider, protocol: Any, limit: int | None
) -> None:
    provider.set(script=lambda messages, i: "forty two")
    asked = model(provider, name="hosted_vllm/test", protocol=protocol, max_tokens=limit)
    assert "tokens" in HTTP().abilities(asked)
    got = reply(asked, tokens=True, logprobs=1)
    # The server says three: the last one ended the reply.
    assert got.tokens == (1000, 1001)
    cut = reply(asked.model_copy(update={"max_tokens": 1}), tokens=True)
    assert cut.finish == "length"
    assert cut.tokens == (1000,)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"tokens": True}, "does not name the tokens"),
        ({"prefix_tokens": (3, 4)}, "cannot go on from tokens"),
        ({"hooks": Hooks(suppressed=("x",))}, "takes no hooks"),
    ],
)
def test_what_a_server_cannot_do_with_tokens_is_refused(
    provider: Provider, wanted: dict[str, Any], why: str
) -> None:
    [error] = ask(model(provider, name="sglang/test"), **wanted)
    assert isinstance(error, ModelError)
    assert why in str(error)
    assert provider.stats()["requests"] == 0


def test_a_server_that_shows_no_prompt_is_not_asked_to(provider: Provider) -> None:
    asked = model(provider, name="sglang/test")
    assert "echo" not in HTTP().abilities(asked)
    [error] = ask(asked, prefix="It is", logprobs=2, echo=True)
    assert isinstance(error, ModelError)
    assert "shows nothing of a given beginning" in str(error)
    assert provider.stats()["requests"] == 0


class OneByOne(HTTP):
    def batch_size(self, model: Model) -> int:
        return 1


@pytest.mark.parametrize("contract", BACKEND_CONTRACTS)
@pytest.mark.parametrize("limit", [50, None], ids=["whole", "streamed"])
def test_contract(provider: Provider, contract: str, limit: int | None) -> None:
    # What several draws of one request paid is not part of the JSON form that is compared there.
    make = OneByOne if contract == "answers_each_draw" else HTTP
    BACKEND_CONTRACTS[contract](make, model(provider, max_tokens=limit))


def test_thousands_at_once_need_no_import_of_litellm(provider: Provider) -> None:
    code = (
        "import asyncio, sys\n"
        "from archon.backends import BACKENDS\n"
        "from archon.model import Draw, Model, Request\n"
        "from archon.types import Message\n"
        f"model = Model('openai/gpt-4o', max_tokens=9, base_url={provider.url + '/v1'!r})\n"
        "async def main():\n"
        "    http = BACKENDS.get('http')()\n"
        "    http.check(model)\n"
        "    http.price(Model('openai/gpt-4o'))\n"
        "    requests = [Request(model, (Message('user', str(i)),)) for i in range(200)]\n"
        "    calls = [http.complete(request, (Draw(0, 0),)) for request in requests]\n"
        "    for [outcome] in await asyncio.gather(*calls):\n"
        "        assert outcome.text, outcome\n"
        "    await http.close()\n"
        "asyncio.run(main())\n"
        "assert not {'litellm', 'openai', 'httpx', 'torch'} & sys.modules.keys()\n"
    )
    provider.set(latency=0.3)
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    assert provider.stats()["peak"] > 100, "the number of connections is not limited"


# What is known before any call


def test_backends_by_name() -> None:
    for name in ENDPOINTS:
        assert backend_name(Model(f"{name}/x")) == "http"
    assert backend_name(Model("anthropic/x")) == "litellm"
    assert isinstance(BACKENDS.get("http")(), HTTP)
    assert isinstance(BACKENDS.get("litellm")(), LiteLLM)


def test_prices() -> None:
    listed = price_of(Model("openai/gpt-4o"))
    assert listed == HTTP().price(Model("openai/gpt-4o"))
    assert listed is not None
    assert listed.output > listed.input > 0
    assert price_of(Model("openai/no-such-model")) is None
    assert price_of(Model("groq/gpt-4o")) is None, "another provider's price is not this one's"
    assert HTTP().price(Model("openai/gpt-4o", base_url="http://x/v1")) is None


@pytest.mark.parametrize(
    ("name", "settings", "word"),
    [
        ("openai/gpt-4o", {"top_k": 5}, "top_k"),
        ("openai/gpt-4o", {"min_p": 0.1}, "min_p"),
        ("openai/gpt-4o", {"effort": "high"}, "effort"),
        ("ollama/x", {"top_k": 5}, "top_k.*ollama_chat"),
        ("llamacpp/x", {"effort": "low"}, "effort"),
        ("groq/x", {"protocol": "completion"}, "completion"),
    ],
)
def test_what_an_endpoint_cannot_honour_is_refused(
    name: str, settings: dict[str, Any], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OPENAI_API_KEY", "GROQ_API_KEY"):
        monkeypatch.setenv(variable, "k")
    backend = HTTP()
    with pytest.raises(ConfigError, match=word):
        backend.check(Model(name, **settings))
    backend.check(Model(name))


def test_a_server_of_the_users_own_decides_itself() -> None:
    backend = HTTP()
    for name in ("openai/x", "groq/x", "hosted_vllm/x"):
        settings: dict[str, Any] = {"top_k": 5, "min_p": 0.1, "effort": "low"}
        backend.check(Model(name, base_url="http://localhost:1/v1", **settings))


def test_effort_where_the_model_is_known_to_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    HTTP().check(Model("openai/o3-mini", effort="high"))
    HTTP().check(Model("openai/not-listed-yet", effort="high"))


def test_checks() -> None:
    backend = HTTP()
    with pytest.raises(MissingKey, match="OPENAI_API_KEY"):
        backend.check(Model("openai/gpt-4o"))
    with pytest.raises(MissingKey, match="MY_VARIABLE"):
        backend.check(Model("ollama/x", api_key_env="MY_VARIABLE"))
    with pytest.raises(ModelNotFound, match="anthropic"):
        backend.check(Model("anthropic/x"))
    with pytest.raises(ConfigError, match=r"max_tokens, stream"):
        backend.check(Model("ollama/x", params={"stream": True, "max_tokens": 3}))
    with pytest.raises(ConfigError, match=r"api_key .*api_key_env"):
        backend.check(Model("ollama/x", params={"api_key": "k"}))
    for address in ("localhost:80", "ftp://x", "http://", "http://x:99999999"):
        with pytest.raises(ConfigError, match="base_url"):
            backend.check(Model("openai/x", base_url=address))
    backend.check(Model("ollama/x", params={"seed": 5}))


@pytest.mark.parametrize(
    ("name", "base", "url"),
    [
        ("openai/x", None, "https://api.openai.com/v1"),
        ("ollama/x", None, "http://localhost:11434/v1"),
        ("ollama/x", "http://box:11434/", "http://box:11434/v1"),
        ("hosted_vllm/x", "http://box:8000", "http://box:8000/v1"),
        ("openai/x", "http://box:8000/v1/", "http://box:8000/v1"),
        ("openai/x", "http://box:8000", "http://box:8000"),
    ],
)
def test_addresses(name: str, base: str | None, url: str) -> None:
    assert endpoint_of(Model(name, base_url=base)).url == url


def test_variables_move_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://box/v1")
    monkeypatch.setenv("OLLAMA_API_BASE", "http://box:1")
    assert endpoint_of(Model("openai/x")).url == "http://box/v1"
    assert not endpoint_of(Model("openai/x")).own
    assert endpoint_of(Model("ollama/x")).url == "http://box:1/v1"
    assert endpoint_of(Model("openai/x", base_url="http://other/v1")).url == "http://other/v1"


def test_every_key_and_address_is_one_that_litellm_knows() -> None:
    new = {"llamacpp", "sglang"}
    for name, endpoint in ENDPOINTS.items():
        assert endpoint.local or name in KEYS, name
        assert endpoint.url == endpoint.url.rstrip("/")
        if name not in new:
            LiteLLM().check(Model(f"{name}/x", base_url="http://localhost:1/v1"))


def test_every_exception_has_a_kind() -> None:
    certificate: Any = aiohttp.ClientConnectorCertificateError(
        SimpleNamespace(host="x", port=1, is_ssl=True, ssl=True),  # type: ignore[arg-type]
        ssl.SSLCertVerificationError("self-signed certificate"),
    )
    errors: list[tuple[Exception, str, bool]] = [
        (certificate, "fatal", False),
        (aiohttp.InvalidURL("x"), "fatal", False),
        (aiohttp.ServerDisconnectedError(), "transient", True),
        (aiohttp.ClientPayloadError("cut"), "transient", True),
        (aiohttp.ConnectionTimeoutError(), "transient", False),
        (aiohttp.SocketTimeoutError(), "transient", True),
        (ConnectionResetError(), "transient", True),
        (ValueError("header"), "fatal", True),
    ]
    for error, kind, billed in errors:
        got = http_errors.broken("x/y", error)
        assert (got.kind, got.billed) == (kind, billed), error
