"""Every server that speaks the OpenAI protocol, called directly over aiohttp.

Names like `openai/gpt-4o`, `hosted_vllm/Qwen/Qwen3-8B` or `ollama/llama3`; which server each
provider means, and what it takes, stands in `http_endpoints`. One call is one request on the wire:
retries, deadlines and limits are the gateway's.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from typing import Any

import aiohttp

from archon.backends import prices
from archon.backends.checking import check_key, check_params
from archon.backends.http_body import Extra, Route, check_words
from archon.backends.http_endpoints import ENDPOINTS, endpoint_of
from archon.backends.http_errors import broken, failed, malformed, refused, said_of
from archon.backends.http_reply import Malformed, again, decode, read
from archon.backends.http_stream import collect
from archon.backends.streaming import LARGEST, Cut
from archon.errors import ConfigError, ModelError, ModelNotFound, did_you_mean
from archon.model import Ability, Draw, Model, Outcome, Price, Request
from archon.redaction import guard_logs, remember
from archon.tokens import Hooks
from archon.types import Json, Reply

__all__ = ["HTTP"]

_LARGEST_ERROR = 2**16
_CONNECT_SECONDS = 30.0
_KEEP_SECONDS = 15.0
"""How long an idle connection is kept: a server that closed it first costs a failed attempt."""
_PROBES = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
"""Finds out about a silent connection that is dead, and keeps routers from forgetting it."""

_NAMED: dict[Extra, re.Pattern[str]] = {
    "n": re.compile(r"(?<![\w\\'])n(?![\w'])|'n'|\bchoices\b", re.IGNORECASE),
    "stream_options": re.compile(r"stream_options|include_usage"),
    "logprobs": re.compile(r"logprobs?\b", re.IGNORECASE),
    "max_tokens": re.compile(r"max_completion_tokens"),
}
"""How a refusal names a word that the server does not take; of the last, what it wants instead."""


class HTTP:
    """Calls servers that speak the OpenAI protocol, several draws with one request.

    An address given by `base_url` gets no key unless `api_key_env` names one, so that no
    provider's key goes to a stranger. What a provider is known not to honour is an error at
    `check`, never dropped; what a server of the user's own does with a setting is its affair.
    What a server turns out not to take (`n`, `stream_options`, `logprobs`) is left out from the
    second request on.
    """

    def __init__(self) -> None:
        guard_logs()
        self._routes: dict[Model, Route] = {}
        self._prices: dict[Model, Price | None] = {}
        self._refuses: dict[tuple[str, str], set[Extra]] = {}
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}

    def abilities(self, model: Model) -> frozenset[Ability]:
        """Return what the server is known to do beyond chat."""
        route = self._route(model)
        able: set[Ability] = set()
        if "schema" in route.endpoint.takes:
            able.add("schema")
        if route.shows_verdicts:
            able |= {"verdicts", "logprobs"}
            if route.endpoint.echo:
                able.add("echo")
        if route.endpoint.tokens:
            able.add("tokens")
        if _continues(route):
            able.add("continue_from_prefix")
        return frozenset(able)

    def batch_size(self, model: Model) -> int:
        """Return how many samples a request may ask for, as far as is known by now."""
        route = self._route(model)
        return 1 if "n" in route.refuses else route.endpoint.choices

    def check(self, model: Model) -> None:
        """Raise ConfigError if a call cannot work, or would not do what the settings say.

        Raises:
            ModelNotFound: for a provider that is not called directly.
            MissingKey: when the variable that holds the key is not set.
            ConfigError: for a setting or an address that cannot be honoured.
        """
        if model.provider not in ENDPOINTS:
            raise ModelNotFound(
                f"unknown provider {model.provider!r} in {model.model!r}"
                f"{did_you_mean(model.provider, ENDPOINTS)}"
            )
        check_params(model)
        check_words(model, self._route(model).endpoint)
        check_key(model)

    def fingerprint(self, model: Model) -> str:
        """Return nothing: a remote model is what its name says."""
        return ""

    def price(self, model: Model) -> Price | None:
        """Return the model's own price or the listed one, or None if neither is known."""
        if model not in self._prices:
            self._prices[model] = model.price or prices.listed(model)
        return self._prices[model]

    async def complete(self, request: Request, draws: tuple[Draw, ...]) -> list[Outcome]:
        """Answer draws with one request; those it gave no choice for are to be asked again."""
        try:
            route = self._route(request.model)
        except ConfigError as error:
            return [ModelError(str(error), billed=False) for _ in draws]
        if (cannot := _unable(route, request)) is not None:
            return [ModelError(cannot, billed=False) for _ in draws]
        count = 1 if "n" in route.refuses else len(draws)
        outcomes = await self._ask(route, request, count)
        return outcomes + [again(request.model.model) for _ in draws[count:]]

    async def _ask(self, route: Route, request: Request, count: int) -> list[Outcome]:
        name, extras = request.model.model, route.extras(request, count)
        try:
            async with self._session().post(
                route.url,
                data=route.body(request, count, extras),
                headers=route.headers,
                proxy=route.proxy,
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    return [await _refusal(route, extras, response)] * count
                body = await _body(response, LARGEST * count)
        except Malformed as error:
            return [malformed(name, str(error))] * count
        except Cut as error:
            return [failed(name, str(error), "transient", billed=True)] * count
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return [broken(name, error)] * count
        whole = route.endpoint.prefix == "mistral" and route.chat
        outcomes = read(body, request, count, self.price(request.model), whole=whole)
        fewer = getattr(outcomes[-1], "retry_after", None) == 0.0
        if fewer and isinstance(outcomes[0], Reply):  # a broken answer says nothing about `n`
            route.refuses.add("n")
        return outcomes

    def _route(self, model: Model) -> Route:
        route = self._routes.get(model)
        if route is None:
            address = endpoint_of(model).url
            refuses = self._refuses.setdefault((address, model.model), set())
            route = self._routes[model] = Route(model, refuses)
            named = [model.api_key_env] if model.api_key_env else []
            remember(named, model.headers, model.params)
        return route

    def _session(self) -> aiohttp.ClientSession:
        """Return the connections of the running loop; those of another cannot be used here."""
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.closed:
            session = self._sessions[loop] = _new_session()
        return session

    async def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        here = asyncio.get_running_loop()
        sessions, self._sessions = self._sessions, {}
        for loop, session in sessions.items():
            if loop is here or loop.is_closed():
                await session.close()
            elif loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(session.close(), loop))
        # A transport is gone one step after it was closed.
        await asyncio.sleep(0)


