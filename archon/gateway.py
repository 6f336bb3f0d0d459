"""The only door to models: pool, budget, limits, retries, usage."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from archon.backends import BACKENDS, backend_name
from archon.budget import Hold, Ledger, hold_all
from archon.errors import BudgetError, BudgetExceeded, ModelError, PoolMiss
from archon.model import Backend, Draw, Model, Outcome, Price, Request
from archon.pool import Mode, Pool
from archon.types import Reply, Usage

__all__ = ["Gateway", "Spending"]

ATTEMPTS = 8
"""How often one draw is sent at most; the model's `timeout` may end it sooner."""
BACKOFF = (0.5, 30.0)
"""Seconds before the first retry and at most, before jitter."""


@dataclass(frozen=True)
class Spending:
    """Under which budget, mode and name a call is made.

    Attributes:
        scopes: ledgers from the innermost to the outermost.
        mode: how the pool is used.
        run: the run's id, for the record of charges.
    """

    scopes: tuple[Ledger, ...] = ()
    mode: Mode = "reuse"
    run: str = ""

    @property
    def used(self) -> tuple[Ledger, ...]:
        """The scopes that charge replies from the pool too."""
        return tuple(scope for scope in self.scopes if scope.counts == "used")


@dataclass(eq=False)
class _Flight:
    """One draw under way. It belongs to the gateway; whoever wants the reply waits for it."""

    future: asyncio.Future[Outcome]
    task: asyncio.Task[None] | None = None
    waiters: int = 0
    siblings: list[_Flight] = field(default_factory=list)

    def leave(self) -> None:
        """One waiter is gone; when the last of all siblings is, the call is cut."""
        self.waiters -= 1
        wanted = any(flight.waiters > 0 for flight in self.siblings)
        if not wanted and self.task is not None and not self.task.done():
            self.task.cancel()


