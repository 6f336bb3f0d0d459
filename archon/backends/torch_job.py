"""Requests on their way through the engine of a local model."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from archon.errors import ModelError
from archon.model import Draw, Outcome, Price, Request
from archon.plain import clean_text
from archon.tokens import Token
from archon.types import Finish, Reply, TextPart, Usage

if TYPE_CHECKING:
    from archon.backends.torch_opening import Opening
    from archon.backends.torch_text import Speech

__all__ = ["FREE", "Job", "Room", "Row", "choose"]

FREE = Price(input=0, output=0)
PATIENCE = 2.0
"""Seconds that the first in the queue lets better fitting rows go before it."""

Shown = tuple[float, list[tuple[int, float]]]


@dataclass(eq=False)
class Job:
    """One request and its draws.

    Attributes:
        fingerprint: of the weights; enters the seeds.
        loop: where the caller waits on `future`.
        opening: how the reply begins, once the prompt has been made.
        banned: tokens that are never written.
        forced: tokens that are written in their places.
        given: what is shown of the tokens of the prefix.
        probs: the probability of each verdict among them, once they are known.
        likelihoods: the mean probability of a token of each, its end included.
        thinking_ends: the token before which the reply is thinking; None if all of it is answer.
        price: of a token, in dollars.
    """

    request: Request
    draws: tuple[Draw, ...]
    fingerprint: str
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[list[Outcome]]
    cancelled: bool = False
    opening: Opening | None = None
    banned: tuple[int, ...] = ()
    forced: tuple[tuple[int, int], ...] = ()
    given: list[Shown] | None = None
    probs: tuple[tuple[str, float], ...] | None = None
    likelihoods: tuple[float, ...] = ()
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    thinking_ends: int | None = None
    price: Price = FREE
    _key: str = ""

    def set(self, place: int, outcome: Outcome) -> None:
        """Give a draw its outcome; the caller gets all when the last has one."""
        self.outcomes[place] = outcome
        if len(self.outcomes) == len(self.draws):
            self._tell([self.outcomes[place] for place in range(len(self.draws))])

    def fail(self, error: ModelError) -> None:
        """Give the draws that have none yet this error."""
        for place in range(len(self.draws)):
            if place not in self.outcomes:
                self.set(place, error)

    def _tell(self, outcomes: list[Outcome]) -> None:
        def tell() -> None:
            if not self.future.done():
                self.future.set_result(outcomes)

        # The caller's loop may be closed: then nobody waits.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(tell)

    def chance(self, draw: Draw, size: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return a draw's uniform numbers, which depend on request and draw alone."""
        if not self._key:
            self._key = self.request.key(self.fingerprint)
        key = f"{self._key}:{draw.member}:{draw.number}"
        seed = hashlib.blake2b(key.encode(), digest_size=16).digest()
        bits = np.random.Philox(key=int.from_bytes(seed, "little"))
        return np.random.Generator(bits).random(size)

    @property
    def first_heat(self) -> float | None:
        """The temperature of the first token, if it has one of its own."""
        return self.request.hooks.first_temperature


