"""A provider for a module of tests, and a client that shows every byte of its answers."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from archon.testing.provider import Provider, Settings

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello?"}]
BOMB, LARGE = 3_000_000, 200_000


@dataclass
class Answer:
    """What came over the wire, and how it ended: whole, closed, reset or open."""

    head: str
    body: bytes
    end: str

    @property
    def status(self) -> int:
        return int(self.head.split(" ")[1]) if self.head.startswith("HTTP/1.1 ") else 0

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> Any:
        return self.json["choices"][0]["message"]["content"]

    @property
    def events(self) -> list[Any]:
        """The data of a stream, without its end."""
        lines = [line[6:] for line in self.plain.splitlines() if line.startswith(b"data: ")]
        return [json.loads(line) for line in lines if line != b"[DONE]"]

    @property
    def plain(self) -> bytes:
        """The body of an answer that came in chunks."""
        if "chunked" not in self.head:
            return self.body
        found, rest = b"", self.body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            found, rest = found + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return found

    @property
    def said(self) -> str:
        """The text of a stream's first choice."""
        choices = [c for event in self.events for c in event["choices"] if c["index"] == 0]
        return "".join(choice["delta"].get("content", "") for choice in choices)


class Client:
    """A keep-alive connection that shows every byte."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.sock = socket.create_connection((host, int(port)))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, method: str, path: str, body: bytes = b"", *headers: str) -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
        self.sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def receive(self, patience: float = 5.0) -> Answer:
        data, end = b"", ""
        limit = time.monotonic() + patience
        while not end:
            self.sock.settimeout(max(0.001, limit - time.monotonic()))
            try:
                more = self.sock.recv(1 << 20)
            except TimeoutError:
                end = "open"
            except ConnectionResetError:
                end = "reset"
            else:
                data += more
                end = "whole" if _whole(data) else "" if more else "closed"
        head, _, body = data.partition(b"\r\n\r\n")
        return Answer(head.decode("latin-1"), body, end)

    def ask(self, path: str = CHAT, *headers: str, patience: float = 5.0, **data: Any) -> Answer:
        defaults = {"prompt": "Hello?"} if path == "/v1/completions" else {"messages": HELLO}
        body = json.dumps({"model": "m", **defaults, **data}).encode()
        self.send("POST", path, body, *headers)
        return self.receive(patience)

    def get(self, path: str) -> Any:
        self.send("GET", path)
        return self.receive().json


def _whole(data: bytes) -> bool:
    head, found, body = data.partition(b"\r\n\r\n")
    if b"HTTP/1.1 103" in head:
        return _whole(body)
    if b"chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    _, sized, rest = head.partition(b"Content-Length: ")
    return bool(found and sized) and len(body) >= int(rest.split(b"\r\n")[0])


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with Provider(large_bytes=LARGE, bomb_bytes=BOMB) as provider:
        yield provider


@pytest.fixture
def provider(running: Provider) -> Provider:
    before = Settings(large_bytes=LARGE, bomb_bytes=BOMB)
    running.set(**{name: getattr(before, name) for name in before.__dataclass_fields__})
    running.reset()
    return running


@pytest.fixture
def client(provider: Provider) -> Iterator[Client]:
    with Client(provider.url) as client:
        yield client


def eventually(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.005)


def statuses(client: Client, n: int) -> list[int]:
    return [client.ask().status for _ in range(n)]
