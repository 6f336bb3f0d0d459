"""Every provider that LiteLLM knows: names like `openai/gpt-4o` or `anthropic/claude-sonnet-4`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from archon.backends import prices
from archon.backends.litellm_errors import KEYS, failure, library, redact
from archon.errors import ConfigError, MissingKey, ModelError, ModelNotFound
from archon.errors import did_you_mean as near
from archon.model import Ability, Draw, Model, Outcome, Price, Request
from archon.plain import clean_text
from archon.types import Finish, Json, Part, Reply, TextPart, ToolCall, Usage

__all__ = ["KEYS", "LiteLLM"]

_RESERVED = frozenset(
    {"additional_drop_params", "api_base", "api_key", "base_url", "drop_params", "fallbacks"}
    | {"max_retries", "messages", "mock_response", "model", "n", "num_retries", "stream"}
    | {"timeout"}
)
"""What `params` may not set: it would take retries, counts or keys out of archon's hands."""

_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "filter",
    "refusal": "refusal",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
_NO_KEY = "none"


@cache
def _providers() -> frozenset[str]:
    """Return the names of LiteLLM's providers, read from its source: importing it takes seconds."""
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return frozenset(KEYS)
    source = Path(spec.origin).parent / "types" / "utils.py"
    text = source.read_text(encoding="utf-8") if source.exists() else ""
    body = text.partition("class LlmProviders(")[2].partition("\nclass ")[0]
    return frozenset(re.findall(r'^    \w+ = "([^"]+)"', body, re.MULTILINE)) | set(KEYS)


class LiteLLM:
    """Calls providers through LiteLLM, one request for each draw, without its retries.

    A JSON schema is sent as a strict `response_format`. An endpoint given by `base_url` gets no
    key unless `api_key_env` names one, so that no provider's key goes to a stranger. What a
    provider does not support is an error, never dropped.
    """

    def abilities(self, model: Model) -> frozenset[Ability]:
        """Return what LiteLLM passes on to any provider."""
        return frozenset({"schema"})

    def batch_size(self, model: Model) -> int:
        """Return 1: each draw is a request of its own."""
        return 1

    def check(self, model: Model) -> None:
        """Raise ConfigError if a call cannot work.

        Raises:
            ModelNotFound: for a name without a provider, or with an unknown one.
            MissingKey: when the variable that holds the key is not set.
            ConfigError: when `params` sets what archon itself decides.
        """
        if not model.provider:
            raise ModelNotFound(
                f"{model.model!r} names no provider: write 'openai/{model.model}',"
                " 'local/nano' or the like"
            )
        if model.provider not in _providers():
            raise ModelNotFound(
                f"unknown provider {model.provider!r} in {model.model!r}"
                f"{near(model.provider, _providers())}"
            )
        if taken := sorted(_RESERVED & model.params.keys()):
            raise ConfigError(f"{model.model!r}: params must not set {', '.join(taken)}")
        _check_key(model)

    def fingerprint(self, model: Model) -> str:
        """Return nothing: a remote model is what its name says."""
        return ""

    def price(self, model: Model) -> Price | None:
        """Return the model's own price or the listed one, or None if neither is known."""
        return model.price or prices.listed(model)

    async def complete(self, request: Request, draws: tuple[Draw, ...]) -> list[Outcome]:
        """Answer each draw by a request of its own, all at the same time."""
        return list(await asyncio.gather(*(self._one(request) for _ in draws)))

    async def _one(self, request: Request) -> Outcome:
        model = request.model
        if request.prefix:
            return ModelError(f"{model.model!r} cannot continue a prefix", billed=False)
        litellm = await asyncio.to_thread(library)
        began = time.monotonic()
        try:
            response = await litellm.acompletion(**_arguments(request))
        except Exception as error:
            # LiteLLM raises its own errors, those of three HTTP clients and of its own bugs;
            # each must become a value, or the draws beside this one would be lost.
            return failure(error, model)
        try:
            return _reply(response, request, self.price(model), time.monotonic() - began)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            return ModelError(
                f"{model.model!r} sent a reply that cannot be read: {redact(str(error), model)}",
                kind="malformed",
            )

    async def close(self) -> None:
        """Close the connections that LiteLLM keeps."""
        if library.cache_info().currsize:
            await library().close_litellm_async_clients()