@dataclass(eq=False, slots=True)
class Row:
    """One text to be written: a draw, or all draws of a greedy request.

    Attributes:
        ids: the prompt.
        places: of the draws in the job.
        limit: most tokens.
        since: when it was asked for.
        prefilled: tokens of the prompt that the model read for this row and no other.
        seconds: of the model's time.
        shown: what is shown of each token written, if that is wanted.
        told: whether it needs no more steps.
    """

    job: Job
    ids: tuple[int, ...]
    places: list[int]
    limit: int
    since: float
    prefilled: int = 0
    seconds: float = 0.0
    shown: list[Shown] = field(default_factory=list)
    told: bool = False

    @property
    def greedy(self) -> bool:
        """Whether nothing is left to chance."""
        heat = self.job.first_heat
        return self.job.request.model.temperature == 0 and not heat

    def stopped(self, speech: Speech, ids: list[int]) -> bool:
        """Return whether a stop string has been written."""
        stop, opening = self.job.request.model.stop, self.job.opening
        words = self.answer(ids)
        if not stop or opening is None or not speech.stops(words, stop):
            return False
        return speech.cut(words, stop, opening.again) is not None

    def finish(self, speech: Speech, ids: list[int], ended: bool, seconds: float) -> int:
        """Make the reply of generated tokens, give it to the draws, and return how many it took."""
        self.told = True
        job, opening = self.job, self.job.opening
        assert opening is not None
        request, model = job.request, job.request.model
        finish: Finish = "stop" if ended else "length"
        count, written = len(ids), ids[:-1] if ended else ids
        words = self.answer(written)
        thought = written[: len(written) - len(words)]
        text, stop = speech.text((*opening.tokens, *words), opening.before), ""
        if cut := speech.cut(words, model.stop, opening.again):
            left, size, stop = cut
            text = text[: len(text) - left]
            count, finish = len(thought) + size, "stop"
        text = clean_text(opening.head + text)
        reply = Reply(
            (TextPart(text),) if text else (),
            model.model,
            finish,
            clean_text(speech.text(thought)) if thought else "",
            self._used(count, seconds),
            job.probs or (),
            stop=stop,
            tokens=(*request.prefix_tokens, *written[:count]) if request.tokens else (),
            logprobs=self._tokens(speech, ids[:count]),
        )
        for number, place in enumerate(self.places):
            paid = self._paid(place, count if number == 0 else 0, reply.usage.seconds)
            job.set(place, replace(reply, paid=None if paid == reply.usage else paid))
            self.prefilled = 0
        return count

    def _used(self, count: int, seconds: float) -> Usage:
        size = len(self.ids)
        cost = self.job.price.microusd(size, count)
        return Usage(1, size, count, cost, seconds / len(self.places))

    def _paid(self, place: int, count: int, seconds: float | None) -> Usage:
        """Return what the model did; dollars are those of a request that pays its prompt once."""
        cost = self.job.price.microusd(len(self.ids) if place == 0 else 0, count)
        return Usage(1, self.prefilled, count, cost, seconds)

    def _tokens(self, speech: Speech, ids: list[int]) -> tuple[Token, ...]:
        request = self.job.request
        if not request.logprobs:
            return ()
        given = self.job.given or []
        known = self.ids[len(self.ids) - len(given) :]
        shown = [*zip(known, given, strict=True), *zip(ids, self.shown, strict=False)]
        return tuple(
            Token(speech.piece(i), own, tuple((speech.piece(t), p) for t, p in top), i)
            for i, (own, top) in shown
        )

    def answer(self, ids: list[int]) -> list[int]:
        """Return the generated tokens that are answer: those after the thinking has ended."""
        end = self.job.thinking_ends
        if end is None:
            return ids
        return ids[ids.index(end) + 1 :] if end in ids else []


@dataclass(slots=True)
class Room:
    """How much may be under way at once.

    Attributes:
        rows: that are continued together.
        tokens: of prompts, each counted once, and of what is written, padding included.
    """

    rows: int
    tokens: int


def choose(
    ready: deque[Row], present: Sequence[Row], width: int, room: Room
) -> tuple[list[Row], deque[Row]]:
    """Return the rows that may join the batch now, in order of arrival, and those that wait.

    Args:
        ready: the queue.
        present: rows already in the batch.
        width: tokens of the batch's longest prompt.
        room: what the batch may take; one row alone always fits.
    """
    count = len(present)
    if count >= room.rows:
        return [], ready
    prompts = {row.ids for row in present}
    longest = max((len(ids) for ids in prompts), default=0)
    written = max((row.limit for row in present), default=0)
    chosen: list[Row] = []
    rest: deque[Row] = deque()
    late = time.monotonic() - PATIENCE
    queue = iter(ready)
    for row in queue:
        if row.job.cancelled:
            continue
        size = len(row.ids)
        # Prompts of very different lengths would make each other slow.
        fits = size <= 2 * width + 64 and width <= 4 * size + 256
        long, most = max(longest, size), max(written, row.limit)
        tokens = long * (len(prompts) + (row.ids not in prompts)) + most * (count + 1)
        # The first that waits is not passed by for ever.
        passed = bool(rest) and rest[0].since < late
        if fits and not passed and (tokens <= room.tokens or count == 0):
            chosen.append(row)
            prompts.add(row.ids)
            longest, written, count = long, most, count + 1
        else:
            rest.append(row)
        if passed or count >= room.rows:
            rest.extend(queue)
    return chosen, rest
