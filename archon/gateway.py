"""The only door to models: pool, budget, limits, retries, usage.

A call passes five stations: a place at the provider (`limits`), room in every budget (`budget`),
a durable line in the ledger (`attempts`), the backend itself, and the transaction that stores
the reply and what it cost. Whatever ends it on the way, each station passed is settled.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from archon.attempts import Full, Reservation
from archon.backends import BACKENDS, backend_name
from archon.budget import Hold, Ledger, hold_all, known
from archon.crashing import crash_point
from archon.errors import ArchonError, BudgetExceeded, ModelError, PoolMiss, Stopped
from archon.limits import BACKOFF, Gate, Limits
from archon.model import Backend, Draw, Model, Outcome, Price, Request, address
from archon.plain import canonical
from archon.pool import Mode, Pool, reply_row
from archon.types import Reply, Usage

__all__ = ["Gateway", "Spending"]

ATTEMPTS = 12
"""How often one draw is sent at most; the model's `timeout` may end it sooner."""
POLL = (0.02, 0.5)
"""Seconds between looks at a call that another process is paying for."""

T = TypeVar("T")

log = logging.getLogger("archon.gateway")


@dataclass(frozen=True)
class Spending:
    """Under which budget, mode and name a call is made.

    Attributes:
        scopes: ledgers from the innermost to the outermost.
        mode: how the pool is used.
        run: the run's id, for the ledger on disk.
    """

    scopes: tuple[Ledger, ...] = ()
    mode: Mode = "reuse"
    run: str = ""

    @property
    def used(self) -> tuple[Ledger, ...]:
        """The scopes that charge replies from the pool too."""
        return tuple(scope for scope in self.scopes if scope.counts == "used")

    @property
    def shared(self) -> dict[str, dict[str, int]]:
        """Limits of the scopes whose total the pool's file keeps, by their names."""
        return {scope.name: scope.limits for scope in self.scopes if scope.shared}


@dataclass(eq=False, slots=True)
class _Waiter:
    """Somebody who wants the outcomes of some flights."""

    future: asyncio.Future[None]
    missing: int

    def tell(self) -> None:
        """One more of them has landed."""
        self.missing -= 1
        if not self.missing and not self.future.done():
            self.future.set_result(None)


@dataclass(eq=False, slots=True)
class _Flight:
    """One draw under way. It belongs to the gateway; whoever wants the reply waits for it."""

    siblings: list[_Flight]
    task: asyncio.Task[None] | None = None
    outcome: Outcome | None = None
    waiters: list[_Waiter] = field(default_factory=list)

    def leave(self, waiter: _Waiter) -> None:
        """One waiter is gone; when the last of all siblings is, the call is cut."""
        self.waiters.remove(waiter)
        wanted = any(flight.waiters for flight in self.siblings)
        if not wanted and self.task is not None:
            self.task.cancel()

    def land(self, outcome: Outcome) -> None:
        """Tell the waiters."""
        self.outcome = outcome
        for waiter in self.waiters:
            waiter.tell()


@dataclass(eq=False, slots=True)
class _Call:
    """Draws of one request that are wanted together, and what they share.

    Attributes:
        ends: when it must be over (monotonic); its time runs from when it is first sent.
        tries: how often it was sent.
    """

    key: str
    content: str
    request: Request
    spending: Spending
    upper: Usage
    flights: Mapping[Draw, _Flight]
    ends: float = 0.0
    tries: int = 0

    @property
    def model(self) -> Model:
        return self.request.model


@dataclass(eq=False, slots=True)
class _Ticket:
    """One draw with its budget held and its line in the ledger."""

    draw: Draw
    hold: Hold
    line: Reservation | None = None


