"""One request on its way to an answer, and what a fault is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from archon.testing.provider.replies import Ask, Reply, chunks, plain
from archon.testing.provider.settings import Settings
from archon.testing.provider.wire import Connection, Incoming, head, response

__all__ = ["DONE", "EVENTS", "Act", "Exchange", "Fault", "Kind", "chunk", "error_body", "event"]

Kind: TypeAlias = Literal["transient", "malformed", "fatal", "content", "reply"]
"""What a client should make of a fault.

transient: nothing usable came; the same request may succeed later. malformed: an answer came that
breaks the protocol; it was paid, and asking again may help. fatal: no request of this kind can
succeed. content: the provider refuses this prompt or reply. reply: odd but valid, to be accepted.
"""

EVENTS = "text/event-stream"
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to a model and the reply computed for it.

    Attributes:
        connection: to answer on.
        incoming: the request as it came in.
    """

    connection: Connection
    ask: Ask
    reply: Reply
    settings: Settings
    incoming: Incoming

    def answer(self) -> None:
        """Send the reply in the form that was asked for."""
        if self.ask.stream:
            self.stream(self.events())
        else:
            self.send(self.body())

    def body(self) -> bytes:
        """Return the reply in one piece."""
        return json.dumps(plain(self.reply, self.ask)).encode()

    def events(self) -> list[bytes]:
        """Return the reply as events."""
        return [event(chunk) for chunk in chunks(self.reply, self.ask)]

    def send(
        self,
        body: bytes,
        status: int = 200,
        *headers: str,
        content_type: str = "application/json",
    ) -> None:
        """Send a whole answer."""
        self.write(response(body, status, *headers, content_type=content_type))

    def stream(self, events: Iterable[bytes], *, done: bytes = DONE) -> None:
        """Send events and their end, each as a chunk."""
        self.write(self.opening() + b"".join(map(chunk, (*events, done))) + b"0\r\n\r\n")

    def opening(self) -> bytes:
        """Return the head of a stream of chunks."""
        return head(200, EVENTS, "Cache-Control: no-cache", "Transfer-Encoding: chunked")

    def write(self, data: bytes) -> None:
        """Write the rest of the answer."""
        self.connection.write(data)
        self.connection.done()

    def whole(self) -> bytes:
        """Return all that `answer` would put on the wire for a client that keeps no connection."""
        if self.ask.stream:
            events = b"".join(self.events()) + DONE
            return response(events, 200, "Connection: close", content_type=EVENTS)
        return response(self.body(), 200, "Connection: close")


Act: TypeAlias = Callable[[Exchange], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to go wrong.

    Attributes:
        kind: what a client should make of it.
        billed: whether the provider charges for it. A billed fault takes the usual latency; the
            others happen at once.
        act: does it in place of the answer.
        help: what happens, in a line.
        streaming: True if it can only happen to a stream, False if only to an answer in one piece.
    """

    name: str
    kind: Kind
    billed: bool
    act: Act
    help: str
    streaming: bool | None = None


def error_body(message: str, code: str | None, kind: str = "invalid_request_error") -> bytes:
    """Return an error in the words of OpenAI."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return json.dumps({"error": error}).encode()


def event(value: Any) -> bytes:
    """Return a value as an event of a stream."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(data: bytes) -> bytes:
    """Return bytes as a chunk of an answer without a length."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
