"""Every provider that LiteLLM knows: names like `openai/gpt-4o` or `anthropic/claude-sonnet-4`."""

from __future__ import annotations

import asyncio
import json
import os
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from archon.backends import prices
from archon.backends.checking import check_key, check_params
from archon.backends.litellm_errors import failure, library, loaded
from archon.backends.litellm_stream import TooLong, collect, options
from archon.backends.metering import UNKNOWN, Tokens, counted, usages
from archon.backends.streaming import LARGEST, Cut, may_be_long
from archon.errors import ConfigError, ModelError, ModelNotFound
from archon.errors import did_you_mean as near
from archon.model import Ability, Draw, Model, Outcome, Price, Request
from archon.plain import clean_text
from archon.redaction import KEYS, guard_logs, redact, remember
from archon.types import Finish, Json, Part, Reply, TextPart, ToolCall

__all__ = ["LiteLLM"]

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
    provider does not support is an error, never dropped. Calls that may take over a minute are
    streamed.
    """

    def __init__(self) -> None:
        guard_logs()
        self._prices: dict[Model, Price | None] = {}
        self._seen: set[Model] = set()

    def abilities(self, model: Model) -> frozenset[Ability]:
        """Return what LiteLLM passes on to any provider, and what it says about this model."""
        able: set[Ability] = {"schema"}
        if _continues(model):
            able.add("continue_from_prefix")
        return frozenset(able)

    def batch_size(self, model: Model) -> int:
        """Return 1: each draw is a request of its own."""
        return 1

    def check(self, model: Model) -> None:
        """Raise ConfigError if a call cannot work.

        Raises:
            ModelNotFound: for a name without a provider, or with an unknown one.
            MissingKey: when the variable that holds the key is not set.
            ConfigError: when `params` sets what archon itself decides or keeps secret, or a
                setting cannot be honoured.
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
        if model.protocol != "chat":
            raise ConfigError(f"{model.model!r} cannot honour protocol: {model.protocol}")
        check_params(model)
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
        """Answer each draw by a request of its own, all at the same time."""
        model = request.model
        if request.prefix and not _continues(model):
            return [ModelError(f"{model.model!r} cannot continue a prefix", billed=False)] * len(
                draws
            )
        if model not in self._seen:
            self._seen.add(model)
            named = [model.api_key_env] if model.api_key_env else []
            remember(named, model.headers, model.params)
        if not loaded():
            await asyncio.to_thread(library)
        if len(draws) == 1:
            return [await self._one(request)]
        return list(await asyncio.gather(*(self._one(request) for _ in draws)))

    async def _one(self, request: Request) -> Outcome:
        model, arguments = request.model, _arguments(request)
        try:
            if may_be_long(model):
                stream = await library().acompletion(**arguments, **options(model.model))
                response = await collect(stream, arguments["messages"])
            else:
                response = await library().acompletion(**arguments)
        except Cut as error:
            return ModelError(f"{model.model!r}: {error}", kind="transient")
        except TooLong as error:
            return _malformed(model, str(error))
        except Exception as error:
            # LiteLLM raises its own errors, those of three HTTP clients and of its own bugs;
            # each must become a value, or the draws beside this one would be lost.
            return failure(error, model)
        try:
            return _reply(response, request, self.price(model))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            return _malformed(model, redact(str(error)))

    async def close(self) -> None:
        """Close the connections that LiteLLM keeps."""
        if loaded():
            await library().close_litellm_async_clients()


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
        "messages": _messages(request),
        "timeout": model.timeout,
        "max_retries": 0,
        "num_retries": 0,
        "drop_params": False,
    }


def _messages(request: Request) -> list[Json]:
    messages = [message.to_json() for message in request.messages]
    if request.prefix:
        messages.append({"role": "assistant", "content": request.prefix, "prefix": True})
    return messages


def _continues(model: Model) -> bool:
    row = prices.row_of(model)
    return row is not None and row.prefills and not model.base_url


def _malformed(model: Model, why: str) -> ModelError:
    return ModelError(f"{model.model!r} sent a reply that cannot be read: {why}", kind="malformed")


def _reply(response: Any, request: Request, price: Price | None) -> Outcome:
    """Read a response; anything that breaks the protocol raises, or is a malformed outcome."""
    model = request.model
    if not response.choices:
        return _malformed(model, "no choices")
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
    text = _text(message.content, refusal)
    if text is None and not calls and not reasoning and finish == "stop":
        return _malformed(model, "a message without content")
    if request.prefix and not (text or "").startswith(request.prefix):
        text = request.prefix + (text or "")
    parts: list[Part] = [TextPart(clean_text(text))] if text else []
    tokens = _tokens(getattr(response, "usage", None))
    [(usage, _)] = usages(tokens, [1], price)
    return Reply((*parts, *calls), model.model, finish, clean_text(reasoning), usage)


def _text(content: Any, refusal: Any) -> str | None:
    text = content if content is not None else refusal
    if text is not None and not isinstance(text, str):
        raise TypeError(f"content is {type(text).__name__}, not text")
    if text is not None and len(text) > LARGEST:
        raise ValueError(f"more than {LARGEST} bytes")
    return text


def _tokens(usage: Any) -> Tokens:
    into = counted(getattr(usage, "prompt_tokens", None))
    out = counted(getattr(usage, "completion_tokens", None))
    # LiteLLM fills in zeros where a server reports nothing; no prompt has zero tokens.
    return Tokens(into, out) if into else UNKNOWN._replace(output=out or None)
