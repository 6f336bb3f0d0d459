"""What local models are measured on: samples of one prompt, mixed prompts, a tree, a whole run."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import archon
from archon.benchmarks.arithmetic import problem
from archon.benchmarks.perf.local_models import word
from archon.model import Backend, Draw, Model, Request
from archon.types import Message, Reply

__all__ = ["Sizes", "Work", "architecture", "mixed", "samples", "tree", "warm"]

Work = Callable[[Backend, int], Awaitable[int]]
"""Does the work of one repetition with a backend, and returns how many tokens it generated."""

TEMPERATURE = 0.8

ARCHITECTURE = """
models:
  model: {{model: {model}, temperature: {temperature}, max_tokens: {tokens}}}
stages:
  - generate: {{model: model, samples: {samples}}}
  - verify: {{model: model, keep: all}}
  - best
"""
"""Best of n by the model's own checks: three calls for each sample, two of them with a prompt of
their own."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is to do.

    Attributes:
        samples: of the one prompt.
        prompts: of mixed lengths.
        most: samples of a mixed prompt at most.
        levels: of the tree.
        branches: of each node of the tree.
        items: of the whole run.
    """

    samples: int = 64
    prompts: int = 64
    most: int = 8
    levels: int = 4
    branches: int = 4
    items: int = 32


def samples(model: Model, count: int, words: int = 0) -> Work:
    """Return the work of many samples of one prompt, another one in each repetition.

    Args:
        model: with its settings.
        count: how many samples.
        words: tokens of the prompt for a random model; 0 asks a word problem.
    """

    async def work(backend: Backend, repetition: int) -> int:
        text = _random_words(repetition, words) if words else _problem(repetition)
        return _tokens(await _asked(backend, _request(model, text), count))

    return work


def mixed(model: Model, sizes: Sizes, *, words: bool = False) -> Work:
    """Return the work of prompts of mixed lengths with 1 to `most` samples each, all at once."""

    async def work(backend: Backend, repetition: int) -> int:
        chance = random.Random(f"mixed {repetition}")
        asked = []
        for number in range(sizes.prompts):
            seed = repetition * sizes.prompts + number
            if words:
                text = _random_words(seed, chance.randint(16, 512))
            else:
                # One to five stories in front of each other, of one to five steps each.
                parts = [_problem(seed * 5 + part) for part in range(chance.randint(1, 5))]
                text = " ".join(parts)
            asked.append(_asked(backend, _request(model, text), chance.randint(1, sizes.most)))
        return sum(map(_tokens, await asyncio.gather(*asked)))

    return work


def tree(model: Model, sizes: Sizes, words: int) -> Work:
    """Return the work of a tree: each node goes on from its parent's text in so many branches.

    Args:
        model: random weights, whose steps all have `max_tokens` tokens.
        sizes: levels and branches.
        words: tokens of the prompt.
    """

    async def work(backend: Backend, repetition: int) -> int:
        prompt = _random_words(repetition, words)

        async def grow(said: str, level: int) -> int:
            replies = await _asked(backend, _request(model, prompt, said), sizes.branches)
            tokens = _tokens(replies)
            if level < sizes.levels:
                tokens += sum(
                    await asyncio.gather(*(grow(reply.text, level + 1) for reply in replies))
                )
            return tokens

        return await grow("", 1)

    return work


def architecture(model: Model, sizes: Sizes) -> Work:
    """Return the work of a whole evaluation: best of n on word problems, through a session."""
    text = ARCHITECTURE.format(
        model=model.model, temperature=TEMPERATURE, tokens=model.max_tokens, samples=sizes.most
    )
    arch = archon.loads(text)

    async def work(backend: Backend, repetition: int) -> int:
        lent = cast("Backend", _Lent(backend))
        session = archon.Session(pool=None, backends={"local": lent})
        try:
            found = await archon.aevaluate(
                arch,
                "arithmetic",
                limit=sizes.items,
                seed=repetition,
                session=session,
                trails=False,
            )
        finally:
            await session.aclose()
        return found.used.output_tokens or 0

    return work


async def warm(backend: Backend, model: Model) -> None:
    """Load what is loaded on first use.

    Raises:
        Exception: whatever keeps a backend from working here.
    """
    short = model.model_copy(update={"max_tokens": 4})
    # A prompt of a length at which kernels are chosen and buffers are made.
    await _asked(backend, _request(short, " ".join([word(1)] * 32)), 4)


class _Lent:
    """A backend that outlives the session it is given to."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def close(self) -> None:
        """Leave it open."""


def _request(model: Model, text: str, prefix: str = "") -> Request:
    return Request(model, (Message("user", text),), prefix=prefix)


async def _asked(backend: Backend, request: Request, count: int) -> list[Reply]:
    draws = tuple(Draw(0, number) for number in range(count))
    replies = []
    for outcome in await backend.complete(request, draws):
        if isinstance(outcome, Exception):
            raise outcome
        replies.append(outcome)
    return replies


def _tokens(replies: Sequence[Reply]) -> int:
    return sum(reply.usage.output_tokens or 0 for reply in replies)


def _problem(number: int) -> str:
    return problem(1 + number % 5, "test", number // 5).question


def _random_words(seed: int, count: int) -> str:
    chance = random.Random(f"words {seed}")
    return " ".join(word(chance.randrange(256, 500)) for _ in range(count))