def _new_session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=0,
        limit_per_host=0,
        ttl_dns_cache=300,
        keepalive_timeout=_KEEP_SECONDS,
        socket_factory=_socket,
    )
    # No time limit of its own: the gateway cuts a call. No cookies, and nothing from `.netrc`;
    # the proxies of the environment are looked up once for each model (`http_body`).
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        trust_env=False,
    )


def _socket(address: Any) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES:
        with contextlib.suppress(AttributeError, OSError):  # not on every system
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


def _continues(route: Route) -> bool:
    return bool(route.endpoint.prefix) if route.chat else True


def _unable(route: Route, request: Request) -> str | None:
    """Return why a request cannot be sent as it is meant."""
    name = request.model.model
    if request.prefix and not _continues(route):
        return f"{name!r} cannot continue a prefix"
    if request.schema and "schema" not in route.endpoint.takes:
        return f"{name!r} cannot keep to a JSON schema"
    if request.logprobs and not route.shows_verdicts:
        return f"{name!r} shows no log-probabilities"
    if request.echo and not route.endpoint.echo:
        return f"{name!r} shows nothing of a given beginning"
    if request.logprobs > route.endpoint.logprobs:
        most = route.endpoint.logprobs
        return f"{name!r} shows {most} alternatives at most, not {request.logprobs}"
    if request.tokens and not route.endpoint.tokens:
        return f"{name!r} does not name the tokens of its replies"
    if request.prefix_tokens:
        return f"{name!r} cannot go on from tokens, only from a text"
    if request.hooks != Hooks():
        return f"{name!r} takes no hooks on single tokens"
    return None


async def _body(response: aiohttp.ClientResponse, most: int) -> Json:
    """Read and parse an answer."""
    if response.content_type == "text/event-stream":
        return await collect(response, most)
    length = response.content_length
    if length is not None and length <= most and "Content-Encoding" not in response.headers:
        return decode(await response.read())
    return decode(await _read(response, most))


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Read a body of unknown size, unpacked, and give up when it is too large."""
    data = bytearray()
    while chunk := await response.content.readany():
        data += chunk
        if len(data) > most:
            raise Malformed(f"more than {most} bytes")
    return bytes(data)


async def _refusal(
    route: Route, extras: set[Extra], response: aiohttp.ClientResponse
) -> ModelError:
    """Judge an answer whose status is not 200; learn from it what the server does not take."""
    name = route.model.model
    body: Json = None
    with contextlib.suppress(Malformed, aiohttp.ClientError):
        data = await _read(response, _LARGEST_ERROR)
        body = data.decode("utf-8", "replace") if response.content_type == "text/plain" else None
        body = decode(data)
    if response.status in (400, 422) and _learn(route, extras, body):
        return again(name)
    return refused(name, response.status, body, response.headers)


def _learn(route: Route, extras: set[Extra], body: Json) -> bool:
    """Note which of the words that were sent a refusal names; False if it names none."""
    text, codes = said_of(body)
    said = " ".join((text, *codes))
    # Another request may have learnt the same meanwhile: this one is to be asked again as well.
    named = {extra for extra in extras if _NAMED[extra].search(said)}
    route.refuses |= named
    return bool(named)
