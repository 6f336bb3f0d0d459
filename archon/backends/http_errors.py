"""What a failed HTTP call means: the four kinds, whether it was billed, and when to try again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import aiohttp

from archon.backends.retry_after import retry_after
from archon.errors import FailureKind, ModelError
from archon.redaction import redact
from archon.types import Json

__all__ = ["OVERFLOW", "broken", "failed", "fault_in_body", "malformed", "refused", "said_of"]

_LONGEST = 1000
"""Characters of a provider's message that are passed on."""

_CONTENT = frozenset({"content_filter", "content_policy_violation", "responsibleaipolicyviolation"})
OVERFLOW = re.compile(
    r"context[_ ]length|context window|maximum (input|prompt) length|prompt is too long", re.I
)
"""What providers say of a prompt that is longer than their model takes."""
_MONEY = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
    | {"exceeded_current_quota_error", "insufficient_balance", "insufficient_funds"}
    | {"insufficient_credits", "payment_required"}
)
"""Codes of a 429 that no waiting helps against."""
_STATUS_OF = {
    "rate_limit": 429,
    "too_many": 429,
    "overload": 503,
    "unavailable": 503,
    "timeout": 504,
    "invalid_request": 400,
    "badrequest": 400,
    "bad_request": 400,
    "context_length": 400,
    "authentication": 401,
    "invalid_api_key": 401,
    "permission": 403,
    "not_found": 404,
}
"""What the codes of an error without a status begin with or contain."""


def malformed(name: str, why: str) -> ModelError:
    """Return the error for an answer that breaks the protocol; it was paid."""
    return ModelError(f"{name!r} sent a reply that cannot be read: {why}", kind="malformed")


def failed(
    name: str,
    text: str,
    kind: FailureKind,
    *,
    billed: bool,
    wait: float | None = None,
    limited: bool = False,
) -> ModelError:
    """Return an error with a provider's words: redacted, on one line, and not too many."""
    said = " ".join(redact(text).split())[:_LONGEST]
    return ModelError(
        f"{name!r}: {said}", kind=kind, retry_after=wait, billed=billed, limited=limited
    )


def refused(name: str, status: int, body: Json, headers: Mapping[str, str]) -> ModelError:
    """Turn an answer whose status is not 200 into an error."""
    text, codes = said_of(body)
    kind, billed = _judged(status, codes)
    if kind == "fatal" and OVERFLOW.search(" ".join((text, *codes))):
        kind = "content"  # what the architecture made is too long: no fault of the provider
    said = f"HTTP {status}: {text}" if text else f"HTTP {status}"
    limited = status == 429 and kind == "transient"
    return failed(name, said, kind, billed=billed, wait=retry_after(headers), limited=limited)


def fault_in_body(name: str, error: Json) -> ModelError:
    """Turn an error object inside an answer that began well into an error."""
    text, codes = said_of({"error": error})
    # The provider began to answer, so it may charge, whatever it says now.
    kind, _ = _judged(_status_of(codes) or 500, codes)
    return failed(name, text or "an error without words", kind, billed=True)


def _judged(status: int, codes: set[str]) -> tuple[FailureKind, bool]:
    """Return the kind of an answer by its status, and whether it may have been billed."""
    if codes & _CONTENT:
        return "content", False
    if status == 429:
        return ("fatal" if codes & _MONEY else "transient"), False
    if status in (408, 409, 425) or status >= 500:
        return "transient", True
    if 200 <= status < 300:
        return "malformed", True
    return "fatal", False


def _status_of(codes: Iterable[str]) -> int:
    for code in codes:
        if re.fullmatch(r"[45]\d\d", code):
            return int(code)
    for code in codes:
        for mark, status in _STATUS_OF.items():
            if mark in code:
                return status
    return 0


def said_of(body: Json) -> tuple[str, set[str]]:
    """Return the message of an error answer and its codes and types, in small letters."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return (body if isinstance(body, str) else ""), set()
    error = body.get("error", body)
    if not isinstance(error, dict):
        return str(error), set()
    text = next((error[k] for k in ("message", "detail", "error_msg") if error.get(k)), "")
    inner = error.get("innererror")
    codes = [error.get("code"), error.get("type"), error.get("param")]
    codes += [inner.get("code")] if isinstance(inner, dict) else []
    return str(text), {str(code).lower() for code in codes if isinstance(code, (str, int))}


def broken(name: str, error: Exception) -> ModelError:
    """Turn what aiohttp raised into an error.

    Only what failed before the request could be sent is certainly not billed.
    """
    text = str(error) or type(error).__name__
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.InvalidURL():
            return failed(name, text, "fatal", billed=False)
        case aiohttp.ClientHttpProxyError():
            kind: FailureKind = "transient" if error.status >= 500 else "fatal"
            return failed(name, f"the proxy said {text}", kind, billed=False)
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return failed(name, text, "transient", billed=False)
        case aiohttp.ClientResponseError():
            return malformed(name, "it is not HTTP")
        case aiohttp.ClientError() | OSError():
            return failed(name, f"the connection broke: {text}", "transient", billed=True)
    return failed(name, f"{type(error).__name__}: {text}", "fatal", billed=True)
