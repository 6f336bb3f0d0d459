"""Requests on their way through the engine of a local model."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from archon.errors import ModelError
from archon.model import Draw, Outcome, Price, Request
from archon.plain import clean_text
from archon.types import Finish, Reply, TextPart, Usage

if TYPE_CHECKING:
    from archon.backends.torch_text import Speech

__all__ = ["FREE", "ROWS", "Job", "Row", "choose"]

FREE = Price(input=0, output=0)
ROWS = 256
"""Most rows that are continued together."""
TOKENS = 2**18
"""Most columns times rows of the cache."""
PATIENCE = 2.0
"""Seconds that the first in the queue lets better fitting rows go before it."""


@dataclass(eq=False)
class Job:
    """One request and its draws.

    Attributes:
        fingerprint: of the weights; enters the seeds.
        loop: where the caller waits on `future`.
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
    probs: tuple[tuple[str, float], ...] | None = None
    likelihoods: tuple[float, ...] = ()
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    thinking_ends: int | None = None
    price: Price = FREE

    def set(self, places: Iterable[int], outcome: Outcome) -> None:
        """Give some draws their outcome; the caller gets all when the last has one."""
        for place in places:
            self.outcomes[place] = outcome
        if len(self.outcomes) == len(self.draws):
            self._tell([self.outcomes[place] for place in range(len(self.draws))])

    def fail(self, error: ModelError) -> None:
        """Give the draws that have none yet this error."""
        self.set([i for i in range(len(self.draws)) if i not in self.outcomes], error)

    def _tell(self, outcomes: list[Outcome]) -> None:
        def tell() -> None:
            if not self.future.done():
                self.future.set_result(outcomes)

        # The caller's loop may be closed: then nobody waits.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(tell)

    def chance(self, draw: Draw, size: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return a draw's uniform numbers, which depend on request and draw alone."""
        key = f"{self.request.key(self.fingerprint)}:{draw.member}:{draw.number}"
        seed = hashlib.blake2b(key.encode(), digest_size=16).digest()
        bits = np.random.Philox(key=int.from_bytes(seed, "little"))
        return np.random.Generator(bits).random(size)


@dataclass(eq=False, slots=True)
class Row:
    """One text to be written: a draw, or all draws of a greedy request."""

    job: Job
    ids: list[int]
    places: list[int]
    limit: int
    since: float
    seconds: float = 0.0
    told: bool = False

    def finish(self, speech: Speech, ids: list[int], ended: bool, seconds: float) -> None:
        """Make the reply of generated tokens and give it to the draws."""
        self.told = True
        request, model = self.job.request, self.job.request.model
        finish: Finish = "stop" if ended else "length"
        count, written = len(ids), ids[:-1] if ended else ids
        words = self.answer(written)
        thought = written[: len(written) - len(words)]
        text = speech.text(words, self.ids if request.prefix else ())
        if model.stop and (cut := speech.cut(words, model.stop)):
            text, count = cut[0], len(thought) + cut[1]
            finish = "stop"
        text = clean_text(request.prefix + text)
        thinking = clean_text(speech.text(thought)) if thought else ""
        cost = self.job.price.microusd(len(self.ids), count)
        usage = Usage(1, len(self.ids), count, cost, seconds / len(self.places))
        parts = (TextPart(text),) if text else ()
        reply = Reply(parts, model.model, finish, thinking, usage, self.job.probs or ())
        self.job.set(self.places, reply)

    def answer(self, ids: list[int]) -> list[int]:
        """Return the generated tokens that are answer: those after the thinking has ended."""
        end = self.job.thinking_ends
        if end is None:
            return ids
        return ids[ids.index(end) + 1 :] if end in ids else []


def choose(
    ready: Iterable[Row], present: Sequence[Row], width: int
) -> tuple[list[Row], deque[Row]]:
    """Return the rows that may join the batch now, in order of arrival, and those that wait.

    Args:
        ready: the queue.
        present: rows already in the batch.
        width: columns of the batch's cache.
    """
    size = max((len(row.ids) + row.limit for row in present), default=0)
    chosen: list[Row] = []
    rest: deque[Row] = deque()
    late = time.monotonic() - PATIENCE
    for row in ready:
        if row.job.cancelled:
            continue
        most = max(size, len(row.ids) + row.limit)
        count = len(present) + len(chosen) + 1
        # Rows of very different lengths would make each other slow.
        fits = len(row.ids) <= 2 * width + 64 and width <= 4 * len(row.ids) + 256
        room = count <= ROWS and (most * count <= TOKENS or count == 1)
        # The first that waits is not passed by for ever.
        if fits and room and not (rest and rest[0].since < late):
            chosen.append(row)
            size = most
        else:
            rest.append(row)
    return chosen, rest