class Gateway:
    """Answers requests from the pool or a backend, and accounts for each.

    Args:
        pool: where replies live.
        backends: backends by name that replace the registered ones, for tests and applications.
    """

    def __init__(self, pool: Pool, backends: Mapping[str, Backend] | None = None) -> None:
        self.pool = pool
        self._backends: dict[str, Backend] = dict(backends or {})
        self._flights: dict[tuple[str, Draw], _Flight] = {}
        self._gates: dict[Model, _Gate] = {}
        self._fingerprints: dict[Model, str] = {}
        self._prices: dict[Model, Price | None] = {}

    def backend(self, model: Model) -> Backend:
        """Return the backend that serves a model."""
        name = model.provider if model.provider in self._backends else backend_name(model)
        if name not in self._backends:
            self._backends[name] = BACKENDS.get(name)()
        return self._backends[name]

    def check(self, models: Iterable[Model], scopes: Sequence[Ledger] = ()) -> None:
        """Refuse before any call what cannot work: a missing key, an unenforceable limit."""
        for model in dict.fromkeys(models):
            self.backend(model).check(model)
            upper = self.upper(Request(model, ()))
            for scope in scopes:
                scope.check(upper, repr(model.model))

    def upper(self, request: Request) -> Usage:
        """Return the most one draw of a request can use."""
        model = request.model
        if model not in self._prices:
            self._prices[model] = model.price or self.backend(model).price(model)
        return request.upper(self._prices[model])

    def key(self, request: Request) -> str:
        """Return the pool's address of a request."""
        return request.key(self._fingerprint(request.model))

    def _fingerprint(self, model: Model) -> str:
        if model not in self._fingerprints:
            self._fingerprints[model] = self.backend(model).fingerprint(model)
        return self._fingerprints[model]

    async def draw(
        self, request: Request, draws: Sequence[Draw], spending: Spending
    ) -> list[Outcome]:
        """Return one outcome for each draw, in order; failures are values, nothing is lost.

        Replies come from the pool where they are there (nothing is paid), from a flight of the
        same draw under way, or from the backend. A model's fallbacks are tried for draws that
        failed for good.
        """
        outcomes = await self._draw(request, draws, spending)
        for name in request.model.fallbacks:
            failed = [i for i, o in enumerate(outcomes) if isinstance(o, ModelError)]
            if not failed:
                break
            other = request.model.model_copy(update={"model": name, "fallbacks": ()})
            again = await self._draw(
                replace(request, model=other), [draws[i] for i in failed], spending
            )
            for i, outcome in zip(failed, again, strict=True):
                outcomes[i] = outcome
        return outcomes

    async def _draw(
        self, request: Request, draws: Sequence[Draw], spending: Spending
    ) -> list[Outcome]:
        key = self.key(request)
        found: dict[Draw, Outcome] = {}
        if spending.mode != "off":
            for draw, reply in self.pool.get(key, draws).items():
                found[draw] = await self._charge_pooled(request, reply, spending)
        missing = [draw for draw in dict.fromkeys(draws) if draw not in found]
        if missing and spending.mode == "only":
            error = PoolMiss(f"{len(missing)} of {len(draws)} draws of {request.model.model!r}")
            found.update(dict.fromkeys(missing, error))
        elif missing:
            found.update(await self._fly(key, request, missing, spending))
        return [found[draw] for draw in draws]

    async def _charge_pooled(self, request: Request, reply: Reply, spending: Spending) -> Outcome:
        """Charge a pooled reply to the scopes that count use, as strictly as a paid one."""
        scopes = spending.used
        if not scopes:
            return reply
        try:
            hold = await hold_all(scopes, self.upper(request))
        except BudgetExceeded as error:
            return error
        for scope in scopes:
            scope.settle(hold, reply.usage)
        return reply

    async def _fly(
        self, key: str, request: Request, draws: Sequence[Draw], spending: Spending
    ) -> dict[Draw, Outcome]:
        new = [draw for draw in draws if (key, draw) not in self._flights]
        size = self.backend(request.model).batch_size(request.model)
        for first in range(0, len(new), size):
            self._start(key, request, new[first : first + size], spending)
        flights = {draw: self._flights[key, draw] for draw in draws}
        for flight in flights.values():
            flight.waiters += 1
        try:
            await asyncio.wait([flight.future for flight in flights.values()])
            return {draw: flight.future.result() for draw, flight in flights.items()}
        finally:
            for flight in flights.values():
                flight.leave()

    def _start(self, key: str, request: Request, draws: Sequence[Draw], spending: Spending) -> None:
        loop = asyncio.get_running_loop()
        flights = {draw: _Flight(loop.create_future()) for draw in draws}
        for draw, flight in flights.items():
            flight.siblings = list(flights.values())
            self._flights[key, draw] = flight

        def landed(task: asyncio.Task[None]) -> None:
            error: Exception = ModelError("the call was cancelled")
            if not task.cancelled() and (raised := task.exception()) is not None:
                error = raised if isinstance(raised, Exception) else error
            for draw, flight in flights.items():
                self._flights.pop((key, draw), None)
                if not flight.future.done():
                    flight.future.set_result(error)

        task = loop.create_task(self._call(key, request, flights, spending))
        task.add_done_callback(landed)
        for flight in flights.values():
            flight.task = task

    async def _call(
        self, key: str, request: Request, flights: Mapping[Draw, _Flight], spending: Spending
    ) -> None:
        """Send a group of draws, as many at a time as the budget admits."""
        waiting = list(flights)
        async with self._gate(request.model):
            while waiting:
                admitted, refusal = await self._admit(request, waiting, spending)
                if refusal is not None:
                    for draw in waiting:
                        flights[draw].future.set_result(refusal)
                    return
                waiting = waiting[len(admitted) :]
                await self._send(key, request, admitted, flights, spending)

    async def _admit(
        self, request: Request, draws: Sequence[Draw], spending: Spending
    ) -> tuple[dict[Draw, Hold], BudgetError | None]:
        """Hold the budget of as many draws as fit now; wait only for the first.

        Waiting for the second while the first is held but unsent would wait for ourselves.
        """
        upper = self.upper(request)
        held: dict[Draw, Hold] = {}
        for draw in draws:
            if held and any(scope.refuses(upper) for scope in spending.scopes):
                break
            try:
                held[draw] = await hold_all(spending.scopes, upper)
            except BudgetExceeded as error:
                return {}, error
        return held, None

    async def _send(
        self,
        key: str,
        request: Request,
        holds: dict[Draw, Hold],
        flights: Mapping[Draw, _Flight],
        spending: Spending,
    ) -> None:
        """Attempt the draws until each has an outcome; retries keep the draw and its hold."""
        open_, attempt = dict(holds), 0
        deadline = time.monotonic() + request.model.timeout
        try:
            while open_:
                attempt += 1
                outcomes = await self._attempt(request, tuple(open_), deadline, spending)
                wait, landing = 0.0, []
                for draw, outcome in outcomes.items():
                    again = _pause(outcome, attempt, deadline)
                    if again is None:
                        hold = open_.pop(draw)
                        landing.append(self._land(key, request, draw, outcome, hold, spending))
                    else:
                        wait = max(wait, again)
                        await self._failed(key, draw, outcome, open_[draw], spending)
                # Together, so that replies of one request share a commit.
                await asyncio.gather(*landing)
                for draw, outcome in outcomes.items():
                    if draw not in open_:
                        flights[draw].future.set_result(outcome)
                if open_:
                    await asyncio.sleep(wait)
        finally:
            # Cancelled or broken while sent: in doubt, so the whole reservation is charged.
            for hold in open_.values():
                for scope in spending.scopes:
                    scope.settle(hold, None)

    async def _attempt(
        self, request: Request, draws: tuple[Draw, ...], deadline: float, spending: Spending
    ) -> dict[Draw, Outcome]:
        """Send once; a call that meets our own deadline is an empty reply, not a failure."""
        left = [s.seconds_left for s in spending.scopes if s.seconds_left is not None]
        ends = min([deadline - time.monotonic(), *left])
        started = time.monotonic()
        try:
            async with asyncio.timeout(max(ends, 0.0)):
                outcomes = await self.backend(request.model).complete(request, draws)
        except TimeoutError:
            if left and ends == min(left):
                out: Outcome = BudgetExceeded("the deadline has passed", limit="seconds")
            else:
                usage = Usage(1, None, None, None, time.monotonic() - started)
                out = Reply((), model=request.model.model, finish="timeout", usage=usage)
            return dict.fromkeys(draws, out)
        seconds = time.monotonic() - started
        return {
            draw: _timed(outcome, seconds) for draw, outcome in zip(draws, outcomes, strict=True)
        }

    async def _land(
        self,
        key: str,
        request: Request,
        draw: Draw,
        outcome: Outcome,
        hold: Hold,
        spending: Spending,
    ) -> None:
        """Store and charge an outcome; a reply is durable before anybody sees it."""
        if isinstance(outcome, Reply):
            for scope in spending.scopes:
                scope.settle(hold, outcome.usage)
            if spending.mode != "off":
                content = request.content(self._fingerprint(request.model))
                await self.pool.put(spending.run, key, content, draw, outcome, outcome.usage)
            return
        free = isinstance(outcome, ModelError) and not outcome.billed
        for scope in spending.scopes:
            if free:
                scope.release(hold)
            else:
                scope.settle(hold, None)
        if not free:
            await self._record(key, draw, outcome, hold.upper, spending)

    async def _failed(
        self, key: str, draw: Draw, outcome: Outcome, hold: Hold, spending: Spending
    ) -> None:
        """Charge a failed attempt that may have been billed; the draw's own hold stays."""
        if isinstance(outcome, ModelError) and outcome.billed:
            charged = replace(hold.upper, calls=0)
            for scope in spending.scopes:
                scope.charge(charged)
            await self._record(key, draw, outcome, charged, spending)

    async def _record(
        self, key: str, draw: Draw, outcome: Outcome, charged: Usage, spending: Spending
    ) -> None:
        if spending.mode != "off":
            kind = outcome.kind if isinstance(outcome, ModelError) else type(outcome).__name__
            await self.pool.put_failure(spending.run, key, draw, charged, kind)

    def _gate(self, model: Model) -> _Gate:
        if model not in self._gates:
            self._gates[model] = _Gate(model)
        return self._gates[model]

    async def close(self) -> None:
        """Cut what is under way, then free the backends; the pool is the session's."""
        tasks = {f.task for f in self._flights.values() if f.task is not None}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for backend in self._backends.values():
            await backend.close()


