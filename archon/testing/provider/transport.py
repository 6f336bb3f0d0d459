"""Faults below HTTP: answers that do not come, break off, or have the wrong length."""

from __future__ import annotations

from archon.testing.provider.exchange import Exchange, Fault
from archon.testing.provider.wire import response

__all__ = ["TRANSPORT"]

_DRIP_BYTES = 8
_FLUSHED = 0.02
"""Seconds after which what was written has reached a client on the same machine."""


def _hang(x: Exchange) -> None:
    """Leave the request open; it ends when the client leaves."""


def _slow_loris(x: Exchange) -> None:
    def drip(at: int) -> None:
        x.connection.write(data[at : at + _DRIP_BYTES])
        if at + _DRIP_BYTES < len(data):
            x.connection.later(x.settings.drip_seconds, drip, at + _DRIP_BYTES)
        else:
            x.write(b"")
            x.connection.close()

    data = x.whole()
    drip(0)


def _reset(x: Exchange) -> None:
    x.connection.reset()


def _half(x: Exchange) -> None:
    """Write the head and half of the body."""
    data = x.whole()
    start = data.index(b"\r\n\r\n") + 4
    x.connection.write(data[: (start + len(data)) // 2])


def _reset_in_body(x: Exchange) -> None:
    _half(x)
    x.connection.later(_FLUSHED, x.connection.reset)


def _closed(x: Exchange) -> None:
    x.connection.close()


def _truncated(x: Exchange) -> None:
    _half(x)
    x.connection.close()


def _short_length(x: Exchange) -> None:
    body = x.body()
    x.connection.write(response(body, 200, "Connection: close", length=len(body) // 2))
    x.connection.close()


def _not_http(x: Exchange) -> None:
    x.connection.write(b"\x16\x03\x01\x02\x00 this is not HTTP\r\n\r\n")
    x.connection.close()


def _early_hints(x: Exchange) -> None:
    x.connection.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
    x.answer()


TRANSPORT = (
    Fault("hang", "transient", True, _hang, "no answer until the client leaves"),
    Fault("slow_loris", "transient", True, _slow_loris, "8 bytes every `drip_seconds`"),
    Fault("reset", "transient", True, _reset, "a RST in place of an answer"),
    Fault("reset_in_body", "transient", True, _reset_in_body, "a RST after half of the body"),
    Fault("closed", "transient", True, _closed, "closed in place of an answer"),
    Fault("truncated", "transient", True, _truncated, "closed after half of the length announced"),
    Fault("not_http", "transient", True, _not_http, "bytes that are not HTTP, then closed"),
    Fault("short_length", "malformed", True, _short_length, "twice the length announced", False),
    Fault("early_hints", "reply", True, _early_hints, "a 103 before the answer"),
)
