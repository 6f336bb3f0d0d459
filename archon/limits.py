"""How fast a provider is asked: places, requests and tokens a minute, pauses, and backing off.

All of it waits and nothing fails: a provider that is overloaded or down makes its queue wait, and
whoever is cancelled while waiting leaves no trace.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque

from pydantic import BaseModel, ConfigDict, Field

from archon.errors import ModelError, Stopped
from archon.model import Model, Outcome
from archon.types import Reply

__all__ = ["Gate", "Limits"]

BACKOFF = (0.5, 30.0)
"""Seconds of the first pause and of the longest, before jitter."""
CROWDED = 0.15
"""Share of 429s among the latest answers from which there are too many of us."""
MEMORY = 0.05
"""Weight of the newest answer in that share."""
LONGEST = 300.0
"""Seconds of the longest pause, whatever a provider asks for: then one request tries again."""
TRIPS = 5
"""So many failures in a row, and no success between them, make the queue wait."""
BURST = 1.0
"""Seconds of a rate that may be used at once; providers count in parts of a minute."""

log = logging.getLogger("archon.limits")


class Limits(BaseModel):
    """What all models of a session may do together. A limit left out is no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrency: int | None = Field(None, ge=1, description="requests in flight")
    rpm: int | None = Field(None, ge=1, description="requests per minute")
    tpm: int | None = Field(None, ge=1, description="tokens per minute, in and out")


class _Rate:
    """So much a minute, evenly: the generic cell rate algorithm."""

    def __init__(self, per_minute: int | None) -> None:
        self._each = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0

    @property
    def limited(self) -> bool:
        """Whether there is a rate at all."""
        return self._each > 0

    def narrow(self, per_minute: int | None) -> None:
        """Keep to a slower rate, if it is one."""
        if per_minute:
            self._each = max(self._each, 60.0 / per_minute)

    def take(self, amount: float) -> float:
        """Take an amount and return the seconds to wait until it may be used."""
        if not self._each:
            return 0.0
        now = time.monotonic()
        at = max(self._next, now - BURST)
        self._next = at + amount * self._each
        return max(0.0, at - now)

    def give(self, amount: float) -> None:
        """Give back what was taken and not used."""
        self._next -= amount * self._each


