"""One call's way to a provider and back.

It passes five stations: a place at the provider (`limits`), room in every budget (`budget`), a
durable line in the ledger (`attempts`), the backend itself, and the transaction that stores the
reply and what it cost. Whatever ends it on the way, each station passed is settled.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from archon import accounting
from archon.attempts import Full, Reservation, Stored
from archon.budget import Hold, Ledger, hold_all
from archon.crashing import crash_point
from archon.errors import ArchonError, BudgetExceeded, ModelError, Stopped
from archon.limits import Gate
from archon.model import Backend, Draw, Model, Outcome, Price, Request
from archon.pool import Mode, Pool, reply_row
from archon.types import Reply, Usage

__all__ = ["POLL", "Busy", "Call", "Sender", "Spending", "charge_pooled"]

POLL = (0.02, 0.5)
"""Seconds between looks at a call that another process is paying for."""

log = logging.getLogger("archon.gateway")

Land = Callable[[Draw, Outcome], None]


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

    @cached_property
    def used(self) -> tuple[Ledger, ...]:
        """The scopes that charge replies from the pool too."""
        return tuple(scope for scope in self.scopes if scope.counts == "used")

    @cached_property
    def shared(self) -> dict[str, dict[str, int]]:
        """Limits of the scopes whose total the pool's file keeps, by their names."""
        return {scope.name: scope.limits for scope in self.scopes if scope.shared}

    @property
    def seconds_left(self) -> float | None:
        """Until the first deadline of a scope; None without one."""
        left = [s.seconds_left for s in self.scopes if s.seconds_left is not None]
        return min(left) if left else None


@dataclass(eq=False, slots=True)
class Call:
    """Draws of one request that are wanted together, and what they share.

    Attributes:
        key: the pool's address of the request.
        content: the request as the pool keeps it, canonical text.
        upper: the most that one draw can use.
        land: is told each draw's outcome.
        ends: when it must be over (monotonic); its time runs from when it is first sent.
        tries: how often it was sent.
    """

    key: str
    content: str
    request: Request
    spending: Spending
    upper: Usage
    land: Land
    ends: float = 0.0
    tries: int = 0

    @property
    def model(self) -> Model:
        """Who is asked."""
        return self.request.model


@dataclass(eq=False, slots=True)
class _Ticket:
    """One draw with its budget held, and its line in the ledger if there is one."""

    draw: Draw
    hold: Hold
    line: Reservation | None = None


class Busy(Exception):
    """A draw that is in other hands, or waits for a budget that others hold."""

    def __init__(self, why: object = None) -> None:
        super().__init__()
        self.why = why


