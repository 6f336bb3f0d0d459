"""LiteLLM, imported quietly, and what its errors mean."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

from archon.backends.retry_after import retry_after
from archon.errors import FailureKind, ModelError
from archon.model import Model
from archon.redaction import KEYS, guard_logs, redact

__all__ = ["KEYS", "failure", "library", "loaded"]

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
    # Said about LiteLLM's own types when it first streams: nothing that its users could change.
    warnings.filterwarnings("ignore", r"(?s).*`ReadOnly` qualifier", UserWarning)
    guard_logs()
    return litellm


def loaded() -> bool:
    """Return whether LiteLLM is there: importing it takes seconds."""
    return library.cache_info().currsize > 0


def failure(error: Exception, model: Model) -> ModelError:
    """Turn what LiteLLM raised into one of the four kinds."""
    kind, billed = _kind(error)
    text = " ".join(redact(str(error)).split()) or type(error).__name__
    message = f"{model.model!r}: {text[:1000]}"
    limited = kind == "transient" and getattr(error, "status_code", None) == 429
    wait = _retry_after(error)
    return ModelError(message, kind=kind, retry_after=wait, billed=billed, limited=limited)


def _kind(error: Exception) -> tuple[FailureKind, bool]:
    """Return an error's kind and whether the attempt may have been billed."""
    kinds = library().exceptions
    status = getattr(error, "status_code", None)
    causes = list(_causes(error))
    if _malformed(causes) or isinstance(error, kinds.APIResponseValidationError):
        return "malformed", True
    refused = (
        kinds.ContentPolicyViolationError, kinds.RejectedRequestError,
        kinds.ContextWindowExceededError,
    )  # fmt: skip
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
    """Return the seconds that the provider's headers ask for."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("headers", "litellm_response_headers"):
            headers = getattr(holder, name, None)
            if headers and (seconds := retry_after(headers)) is not None:
                return seconds
    return None
