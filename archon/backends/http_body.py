"""Requests in the words of the OpenAI protocol, as each server wants them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal
from urllib.request import getproxies, proxy_bypass

from multidict import CIMultiDict
from yarl import URL

from archon.backends.http_endpoints import Endpoint, endpoint_of, takes_effort
from archon.backends.streaming import may_be_long
from archon.errors import ConfigError
from archon.model import Model, Request
from archon.redaction import KEYS, OPTIONAL_KEYS
from archon.types import Json

__all__ = ["Extra", "Route", "check_words"]

Extra = Literal["n", "stream_options", "logprobs", "max_tokens"]
"""Words that a server may refuse, and that a request can do without."""


def check_words(model: Model, endpoint: Endpoint) -> None:
    """Raise ConfigError for a setting that the endpoint is known not to honour."""
    refused = [
        name
        for name in ("top_k", "min_p")
        if getattr(model, name) is not None and name not in endpoint.takes
    ]
    if model.effort is not None and not takes_effort(model, endpoint):
        refused.append("effort")
    if model.protocol == "completion" and "completion" not in endpoint.takes:
        refused.append("protocol: completion")
    if refused:
        hint = f"; '{endpoint.instead}/…' takes more" if endpoint.instead else ""
        raise ConfigError(
            f"{model.model!r} cannot honour {' and '.join(refused)}: {model.provider} does not"
            f" take it{hint}"
        )


@dataclass(eq=False)
class Route:
    """Everything about calls to one model that stays the same from call to call.

    Attributes:
        refuses: words that the server turned out not to take, shared by all routes to it.
    """

    model: Model
    refuses: set[Extra]
    endpoint: Endpoint = field(init=False)
    chat: bool = field(init=False)
    url: URL = field(init=False)
    proxy: URL | None = field(init=False)
    _key: str | None = field(init=False, default=None)
    _headers: CIMultiDict[str] = field(init=False, default_factory=CIMultiDict)

    def __post_init__(self) -> None:
        self.endpoint = endpoint_of(self.model)
        self.chat = self.model.protocol == "chat"
        self.url = URL(self.endpoint.url + ("/chat/completions" if self.chat else "/completions"))
        self.proxy = _proxy(self.url)

    @property
    def headers(self) -> CIMultiDict[str]:
        """The headers of a request; a key that was changed meanwhile is seen."""
        key = _key_of(self.model)
        if not self._headers or key != self._key:
            self._key = key
            # Replies are short, and unpacking them would cost more than it saves.
            headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
            if key:
                headers["Authorization"] = f"Bearer {key}"
            for name, variable in self.endpoint.headers:
                if value := os.environ.get(variable):
                    headers[name] = value
            self._headers = CIMultiDict(headers)
            self._headers.update(self.model.headers)
        return self._headers

    def streams(self, request: Request) -> bool:
        """Return whether a reply is to come as a stream, which shows less than it does whole."""
        if request.echo or request.tokens:
            return False
        return self._long and (self.endpoint.stream_schema or not request.schema)

    def extras(self, request: Request, count: int) -> set[Extra]:
        """Return the words that are in a request for so many samples, and could be left out."""
        model, extras = self.model, set[Extra]()
        if count > 1:
            extras.add("n")
        if self.endpoint.options and self.streams(request):
            extras.add("stream_options")
        if (request.verdicts or request.logprobs) and self.endpoint.logprobs:
            extras.add("logprobs")
        if model.max_tokens is not None and self.chat and self.endpoint.limit == "max_tokens":
            extras.add("max_tokens")
        return extras - self.refuses

    def body(self, request: Request, count: int, extras: set[Extra]) -> bytes:
        """Return the body of one request for so many samples."""
        data = dict(self._settings(extras))
        if self.chat:
            data["messages"] = self._messages(request)
            if request.prefix and self.endpoint.prefix == "vllm":
                data |= {"continue_final_message": True, "add_generation_prompt": False}
        else:
            said = "\n\n".join(message.content for message in request.messages)
            data["prompt"] = said + request.prefix
        if count > 1:
            data["n"] = count
        if request.schema:
            data["response_format"] = _format(request.schema)
        if "logprobs" in extras:
            data |= self._logprobs(request)
        if request.echo and request.prefix and request.logprobs:
            data["prompt_logprobs"] = request.logprobs
        if request.tokens:
            data["return_token_ids"] = True
        if self.streams(request):
            data["stream"] = True
        if "stream_options" in extras:
            data["stream_options"] = {"include_usage": True}
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        # A lone surrogate has no bytes, and servers refuse it as an escape.
        return text.encode("utf-8", "replace")

    @property
    def shows_verdicts(self) -> bool:
        """Whether the server gives probabilities of tokens, as far as is known."""
        return self.endpoint.logprobs > 0 and "logprobs" not in self.refuses

    @cached_property
    def _long(self) -> bool:
        return may_be_long(self.model)

    def _settings(self, extras: set[Extra]) -> dict[str, Json]:
        newer = self.chat and "max_tokens" not in extras
        return self._newer_settings if newer else self._older_settings

    @cached_property
    def _older_settings(self) -> dict[str, Json]:
        return self._given("max_tokens")

    @cached_property
    def _newer_settings(self) -> dict[str, Json]:
        return self._given("max_completion_tokens")

    def _given(self, limit: str) -> dict[str, Json]:
        model = self.model
        given = {
            "temperature": model.temperature,
            "top_p": model.top_p,
            "top_k": model.top_k,
            "min_p": model.min_p,
            limit: model.max_tokens,
            "stop": list(model.stop) or None,
            "reasoning_effort": model.effort,
        }
        name = model.model.partition("/")[2]
        settings = {word: value for word, value in given.items() if value is not None}
        return {"model": name, **settings, **model.params}

    def _messages(self, request: Request) -> list[Json]:
        messages = [{"role": m.role, "content": m.content} for m in request.messages]
        if request.prefix:
            last: dict[str, Json] = {"role": "assistant", "content": request.prefix}
            if self.endpoint.prefix == "mistral":
                last["prefix"] = True
            messages.append(last)
        return messages

    def _logprobs(self, request: Request) -> dict[str, Json]:
        # For verdicts, as many alternatives as there are; in the older protocol, which knows a
        # number only, OpenAI has no more than five.
        shown = self.endpoint.logprobs if self.chat else min(5, self.endpoint.logprobs)
        most = max(shown if request.verdicts else 0, request.logprobs)
        return {"logprobs": True, "top_logprobs": most} if self.chat else {"logprobs": most}


def _format(schema: str) -> Json:
    named = {"name": "answer", "schema": json.loads(schema), "strict": True}
    return {"type": "json_schema", "json_schema": named}


def _key_of(model: Model) -> str | None:
    """Return the key to be sent; an address of the user's own gets none but the named one."""
    if model.api_key_env:
        return os.environ.get(model.api_key_env, "").strip()
    if model.base_url:
        return None
    names = [group[0] for group in KEYS.get(model.provider, ())]
    names += [OPTIONAL_KEYS.get(model.provider, "")]
    return next((key.strip() for name in names if (key := os.environ.get(name))), None)


def _proxy(url: URL) -> URL | None:
    """Return the proxy that the environment names for an address.

    aiohttp's `trust_env` would look that up for each request, and send passwords from `.netrc`.

    Raises:
        ConfigError: for a proxy that aiohttp cannot use.
    """
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass(f"{url.host}:{url.port}"):
        return None
    proxy = URL(found if "://" in found else f"http://{found}")
    if proxy.scheme not in ("http", "https"):
        raise ConfigError(
            f"the environment names a {proxy.scheme} proxy for {url.scheme}, and only http and"
            f" https proxies can be used; set {url.scheme}_proxy, or no_proxy={url.host}"
        )
    return proxy
