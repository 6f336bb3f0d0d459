"""The loop that trains any model of the family: chunks, checkpoints, log.

Training goes in chunks with a seed of their own. What a chunk holds depends on its seed, the
progress and the weights at its beginning alone, and checkpoints are written between chunks: a run
that was killed goes on from the last one and ends where it would have ended anyway.
"""

from __future__ import annotations

import io
import json
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from archon.errors import ConfigError
from archon.nano import network
from archon.nano.batches import Batch
from archon.nano.members import Member
from archon.nano.optim import Optimizer
from archon.nano.vocabulary import family_tokenizer
from archon.writing import whole_file

__all__ = ["Options", "Training", "rate_at", "trunk_of"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is told.

    Attributes:
        out: folder of all models.
        seed: of everything.
        tokens: of training in all; 0 for the model's own number.
        batch: tokens in a batch, padding included.
        threads: of the processor.
        every: seconds between two checkpoints.
        stop: tokens after which to stop before the end, for a look; 0 for none.
    """

    out: Path
    seed: int = 0
    tokens: int = 0
    batch: int = 3072
    threads: int = 2
    every: float = 300.0
    stop: int = 0


def rate_at(progress: float, steps: int, decay: float) -> float:
    """Share of the peak learning rate: short warm-up, flat up to `decay`, then down to zero."""
    warm = min(1.0, (steps + 1) / 40)
    return warm * min(1.0, max(0.01, (1 - progress) / (1 - decay)))


def trunk_of(member: Member, out: Path) -> Path:
    """The folder of the generator that a model starts from.

    Raises:
        ConfigError: it is not trained yet.
    """
    folder = out / member.trunk
    if not (folder / "model.safetensors").is_file():
        raise ConfigError(
            f"{member.name!r} starts from {member.trunk!r}, which is not there:"
            f" train --model {member.trunk} first",
            where=str(folder),
        )
    return folder


class Training(ABC):
    """One model in training. What kind of model it is, is in the methods that are not here."""

    peak = 1.0
    """Scales the learning rates."""

    def __init__(self, member: Member, options: Options, console: Console) -> None:
        self.member, self.options, self.console = member, options, console
        self.folder = options.out / member.name
        self.budget = options.tokens or member.tokens
        self.chunk = self.tokens = self.steps = 0
        self.seconds = 0.0
        torch.set_num_threads(options.threads)
        self.tokenizer = family_tokenizer()
        self.model: Any = self.begun()
        self.optimizer = Optimizer(self.model)
        self._identity = {"examples": member.examples, "seed": options.seed}
        self._restore()

    @abstractmethod
    def begun(self) -> Any:
        """The network before the first step."""

    @abstractmethod
    def batches(self, seed: int) -> Iterator[Batch]:
        """The batches of a chunk; they depend on progress, seed and weights alone."""

    @abstractmethod
    def loss(self, batch: Batch) -> torch.Tensor:
        """What a step makes smaller."""

    @abstractmethod
    def probe(self) -> dict[str, float]:
        """A few figures on dev problems, for the log."""

    @property
    def progress(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.tokens / self.budget)

    def compiled(self, body: Callable[..., Any]) -> Callable[..., Any]:
        """The body of the network, compiled where there is a compiler."""
        if shutil.which("g++") is None:
            return body
        made: Callable[..., Any] = torch.compile(body, dynamic=True)
        return made

    def run(self) -> None:
        """Train until all tokens are used; keep a checkpoint every few minutes and at the end."""
        said = time.monotonic()
        losses: list[float] = []
        until = min(self.budget, self.options.stop or self.budget)
        while self.tokens < until:
            losses += self._train_chunk()
            self.chunk += 1
            spent = time.monotonic() - said
            if spent >= self.options.every or self.tokens >= until:
                self.seconds += spent
                self.keep(sum(losses) / len(losses))
                said, losses = time.monotonic(), []

    def _train_chunk(self) -> list[float]:
        found = []
        for batch in self.batches(self.options.seed * 1_000_000 + self.chunk):
            loss = self.loss(batch)
            torch.autograd.backward(loss)
            self.optimizer.step(self.peak * rate_at(self.progress, self.steps, self.member.decay))
            found.append(loss.item())
            self.steps += 1
            self.tokens += int(batch.mask.diagonal(dim1=-2, dim2=-1).sum())
        return found

    def keep(self, loss: float) -> None:
        """Write weights, checkpoint and a line of the log."""
        network.write(self.model, self.tokenizer, self.member, self.tokens, self.folder)
        self._save()
        line: dict[str, Any] = {
            "tokens": self.tokens, "of": self.budget, "minutes": round(self.seconds / 60, 1),
            "loss": round(loss, 4), "per_second": round(self.tokens / max(self.seconds, 1e-9)),
        }  # fmt: skip
        self.model.eval()
        line["dev"] = self.probe()
        self.model.train()
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        self.console.print(f"{self.member.name} {line}", highlight=False, soft_wrap=True)

    def _save(self) -> None:
        held = io.BytesIO()
        state = {
            "identity": self._identity, "chunk": self.chunk, "tokens": self.tokens,
            "steps": self.steps, "seconds": self.seconds, "model": self.model.state_dict(),
            "optimizer": self.optimizer.state(),
        }  # fmt: skip
        torch.save(state, held)
        with whole_file(self.folder / "checkpoint.pt") as file:
            file.write(held.getvalue())

    def _restore(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        if state["identity"] != self._identity:
            raise ConfigError(
                f"was trained on other examples or with another seed ({state['identity']!r}), this"
                f" run is {self._identity!r}; take another --out",
                where=str(path),
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.restore(state["optimizer"])
        self.chunk, self.tokens, self.steps = state["chunk"], state["tokens"], state["steps"]
        self.seconds = state["seconds"]