class Gate:
    """The way to one provider's model; also, without pauses, that to all of them.

    Requests pass in order of arrival, as many at once as there are places. Where more than
    `CROWDED` of the answers are 429, the places are halved and everybody pauses; a rarer one is
    the affair of its own call. Successes win the places back, fast up to half of where it was too
    much and slowly from there on. After `TRIPS` failures in a row one request at a time tries
    whether the provider is back, and the others wait.

    Args:
        concurrency: places; None is no limit.
        rpm: requests per minute.
        tpm: tokens per minute.
        name: for the log.
        learns: whether it backs off by what the answers say; that to all models does not, for
            one provider that is down is no reason to ask the others less.
    """

    def __init__(
        self,
        concurrency: int | None,
        rpm: int | None = None,
        tpm: int | None = None,
        name: str = "",
        *,
        learns: bool = True,
    ) -> None:
        self._learns = learns
        self._most = float(concurrency or 1_000_000)
        self._places = self._safe = self._most
        self._crowd = 0.0
        self._requests, self._tokens = _Rate(rpm), _Rate(tpm)
        self._name = name
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._resting: set[asyncio.Future[None]] = set()
        self._paused_until = 0.0
        self._failures = 0
        self._tripped = False
        self._stopped: Stopped | None = None
        self._written = False
        self.busy = 0

    @classmethod
    def over_all(cls, limits: Limits) -> Gate:
        """Make the gate that the requests to all models pass."""
        return cls(limits.concurrency, limits.rpm, limits.tpm, "all models", learns=False)

    def tighten(self, model: Model) -> None:
        """Keep to the limits of one more use of the same model, with settings of its own.

        The narrowest one holds; a default does not narrow what somebody wrote.
        """
        if "concurrency" in model.model_fields_set:
            most = float(model.concurrency)
            self._most = min(self._most, most) if self._written else most
            self._places, self._safe, self._written = self._most, self._most, True
        self._requests.narrow(model.rpm)
        self._tokens.narrow(model.tpm)

    @property
    def _allowed(self) -> int:
        if self._paused_until > time.monotonic():
            return 0
        return 1 if self._tripped else max(1, int(self._places))

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens are limited here."""
        return self._tokens.limited

    async def enter(self, tokens: int = 0) -> None:
        """Wait for a place and for the rates.

        Args:
            tokens: the most the request can use.

        Raises:
            Stopped: when the gate is stopped meanwhile.
        """
        if self._waiting or self.busy >= self._allowed:
            await self._queue()
        elif self._stopped is not None:
            raise self._stopped
        else:
            self.busy += 1
        wait = max(self._requests.take(1), self._tokens.take(tokens))
        if wait:
            try:
                await self._rest(wait)
            except BaseException:  # cancelled or stopped: what was taken is free again
                self.leave(tokens)
                raise

    async def _rest(self, seconds: float) -> None:
        """Sleep, unless the gate is stopped meanwhile."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._resting.add(future)
        timer = loop.call_later(seconds, _open, future)
        try:
            await future
        finally:
            timer.cancel()
            self._resting.discard(future)

    async def _queue(self) -> None:
        if self._stopped is not None:
            raise self._stopped
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._wake_later()
        try:
            await future
        except BaseException:  # cancelled or stopped: no place may be lost, and none kept
            if future.done() and not future.cancelled() and future.exception() is None:
                self._free()  # the place came together with the cancellation: pass it on
            else:
                self._waiting = deque(f for f in self._waiting if f is not future)
            raise

    def leave(self, tokens: int = 0, outcome: Outcome | None = None) -> None:
        """Give the place back and learn from what came of the request.

        Args:
            tokens: what was taken and not used.
            outcome: None if it was not sent.
        """
        self._tokens.give(tokens)
        if outcome is None:
            self._requests.give(1)
        if self._learns:
            self._learn(outcome)
        self._free()

    def _learn(self, outcome: Outcome | None) -> None:
        if isinstance(outcome, Reply) and outcome.finish != "timeout":
            self._answered()
            self._succeeded()
        elif isinstance(outcome, ModelError) and outcome.kind == "transient":
            self._failed(outcome)
        elif isinstance(outcome, ModelError) and outcome.kind in ("fatal", "content"):
            self._answered()  # a refusal shows as well that it is there

    def _answered(self) -> None:
        if self._tripped:
            log.info("%s answers again", self._name)
        self._failures, self._tripped = 0, False

    def _succeeded(self) -> None:
        self._crowd *= 1 - MEMORY
        if self._places < self._most:
            # A round of as many successes as there are places doubles them, or adds a few.
            step = 1.0 if self._places < self._safe else 4.0 / self._places
            self._places = min(self._most, self._places + step)

    def _failed(self, error: ModelError) -> None:
        if error.retry_after == 0:  # not the provider's state but what it cannot do
            return
        now = time.monotonic()
        if error.limited:
            self._crowd += MEMORY * (1 - self._crowd)
            if self._crowd > CROWDED and now >= self._paused_until:
                self._places = self._safe = max(1.0, min(self._places, self.busy) / 2)
                self._pause(error.retry_after or BACKOFF[0])
            return
        self._failures += 1
        if self._failures >= TRIPS and now >= self._paused_until:
            if not self._tripped:
                log.warning("%s; its calls wait, and one at a time tries again", error)
            self._tripped = True
            first, most = BACKOFF
            longest = min(most, first * 2.0 ** min(self._failures - TRIPS, 10))
            self._pause(max(error.retry_after or 0.0, random.uniform(longest / 2, longest)))

    def _pause(self, seconds: float) -> None:
        seconds = min(seconds, LONGEST)
        self._paused_until = time.monotonic() + seconds
        log.info("%s is asked again in %.1f s, %d at once", self._name, seconds, self._places)
        self._wake_later()

    def _free(self) -> None:
        self.busy -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self.busy < self._allowed:
            future = self._waiting.popleft()
            if not future.done():
                self.busy += 1
                future.set_result(None)

    def _wake_later(self) -> None:
        pause = self._paused_until - time.monotonic()
        if pause > 0:
            asyncio.get_running_loop().call_later(pause, self._wake)

    def stop(self, error: Stopped | None) -> None:
        """Let nobody in any more, with the error for those who wait; None opens it again."""
        self._stopped = error
        if error is None:
            return
        waiting, self._waiting = [*self._waiting, *self._resting], deque()
        for future in waiting:
            if not future.done():
                future.set_exception(error)


def _open(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
