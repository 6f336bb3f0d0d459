"""transformers' own ways to sample, behind the protocol of a backend: the same requests go to all.

Prompts and texts pass through the same code as ours (`torch_text.Speech`), so what differs is how
tokens are computed. None of them gives probabilities of verdicts, which costs ours a little more.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from archon.backends.torch_config import stored_dtype
from archon.backends.torch_device import Local, device_of, dtype_of
from archon.backends.torch_text import Speech
from archon.model import Ability, Draw, Model, Outcome, Price, Request
from archon.types import Reply, TextPart, Usage

__all__ = ["Continuous", "Generate", "Rival", "Weights"]

MEMORY = 0.1
"""Share of a CPU's memory that the paged cache takes, all of it from the start."""
BATCH_TOKENS = 2048
"""Tokens that continuous batching puts into one step on a CPU, where its mask has a column for
each token of the cache."""


class Weights:
    """A model as transformers loads it, with its tokenizer."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM

        device = device_of(Local.from_environment().device)
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, dtype=dtype_of("", device, stored_dtype(folder))
        )
        self.device = device.type
        self.net: Any = model.to(device).eval()
        self.speech = Speech(folder)
        ends = self.net.generation_config.eos_token_id
        self.ends: list[int] = [ends] if isinstance(ends, int) else list(ends)

    def prompt(self, request: Request) -> list[int]:
        """Return the tokens of a request."""
        return self.speech.prompt(request.messages, request.prefix)

    def sampling(self, model: Model) -> dict[str, Any]:
        """Return a model's settings in transformers' words."""
        return {
            "do_sample": model.temperature != 0,
            "temperature": model.temperature or 1.0,
            "top_k": model.top_k or 0,
            "top_p": model.top_p or 1.0,
            "max_new_tokens": model.max_tokens,
            "eos_token_id": self.ends,
            "pad_token_id": 0,
        }

    def reply(self, request: Request, prompt: Sequence[int], ids: Sequence[int]) -> Reply:
        """Return the reply that a row of generated tokens is; what follows its end is padding."""
        size = next((i + 1 for i, token in enumerate(ids) if token in self.ends), len(ids))
        ended = size > 0 and ids[size - 1] in self.ends
        said = ids[: size - 1] if ended else ids[:size]
        text = request.prefix + self.speech.text(said, prompt if request.prefix else ())
        usage = Usage(1, len(prompt), size)
        finish: Any = "stop" if ended else "length"
        return Reply((TextPart(text),) if text else (), request.model.model, finish, usage=usage)


class Rival(ABC):
    """What all have in common."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def abilities(self, model: Model) -> frozenset[Ability]:
        """Return that a reply can go on from a given text."""
        return frozenset({"continue_from_prefix"})

    def batch_size(self, model: Model) -> int:
        """Return a number that no request reaches."""
        return 1_000_000

    def check(self, model: Model) -> None:
        """Accept every model: there is only one."""
        return

    def fingerprint(self, model: Model) -> str:
        """Return nothing: nothing is kept."""
        return ""

    def price(self, model: Model) -> Price | None:
        """Return that tokens are free."""
        return Price(input=0, output=0)

    @abstractmethod
    async def complete(self, request: Request, draws: tuple[Draw, ...]) -> list[Outcome]:
        """Answer each draw."""

    @abstractmethod
    async def close(self) -> None:
        """End the threads."""


class Generate(Rival):
    """`generate`, one request after the other.

    Args:
        weights: what is sampled.
        together: whether the draws of a request are one call (`num_return_sequences`).
    """

    def __init__(self, weights: Weights, *, together: bool) -> None:
        super().__init__(weights)
        self._together = together
        self._thread = ThreadPoolExecutor(1)

    async def complete(self, request: Request, draws: tuple[Draw, ...]) -> list[Outcome]:
        """Answer each draw; other requests wait."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._write, request, len(draws))

    def _write(self, request: Request, count: int) -> list[Outcome]:
        import torch

        weights = self._weights
        prompt = weights.prompt(request)
        ids = torch.tensor([prompt], device=weights.device)
        rows: list[list[int]] = []
        for size in [count] if self._together else [1] * count:
            out = weights.net.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                num_return_sequences=size,
                **weights.sampling(request.model),
            )
            rows += out[:, len(prompt) :].tolist()
        return [weights.reply(request, prompt, row) for row in rows]

    async def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()


class Continuous(Rival):
    """transformers' continuous batching (`init_continuous_batching`), with a cache that is kept.

    Its settings are those of the first request: only the length differs from request to request.

    Args:
        weights: what is sampled.
        forks: the draws of every request, which then share their prompt (`num_return_sequences`);
            at 1 each draw is a request of its own.
    """

    def __init__(self, weights: Weights, *, forks: int = 1) -> None:
        super().__init__(weights)
        self._forks = forks
        self._manager: Any = None
        self._names = itertools.count()

    async def complete(self, request: Request, draws: tuple[Draw, ...]) -> list[Outcome]:
        """Answer each draw.

        Raises:
            RuntimeError: when continuous batching fails, with what it said.
        """
        if self._manager is None:
            self._manager = self._started(request.model)
        prompt = self._weights.prompt(request)
        rows: list[asyncio.Future[Any]] = []
        for _ in range(len(draws) // self._forks):
            rows += self._ask(prompt, request.model)
        outputs = await self._answered(rows)
        return [self._weights.reply(request, prompt, row.generated_tokens) for row in outputs]

    def _ask(self, prompt: list[int], model: Model) -> list[asyncio.Future[Any]]:
        """Add one request and return what will be its rows."""
        loop = asyncio.get_running_loop()
        name = f"archon-{next(self._names)}"
        names = [name, *(f"{name}__child#{i}" for i in range(self._forks - 1))]
        rows = []
        for one in names:
            rows.append(loop.create_future())
            self._manager.register_result_handler(one, rows[-1].set_result)
        self._manager.add_request(prompt, request_id=name, max_new_tokens=model.max_tokens)
        return rows

    async def _answered(self, rows: Sequence[asyncio.Future[Any]]) -> list[Any]:
        waiting = set(rows)
        while waiting:
            _, waiting = await asyncio.wait(waiting, timeout=1.0)
            if waiting and not self._manager.is_running():
                raise RuntimeError("its thread ended without an answer")
        outputs = [row.result() for row in rows]
        if failed := [output.error for output in outputs if output.error]:
            raise RuntimeError(failed[0])
        return outputs

    def _started(self, model: Model) -> Any:
        from transformers import ContinuousBatchingConfig, GenerationConfig

        logging.getLogger("ContinuousBatchingLogger").setLevel(logging.CRITICAL)
        weights = self._weights
        settings = weights.sampling(model) | {"num_return_sequences": self._forks}
        limits: dict[str, Any] = {}
        if weights.device == "cpu":
            limits = {"max_memory_percent": MEMORY, "max_batch_tokens": BATCH_TOKENS}
        manager = weights.net.init_continuous_batching(
            GenerationConfig(**settings), ContinuousBatchingConfig(**limits)
        )
        # Here, so that what cannot be had on this machine is an error of ours, not of a thread.
        manager.warmup()
        manager.start()
        return manager

    async def close(self) -> None:
        """End the thread and free the cache."""
        if self._manager is not None:
            await asyncio.to_thread(self._manager.stop, block=True, timeout=10)
            self._manager = None
