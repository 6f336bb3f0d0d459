"""The server: routes, limits, faults, counters and the log of what was asked."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from archon.testing.provider.exchange import Exchange, Fault, error_body
from archon.testing.provider.faults import Chance, chance, fault_named
from archon.testing.provider.refusals import REDIRECTED
from archon.testing.provider.replies import Ask, BadRequest, Reply
from archon.testing.provider.settings import Settings
from archon.testing.provider.wire import Connection, Incoming, response

__all__ = ["Server"]

_MODELS = {"/v1/chat/completions": True, "/v1/completions": False}
"""Where models answer, and whether that is a chat."""
_LONGEST = 200


@dataclass(slots=True)
class Entry:
    """One request to a model in the log."""

    id: int
    prompt: str
    text: str
    n: int
    fault: str = ""
    billed: bool = False
    delivered: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as `GET /log` shows it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Counts:
    """What happened since the start or the last reset."""

    requests: int = 0
    peak: int = 0
    connections_total: int = 0
    delivered: int = 0
    billed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    redirects_followed: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    asked: dict[str, tuple[int, int]] = field(default_factory=dict)
    log: list[Entry] = field(default_factory=list)


class _Refused(Exception):
    """A request that is not served for a reason of its own, without any fault."""

    def __init__(self, why: str, status: int, body: bytes, *headers: str) -> None:
        super().__init__(why)
        self.why, self.status, self.body, self.headers = why, status, body, headers


class Server:
    """Serves one provider's connections. All but `stats` and `log` belongs to its event loop."""

    def __init__(self, settings: Settings, one_shot: Iterable[str] = ()) -> None:
        self.settings = settings
        self._chance = Chance(settings)
        self._one_shot = deque(map(_queued, one_shot))
        self._connections: set[Connection] = set()
        self._clients: set[Connection] = set()
        self._in_flight = 0
        self._ids = itertools.count(1)
        self._counts = Counts()
        self._allowed, self._since = float(settings.burst), time.monotonic()
        self._routes: dict[tuple[str, str], Callable[[bytes], Any]] = {
            ("GET", "/v1/models"): lambda body: self._models(),
            ("GET", "/stats"): lambda body: self.stats(),
            ("GET", "/log"): lambda body: self.log(),
            ("POST", "/reset"): lambda body: self.reset(),
            ("POST", "/settings"): self._set,
        }

    def connect(self) -> Connection:
        """Return the protocol of a new connection."""
        return Connection(self._serve, self._connections.add, self._lost)

    async def close(self) -> None:
        """Break off every connection."""
        for connection in list(self._connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # in which each learns that it is lost

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._clients.discard(connection)

    # What can be asked about the server

    def stats(self) -> dict[str, Any]:
        """Return the counters; a connection counts from its first request to a model."""
        counts = self._counts
        return {
            "requests": counts.requests,
            "in_flight": self._in_flight,
            "peak": counts.peak,
            "connections": len(self._clients),
            "connections_total": counts.connections_total,
            "delivered": counts.delivered,
            "billed": counts.billed,
            "tokens_in": counts.tokens_in,
            "tokens_out": counts.tokens_out,
            "faults": dict(counts.faults),
            "kinds": dict(counts.kinds),
            "refused": dict(counts.refused),
            "redirects_followed": counts.redirects_followed,
            "one_shot_left": len(self._one_shot),
            "cpu_seconds": time.process_time(),
        }

    def log(self) -> list[dict[str, Any]]:
        """Return an entry for each request to a model."""
        return [entry.to_json() for entry in list(self._counts.log)]

    def reset(self) -> dict[str, Any]:
        """Start counting again; settings, connections and the queue of faults stay."""
        self._counts = Counts(peak=self._in_flight, connections_total=len(self._clients))
        return {}

    def set(self, changes: dict[str, Any]) -> None:
        """Change settings, and queue faults under the name `one_shot`.

        Raises:
            ValueError: for what cannot be set; nothing is changed then.
        """
        changes = dict(changes)
        queued = [_queued(name) for name in changes.pop("one_shot", ())]
        settings = self.settings.changed(changes)
        self._chance = Chance(settings)
        self.settings = settings
        self._one_shot.extend(queued)

    def _set(self, body: bytes) -> dict[str, Any]:
        try:
            changes = json.loads(body)
            if not isinstance(changes, dict):
                raise ValueError("settings are an object")
            self.set(changes)
        except ValueError as error:
            raise _Refused("bad_settings", 400, error_body(str(error), None)) from error
        return {}

    def _models(self) -> dict[str, Any]:
        listed = [{"id": name, "object": "model", "created": 0} for name in self.settings.models]
        return {"object": "list", "data": listed}

    # Requests

    def _serve(self, connection: Connection, incoming: Incoming) -> None:
        path = incoming.path.partition("?")[0]
        elsewhere = path.startswith(REDIRECTED)
        chat = _MODELS.get(path.removeprefix(REDIRECTED))
        try:
            if incoming.method == "POST" and chat is not None:
                self._ask(connection, incoming, chat=chat, elsewhere=elsewhere)
            elif found := self._routes.get((incoming.method, path)):
                connection.write(response(json.dumps(found(incoming.body)).encode()))
                connection.done()
            else:
                body = error_body(f"Invalid URL ({incoming.method} {path})", None)
                raise _Refused("unknown_path", 404, body)
        except _Refused as refused:
            connection.write(response(refused.body, refused.status, *refused.headers))
            connection.done()

    def _ask(
        self, connection: Connection, incoming: Incoming, *, chat: bool, elsewhere: bool
    ) -> None:
        counts, settings = self._counts, self.settings
        counts.requests += 1
        if connection not in self._clients:
            self._clients.add(connection)
            counts.connections_total += 1
        counts.redirects_followed += elsewhere
        entry = Entry(next(self._ids), "", "", 0)
        counts.log.append(entry)
        try:
            self._admit(incoming)
            ask = Ask.read(incoming.body, chat=chat)
            entry.prompt, entry.text, entry.n = ask.digest[:16], ask.last[:_LONGEST], ask.n
            self._limit()
            reply = Reply.to(ask, settings, entry.id)
        except BadRequest as error:
            entry.fault = "bad_request"
            counts.refused["bad_request"] += 1
            body = error_body(str(error), None)
            raise _Refused("bad_request", 400, body) from error
        except _Refused as refused:
            entry.fault = str(refused)
            counts.refused[refused.why] += 1
            raise
        x = Exchange(connection, ask, reply, settings, incoming)
        self._answer(x, entry, elsewhere=elsewhere)

    def _admit(self, incoming: Incoming) -> None:
        key = self.settings.api_key
        if key is not None and (sent := incoming.key) != key:
            body = error_body(f"Incorrect API key provided: {sent}.", "invalid_api_key")
            raise _Refused("api_key", 401, body)

    def _limit(self) -> None:
        settings, now = self.settings, time.monotonic()
        if settings.max_in_flight is not None and self._in_flight >= settings.max_in_flight:
            raise _too_many("max_in_flight", 1)
        if settings.rpm is None:
            return
        rate = settings.rpm / 60
        self._allowed = min(settings.burst, self._allowed + (now - self._since) * rate)
        self._since = now
        if self._allowed < 1:
            raise _too_many("rpm", math.ceil((1 - self._allowed) / rate))
        self._allowed -= 1

    def _answer(self, x: Exchange, entry: Entry, *, elsewhere: bool) -> None:
        """Choose how to answer, keep the books, and do it when it is time."""
        fault, asked = self._fault(x, elsewhere=elsewhere)
        counts = self._counts
        if fault is None or fault.billed:
            entry.billed = True
            counts.billed += 1
            counts.tokens_in += x.reply.usage["prompt_tokens"]
            counts.tokens_out += x.reply.usage["completion_tokens"]
        if fault is not None:
            entry.fault = fault.name
            counts.faults[fault.name] += 1
            counts.kinds[fault.kind] += 1
        self._in_flight += 1
        counts.peak = max(counts.peak, self._in_flight)
        good = fault is None or fault.kind == "reply"

        def ended(whole: bool) -> None:
            self._in_flight -= 1
            if whole and good:
                entry.delivered = True
                counts.delivered += 1

        x.connection.ending = ended
        if fault is None:
            x.connection.later(self._seconds(x, asked), x.answer)
        else:
            x.connection.later(self._seconds(x, asked) if fault.billed else 0, fault.act, x)

    def _fault(self, x: Exchange, *, elsewhere: bool) -> tuple[Fault | None, int]:
        """Return the fault of this request, and how often its prompt was asked before."""
        if elsewhere:
            return None, 0
        seen, digest = self._counts.asked, x.ask.digest
        asked, in_a_row = seen.get(digest, (0, 0))
        if self._one_shot:
            fault = self._one_shot.popleft()
        else:
            fault = self._chance.fault(digest, asked, in_a_row, stream=x.ask.stream)
        seen[digest] = asked + 1, in_a_row + 1 if fault else 0
        return fault, asked

    def _seconds(self, x: Exchange, asked: int) -> float:
        settings = x.settings
        if not settings.jitter:
            return settings.latency
        more = chance(settings.seed, f"jitter:{x.ask.digest}:{asked}")
        return settings.latency + settings.jitter * more


def _queued(name: str) -> Fault | None:
    """Return a fault of the queue, in which nothing stands for no fault this time."""
    return fault_named(name) if name else None


def _too_many(why: str, seconds: int) -> _Refused:
    body = error_body("Rate limit reached, please try again", "rate_limit_exceeded", "requests")
    return _Refused(why, 429, body, f"Retry-After: {seconds}")
