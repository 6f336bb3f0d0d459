"""Faults that are an HTTP status: busy, broken, or not willing."""

from __future__ import annotations

from email.utils import formatdate
from time import time

from archon.testing.provider.exchange import Exchange, Fault, Kind, error_body

__all__ = ["REDIRECTED", "REFUSALS"]

REDIRECTED = "/elsewhere"
"""Where a redirect leads: in front of a path, it answers without any fault and is counted."""


def _refusal(
    name: str,
    kind: Kind,
    status: int,
    code: str | None,
    message: str,
    *headers: str,
    billed: bool = False,
    error: str = "",
) -> Fault:
    body = error_body(message, code, error or _type(status, code))
    said = f"{status} {code or error}".strip()

    def act(x: Exchange) -> None:
        x.send(body, status, *headers)

    return Fault(name, kind, billed, act, ", ".join((said, *headers)))


def _type(status: int, code: str | None) -> str:
    """Return the type of error that goes with a status; some clients trust it more."""
    if code in ("insufficient_quota", "overloaded_error"):
        return code
    if status == 429:
        return "requests"
    return "server_error" if status >= 500 or status in (408, 409) else _INVALID


def _dated(x: Exchange) -> None:
    # Dates count whole seconds, and one that is past already would mean nothing.
    until = f"Retry-After: {formatdate(time() + 2, usegmt=True)}"
    x.send(error_body(_BUSY, _LIMIT, "requests"), 429, until)


def _unauthorized(x: Exchange) -> None:
    message = f"Incorrect API key provided: {x.incoming.key or 'none'}."
    x.send(error_body(message, "invalid_api_key"), 401)


def _redirect(x: Exchange) -> None:
    path = "/v1/chat/completions" if x.ask.chat else "/v1/completions"
    x.send(b"", 307, f"Location: {REDIRECTED}{path}")


_INVALID = "invalid_request_error"
_LIMIT, _BUSY = "rate_limit_exceeded", "Rate limit reached, please try again later"
_QUOTA = "You exceeded your current quota, please check your plan and billing details."
_UNKNOWN = "The model does not exist or you do not have access to it."
_LONG = "This model's maximum context length is 8192 tokens. Your messages have 9000 tokens."
_FILTERED = "The response was filtered due to the prompt triggering the content management policy."

REFUSALS = (
    _refusal("rate_limit", "transient", 429, _LIMIT, _BUSY, "Retry-After: 1"),
    Fault("rate_limit_date", "transient", False, _dated, "429, Retry-After: a date in 1 to 2 s"),
    _refusal("rate_limit_bare", "transient", 429, _LIMIT, _BUSY),
    _refusal("rate_limit_hour", "transient", 429, _LIMIT, _BUSY, "Retry-After: 3600"),
    _refusal("server_error", "transient", 500, None, "The server had an error"),
    _refusal("bad_gateway", "transient", 502, None, "Bad gateway"),
    _refusal("unavailable", "transient", 503, None, "The engine is overloaded"),
    # The model may well have answered a gateway that was no longer waiting.
    _refusal("gateway_timeout", "transient", 504, None, "Gateway timeout", billed=True),
    _refusal("overloaded", "transient", 529, "overloaded_error", "Overloaded"),
    # Some servers call every error a bad request; the status tells the truth.
    _refusal("mislabelled", "transient", 503, None, "Try again later", error=_INVALID),
    _refusal("request_timeout", "transient", 408, None, "The request timed out"),
    _refusal("conflict", "transient", 409, None, "The request conflicts with another one"),
    _refusal("quota", "fatal", 429, "insufficient_quota", _QUOTA),
    Fault("unauthorized", "fatal", False, _unauthorized, "401 whose message repeats the key"),
    _refusal("payment_required", "fatal", 402, "insufficient_credits", "Insufficient credits"),
    _refusal("forbidden", "fatal", 403, "forbidden", "Your region is not supported"),
    _refusal("unknown_model", "fatal", 404, "model_not_found", _UNKNOWN),
    _refusal("bad_parameter", "fatal", 400, "unsupported_parameter", "Unsupported: 'top_p'"),
    _refusal("context_length", "content", 400, "context_length_exceeded", _LONG),
    _refusal("filtered_prompt", "content", 400, "content_filter", _FILTERED),
    Fault("redirect", "fatal", False, _redirect, "307 to a path that would answer"),
)
