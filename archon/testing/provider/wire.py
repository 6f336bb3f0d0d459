"""HTTP/1.1 by hand: one connection, its requests one after the other, its answers as bytes."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

__all__ = ["Connection", "Incoming", "head", "response"]

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_HEAD = "HTTP/1.1 {} {}\r\nContent-Type: {}\r\n{}"
_JSON = "application/json"
_OK = _HEAD.format(200, "OK", _JSON, "Content-Length: ").encode()
_LINGER_0 = struct.pack("ii", 1, 0)
_LARGEST_HEAD = 1 << 16


@dataclass(frozen=True, slots=True)
class Incoming:
    """A whole request as it came in; `top` is its head."""

    method: str
    path: str
    top: bytes
    body: bytes

    def header(self, name: str) -> str:
        """Return the value of a header, or nothing."""
        for line in self.top.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip()
        return ""

    @property
    def key(self) -> str:
        """The bearer that came with it."""
        return self.header("authorization").removeprefix("Bearer ").strip()


def head(status: int = 200, content_type: str = _JSON, *headers: str) -> bytes:
    """Return the head of an answer, without a length unless it is among the headers."""
    lines = "".join(f"{header}\r\n" for header in headers)
    phrase = _PHRASES.get(status, "Unknown")
    return (_HEAD.format(status, phrase, content_type, lines) + "\r\n").encode("latin-1")


def response(
    body: bytes,
    status: int = 200,
    *headers: str,
    content_type: str = _JSON,
    length: int | None = None,
) -> bytes:
    """Return a whole answer; `length` is what it claims if that is not the truth."""
    if status == 200 and content_type is _JSON and not headers and length is None:
        return b"%b%d\r\n\r\n%b" % (_OK, len(body), body)
    size = f"Content-Length: {len(body) if length is None else length}"
    return head(status, content_type, size, *headers) + body


class Connection(asyncio.Protocol):
    """One client's connection.

    A request is served when the one before it is answered, so that answers never overtake each
    other when a client sends requests ahead.

    Args:
        serve: called with each request; it answers through `write` and `done`, now or later.
        opened: called with this when it opens.
        lost: called with this when it is gone.
    """

    transport: asyncio.Transport

    def __init__(
        self,
        serve: Callable[[Connection, Incoming], None],
        opened: Callable[[Connection], None],
        lost: Callable[[Connection], None],
    ) -> None:
        self._serve, self._opened, self._lost = serve, opened, lost
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._incoming: tuple[bytes, int, int] | None = None
        self._busy = self._reading = self._last = False
        self._timer: asyncio.TimerHandle | None = None
        self.ending: Callable[[bool], None] | None = None
        """Called once when the request ends: with True if its answer was written whole."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start, without waiting for small packets to fill."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop whatever was still to be answered."""
        if self._timer:
            self._timer.cancel()
        self._end(whole=False)
        self._lost(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and serve what is complete."""
        self._buffer += data
        if not self._busy:
            self._read()

    def _read(self) -> None:
        self._reading = True
        while not self._busy and self._buffer and not self.transport.is_closing():
            if self._incoming is None and not self._read_head():
                break
            assert self._incoming is not None
            top, start, end = self._incoming
            if len(self._buffer) < end:
                break
            body = bytes(self._buffer[start:end])
            del self._buffer[:end]
            self._incoming = None
            self._take(top, body)
        self._reading = False

    def _read_head(self) -> bool:
        """Whether the head is there; then it is known where the body ends."""
        at = self._buffer.find(b"\r\n\r\n")
        if at < 0:
            if len(self._buffer) > _LARGEST_HEAD:
                self.refuse(431, "the head of the request is too large")
            return False
        top = bytes(self._buffer[: at + 2])
        low = top.lower()
        _, found, rest = low.partition(b"\r\ncontent-length:")
        size = rest.partition(b"\r\n")[0].strip()
        if b"\r\ntransfer-encoding:" in low or (found and not size.isdigit()):
            self.refuse(411, "send the length of the body")
            return False
        if b"\r\nexpect: 100-continue" in low:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._incoming = top, at + 4, at + 4 + int(size or 0)
        return True

    def _take(self, top: bytes, body: bytes) -> None:
        line, _, _ = top.partition(b"\r\n")
        try:
            method, path, version = line.decode("ascii").split(" ")
        except ValueError:
            return self.refuse(400, "this is not HTTP/1.1")
        low = top.lower()
        self._last = version != "HTTP/1.1" or b"\r\nconnection: close" in low
        self._busy = True
        self._serve(self, Incoming(method, path, top, body))
        return None

    def refuse(self, status: int, message: str) -> None:
        """Refuse what is no request that this can read, and close."""
        body = json.dumps({"error": {"message": message, "type": "invalid_request_error"}})
        self.transport.write(response(body.encode(), status, "Connection: close"))
        self.transport.close()

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.write(data)

    def later(self, seconds: float, do: Callable[..., None], *args: Any) -> None:
        """Do something in so many seconds, or at once; never if the client is gone by then."""
        if seconds > 0:
            self._timer = self._loop.call_later(seconds, do, *args)
        else:
            do(*args)

    def done(self) -> None:
        """End the request: its answer is written."""
        self._busy = False
        self._end(whole=True)
        if self._last:
            self.transport.close()
        elif self._buffer and not self._reading:
            self._read()

    def close(self) -> None:
        """Close in good order after what was written, whether that was an answer or not."""
        self.transport.close()

    def reset(self) -> None:
        """Break the connection off with a RST."""
        sock: socket.socket = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        self.transport.abort()

    def _end(self, *, whole: bool) -> None:
        ending, self.ending = self.ending, None
        if ending:
            ending(whole)
