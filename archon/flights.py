"""Draws under way, and who waits for them: one that is asked for twice is paid once.

A flight belongs to the gateway and not to whoever asked first: a waiter that is cancelled takes
the reply from nobody. When the last one is gone, the call is cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from archon.model import Draw, Outcome

__all__ = ["Flight", "Flights"]


@dataclass(eq=False, slots=True)
class _Waiter:
    """Somebody who wants the outcomes of some flights."""

    future: asyncio.Future[None]
    missing: int

    def tell(self) -> None:
        self.missing -= 1
        if not self.missing and not self.future.done():
            self.future.set_result(None)


@dataclass(eq=False, slots=True)
class Flight:
    """One draw under way.

    Attributes:
        siblings: the draws that are asked for by the same task.
        task: the one that brings their outcomes.
        cut: whether it was cancelled, so that nobody should join any more.
        outcome: what came of it; None while it is under way.
    """

    siblings: list[Flight]
    task: asyncio.Task[None] | None = None
    cut: bool = False
    outcome: Outcome | None = None
    waiters: list[_Waiter] = field(default_factory=list)

    def leave(self, waiter: _Waiter) -> None:
        """One waiter is gone; when the last of all siblings is, the call is cut."""
        if waiter not in self.waiters:  # it has landed
            return
        self.waiters.remove(waiter)
        if any(flight.waiters for flight in self.siblings) or self.task is None:
            return
        for flight in self.siblings:
            flight.cut = True
        self.task.cancel()


class Flights:
    """All flights of a gateway, by key and draw."""

    def __init__(self) -> None:
        self._flights: dict[tuple[str, Draw], Flight] = {}

    def unknown(self, key: str, draws: Iterable[Draw]) -> list[Draw]:
        """Return the draws that nobody has under way; what was just cut will give nothing."""
        known = [(draw, self._flights.get((key, draw))) for draw in draws]
        return [draw for draw, flight in known if flight is None or flight.cut]

    def start(self, key: str, draws: Iterable[Draw]) -> dict[Draw, Flight]:
        """Make flights for draws that one task will bring."""
        siblings: list[Flight] = []
        flights = {draw: Flight(siblings) for draw in draws}
        siblings += flights.values()
        for draw, flight in flights.items():
            self._flights[key, draw] = flight
        return flights

    def land(self, key: str, flights: Mapping[Draw, Flight], draw: Draw, outcome: Outcome) -> None:
        """End the flight of a draw, once; whoever asks from now on finds the pool."""
        flight = flights[draw]
        if flight.outcome is not None:
            return
        if self._flights.get((key, draw)) is flight:
            del self._flights[key, draw]
        flight.outcome = outcome
        waiters, flight.waiters = flight.waiters, []
        for waiter in waiters:
            waiter.tell()

    async def wait(self, key: str, draws: Iterable[Draw]) -> dict[Draw, Outcome]:
        """Return the outcomes of draws under way."""
        flights = {draw: self._flights[key, draw] for draw in draws}
        waiter = _Waiter(asyncio.get_running_loop().create_future(), len(flights))
        for flight in flights.values():
            flight.waiters.append(waiter)
        try:
            await waiter.future
        except BaseException:  # cancelled: the others who wait must not notice
            for flight in flights.values():
                flight.leave(waiter)
            raise
        return {draw: flight.outcome for draw, flight in flights.items() if flight.outcome}

    def tasks(self) -> Iterator[asyncio.Task[None]]:
        """Return the tasks of all flights, each once."""
        yield from {flight.task for flight in self._flights.values() if flight.task is not None}