class _Gate:
    """Limits of one model: how many requests at once, and how many a minute."""

    def __init__(self, model: Model) -> None:
        self._places = asyncio.Semaphore(model.concurrency)
        self._gap = 60.0 / model.rpm if model.rpm else 0.0
        self._next = 0.0

    async def __aenter__(self) -> None:
        await self._places.acquire()
        if self._gap:
            now = time.monotonic()
            self._next = max(self._next + self._gap, now)
            try:
                await asyncio.sleep(self._next - now)
            except asyncio.CancelledError:
                self._places.release()
                raise

    async def __aexit__(self, *_: object) -> None:
        self._places.release()


def _timed(outcome: Outcome, seconds: float) -> Outcome:
    if isinstance(outcome, Reply) and not outcome.usage.seconds:
        return replace(outcome, usage=replace(outcome.usage, seconds=seconds))
    return outcome


def _pause(outcome: Outcome, attempt: int, deadline: float) -> float | None:
    """Return the seconds to wait before the next attempt, or None if there is none."""
    if not isinstance(outcome, ModelError) or not outcome.retryable or attempt >= ATTEMPTS:
        return None
    first, most = BACKOFF
    # Full jitter: clients that failed together do not come back together.
    pause = random.uniform(0, min(most, first * 2 ** (attempt - 1)))
    pause = max(pause, outcome.retry_after or 0.0)
    return pause if time.monotonic() + pause < deadline else None
