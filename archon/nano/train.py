"""Train ``local/nano``: ``python -m archon.nano.train --out DIR --minutes M --seed S``.

With two cores, ``torchrun --nproc-per-node 2 -m archon.nano.train ...`` is the faster way when
other work shares them.

One run has two phases.  First the model learns from procedural examples only.  At 60 % of the time
it answers and checks train problems itself, and these texts, with their true labels, are mixed
into the rest of the run, while the learning rate falls to zero.
"""

from __future__ import annotations

import argparse
import copy
import os
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
import torch.distributed as distributed
from rich.console import Console
from torch import nn
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from archon.benchmarks.arithmetic import Problem, problems
from archon.nano.batches import Batch, batches
from archon.nano.data import EASY_GROUPS, Group, check_group, groups, verdict_group
from archon.nano.optim import Optimizer
from archon.nano.sampling import Speaker, check_prompt
from archon.nano.tokenizer import train_tokenizer

SELF_FROM = 0.6
_OWN_LEVELS = {2: 0.15, 3: 0.6, 4: 0.25}
_OWN_SEED = 7_000_000


@dataclass(frozen=True, slots=True)
class Options:
    """What one run is told."""

    out: Path
    minutes: float
    seed: int
    resume: Path | None
    tokens: int
    threads: int
    own: int
    peak: float
    decay_from: float


def fresh_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """The untrained network: 4 layers, width 160, 5 heads, tied embeddings."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=160,
        intermediate_size=448,
        num_hidden_layers=4,
        num_attention_heads=5,
        num_key_value_heads=5,
        max_position_embeddings=1024,
        initializer_range=0.05,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write the model (float16) and its tokenizer as Hugging Face files."""
    half = copy.deepcopy(model).half()
    half.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=192,
    )
    half.save_pretrained(out)
    tokenizer.save_pretrained(out)


def rate_at(progress: float, steps: int, decay_from: float) -> float:
    """Share of the peak learning rate: short warm-up, flat, then down to zero."""
    warm = min(1.0, (steps + 1) / 40)
    return warm * min(1.0, max(0.02, (1 - progress) / (1 - decay_from)))


class Stream:
    """Procedural groups, later mixed with texts of the model itself."""

    def __init__(self, seed: int, easy_groups: int) -> None:
        self._base = groups(seed, easy_groups)
        self._rng = random.Random(f"archon-nano-stream/{seed}")
        self.own: list[Group] = []

    def __iter__(self) -> Iterator[Group]:
        while True:
            if self.own and self._rng.random() < 0.12:
                yield self._rng.choice(self.own)
            else:
                yield next(self._base)


def _own_problems(count: int, seed: int) -> list[Problem]:
    """Train problems for the model to answer itself."""
    chosen: list[Problem] = []
    for level, share in _OWN_LEVELS.items():
        chosen.extend(islice(problems(level, "train", _OWN_SEED + seed), round(count * share)))
    return chosen


def own_groups(speaker: Speaker, count: int, seed: int, each: int = 4) -> list[Group]:
    """Check and verdict groups over the model's own answers and its own checks of them."""
    asked = _own_problems(count, seed)
    questions = [one.question for one in asked for _ in range(each)]
    answers = speaker.reply(questions, temperature=0.8)
    pairs = list(zip(questions, answers, strict=True))
    checks = speaker.reply([check_prompt(*pair) for pair in pairs], temperature=0.6)
    found: list[Group] = []
    for place, one in enumerate(asked):
        mine = slice(place * each, (place + 1) * each)
        said = list(zip(answers[mine], checks[mine], strict=True))
        found.append(check_group(one, answers[mine]))
        found.append(verdict_group(one, said))
    return found


