"""Weights that read and write nothing: a thread for each model, common batches for all who ask."""

from __future__ import annotations

import contextlib
import gc
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from archon.backends.torch_config import stored_dtype
from archon.backends.torch_device import Local, Memory, device_of, dtype_of, is_memory_error
from archon.backends.torch_files import LOADING, weights_of
from archon.backends.torch_threads import use_threads
from archon.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Place", "Row", "Scorer", "padded"]

R = TypeVar("R")

BATCH_TOKENS = 2**14
"""Tokens, padding included, that are read together."""
BESIDE = 1.25
"""What a scorer takes in memory, as a factor of its weights."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scorer runs.

    Attributes:
        local: how models run here.
        memory: which models share.
        dtype: precision, if it is not what suits the device.
    """

    local: Local = field(default_factory=Local)
    memory: Memory = field(default_factory=Memory)
    dtype: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One text to be read.

    Attributes:
        ids: its tokens.
        places: where something is read off, if not at one place for all.
        types: to which of two texts each token belongs, for models that are told.
    """

    ids: list[int]
    places: tuple[int, ...] = ()
    types: tuple[int, ...] = ()


class Scorer(ABC, Generic[R]):
    """Reads rows with the weights of a folder, which are loaded on first use.

    While one batch is read, what other calls want gathers, and is read together next. Where the
    memory is wanted by another model, the weights go, and come again with the next call.

    Args:
        folder: of the weights.
        place: how models run here.
    """

    def __init__(self, folder: Path, place: Place | None = None) -> None:
        self._folder, self._place = folder, place or Place()
        self._net: Any = None
        self._closing = self._reading = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"archon {folder.name}")
        self._lock = threading.Lock()
        self._waiting: list[tuple[Callable[[], list[Row]], Future[list[R]]]] = []
        self.batches = 0

    @abstractmethod
    def load(self, device: torch.device, dtype: torch.dtype) -> Any:
        """Load weights and tokenizer, and return what is kept in the device's memory."""

    @abstractmethod
    def read(self, rows: Sequence[Row]) -> list[R]:
        """Return what each row says, all of them in one batch."""

    @abstractmethod
    async def scores(self, question: str, answers: Sequence[str]) -> list[float]:
        """Return how good each answer is, in [0, 1].

        Args:
            question: what was asked.
            answers: none of them empty.

        Raises:
            ModelError: when the weights cannot be loaded, or the texts do not fit.
        """

    def submit(self, make: Callable[[], list[Row]]) -> Future[list[R]]:
        """Return what will be read of some rows, in their order.

        Args:
            make: makes the rows, in the model's thread: tokenizers are not for two at a time.
        """
        future: Future[list[R]] = Future()
        with self._lock:
            self._waiting.append((make, future))
        self._thread.submit(self._serve)
        return future

    @property
    def busy(self) -> bool:
        """Whether something is read, or waits to be."""
        return self._reading or bool(self._waiting)

    def leave(self) -> None:
        """Free the memory when what is being read is done."""
        # A thread that ends frees it by itself.
        with contextlib.suppress(RuntimeError):
            self._thread.submit(self._unload)

    def close(self) -> None:
        """End the thread; what waits is still answered if the weights are there."""
        self._closing = True
        self.leave()
        self._thread.shutdown(wait=False)
        self._place.memory.wake()

    def _serve(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            self._reading = bool(waiting)
        self._answer(waiting)
        self._reading = False

    def _answer(self, waiting: Sequence[tuple[Callable[[], list[Row]], Future[list[R]]]]) -> None:
        rows: list[Row] = []
        jobs: list[tuple[Future[list[R]], int]] = []
        for make, future in waiting:
            if not future.set_running_or_notify_cancel():
                continue
            try:
                self._load()
                made = make()
            except Exception as error:
                # One caller's texts are no reason to leave the others without an answer.
                future.set_exception(_said(error))
            else:
                jobs.append((future, len(made)))
                rows += made
        try:
            found = self._read(rows)
        except Exception as error:
            # This thread is the only one that answers: its waiters must hear of anything.
            for future, _ in jobs:
                future.set_exception(_said(error))
            return
        at = 0
        for future, count in jobs:
            future.set_result(found[at : at + count])
            at += count

    def _load(self) -> None:
        if self._net is not None:
            self._place.memory.used(self)
            return
        try:
            local = self._place.local
            with LOADING:
                device = device_of(local.device)
            dtype = dtype_of(self._place.dtype, device, stored_dtype(self._folder))
            weights = weights_of(self._folder)
            size = int(BESIDE * weights * dtype.itemsize)
            budget = local.budget(device)
            if device.type == "cpu":
                use_threads(local.threads, weights)
            if not self._place.memory.enter(self, size, budget, lambda: self._closing):
                raise ModelError("the backend was closed")
            with LOADING:
                self._net = self.load(device, dtype)
        except Exception as error:
            self._place.memory.exit(self)
            # Whatever the files do to the libraries, the caller hears which folder it was.
            raise ModelError(f"cannot load {self._folder}: {error}", billed=False) from error

    def _unload(self) -> None:
        if self._net is not None:
            import torch

            self._net = None
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        self._place.memory.exit(self)

    def _read(self, rows: Sequence[Row]) -> list[R]:
        """Read rows of like length together."""
        found: dict[int, R] = {}
        order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
        group: list[int] = []
        for number in order:
            if group and len(rows[number].ids) * (len(group) + 1) > BATCH_TOKENS:
                found.update(zip(group, self._halved([rows[i] for i in group]), strict=True))
                group = []
            group.append(number)
        if group:
            found.update(zip(group, self._halved([rows[i] for i in group]), strict=True))
        return [found[number] for number in range(len(rows))]

    def _halved(self, rows: Sequence[Row]) -> list[R]:
        """Read a batch, or where the memory is too small for it, its halves."""
        import torch

        self.batches += 1
        try:
            return self.read(rows)
        except Exception as error:
            # Too much at once is no fault of the texts; anything else is the caller's to hear.
            if not is_memory_error(error):
                raise
            if len(rows) == 1:
                raise ModelError(
                    f"a text of {len(rows[0].ids)} tokens does not fit into the memory: {error}",
                    billed=False,
                ) from None
        # Outside of the clause: inside it the error still holds what is to be freed.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        half = len(rows) // 2
        return self._halved(rows[:half]) + self._halved(rows[half:])


def padded(rows: Sequence[Row], pad: int, device: Any) -> dict[str, Tensor]:
    """Return rows as a model takes them, padded on the right.

    Behind causal attention, nothing that is read can see the padding; other models are told.
    """
    import torch

    width = max(len(row.ids) for row in rows)
    sizes = torch.tensor([len(row.ids) for row in rows])
    given = {
        "input_ids": torch.tensor([[*row.ids, *[pad] * (width - len(row.ids))] for row in rows]),
        "attention_mask": (torch.arange(width) < sizes[:, None]).long(),
    }
    if any(row.types for row in rows):
        types = [[*row.types, *[0] * (width - len(row.types))] for row in rows]
        given["token_type_ids"] = torch.tensor(types)
    return {name: value.to(device) for name, value in given.items()}


def _said(error: Exception) -> ModelError:
    if isinstance(error, ModelError):
        return error
    return ModelError(f"the local model failed: {type(error).__name__}: {error}", billed=False)
