"""A model that costs nothing: scripted, computed or seeded-random replies, and faults on demand.

Public, for users' tests as much as for archon's own:

    fake = Fake(lambda request, draw: "42")
    with archon.Session(backends={"fake": fake}) as session:
        session.run(arch, "6 * 7?")
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from archon.errors import ModelError
from archon.model import Ability, Draw, Model, Outcome, Price, Request
from archon.types import Reply, Usage

__all__ = ["Answer", "Fake", "Script"]

Answer: TypeAlias = str | Reply | Exception
"""What a script gives: the text, a whole reply, or an error to be returned in its place."""

Script: TypeAlias = Callable[[Request, Draw], Answer] | Iterable[Answer] | None

_WORDS = ("alpha", "beta", "gamma", "delta", "seven", "42", "[Correct]", "yes", "no", "17")


class Fake:
    """A scripted backend.

    Args:
        script: a function of request and draw; an iterable, used up in order of arrival; or
            None for random words that depend on request and draw alone.
        latency: seconds each request takes.
        faults: what to return before the script is asked, used up in order of arrival, such as
            `ModelError("busy", kind="transient")`; None means no fault this time.
        price: list price of every model it serves; calls are free by default.
    """

    def __init__(
        self,
        script: Script = None,
        *,
        latency: float = 0.0,
        faults: Iterable[Exception | None] = (),
        price: Price | None = None,
    ) -> None:
        self._script = script if callable(script) or script is None else None
        self._replies: Iterator[Answer] | None = (
            None if callable(script) or script is None else iter(script)
        )
        self._faults = iter(faults)
        self._price = price or Price(input=0, output=0)
        self._latency = latency
        self.requests: list[tuple[Request, Draw]] = []
        self.in_flight = 0
        self.peak = 0

    def abilities(self, model: Model) -> frozenset[Ability]:
        """Return what a script can be asked for."""
        return frozenset({"seeded", "verdicts", "schema", "score"})

    def batch_size(self, model: Model) -> int:
        """Return 1: each draw is a request of its own."""
        return 1

    def check(self, model: Model) -> None:
        """Accept every name."""

    def fingerprint(self, model: Model) -> str:
        """Return nothing: the name says it all."""
        return ""

    def price(self, model: Model) -> Price | None:
        """Return the price it was made with."""
        return self._price

    async def complete(self, request: Request, draws: tuple[Draw, ...]) -> list[Outcome]:
        """Answer each draw and remember that it was asked."""
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            if self._latency:
                await asyncio.sleep(self._latency)
            return [self._one(request, draw) for draw in draws]
        finally:
            self.in_flight -= 1

    def _one(self, request: Request, draw: Draw) -> Outcome:
        self.requests.append((request, draw))
        if (fault := next(self._faults, None)) is not None:
            return fault
        answer = self._answer(request, draw)
        if isinstance(answer, Exception):
            return answer
        if isinstance(answer, str):
            answer = Reply.of(answer, model=request.model.model)
        return self._metered(request, answer)

    def _answer(self, request: Request, draw: Draw) -> Answer:
        if self._script is not None:
            return self._script(request, draw)
        if self._replies is not None:
            end = ModelError("the script of the fake backend has no more replies")
            return next(self._replies, end)
        chance = random.Random(f"{request.key()}:{draw.member}:{draw.number}")
        return " ".join(chance.choices(_WORDS, k=chance.randint(1, 6)))

    def _metered(self, request: Request, reply: Reply) -> Reply:
        """Count a token for every four bytes, as many tokenizers do on English text."""
        if reply.usage != Usage(calls=1):
            return reply
        tokens_in = -(-request.prompt_bytes // 4)
        tokens_out = -(-len(reply.text.encode()) // 4)
        finish, most = reply.finish, request.model.max_tokens
        if most is not None and tokens_out > most:
            cut = reply.text.encode()[: most * 4].decode(errors="ignore")
            return self._metered(
                request, Reply.of(cut, model=reply.model, finish="length", usage=Usage(calls=1))
            )
        cost = self._price.microusd(tokens_in, tokens_out)
        usage = Usage(1, tokens_in, tokens_out, cost, self._latency)
        return replace(reply, finish=finish, usage=usage)

    async def score(self, model: Model, question: str, answers: Sequence[str]) -> list[float]:
        """Return seeded numbers that depend on model, question and answer alone."""
        texts = (f"{model.model}\x1f{question}\x1f{answer}" for answer in answers)
        return [random.Random(text).random() for text in texts]

    async def close(self) -> None:
        """Nothing to free."""