class Trainer:
    """One training run."""

    def __init__(self, options: Options, console: Console) -> None:
        self.rank, self.workers = 0, int(os.environ.get("WORLD_SIZE", "1"))
        if self.workers > 1:
            distributed.init_process_group("gloo")
            self.rank = distributed.get_rank()
        torch.manual_seed(options.seed)
        torch.set_num_threads(max(1, options.threads // self.workers))
        self.seed = options.seed + 1000 * self.rank
        self.options = options
        self.console = console
        if options.resume:
            self.tokenizer = AutoTokenizer.from_pretrained(options.resume)
            self.model = LlamaForCausalLM.from_pretrained(options.resume, dtype=torch.float32)
        else:
            self.tokenizer = train_tokenizer(options.seed)
            self.model = fresh_model(self.tokenizer)
        compiles = shutil.which("gcc") is not None
        self.network = (
            torch.compile(self.model.model, dynamic=True) if compiles else self.model.model
        )
        self.optimizer = Optimizer(self.model)
        self.stream = Stream(self.seed, 0 if options.resume else EASY_GROUPS)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Mean loss over the reply tokens."""
        hidden = self.network(
            input_ids=batch.ids,
            position_ids=batch.positions,
            attention_mask=batch.mask,
            use_cache=False,
        ).last_hidden_state
        learned = batch.target >= 0
        logits = self.model.lm_head(hidden[learned])
        return nn.functional.cross_entropy(logits, batch.target[learned])

    def answer_itself(self) -> None:
        """Start the second phase."""
        self.model.eval()
        speaker = Speaker(self.model, self.tokenizer)
        count = self.options.own
        self.stream.own = own_groups(speaker, count, self.seed)
        self.model.train()
        self.console.print(f"{len(self.stream.own)} groups of own texts")

    def averaged(self, progress: float) -> float:
        """Average the gradients, and the progress, over all workers."""
        if self.workers == 1:
            return progress
        slopes = [weight.grad for weight in self.model.parameters() if weight.grad is not None]
        flat = torch.cat([*(slope.view(-1) for slope in slopes), torch.tensor([progress])])
        distributed.all_reduce(flat)
        flat /= self.workers
        parts = torch.split(flat[:-1], [slope.numel() for slope in slopes])
        for slope, part in zip(slopes, parts, strict=True):
            slope.copy_(part.view_as(slope))
        return float(flat[-1])

    def run(self) -> None:
        """Train until the time is over; save every few minutes and at the end."""
        began = time.monotonic()
        saved = said = began
        losses: list[float] = []
        tokens, progress = 0, 0.0
        feed = batches(iter(self.stream), self.tokenizer, self.options.tokens, self.seed)
        for steps, batch in enumerate(feed):
            if progress >= 1:
                break
            if progress >= SELF_FROM and self.options.own and not self.stream.own:
                self.answer_itself()
            loss = self.loss(batch)
            torch.autograd.backward(loss)
            progress = self.averaged((time.monotonic() - began) / (60 * self.options.minutes))
            rate = self.options.peak * rate_at(progress, steps, self.options.decay_from)
            self.optimizer.step(rate)
            losses.append(loss.item())
            tokens += batch.ids.numel() * self.workers
            now = time.monotonic()
            if now - said > 15:
                self.report((now - began) / 60, steps, tokens, losses, rate)
                losses, said = [], now
            if now - saved > 180:
                self.save()
                saved = now
        self.save()

    def report(
        self, minutes: float, steps: int, tokens: int, losses: list[float], rate: float
    ) -> None:
        """The progress line."""
        if self.rank == 0:
            self.console.print(
                f"{minutes:5.1f} min  step {steps}  tokens {tokens / 1e6:.2f} M  "
                f"loss {sum(losses) / len(losses):.4f}  rate {rate:.3f}"
            )

    def save(self) -> None:
        """Write the current weights."""
        if self.rank == 0:
            save(self.model, self.tokenizer, self.options.out)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=35.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", type=Path, default=None, help="weights to go on from")
    parser.add_argument("--tokens", type=int, default=3072, help="tokens in a batch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--own", type=int, default=500, help="problems the model answers itself")
    parser.add_argument("--peak", type=float, default=1.0, help="scales the learning rates")
    parser.add_argument("--decay-from", type=float, default=0.55, help="when the rate falls")
    Trainer(Options(**vars(parser.parse_args())), Console()).run()


if __name__ == "__main__":
    main()