class Sender:
    """Sends calls and accounts for each.

    Args:
        pool: where replies and the ledger live.
        backend: returns the backend of a model.
        price: returns its price.
        gates: returns the gates on the way to it, its own first.
    """

    def __init__(
        self,
        pool: Pool,
        backend: Callable[[Model], Backend],
        price: Callable[[Model], Price | None],
        gates: Callable[[Model], Sequence[Gate]],
    ) -> None:
        self._pool = pool
        self._backend, self._price, self._gates = backend, price, gates
        self._sent = itertools.count(time.time_ns())
        self.stopping = asyncio.Event()

    async def take(self, call: Call, draws: Sequence[Draw]) -> None:
        """Attempt draws until each has landed; retries keep the draw."""
        while draws:
            size = self._backend(call.model).batch_size(call.model)
            if len(draws) > size:
                parts = [draws[i : i + size] for i in range(0, len(draws), size)]
                await asyncio.gather(*(self.take(replace(call), part) for part in parts))
                return
            outcomes = await self._attempt(call, draws)
            unsent = [draw for draw in draws if draw not in outcomes]
            again = await self._landed(call, outcomes)
            if unsent and again:
                fresh = replace(call, ends=0.0, tries=0)
                await asyncio.gather(self.take(call, again), self.take(fresh, unsent))
                return
            if unsent:  # their time has not begun
                call.ends, call.tries = 0.0, 0
            draws = unsent or again

    async def _landed(self, call: Call, outcomes: dict[Draw, Outcome]) -> list[Draw]:
        """Land what is final; return the draws to be sent again, when their pause is over."""
        again: list[Draw] = []
        longest = 0.0
        for draw, outcome in outcomes.items():
            seconds = accounting.pause(outcome, call.tries, call.ends)
            if seconds is None or self.stopping.is_set():
                call.land(draw, outcome)
            else:
                again.append(draw)
                longest = max(longest, seconds)
        if again:
            log.debug("%s: %d draws again in %.2f s", call.model.model, len(again), longest)
        if longest:
            await self._sleep(longest)
        return again

    async def _sleep(self, seconds: float) -> None:
        """Sleep, unless the session stops meanwhile."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _attempt(self, call: Call, draws: Sequence[Draw]) -> dict[Draw, Outcome]:
        """Send once, for as many draws as the budget admits now; the others are left out."""
        gates = self._gates(call.model)
        most = (call.upper.tokens or call.upper.input_tokens or 0) * len(draws)
        try:
            await _enter(gates, most)
        except Stopped as error:
            return dict.fromkeys(draws, error)
        if call.ends and time.monotonic() >= call.ends:
            # It waited too long for a provider that is down: not sent, so no draw either.
            _leave(gates, most)
            return dict.fromkeys(draws, accounting.unanswered(call.model, call.tries, billed=False))
        outcomes: dict[Draw, Outcome] = {}
        told: Outcome | None = None
        try:
            tickets, outcomes = await self._admit(call, draws)
            if tickets:
                answers = await self._send(call, tickets)
                outcomes |= answers
                told = next(iter(answers.values()))
                if any(gate.counts_tokens for gate in gates):
                    most -= accounting.tokens(answers.values(), call.upper)
        finally:
            _leave(gates, most, told)
        if any(isinstance(outcome, Busy) for outcome in outcomes.values()):
            await self._look_elsewhere(call, outcomes)
        return outcomes

    async def _look_elsewhere(self, call: Call, outcomes: dict[Draw, Outcome]) -> None:
        """Wait a little for what is in other hands; a reply that came is taken from the pool."""
        waiting = {draw: out.why for draw, out in outcomes.items() if isinstance(out, Busy)}
        if not all(isinstance(why, Stored) for why in waiting.values()):
            await self._sleep(random.uniform(*POLL))
        for draw in waiting:
            del outcomes[draw]
        for draw, reply in self._pool.get(call.key, list(waiting), look=True).items():
            outcomes[draw] = await charge_pooled(call.upper, reply, call.spending)

    async def _admit(
        self, call: Call, draws: Sequence[Draw]
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
                if self.stopping.is_set():  # the wait may have been long
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

    async def _hold(self, call: Call) -> Hold:
        """Hold the budget of one draw, waiting for other processes too where they share it."""
        while True:
            try:
                return await hold_all(call.spending.scopes, call.upper)
            except BudgetExceeded:
                if not self._catch_up(call.spending) or self.stopping.is_set():
                    raise
            await self._sleep(random.uniform(*POLL))

    def _catch_up(self, spending: Spending) -> bool:
        """Learn what others spent of shared budgets; return whether they may give some back."""
        shared = [scope for scope in spending.scopes if scope.shared]
        learnt = [scope.learn(self._pool.spent(scope.name)) for scope in shared]
        return any(learnt) or any(self._pool.held_by_others(scope.name) for scope in shared)

    async def _book(
        self, call: Call, tickets: list[_Ticket]
    ) -> tuple[list[_Ticket], dict[Draw, Outcome]]:
        """Reserve in the ledger; what cannot be is given back."""
        crash_point("reserve.before")
        lines = self._lines(call, tickets)
        if len(lines) == 1:
            answers = [await self._pool.reserve(lines[0])]
        else:
            answers = await asyncio.gather(*(self._pool.reserve(line) for line in lines))
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
                outcomes[ticket.draw] = Busy(answer)
        if any(isinstance(answer, Full) for answer in answers):
            self._catch_up(call.spending)
        return booked, outcomes

    def _lines(self, call: Call, tickets: Iterable[_Ticket]) -> list[Reservation]:
        """Write the lines of one request on the wire."""
        number, ends = next(self._sent), time.time() + call.model.timeout
        lines = []
        for ticket in tickets:
            ticket.line = Reservation(
                call.key, ticket.draw, number, call.spending.run, call.model.model, call.upper,
                ends, call.spending.shared,
            )  # fmt: skip
            lines.append(ticket.line)
        return lines

    def _release(self, call: Call, tickets: Iterable[_Ticket]) -> None:
        for ticket in tickets:
            for scope in call.spending.scopes:
                scope.release(ticket.hold)
            if ticket.line is not None:
                self._pool.forget(ticket.line)

    async def _send(self, call: Call, tickets: list[_Ticket]) -> dict[Draw, Outcome]:
        """Ask the backend once; every ticket is settled, whatever happens."""
        open_ = tickets
        try:
            crash_point("sent")
            outcomes = await self._complete(call, tuple(ticket.draw for ticket in tickets))
            crash_point("received")
            open_ = []
            answers = await self._settle_all(call, tickets, outcomes)
            crash_point("settle.after")
        finally:
            # Cancelled or broken while sent: in doubt, so the whole reservation is charged.
            for ticket in open_:
                self._doubt(call, ticket)
        return {ticket.draw: answer for ticket, answer in zip(tickets, answers, strict=True)}

    async def _complete(self, call: Call, draws: tuple[Draw, ...]) -> list[Outcome]:
        """Ask the backend once, until the call's deadline or the budget's."""
        model, started = call.model, time.monotonic()
        call.tries += 1
        call.ends = call.ends or started + model.timeout
        own, left = call.ends - started, call.spending.seconds_left
        try:
            async with asyncio.timeout(max(own if left is None else min(own, left), 0.0)):
                outcomes = await self._backend(model).complete(call.request, draws)
        except TimeoutError:
            budget = left is not None and left < own
            outcomes = [accounting.late(model, call.tries, budget=budget)] * len(draws)
        except Exception as error:
            # A backend may be a stranger's code; whatever it raises is the failure of its draws.
            log.exception("the backend of %s raised", model.model)
            outcomes = [ModelError(f"{type(error).__name__}: {error}")] * len(draws)
        seconds, price = time.monotonic() - started, self._price(model)
        return [accounting.metered(outcome, seconds, price) for outcome in outcomes]

    async def _settle_all(
        self, call: Call, tickets: Sequence[_Ticket], outcomes: Sequence[Outcome]
    ) -> Sequence[Outcome]:
        """Settle together, so that replies of one request share a commit."""
        works = [self._settle(call, t, o) for t, o in zip(tickets, outcomes, strict=True)]
        if len(works) == 1:
            return [await works[0]]
        # Shielded: a part that is cancelled before its first step would settle nothing.
        return await asyncio.shield(asyncio.gather(*works))

    async def _settle(self, call: Call, ticket: _Ticket, outcome: Outcome) -> Outcome:
        """Store and charge an outcome; a reply is durable before anybody sees it."""
        reply = outcome if isinstance(outcome, Reply) else None
        charged = accounting.charged(outcome, call.upper)
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
            await self._pool.settle(settled, reply)
        except ArchonError as error:  # it was paid, but what is not stored is shown to nobody
            return error
        return outcome

    def _doubt(self, call: Call, ticket: _Ticket) -> None:
        for scope in call.spending.scopes:
            scope.settle(ticket.hold, None)
        if ticket.line is not None:
            self._pool.settle_later(ticket.line.settled("indoubt", call.upper, "in doubt"))


async def charge_pooled(upper: Usage, reply: Reply, spending: Spending) -> Outcome:
    """Charge a pooled reply to the scopes that count use, as strictly as a paid one."""
    scopes = spending.used
    if not scopes:
        return reply
    try:
        hold = await hold_all(scopes, upper)
    except BudgetExceeded as error:
        return error
    for scope in scopes:
        scope.settle(hold, reply.usage)
    return reply


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


def _leave(gates: Sequence[Gate], tokens: int, outcome: Outcome | None = None) -> None:
    for gate in reversed(gates):
        gate.leave(tokens, outcome)
