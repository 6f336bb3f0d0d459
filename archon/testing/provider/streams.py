"""Faults that can only happen to a stream."""

from __future__ import annotations

from archon.testing.provider.exchange import (
    DONE,
    EVENTS,
    Act,
    Exchange,
    Fault,
    Kind,
    chunk,
    error_body,
)
from archon.testing.provider.wire import head

__all__ = ["STREAMS"]


def _cut_stream(x: Exchange) -> None:
    # Without a length, the end of the connection looks like the end of the answer.
    events = x.events()[:2]
    x.connection.write(head(200, EVENTS, "Connection: close") + b"".join(events))
    x.connection.close()


def _broken_stream(x: Exchange) -> None:
    x.connection.write(x.opening() + b"".join(map(chunk, x.events()[:2])))
    x.connection.close()


def _stalled_stream(x: Exchange) -> None:
    x.connection.write(x.opening() + chunk(x.events()[0]))


def _stream_error(x: Exchange) -> None:
    error = error_body("The server had an error", None, "server_error")
    x.stream([*x.events()[:2], b"data: " + error + b"\n\n"])


def _stream_garbage(x: Exchange) -> None:
    first, *rest = x.events()
    x.stream([first, b'data: {"choices": [{"delta"\n\n', b"%%% what is this\n\n", *rest])


def _stream_only_done(x: Exchange) -> None:
    x.stream([])


def _stream_not_done(x: Exchange) -> None:
    x.stream(x.events(), done=b"")


def _stream_comments(x: Exchange) -> None:
    x.stream([b": still working\n\n", *(b": ping\r\n\r\n" + event for event in x.events())])


def _stream_bytewise(x: Exchange) -> None:
    data = b"".join(x.events()) + DONE
    x.write(x.opening() + b"".join(chunk(bytes([byte])) for byte in data) + b"0\r\n\r\n")


def _stream(name: str, kind: Kind, act: Act, does: str) -> Fault:
    return Fault(name, kind, True, act, does, True)


STREAMS = (
    _stream("cut_stream", "transient", _cut_stream, "closed early, as if that were all"),
    _stream("broken_stream", "transient", _broken_stream, "closed without the last chunk"),
    _stream("stalled_stream", "transient", _stalled_stream, "nothing after the first chunk"),
    _stream("stream_error", "transient", _stream_error, "an error object between the chunks"),
    _stream("stream_garbage", "malformed", _stream_garbage, "lines that are no events"),
    _stream("stream_only_done", "malformed", _stream_only_done, "[DONE] without any choice"),
    _stream("stream_not_done", "malformed", _stream_not_done, "all chunks, but no [DONE]"),
    _stream("stream_comments", "reply", _stream_comments, "comments between the chunks"),
    _stream("stream_bytewise", "reply", _stream_bytewise, "each byte as a chunk of its own"),
)