class Gateway:
    """Answers requests from the pool or a backend, and accounts for each.

    Args:
        pool: where replies live.
        backends: backends by name that replace the registered ones, for tests and applications.
        limits: what all models may do together.
    """

    def __init__(
        self,
        pool: Pool,
        backends: Mapping[str, Backend] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.pool = pool
        self._backends: dict[str, Backend] = dict(backends or {})
        self._flights: dict[tuple[str, Draw], _Flight] = {}
        self._gates: dict[Model, list[Gate]] = {}
        self._providers: dict[tuple[str, str, str], Gate] = {}
        self._fingerprints: dict[Model, str] = {}
        self._prices: dict[Model, Price | None] = {}
        self._sent = itertools.count(time.time_ns())
        self._stopping = asyncio.Event()
        self._overall = [] if limits is None else [Gate.over_all(limits)]

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
        return request.upper(self._price(request.model))

    def _price(self, model: Model) -> Price | None:
        if model not in self._prices:
            self._prices[model] = model.price or self.backend(model).price(model)
        return self._prices[model]

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
        content = canonical(request.content(self._fingerprint(request.model)))
        key = address(content)
        found: dict[Draw, Outcome] = {}
        if spending.mode != "off":
            for draw, reply in self.pool.get(key, draws).items():
                found[draw] = await self._charge_pooled(request, reply, spending)
        missing = [draw for draw in dict.fromkeys(draws) if draw not in found]
        if missing and spending.mode == "only":
            error = PoolMiss(f"{len(missing)} of {len(draws)} draws of {request.model.model!r}")
            found.update(dict.fromkeys(missing, error))
        elif missing:
            found.update(await self._fly(key, content, request, missing, spending))
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
        self, key: str, content: str, request: Request, draws: Sequence[Draw], spending: Spending
    ) -> dict[Draw, Outcome]:
        """Wait for each draw's flight, starting those that nobody has started."""
        if spending.mode == "off":
            key = f"off {key}"  # it is stored nowhere, so nobody else may rely on it
        new = [draw for draw in draws if (key, draw) not in self._flights]
        size = self.backend(request.model).batch_size(request.model)
        for first in range(0, len(new), size):
            self._start(key, content, request, new[first : first + size], spending)
        flights = {draw: self._flights[key, draw] for draw in draws}
        waiter = _Waiter(asyncio.get_running_loop().create_future(), len(flights))
        for flight in flights.values():
            flight.waiters.append(waiter)
        try:
            await waiter.future
        except BaseException:  # a waiter that is cancelled must not take the reply from others
            for flight in flights.values():
                flight.leave(waiter)
            raise
        landed = {draw: _landed(flight) for draw, flight in flights.items()}
        joined = [draw for draw in draws if draw not in new]
        if joined:
            landed |= await self._joined(request, {d: landed[d] for d in joined}, spending)
            again = [draw for draw in joined if isinstance(landed[draw], _Busy)]
            if again:
                landed |= await self._fly(key, content, request, again, spending)
        return landed

    async def _joined(
        self, request: Request, landed: Mapping[Draw, Outcome], spending: Spending
    ) -> dict[Draw, Outcome]:
        """Account for what others asked for: paid by them, used here, and their budget not ours."""
        outcomes: dict[Draw, Outcome] = {}
        for draw, outcome in landed.items():
            if isinstance(outcome, Reply):
                pooled = replace(outcome, pooled=True, paid=None)
                outcomes[draw] = await self._charge_pooled(request, pooled, spending)
            elif isinstance(outcome, BudgetExceeded) and not isinstance(outcome, Stopped):
                outcomes[draw] = _Busy()
            else:
                outcomes[draw] = outcome
        return outcomes

    def _start(
        self, key: str, content: str, request: Request, draws: Sequence[Draw], spending: Spending
    ) -> None:
        siblings: list[_Flight] = []
        flights = {draw: _Flight(siblings) for draw in draws}
        siblings += flights.values()
        for draw, flight in flights.items():
            self._flights[key, draw] = flight
        call = _Call(key, content, request, spending, self.upper(request), flights)
        task = asyncio.get_running_loop().create_task(self._travel(call))
        for flight in siblings:
            flight.task = task
        # A task that is cancelled before its first step runs no `finally` of its own.
        task.add_done_callback(lambda _: self._arrive(call, ModelError("the call was cancelled")))

    async def _travel(self, call: _Call) -> None:
        """Bring all draws of a call to their outcomes."""
        try:
            await self._take(call, list(call.flights))
        except Exception as error:
            # Whatever broke, the waiters must hear of it, or they would wait for ever.
            log.exception("a call to %s broke", call.model.model)
            self._arrive(call, error)

    def _arrive(self, call: _Call, otherwise: Exception) -> None:
        """Land what has not landed."""
        for draw, flight in call.flights.items():
            if flight.outcome is None:
                self._land(call, draw, otherwise)

    def _land(self, call: _Call, draw: Draw, outcome: Outcome) -> None:
        """End a flight; whoever asks from now on finds the pool."""
        del self._flights[call.key, draw]
        call.flights[draw].land(outcome)

    async def _take(self, call: _Call, draws: list[Draw]) -> None:
        """Attempt draws until each has an outcome; retries keep the draw."""
        while draws:
            size = self.backend(call.model).batch_size(call.model)
            if len(draws) > size:
                parts = [draws[i : i + size] for i in range(0, len(draws), size)]
                await _all(self._take(replace(call), part) for part in parts)
                return
            outcomes = await self._attempt(call, draws)
            pause, again = 0.0, list[Draw]()
            unsent = [draw for draw in draws if draw not in outcomes]
            for draw, outcome in outcomes.items():
                wait = _pause(outcome, call)
                if wait is None or self._stopping.is_set():
                    self._land(call, draw, outcome)
                else:
                    again.append(draw)
                    pause = max(pause, wait)
            if again and pause:
                log.debug("%s: again in %.2f s", call.model.model, pause)
                await self._sleep(pause)
            if unsent and again:
                fresh = replace(call, ends=0.0, tries=0)
                await _all((self._take(call, again), self._take(fresh, unsent)))
                return
            if unsent:  # their time has not begun
                call.ends, call.tries = 0.0, 0
            draws = unsent or again

    async def _sleep(self, seconds: float) -> None:
        """Sleep, unless the session stops meanwhile."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _attempt(self, call: _Call, draws: Sequence[Draw]) -> dict[Draw, Outcome]:
        """Send once, for as many draws as the budget admits now; the others are left out."""
        gates = self._gates_of(call.model)
        tokens = (call.upper.tokens or call.upper.input_tokens or 0) * len(draws)
        try:
            await _enter(gates, tokens)
        except ArchonError as error:
            return dict.fromkeys(draws, error)
        if call.ends and time.monotonic() >= call.ends:
            # It waited too long for a provider that is down: not sent, so no draw either.
            _leave(gates, tokens)
            return dict.fromkeys(draws, _unanswered(call, billed=False))
        outcomes: dict[Draw, Outcome] = {}
        unused = tokens
        told: Outcome | None = None
        try:
            tickets, outcomes = await self._admit(call, draws)
            if tickets:
                answers = await self._send(call, tickets)
                outcomes |= answers
                told = next(iter(answers.values()))
                unused -= _tokens(answers.values(), call.upper)
        finally:
            _leave(gates, unused, told)
        waiting = [d for d, outcome in outcomes.items() if isinstance(outcome, _Busy)]
        if waiting:
            await self._look_elsewhere(call, waiting, outcomes)
        return outcomes

    async def _look_elsewhere(
        self, call: _Call, draws: Sequence[Draw], outcomes: dict[Draw, Outcome]
    ) -> None:
        """Wait a little for what is in other hands; a reply that came is taken from the pool."""
        await self._sleep(random.uniform(*POLL))
        for draw in draws:
            del outcomes[draw]
        for draw, reply in self.pool.get(call.key, draws).items():
            outcomes[draw] = await self._charge_pooled(call.request, reply, call.spending)

    async def _hold(self, call: _Call) -> Hold:
        """Hold the budget of one draw, waiting for other processes too where they share it."""
        while True:
            try:
                return await hold_all(call.spending.scopes, call.upper)
            except BudgetExceeded:
                if not self._catch_up(call.spending) or self._stopping.is_set():
                    raise
            await self._sleep(random.uniform(*POLL))

    def _catch_up(self, spending: Spending) -> bool:
        """Learn what others spent of shared budgets; return whether they may give some back."""
        shared = [scope for scope in spending.scopes if scope.shared]
        learnt = [scope.learn(self.pool.spent(scope.name)) for scope in shared]
        return any(learnt) or any(self.pool.held_by_others(scope.name) for scope in shared)

    async def _admit(
        self, call: _Call, draws: Sequence[Draw]
    ) -> tuple[list[_Ticket], dict[Draw, Outcome]]:
        """Hold the budget of as many draws as fit now and put them on the books.

        Waiting is only for the first: the second would wait for the first, which is held and
        unsent, and so for ourselves.
        """
        tickets: list[_Ticket] = []
        scopes = call.spending.scopes
        try:
            for draw in draws:
                if tickets and any(scope.refuses(call.upper) for scope in scopes):
                    break
                tickets.append(_Ticket(draw, await self._hold(call)))
                if self._stopping.is_set():  # the wait may have been long
                    raise Stopped
            if call.spending.mode == "off":
                return tickets, {}
            return await self._book(call, tickets)
        except ArchonError as error:
            self._release(call, tickets)
            return [], dict.fromkeys(draws, error)
        except BaseException:  # cancelled: nothing was sent, so nothing stays held
            self._release(call, tickets)
            raise

    async def _book(
        self, call: _Call, tickets: list[_Ticket]
    ) -> tuple[list[_Ticket], dict[Draw, Outcome]]:
        """Reserve in the ledger; what cannot be is given back with the reason."""
        crash_point("reserve.before")
        number = next(self._sent)
        ends = time.time() + call.model.timeout
        shared = call.spending.shared
        for ticket in tickets:
            ticket.line = Reservation(
                call.key, ticket.draw, number, call.spending.run, call.model.model, call.upper,
                ends, shared,
            )  # fmt: skip
        if len(tickets) == 1:
            answers = [await self.pool.reserve(_line(tickets[0]))]
        else:
            answers = await _all(self.pool.reserve(_line(ticket)) for ticket in tickets)
        crash_point("reserve.after")
        booked: list[_Ticket] = []
        outcomes: dict[Draw, Outcome] = {}
        for ticket, answer in zip(tickets, answers, strict=True):
            if isinstance(answer, int):
                booked.append(ticket)
                for scope in call.spending.scopes:
                    scope.book(ticket.hold)
            else:
                ticket.line = None
                self._release(call, [ticket])
                outcomes[ticket.draw] = _Busy(answer)
        if any(isinstance(answer, Full) for answer in answers):
            self._catch_up(call.spending)
        return booked, outcomes

    def _release(self, call: _Call, tickets: Iterable[_Ticket]) -> None:
        for ticket in tickets:
            for scope in call.spending.scopes:
                scope.release(ticket.hold)
            if ticket.line is not None:
                self.pool.forget(ticket.line)

    async def _send(self, call: _Call, tickets: list[_Ticket]) -> dict[Draw, Outcome]:
        """Ask the backend once; every ticket is settled, whatever happens."""
        open_ = list(tickets)
        try:
            crash_point("sent")
            outcomes = await self._complete(call, tuple(ticket.draw for ticket in tickets))
            crash_point("received")
            open_ = []
            settling = [
                self._settle(call, ticket, outcome)
                for ticket, outcome in zip(tickets, outcomes, strict=True)
            ]
            if len(settling) == 1:
                answers = [await settling[0]]
            else:
                # Shielded: a part that is cancelled before its first step would settle nothing.
                answers = await asyncio.shield(asyncio.ensure_future(_all(settling)))
            crash_point("settle.after")
            return {ticket.draw: answer for ticket, answer in zip(tickets, answers, strict=True)}
        finally:
            # Cancelled or broken while sent: in doubt, so the whole reservation is charged.
            for ticket in open_:
                self._doubt(call, ticket)

    async def _complete(self, call: _Call, draws: tuple[Draw, ...]) -> list[Outcome]:
        """Ask the backend once; a call that meets our own deadline is an empty reply."""
        started = time.monotonic()
        call.tries += 1
        call.ends = call.ends or started + call.model.timeout
        left = [s.seconds_left for s in call.spending.scopes if s.seconds_left is not None]
        most = min([call.ends - started, *left])
        try:
            async with asyncio.timeout(max(most, 0.0)):
                outcomes = await self.backend(call.model).complete(call.request, draws)
        except TimeoutError:
            outcomes = [_late(call, bool(left) and most == min(left))] * len(draws)
        except Exception as error:
            # A backend may be a stranger's code; whatever it raises is the failure of its draws.
            log.exception("the backend of %s raised", call.model.model)
            outcomes = [ModelError(f"{type(error).__name__}: {error}")] * len(draws)
        seconds, price = time.monotonic() - started, self._price(call.model)
        return [_metered(outcome, seconds, price) for outcome in outcomes]

    async def _settle(self, call: _Call, ticket: _Ticket, outcome: Outcome) -> Outcome:
        """Store and charge an outcome; a reply is durable before anybody sees it."""
        reply = outcome if isinstance(outcome, Reply) else None
        charged = _charged(outcome, call.upper)
        for scope in call.spending.scopes:
            scope.settle(ticket.hold, reply.usage if reply and scope.counts == "used" else charged)
        if ticket.line is None:
            return outcome
        if reply is None:
            kind = outcome.kind if isinstance(outcome, ModelError) else type(outcome).__name__
            settled = ticket.line.settled("failed", charged, kind)
        else:
            row = reply_row(call.key, call.content, ticket.draw, reply)
            settled = ticket.line.settled("done", charged, reply.finish, row)
        try:
            await self.pool.settle(settled, reply)
        except ArchonError as error:  # it was paid, but what is not stored is shown to nobody
            return error
        return outcome

    def _doubt(self, call: _Call, ticket: _Ticket) -> None:
        for scope in call.spending.scopes:
            scope.settle(ticket.hold, None)
        if ticket.line is not None:
            self.pool.settle_later(ticket.line.settled("indoubt", call.upper, "in doubt"))

    def _gates_of(self, model: Model) -> list[Gate]:
        """Return the gates on the way, the model's own first; other settings share it."""
        gates = self._gates.get(model)
        if gates is None:
            where = (model.model, model.base_url or "", model.api_key_env or "")
            gate = self._providers.setdefault(where, Gate(model.concurrency, name=model.model))
            gate.tighten(model)
            gates = self._gates[model] = [gate, *self._overall]
        return gates

    def stop(self) -> None:
        """Make no further call; what is in flight ends and is stored."""
        self._stopping.set()
        for gate in (*self._providers.values(), *self._overall):
            gate.stop(Stopped())

    def go_on(self) -> None:
        """Make calls again after a stop."""
        self._stopping.clear()
        for gate in (*self._providers.values(), *self._overall):
            gate.stop(None)

    @property
    def in_flight(self) -> int:
        """Requests at the providers."""
        return sum(gate.busy for gate in self._providers.values())

    async def close(self) -> None:
        """Cut what is under way, then free the backends; the pool is the session's."""
        tasks = {f.task for f in self._flights.values() if f.task is not None}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for backend in self._backends.values():
            await backend.close()


