"""Measure ``local/nano`` on test problems: ``python -m archon.nano.measure --problems 1000``.

Reports the accuracy of greedy decoding, of a single sample, of majority votes, and of votes that
the model's own verifier filters or weighs, with 95 % Wilson intervals, and the speed of sampling.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoTokenizer, LlamaForCausalLM

from archon.benchmarks.arithmetic import Problem, problems
from archon.layers.verify import CORRECT, INCORRECT
from archon.nano.data import VERDICT_PROMPT
from archon.nano.sampling import Speaker, check_prompt
from archon.nano.working import answer_of

WEIGHTS = Path(__file__).parent.parent / "weights" / "nano"


def wilson(right: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % Wilson interval of a share."""
    share = right / count
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return (middle - spread) / scale, (middle + spread) / scale


def vote(answers: Sequence[int | None], weights: Sequence[float] | None = None) -> int | None:
    """The answer with the largest weight; the earliest one in a tie; None when there is none."""
    weights = weights or [1.0] * len(answers)
    tally: dict[int, float] = defaultdict(float)
    for answer, weight in zip(answers, weights, strict=True):
        if answer is not None:
            tally[answer] += weight
    return max(tally, key=tally.__getitem__) if tally else None


@dataclass(slots=True)
class Result:
    """Measured shares, each with the number of cases behind it."""

    shares: dict[str, tuple[float, int]] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, hits: Sequence[bool]) -> None:
        """Record the share of hits."""
        if hits:
            self.shares[name] = (sum(hits) / len(hits), len(hits))

    def lines(self) -> list[tuple[str, str]]:
        """Name and text of every measured value."""
        said = []
        for name, (share, count) in self.shares.items():
            low, high = wilson(share * count, count)
            said.append((name, f"{share:6.1%}  [{low:.1%}, {high:.1%}]  n={count}"))
        return said + [(name, f"{value:.3f}") for name, value in self.facts.items()]


class Measure:
    """One measurement of one level."""

    def __init__(self, speaker: Speaker, asked: list[Problem], samples: int) -> None:
        self.speaker = speaker
        self.asked = asked
        self.samples = samples
        self.result = Result()
        self.temperature = 0.0
        self.replies: list[list[str]] = []
        self.answers: list[list[int | None]] = []

    def _truths(self, guesses: Sequence[int | None]) -> list[bool]:
        return [guess == one.answer for guess, one in zip(guesses, self.asked, strict=True)]

    def greedy(self) -> None:
        """Greedy decoding."""
        replies = self.speaker.reply([one.question for one in self.asked], temperature=0)
        self.result.add("greedy", self._truths([answer_of(reply) for reply in replies]))

    def sample(self, temperature: float) -> None:
        """Samples, majority votes, and how diverse the samples are."""
        self.temperature = temperature
        questions = [one.question for one in self.asked]
        before, began = self.speaker.written, time.monotonic()
        self.replies = self.speaker.replies(questions, self.samples, temperature)
        seconds = time.monotonic() - began
        written = self.speaker.written - before
        size = self.samples
        self.answers = [[answer_of(reply) for reply in group] for group in self.replies]
        self.result.add("single sample", self._truths([group[0] for group in self.answers]))
        for count in (4, 8, 16, 32):
            if count <= size:
                guesses = [vote(group[:count]) for group in self.answers]
                self.result.add(f"vote of {count}", self._truths(guesses))
        pairs = zip(self.answers, self.asked, strict=True)
        self.result.add(f"any of {size} right", [one.answer in group for group, one in pairs])
        facts = self.result.facts
        rights = [a == p.answer for g, p in zip(self.answers, self.asked, strict=True) for a in g]
        facts["mean of all samples"] = sum(rights) / len(rights)
        facts["different workings per problem"] = sum(len(set(g)) for g in self.replies) / len(
            self.replies
        )
        facts["tokens per reply"] = written / len(rights)
        facts["tokens per second"] = written / seconds

    def verify(self, count: int) -> None:
        """Check the first ``count`` samples and vote with the verdicts."""
        checks, chances = self._judge(count)
        truths = [
            answer == one.answer
            for group, one in zip(self.answers, self.asked, strict=True)
            for answer in group[:count]
        ]
        self.result.add(
            "verifier: right accepted", [c > 0.5 for c, t in zip(chances, truths, strict=True) if t]
        )
        self.result.add(
            "verifier: wrong accepted",
            [c > 0.5 for c, t in zip(chances, truths, strict=True) if not t],
        )
        grouped = [chances[i : i + count] for i in range(0, len(chances), count)]
        answers = [group[:count] for group in self.answers]
        filtered, weighted, best = [], [], []
        for group, weights in zip(answers, grouped, strict=True):
            accepted = [a if w > 0.5 else None for a, w in zip(group, weights, strict=True)]
            filtered.append(vote(accepted) if any(a is not None for a in accepted) else vote(group))
            weighted.append(vote(group, weights))
            best.append(group[max(range(count), key=weights.__getitem__)])
        self.result.add(f"verified vote of {count}", self._truths(filtered))
        self.result.add(f"weighted vote of {count}", self._truths(weighted))
        self.result.add(f"best verified of {count}", self._truths(best))
        read = sum(answer_of(reasoning) is not None for reasoning in checks)
        self.result.facts["checks well formed"] = read / len(checks)

    def _judge(self, count: int) -> tuple[list[str], list[float]]:
        """Check texts and P([Correct]) of the first ``count`` samples of every problem."""
        pairs = [
            (one.question, reply)
            for group, one in zip(self.replies, self.asked, strict=True)
            for reply in group[:count]
        ]
        distinct = list(dict.fromkeys(pairs))
        prompts = [check_prompt(*pair) for pair in distinct]
        checks = self.speaker.reply(prompts, temperature=self.temperature)
        prompts = [
            VERDICT_PROMPT.format(question=question, candidate=reply, reasoning=reasoning)
            for (question, reply), reasoning in zip(distinct, checks, strict=True)
        ]
        chances = dict(
            zip(distinct, self.speaker.choice(prompts, (CORRECT, INCORRECT)), strict=True)
        )
        return checks, [chances[pair] for pair in pairs]


def load(folder: Path, batch: int) -> Speaker:
    """The model in ``folder``, in float32."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return Speaker(model, AutoTokenizer.from_pretrained(folder), batch)


def main() -> None:
    """Parse the command line and print one table per level."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, default=WEIGHTS)
    parser.add_argument("--levels", type=int, nargs="+", default=[3])
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--verify", type=int, default=8, help="samples to verify, 0 for none")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=("dev", "test"), default="test")
    parser.add_argument("--json", type=Path, default=None, help="also write the numbers here")
    options = parser.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(options.seed)
    console = Console()
    kept: dict[str, dict[str, object]] = {}
    for level in options.levels:
        asked = list(islice(problems(level, options.split, options.seed), options.problems))
        measure = Measure(load(options.model, options.batch), asked, options.samples)
        measure.greedy()
        measure.sample(options.temperature)
        if options.verify:
            measure.verify(min(options.verify, options.samples))
        table = Table(title=f"level {level}, {options.split}, temperature {options.temperature}")
        table.add_column("measure")
        table.add_column("value")
        for row in measure.result.lines():
            table.add_row(*row)
        console.print(table)
        kept[str(level)] = {"shares": measure.result.shares, "facts": measure.result.facts}
    if options.json:
        options.json.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
