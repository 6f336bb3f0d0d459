"""Replies that come as server-sent events, put together into the form of those in one piece."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

import aiohttp

from archon.backends.http_reply import Malformed, decode
from archon.backends.streaming import Cut, Idle
from archon.types import Json

__all__ = ["collect"]

_DRAIN_SECONDS = 0.2
_WIRE = 64
"""Bytes on the wire for each character that is allowed: events repeat much with each token."""


@dataclass(slots=True)
class _Choice:
    """One choice as far as it has come."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    parts: list[Json] = field(default_factory=list)
    calls: dict[int, dict[str, Json]] = field(default_factory=dict)
    logprobs: list[Json] = field(default_factory=list)
    columns: dict[str, list[Json]] = field(default_factory=dict)
    finish: Json = None
    stop: Json = None

    def message(self) -> dict[str, Json]:
        """Return it as the message of a reply in one piece."""
        said: dict[str, Json] = {name: "".join(texts) for name, texts in self.texts.items()}
        if self.parts:
            said["content"] = self.parts
        if self.calls:
            said["tool_calls"] = [call for _, call in sorted(self.calls.items())]
        return said

    def logs(self) -> Json:
        """Return the logprobs of all chunks, in the form in which they came."""
        return {"content": self.logprobs} if self.logprobs else (self.columns or None)


@dataclass(slots=True)
class _Assembly:
    """The reply as far as it has come."""

    choices: dict[int, _Choice] = field(default_factory=dict)
    usage: Json = None
    error: Json = None
    done: bool = False
    size: int = 0

    @property
    def over(self) -> bool:
        """Whether nothing more is to be read."""
        return self.done or self.error is not None

    def take(self, events: list[bytes]) -> None:
        """Add the data of events up to the one that ends the stream."""
        for event in events:
            if self.over:
                return
            if event == b"[DONE]":
                self.done = True
            else:
                self.add(decode(event))

    def add(self, chunk: Json) -> None:
        """Add one chunk.

        Raises:
            Malformed: for one that breaks the protocol.
        """
        if not isinstance(chunk, dict):
            raise Malformed("a chunk that is not an object")
        if chunk.get("error"):
            self.error = chunk["error"]
        if chunk.get("usage") is not None:
            self.usage = chunk["usage"]
        choices = chunk.get("choices") or ()
        if not isinstance(choices, (list, tuple)):
            raise Malformed("choices is not a list")
        for choice in choices:
            self._extend(choice)

    def _extend(self, part: Json) -> None:
        index = part.get("index", 0) if isinstance(part, dict) else None
        if type(index) is not int:
            raise Malformed("a part of a choice without an index")
        choice = self.choices.setdefault(index, _Choice())
        if part.get("finish_reason") is not None:
            choice.finish = part["finish_reason"]
            choice.stop = part.get("stop_reason", part.get("matched_stop"))
        if isinstance(part.get("text"), str):
            choice.texts.setdefault("text", []).append(part["text"])
            self.size += len(part["text"])
        if isinstance(part.get("logprobs"), dict):
            _log(choice, part["logprobs"])
        delta = part.get("delta")
        if isinstance(delta, dict):
            self.size += _say(choice, delta)

    def body(self) -> Json:
        """Return the whole, as `http_reply.read` reads it.

        Raises:
            Cut: if the server did not say that this is all.
        """
        if self.error is not None:
            return {"error": self.error}
        if not self.done or any(choice.finish is None for choice in self.choices.values()):
            raise Cut("the stream ended before the reply did")
        choices = [_whole(choice) for _, choice in sorted(self.choices.items())]
        return {"choices": choices, "usage": self.usage}


def _whole(choice: _Choice) -> Json:
    message = choice.message()
    rest = {"finish_reason": choice.finish, "logprobs": choice.logs(), "stop_reason": choice.stop}
    return {"message": message, "text": message.get("text"), **rest}


_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


def _say(choice: _Choice, delta: dict[str, Json]) -> int:
    """Add what a chunk says, and return how many characters it has."""
    size = 0
    for name in _TEXTS:
        value = delta.get(name)
        if isinstance(value, str):
            size += len(value)
            # Once its content came in parts, a text is one of them.
            into = choice.parts if name == "content" and choice.parts else None
            (choice.texts.setdefault(name, []) if into is None else into).append(value)
        elif name == "content" and value is not None:
            size += _say_parts(choice, value)
    for call in delta.get("tool_calls") or ():
        size += _call(choice, call)
    return size


def _say_parts(choice: _Choice, content: Json) -> int:
    if not isinstance(content, list):
        raise Malformed(f"the content is {type(content).__name__}")
    if not choice.parts:
        choice.parts.extend(choice.texts.get("content", ()))
    choice.parts.extend(content)
    return len(str(content))


def _call(choice: _Choice, part: Json) -> int:
    size = 0
    if not isinstance(part, dict):
        raise Malformed("a tool call that is not an object")
    index = part.get("index", len(choice.calls))
    if type(index) is not int:
        raise Malformed("a tool call without an index")
    call = choice.calls.setdefault(index, {"id": "", "function": {"name": "", "arguments": ""}})
    call["id"] = call["id"] or part.get("id") or ""
    function = part.get("function") or {}
    for name in ("name", "arguments"):
        value = function.get(name) if isinstance(function, dict) else None
        if isinstance(value, str):
            call["function"][name] += value
            size += len(value)
    return size


def _log(choice: _Choice, logprobs: dict[str, Json]) -> None:
    content = logprobs.get("content")
    if isinstance(content, list):
        choice.logprobs.extend(content)
        return
    for name in ("tokens", "token_logprobs", "top_logprobs"):
        if isinstance(logprobs.get(name), list):
            choice.columns.setdefault(name, []).extend(logprobs[name])


async def collect(response: aiohttp.ClientResponse, most: int) -> Json:
    """Read a stream to its end and return the whole reply.

    Args:
        response: what answers; its body has not been read.
        most: characters that are accepted.

    Raises:
        Cut: if the stream ends, or stalls, before the reply does.
        Malformed: for what is not this protocol, and for more than `most`.
    """
    whole, lines, content = _Assembly(), _Lines(most), response.content
    size = 0
    async with Idle() as limit:
        while (data := await content.readany()) and not whole.over:
            limit.alive()
            size += len(data)
            whole.take(lines.feed(data))
            if max(whole.size, size // _WIRE) > most:
                raise Malformed(f"more than {most} bytes")
    whole.take(lines.feed(b"\n\n"))
    if whole.done and not content.at_eof():
        await _drain(content)
    return whole.body()


async def _drain(content: aiohttp.StreamReader) -> None:
    """Read what follows the end, so that the connection can be used again; not for long."""
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while await content.readany():
                pass


class _Lines:
    """Finds the events in bytes that are cut anywhere."""

    def __init__(self, most: int) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._left = most

    def feed(self, data: bytes) -> list[bytes]:
        """Return the data of the events that are complete now."""
        events: list[bytes] = []
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > self._left:
            raise Malformed("an event that is too long")
        for line in lines:
            line = line.removesuffix(b"\r")
            if not line:
                self._flush(events)
            elif line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
        return events

    def _flush(self, events: list[bytes]) -> None:
        if self._data:
            events.append(b"\n".join(self._data).strip())
            self._data.clear()
