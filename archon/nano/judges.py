"""Training of a judge: a generator that is taught to check, compare and combine its own answers.

Whether a check or a ranking is right hangs on single words, which a mean over all tokens of all
replies hardly sees: so these weigh more. To tell two numbers apart is drilled on bare numbers, for
a model of this size does not learn it beside everything else. Half of the answers that are judged
the trunk wrote, the rest is made up.
"""

from __future__ import annotations

import random
from itertools import islice
from typing import Any

import torch
from transformers import LlamaForCausalLM

from archon.benchmarks.arithmetic import parse_key, total_of
from archon.layers.judging import labels
from archon.nano.data import ASSISTANT, END, USER, Group, drill
from archon.nano.examples import prompts
from archon.nano.examples.mixing import groups
from archon.nano.generators import GeneratorTraining
from archon.nano.own import own_groups
from archon.nano.sampling import Speaker
from archon.nano.training import trunk_of
from archon.nano.working import slipped

__all__ = ["JudgeTraining", "comparison"]

CHUNK_GROUPS = 2400
OWN_PROBLEMS, OWN_EACH, OWN_REPLIES = 160, 5, 2
DRILLS = 0.35
"""Share of the groups that compare bare numbers."""
_JUDGEMENTS = ("Ġright", "Ġwrong", "Correct", "Incorrect")
_WEIGHT = 5.0


class JudgeTraining(GeneratorTraining):
    """A model that judges what its trunk writes."""

    peak = 0.5

    def begun(self) -> Any:
        """The trunk, and a copy of it that writes what is judged."""
        folder = trunk_of(self.member, self.options.out)
        read: Any = LlamaForCausalLM.from_pretrained
        self.writer = Speaker(read(folder, dtype=torch.float32).eval(), self.tokenizer)
        self.weights = torch.ones(len(self.tokenizer))
        self.weights[self.tokenizer.convert_tokens_to_ids(list(_JUDGEMENTS))] = _WEIGHT
        model = read(folder, dtype=torch.float32).train()
        self.body = self.compiled(model.model)
        return model

    def chunk_groups(self, seed: int) -> list[Group]:
        """Groups over the trunk's answers among made ones and drills."""
        mix, rng = self.member.taught, random.Random(f"archon-nano-judges/{seed}")
        writer, count = self.writer, OWN_REPLIES
        chosen = list(own_groups(mix, seed, writer, OWN_PROBLEMS, OWN_EACH, count=count))
        chosen += [comparison(rng) for _ in range(round(DRILLS * CHUNK_GROUPS))]
        chosen += islice(groups(mix, seed), max(0, CHUNK_GROUPS - len(chosen)))
        rng.shuffle(chosen)
        return chosen


def comparison(rng: random.Random) -> Group:
    """A bare operation and up to eight results, ranked; wrong ones are often near misses."""
    key, (asked, _) = drill(rng)
    question, truth = asked.removesuffix(ASSISTANT), total_of(parse_key(key))
    said = [_result(truth, rng) for _ in range(rng.randint(2, 8))]
    names = labels(len(said))
    lines = [
        f"[{name}] {value} is {'right' if value == truth else 'wrong'}."
        for name, value in zip(names, said, strict=True)
    ]
    order = sorted(names, key=lambda name: said[names.index(name)] != truth)
    prompt = prompts.ranking(question, prompts.labelled([f"#### {value}" for value in said]))
    working = [f"{question} = {truth}", f"#### {truth}"]
    reply = "\n".join((*working, *lines, f"Ranking: {' > '.join(order)}"))
    return Group((key,), USER + prompt, ((ASSISTANT, reply + END),))


def _result(truth: int, rng: random.Random) -> int:
    kind = rng.random()
    if kind < 0.4:
        return truth
    return slipped(truth, rng) if kind < 0.8 else rng.randrange(10 ** len(str(truth)))