def _landed(flight: _Flight) -> Outcome:
    assert flight.outcome is not None
    return flight.outcome


class _Busy(Exception):
    """A draw that is in other hands, or waits for a budget that others hold."""


def _line(ticket: _Ticket) -> Reservation:
    assert ticket.line is not None
    return ticket.line


async def _all(works: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all, then raise the first error there was."""
    done = await asyncio.gather(*works, return_exceptions=True)
    for result in done:
        if isinstance(result, BaseException):
            raise result
    return [result for result in done if not isinstance(result, BaseException)]


def _leave(gates: Sequence[Gate], tokens: int, outcome: Outcome | None = None) -> None:
    for gate in reversed(gates):
        gate.leave(tokens, outcome)


async def _enter(gates: Sequence[Gate], tokens: int) -> None:
    """Pass all gates or none."""
    passed: list[Gate] = []
    try:
        for gate in gates:
            await gate.enter(tokens)
            passed.append(gate)
    except BaseException:  # cancelled or stopped: every place taken is free again
        _leave(passed, tokens)
        raise


def _late(call: _Call, budget: bool) -> Outcome:
    """Return what a call is that met a deadline: the budget's, or the model's own."""
    if budget:
        return BudgetExceeded("the deadline has passed", limit="seconds")
    if call.tries > 1:  # the provider failed before: not what the model had to say
        return _unanswered(call, billed=True)
    usage = Usage(1, None, None, None, call.model.timeout, None)
    return Reply((), model=call.model.model, finish="timeout", usage=usage)


def _unanswered(call: _Call, *, billed: bool) -> ModelError:
    said = f"no answer within {call.model.timeout:g} s, sent {call.tries} times"
    return ModelError(f"{call.model.model!r}: {said}", kind="transient", billed=billed)


def _metered(outcome: Outcome, seconds: float, price: Price | None) -> Outcome:
    """Fill in what the backend need not know: time and operations."""
    if not isinstance(outcome, Reply):
        return outcome
    usage = _measured(outcome.usage, seconds, price)
    paid = None if outcome.paid is None else _measured(outcome.paid, seconds, price)
    return replace(outcome, usage=usage, paid=paid)


def _measured(usage: Usage, seconds: float, price: Price | None) -> Usage:
    flops = price.operations(usage.input_tokens, usage.output_tokens) if price else None
    return Usage(
        usage.calls, usage.input_tokens, usage.output_tokens, usage.microusd,
        usage.seconds or seconds, flops,
    )  # fmt: skip


def _charged(outcome: Outcome, upper: Usage) -> Usage:
    """Return what an attempt is charged with; what is not known is charged as it was held."""
    if isinstance(outcome, Reply):
        return known(outcome.paid or outcome.usage, upper)
    if isinstance(outcome, ModelError):
        # A failed attempt is no draw; the call is counted when the draw has its reply.
        return replace(upper, calls=0) if outcome.billed else Usage()
    return upper


def _tokens(outcomes: Iterable[Outcome], upper: Usage) -> int:
    """Return how many tokens were used of those that the rate was asked for."""
    return sum(_charged(outcome, upper).tokens or 0 for outcome in outcomes)


def _pause(outcome: Outcome, call: _Call) -> float | None:
    """Return the seconds to wait before the next attempt, or None if there is none."""
    if not isinstance(outcome, ModelError) or not outcome.retryable or call.tries >= ATTEMPTS:
        return None
    if outcome.retry_after == 0:
        return 0.0
    first, most = BACKOFF
    # Full jitter: clients that failed together do not come back together.
    pause = random.uniform(0, min(most, first * 2.0 ** (call.tries - 1)))
    pause = max(pause, outcome.retry_after or 0.0)
    return pause if time.monotonic() + pause < call.ends else None
