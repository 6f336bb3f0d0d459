"""LiteLLM, imported quietly; which keys its providers need; and what its errors mean."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

from archon.errors import FailureKind, ModelError
from archon.model import Model

__all__ = ["KEYS", "failure", "library", "redact"]

KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "anthropic": (("ANTHROPIC_API_KEY",), ("ANTHROPIC_AUTH_TOKEN",)),
    "azure": (("AZURE_API_KEY",), ("AZURE_AD_TOKEN",)),
    "bedrock": (
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_PROFILE",),
        ("AWS_ROLE_ARN",),
        ("AWS_WEB_IDENTITY_TOKEN_FILE",),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
        ("AWS_BEARER_TOKEN_BEDROCK",),
    ),
    "cerebras": (("CEREBRAS_API_KEY",),),
    "cohere": (("COHERE_API_KEY",), ("CO_API_KEY",)),
    "cohere_chat": (("COHERE_API_KEY",), ("CO_API_KEY",)),
    "deepinfra": (("DEEPINFRA_API_KEY",),),
    "deepseek": (("DEEPSEEK_API_KEY",),),
    "fireworks_ai": (
        ("FIREWORKS_AI_API_KEY",),
        ("FIREWORKS_API_KEY",),
        ("FIREWORKSAI_API_KEY",),
        ("FIREWORKS_AI_TOKEN",),
    ),
    "gemini": (("GEMINI_API_KEY",), ("GOOGLE_API_KEY",)),
    "groq": (("GROQ_API_KEY",),),
    "mistral": (("MISTRAL_API_KEY",),),
    "moonshot": (("MOONSHOT_API_KEY",),),
    "nvidia_nim": (("NVIDIA_NIM_API_KEY",),),
    "openai": (("OPENAI_API_KEY",),),
    "openrouter": (("OPENROUTER_API_KEY",), ("OR_API_KEY",)),
    "perplexity": (("PERPLEXITYAI_API_KEY",), ("PERPLEXITY_API_KEY",)),
    "replicate": (("REPLICATE_API_KEY",), ("REPLICATE_API_TOKEN",)),
    "together_ai": (("TOGETHER_API_KEY",), ("TOGETHERAI_API_KEY",), ("TOGETHER_AI_API_KEY",)),
    "xai": (("XAI_API_KEY",),),
}
"""Variables that hold a provider's key: any one of the groups is enough, the first is usual."""

_SECRET = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_LOOKS_SECRET = re.compile(r"(?i)\bbearer\s+[^\s'\",}]+|\b(?:sk|gsk|xai|pplx)[-_][\w\-*.]{6,}")
_CONTENT = frozenset({"content_filter", "content_policy_violation"})
"""Codes with which providers refuse a prompt."""
_UNREADABLE = ("Empty or invalid response from LLM endpoint", "provider returned 'choices' that")


@cache
def library() -> Any:
    """Import LiteLLM, quiet and offline."""
    # Otherwise it fetches its price list from the network when it is imported.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return litellm


def failure(error: Exception, model: Model) -> ModelError:
    """Turn what LiteLLM raised into one of the four kinds."""
    kind, billed = _kind(error)
    text = redact(str(error), model).strip() or type(error).__name__
    message = f"{model.model!r}: {text[:1000]}"
    return ModelError(message, kind=kind, retry_after=_retry_after(error), billed=billed)


def _kind(error: Exception) -> tuple[FailureKind, bool]:
    """Return an error's kind and whether the attempt may have been billed."""
    kinds = library().exceptions
    status = getattr(error, "status_code", None)
    causes = list(_causes(error))
    if _malformed(causes) or isinstance(error, kinds.APIResponseValidationError):
        return "malformed", True
    refused = (kinds.ContentPolicyViolationError, kinds.RejectedRequestError)
    if isinstance(error, refused) or _codes(causes) & _CONTENT:
        return "content", False
    if isinstance(error, kinds.RateLimitError) or status == 429:
        said = " ".join(map(str, causes))
        return ("fatal" if "insufficient_quota" in said else "transient"), False
    if status is None or isinstance(error, kinds.APIConnectionError):
        return _unanswered(causes)
    if status in (408, 409, 425) or status >= 500:
        return "transient", not _never_sent(causes)
    return "fatal", False


def _malformed(causes: list[BaseException]) -> bool:
    """Whether the provider's answer could not be read; LiteLLM often reports that as a 500."""
    return any(
        isinstance(cause, json.JSONDecodeError) or any(mark in str(cause) for mark in _UNREADABLE)
        for cause in causes
    )


def _codes(causes: list[BaseException]) -> set[str]:
    return {str(code) for cause in causes if (code := getattr(cause, "code", None))}


def _unanswered(causes: list[BaseException]) -> tuple[FailureKind, bool]:
    """Judge an error that came without the provider's answer."""
    import httpx

    if _never_sent(causes):
        return "transient", False
    network = (OSError, httpx.TransportError, library().exceptions.APIConnectionError)
    return ("transient" if any(isinstance(c, network) for c in causes) else "fatal"), True


def _never_sent(causes: list[BaseException]) -> bool:
    import httpx

    unreached = (ConnectionRefusedError, httpx.ConnectError, httpx.ConnectTimeout)
    return any(isinstance(cause, unreached) for cause in causes)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _retry_after(error: Exception) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as a number or as a date."""
    for holder in (error, getattr(error, "response", None)):
        headers = getattr(holder, "headers", None) or getattr(
            holder, "litellm_response_headers", None
        )
        value = (headers or {}).get("retry-after")
        if value is None:
            continue
        try:
            return max(0.0, float(value))
        except ValueError:
            pass
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except ValueError:
            return None
    return None


def redact(text: str, model: Model) -> str:
    """Take keys out of a text: known values wherever they stand, and what looks like one."""
    for secret in sorted(_secrets(model), key=len, reverse=True):
        text = text.replace(secret, "[key]")
    return _LOOKS_SECRET.sub("[key]", text)


def _secrets(model: Model) -> set[str]:
    names = {name for groups in KEYS.values() for group in groups for name in group}
    names |= {model.api_key_env or ""}
    values = [os.environ.get(name, "") for name in names if _SECRET.search(name)]
    if model.api_key_env:
        values.append(os.environ.get(model.api_key_env, ""))
    for settings in (model.headers, model.params):
        values += [str(value) for name, value in settings.items() if _SECRET.search(name)]
    words = {word for value in values for word in (value, *value.split())}
    # Shorter ones are no keys, and replacing them would garble the message.
    return {word for word in words if len(word) >= 6 and word.lower() not in ("bearer", "basic")}
