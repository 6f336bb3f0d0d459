"""The only door to models: the pool first, then a flight under way, then a call of one's own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from archon.backends import BACKENDS, backend_name
from archon.budget import Ledger
from archon.errors import BudgetExceeded, ConfigError, ModelError, PoolMiss, Stopped
from archon.flights import Flights
from archon.limits import Gate, Limits
from archon.model import (
    Ability,
    Backend,
    Draw,
    Embedder,
    Model,
    Outcome,
    Price,
    Request,
    Scorer,
    address,
)
from archon.plain import canonical
from archon.pool import Pool
from archon.sending import Busy, Call, Sender, Spending, charge_pooled
from archon.types import Reply, Usage

__all__ = ["Gateway", "Spending"]

log = logging.getLogger("archon.gateway")


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
        self._served: dict[Model, Backend] = {}
        self._fingerprints: dict[Model, str] = {}
        self._prices: dict[Model, Price | None] = {}
        self._gates: dict[Model, list[Gate]] = {}
        self._providers: dict[tuple[str, str, str], Gate] = {}
        self._overall = [] if limits is None else [Gate.over_all(limits)]
        self._flights = Flights()
        self._sender = Sender(pool, self.backend, self.price, self._gates_of)

    def backend(self, model: Model) -> Backend:
        """Return the backend that serves a model."""
        if model not in self._served:
            name = model.provider if model.provider in self._backends else backend_name(model)
            if name not in self._backends:
                self._backends[name] = BACKENDS.get(name)()
            self._served[model] = self._backends[name]
        return self._served[model]

    def check(self, models: Iterable[Model], scopes: Sequence[Ledger] = ()) -> None:
        """Refuse before any call what cannot work: a missing key, an unenforceable limit."""
        for model in dict.fromkeys(models):
            self.backend(model).check(model)
            upper = self.upper(Request(model, ()))
            for scope in scopes:
                scope.check(upper, repr(model.model))

    def require(self, model: Model, ability: Ability) -> None:
        """Raise ConfigError if a model cannot do what a layer needs beyond chat."""
        if ability not in self.backend(model).abilities(model):
            raise ConfigError(f"{model.model!r} has no {ability!r}, which a layer needs of it")

    async def score(self, model: Model, question: str, answers: Sequence[str]) -> list[float]:
        """Return how good each answer is, in [0, 1]; no call is made, so none is charged.

        Raises:
            ConfigError: when the model cannot score.
            ModelError: when these texts cannot be scored.
        """
        self.require(model, "score")
        backend = self.backend(model)
        assert isinstance(backend, Scorer), "a backend that declares `score` has the method"
        return await backend.score(model, question, answers)

    async def embed(self, model: Model, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of length 1 for each text; no call is made, so none is charged.

        Raises:
            ConfigError: when the model makes no vectors.
            ModelError: when these texts cannot be read.
        """
        self.require(model, "embed")
        backend = self.backend(model)
        assert isinstance(backend, Embedder), "a backend that declares `embed` has the method"
        return await backend.embed(model, texts)

    def upper(self, request: Request) -> Usage:
        """Return the most one draw of a request can use."""
        return request.upper(self.price(request.model))

    def price(self, model: Model) -> Price | None:
        """Return what a model's tokens cost, or None if that is unknown."""
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

    def draw(
        self, request: Request, draws: Sequence[Draw], spending: Spending
    ) -> Coroutine[Any, Any, list[Outcome]]:
        """Return one outcome for each draw, in order; failures are values, nothing is lost.

        Replies come from the pool where they are there (nothing is paid), from a flight of the
        same draw under way, or from the backend. A model's fallbacks are tried for draws that
        failed for good.
        """
        if request.model.fallbacks:
            return self._with_fallbacks(request, draws, spending)
        return self._draw(request, draws, spending)

    async def _with_fallbacks(
        self, request: Request, draws: Sequence[Draw], spending: Spending
    ) -> list[Outcome]:
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
        for ability in request.needs:
            self.require(request.model, ability)
        content = canonical(request.content(self._fingerprint(request.model)))
        key, upper = address(content), self.upper(request)
        found: dict[Draw, Outcome] = {}
        if spending.mode != "off":
            # What is not reserved is not looked for again: another process may have paid for it.
            look = spending.mode == "only"
            for draw, reply in self.pool.get(key, draws, look=look).items():
                found[draw] = await charge_pooled(upper, reply, spending)
        missing = [draw for draw in dict.fromkeys(draws) if draw not in found]
        if missing and spending.mode == "only":
            error = PoolMiss(f"{len(missing)} of {len(draws)} draws of {request.model.model!r}")
            found.update(dict.fromkeys(missing, error))
        elif missing:
            found.update(await self._fly(key, content, request, upper, missing, spending))
        return [found[draw] for draw in draws]

    async def _fly(
        self,
        key: str,
        content: str,
        request: Request,
        upper: Usage,
        draws: Sequence[Draw],
        spending: Spending,
    ) -> dict[Draw, Outcome]:
        """Wait for each draw's flight, starting those that nobody has started."""
        # What is stored nowhere is no reply that somebody else may rely on.
        name = f"off {key}" if spending.mode == "off" else key
        new = self._flights.unknown(name, draws)
        size = self.backend(request.model).batch_size(request.model)
        for first in range(0, len(new), size):
            flights = self._flights.start(name, new[first : first + size])
            land = partial(self._flights.land, name, flights)
            call = Call(key, content, request, spending, upper, land)
            task = asyncio.create_task(self._sender.take(call, list(flights)))
            for flight in flights.values():
                flight.task = task
            task.add_done_callback(partial(_ended, call, list(flights)))
        landed = await self._flights.wait(name, draws)
        joined = [draw for draw in draws if draw not in new]
        if joined:
            landed |= await _joined(upper, {draw: landed[draw] for draw in joined}, spending)
            again = [draw for draw in joined if isinstance(landed[draw], Busy)]
            if again:
                landed |= await self._fly(key, content, request, upper, again, spending)
        return landed

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
        self._sender.stopping.set()
        for gate in (*self._providers.values(), *self._overall):
            gate.stop(Stopped())

    def go_on(self) -> None:
        """Make calls again after a stop."""
        self._sender.stopping.clear()
        for gate in (*self._providers.values(), *self._overall):
            gate.stop(None)

    @property
    def in_flight(self) -> int:
        """Requests at the providers."""
        return sum(gate.busy for gate in self._providers.values())

    async def close(self) -> None:
        """Cut what is under way, then free the backends; the pool is the session's."""
        tasks = list(self._flights.tasks())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for backend in self._backends.values():
            await backend.close()


def _ended(call: Call, draws: Sequence[Draw], task: asyncio.Task[None]) -> None:
    """Land what a task left, cancelled or broken: the waiters would wait for ever."""
    error: Exception = ModelError("the call was cancelled")
    if not task.cancelled() and (raised := task.exception()) is not None:
        log.error("a call to %s broke", call.model.model, exc_info=raised)
        error = raised if isinstance(raised, Exception) else error
    for draw in draws:
        call.land(draw, error)


async def _joined(
    upper: Usage, landed: Mapping[Draw, Outcome], spending: Spending
) -> dict[Draw, Outcome]:
    """Account for what others asked for: paid by them, used here, and their budget not ours."""
    outcomes: dict[Draw, Outcome] = {}
    for draw, outcome in landed.items():
        if isinstance(outcome, Reply):
            pooled = replace(outcome, pooled=True, paid=None)
            outcomes[draw] = await charge_pooled(upper, pooled, spending)
        elif isinstance(outcome, BudgetExceeded) and not isinstance(outcome, Stopped):
            outcomes[draw] = Busy()
        else:
            outcomes[draw] = outcome
    return outcomes
