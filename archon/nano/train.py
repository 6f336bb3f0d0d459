"""Train the nano family: ``python -m archon.nano.train --model nano-code --out DIR``.

Every model of the family (``--model all``: one after the other) is trained on examples that are
generated on the fly, from nothing, in three parts:

* the first fifth of the tokens: the two lowest levels of every task, answers and their checks;
* then all levels and all roles, in the shares of the model's mix;
* in the last fifth a share of the judged answers is what the model itself writes at that time.

The learning rate is flat up to 55 % of the tokens and then falls to zero. The reward heads start
from a trained generator (``archon.nano.heads``).

Training goes in chunks of a fixed number of groups, each with a seed of its own. A checkpoint is
written at the end of a chunk, so a run that was killed goes on from there with the same command
and ends with the weights that it would have had anyway. All chance comes from ``--seed``; weights
are the same on the same machine with the same number of threads.

Under ``--out`` each model has a folder with its weights so far as Hugging Face files,
``checkpoint.pt`` and ``log.jsonl``: a line for each checkpoint with loss, speed and the accuracy of
single samples on dev problems.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from archon.errors import ConfigError
from archon.nano import network
from archon.nano.batches import Batch, batches
from archon.nano.data import Group, drill_group
from archon.nano.examples.mixing import FAMILIES, fingerprint, groups
from archon.nano.members import MEMBERS, Member, easy
from archon.nano.optim import Optimizer
from archon.nano.own import own_groups, truth
from archon.nano.sampling import Speaker
from archon.nano.vocabulary import family_tokenizer
from archon.writing import whole_file

__all__ = ["Options", "Trainer", "main", "rate_at"]

EASY_UNTIL = 0.2
OWN_FROM = 0.8
DECAY_FROM = 0.55
CHUNK_GROUPS = 2048
OWN_PROBLEMS, OWN_EACH = 48, 8
DRILLS = 0.3
_PROBE_LEVEL, _PROBE_PROBLEMS, _PROBE_SAMPLES = 3, 24, 4


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


def rate_at(progress: float, steps: int) -> float:
    """Share of the peak learning rate: short warm-up, flat, then down to zero."""
    warm = min(1.0, (steps + 1) / 40)
    return warm * min(1.0, max(0.01, (1 - progress) / (1 - DECAY_FROM)))


def drilled(base: Iterator[Group], share: float, rng: random.Random) -> Iterator[Group]:
    """Groups, among them a share of bare operations."""
    for group in base:
        yield drill_group(rng) if rng.random() < share else group


class Trainer:
    """One generator in training."""

    def __init__(self, member: Member, options: Options, console: Console) -> None:
        self.member, self.options, self.console = member, options, console
        self.folder = options.out / member.name
        self.budget = options.tokens or member.tokens
        self.chunk = self.tokens = self.steps = 0
        self.seconds = 0.0
        torch.set_num_threads(options.threads)
        self.tokenizer = family_tokenizer()
        self.model = network.fresh(member, self.tokenizer, options.seed)
        compiles = shutil.which("g++") is not None
        self.body = torch.compile(self.model.model, dynamic=True) if compiles else self.model.model
        self.optimizer = Optimizer(self.model)
        self._identity = {"examples": fingerprint(member.taught), "seed": options.seed}
        self._restore()

    @property
    def progress(self) -> float:
        """From 0 to 1."""
        return self.tokens / self.budget

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
        seed = self.options.seed * 1_000_000 + self.chunk
        chosen = self.chunk_groups(seed)
        for batch in batches(iter(chosen), self.tokenizer, self.options.batch, seed):
            loss = self.loss(batch)
            torch.autograd.backward(loss)
            self.optimizer.step(rate_at(min(1.0, self.progress), self.steps))
            found.append(loss.item())
            self.steps += 1
            self.tokens += int(batch.mask.diagonal(dim1=-2, dim2=-1).sum())
        return found

    def chunk_groups(self, seed: int) -> list[Group]:
        """The groups of a chunk; they depend on the progress, the seed and the weights alone."""
        mix, rng = self.member.taught, random.Random(f"archon-nano-chunk/{seed}")
        if self.progress < EASY_UNTIL:
            share = DRILLS * mix.tasks.get("arithmetic", 0.0)
            return list(islice(drilled(groups(easy(mix), seed), share, rng), CHUNK_GROUPS))
        if self.progress < OWN_FROM:
            return list(islice(groups(mix, seed), CHUNK_GROUPS))
        self.model.eval()
        own = list(own_groups(mix, seed, self.speaker(), OWN_PROBLEMS, OWN_EACH))
        self.model.train()
        chosen = [*own, *islice(groups(mix, seed), CHUNK_GROUPS - len(own))]
        rng.shuffle(chosen)
        return chosen

    def loss(self, batch: Batch) -> torch.Tensor:
        """Mean loss over the reply tokens."""
        hidden = self.body(
            input_ids=batch.ids,
            position_ids=batch.positions,
            attention_mask=batch.mask,
            use_cache=False,
        ).last_hidden_state
        learned = batch.target >= 0
        logits = self.model.lm_head(hidden[learned])
        return nn.functional.cross_entropy(logits, batch.target[learned])

    def speaker(self) -> Speaker:
        """The model as it is now."""
        return Speaker(self.model, self.tokenizer)

    def keep(self, loss: float) -> None:
        """Write weights, checkpoint and a line of the log."""
        network.write(self.model, self.tokenizer, self.member, self.tokens, self.folder)
        self._save()
        line: dict[str, Any] = {
            "tokens": self.tokens, "of": self.budget, "minutes": round(self.seconds / 60, 1),
            "loss": round(loss, 4), "per_second": round(self.tokens / max(self.seconds, 1e-9)),
        }  # fmt: skip
        line["dev"] = self.probe()
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        self.console.print(f"{self.member.name} {line}", highlight=False, soft_wrap=True)

    def probe(self) -> dict[str, float]:
        """Accuracy of single samples on a few dev problems of a middle level of every task."""
        self.model.eval()
        torch.manual_seed(0)
        found = {}
        for name, family in FAMILIES.items():
            asked = list(islice(family.stream(_PROBE_LEVEL, "dev", 0), _PROBE_PROBLEMS))
            questions = [one.question for one in asked]
            said = self.speaker().replies(questions, _PROBE_SAMPLES, 0.8, limit=160)
            pairs = zip(asked, said, strict=True)
            right = [truth(family, one, text) for one, texts in pairs for text in texts]
            found[name] = round(sum(right) / len(right), 3)
        self.model.train()
        return found

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


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=(*MEMBERS, "all"), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of all models")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=0, help="of training, instead of the usual")
    parser.add_argument("--batch", type=int, default=3072, help="tokens in a batch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=float, default=300, help="seconds between checkpoints")
    parser.add_argument("--stop", type=int, default=0, help="stop after so many tokens, for a look")
    given = vars(parser.parse_args())
    chosen = given.pop("model")
    options = Options(**given)
    for name in MEMBERS if chosen == "all" else (chosen,):
        Trainer(MEMBERS[name], options, Console()).run()


if __name__ == "__main__":
    main()