def _check_key(model: Model) -> None:
    if model.api_key_env:
        if not os.environ.get(model.api_key_env):
            raise MissingKey(
                f"{model.model!r} needs the environment variable {model.api_key_env}"
                f" (its api_key_env): export {model.api_key_env}=…"
            )
        return
    groups = KEYS.get(model.provider, ())
    if model.base_url or not groups:
        return
    if not any(all(os.environ.get(name) for name in group) for group in groups):
        usual, *others = (" and ".join(group) for group in groups)
        also = f" (or {', or '.join(others)})" if others else ""
        raise MissingKey(
            f"{model.model!r} needs the environment variable {usual}{also}:"
            f" export {groups[0][0]}=…, or name another one with api_key_env"
        )


def _arguments(request: Request) -> dict[str, Any]:
    """Return what LiteLLM is called with."""
    model = request.model
    given: dict[str, Any] = {
        "temperature": model.temperature,
        "top_p": model.top_p,
        "top_k": model.top_k,
        "min_p": model.min_p,
        "max_tokens": model.max_tokens,
        "stop": list(model.stop) or None,
        "reasoning_effort": model.effort,
        "api_base": model.base_url,
        "extra_headers": dict(model.headers) or None,
    }
    if model.api_key_env:
        given["api_key"] = os.environ.get(model.api_key_env)
    elif model.base_url:
        given["api_key"] = _NO_KEY
    if request.schema:
        schema = {"name": "answer", "schema": json.loads(request.schema), "strict": True}
        given["response_format"] = {"type": "json_schema", "json_schema": schema}
    return {
        **{name: value for name, value in given.items() if value is not None},
        **model.params,
        "model": model.model,
        "messages": [message.to_json() for message in request.messages],
        "timeout": model.timeout,
        "max_retries": 0,
        "num_retries": 0,
        "drop_params": False,
    }


def _reply(response: Any, request: Request, price: Price | None, seconds: float) -> Outcome:
    """Read a response; anything that breaks the protocol raises, or is a malformed outcome."""
    model = request.model
    if not response.choices:
        return ModelError(f"{model.model!r} sent a reply without choices", kind="malformed")
    choice = response.choices[0]
    message = choice.message
    extra: dict[str, Json] = getattr(message, "provider_specific_fields", None) or {}
    refusal = getattr(message, "refusal", None) or extra.get("refusal")
    reasoning = getattr(message, "reasoning_content", None) or ""
    calls = [
        ToolCall(call.id or "", call.function.name or "", call.function.arguments or "")
        for call in message.tool_calls or ()
    ]
    finish: Finish = "refusal" if refusal else _FINISH.get(choice.finish_reason, "stop")
    text = message.content if message.content is not None else refusal
    if text is None and not calls and not reasoning and finish == "stop":
        return ModelError(f"{model.model!r} sent a message without content", kind="malformed")
    if text is not None and not isinstance(text, str):
        raise TypeError(f"content is {type(text).__name__}, not text")
    parts: list[Part] = [TextPart(clean_text(text))] if text else []
    usage = _usage(getattr(response, "usage", None), price, seconds)
    return Reply((*parts, *calls), model.model, finish, clean_text(reasoning), usage)


def _usage(usage: Any, price: Price | None, seconds: float) -> Usage:
    into = getattr(usage, "prompt_tokens", None)
    out = getattr(usage, "completion_tokens", None)
    # LiteLLM fills in zeros where a server reports nothing; no prompt has zero tokens.
    if not into:
        into, out = None, out or None
    cost = price.microusd(into, out) if price else None
    return Usage(1, into, out, cost, seconds)
