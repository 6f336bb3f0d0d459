"""A ground with a known truth: fake models of known skill that answer simple questions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archon import Session
from archon.backends.fake import Fake
from archon.base import Benchmark, Item, ScoreContext, Scored, Split
from archon.config import Source
from archon.model import Draw, Price, Request
from archon.search import SearchFile, read_search
from archon.search.reading import TAGS
from archon.types import Task

SKILL = {"fake/good": 0.75, "fake/poor": 0.3}
SPACE = """\
name: toy
space:
  models:
    good: {model: fake/good, temperature: 0.7, max_tokens: 40}
    poor: {model: fake/poor, temperature: 0.7, max_tokens: 40}
  groups: {writers: [good, poor]}
  holes: {samples: !choice [1, 2, 3, 5]}
  stages:
    - - !each
        of: !subset {name: writers, of: writers}
        do: {generate: {model: !ref item, samples: !ref samples}}
    - vote
benchmark: arithmetic
items: {dev: 16, confirm: 16, test: 30}
seeds: [single]
"""


def chance(*parts: object) -> float:
    """Return a number in [0, 1) that depends on the parts alone."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:6], "big") / 2**48


def answer(request: Request, draw: Draw) -> str:
    """Be right as often as the model's skill says, item by item and draw by draw."""
    found = re.match(r"(dev|test) (\d+): what is", request.messages[-1].content)
    if found is None:  # somebody judges
        return "[Correct]"
    right = int(found[2]) % 7
    name = request.model.model
    if chance(name, request.model.temperature, found[0], *draw) < SKILL[name]:
        return f"#### {right}"
    return f"#### {10 + int(90 * chance('wrong', name, found[0], *draw))}"


class Toy(Benchmark):
    """Questions whose answer is the number's rest by seven.

    Args:
        dev: items of the development split.
        test: items of the test split.
        scores: what a scorer gives in place of right and wrong, by item id.
    """

    name = "toy"
    about = "for tests"
    answer = "number"

    def __init__(self, dev: int = 32, test: int = 30, scores: dict[str, Any] | None = None) -> None:
        self.sizes: dict[str, int] = {"dev": dev, "test": test}
        self.scores = scores or {}

    def items(self, split: Split, limit: int | None = None, seed: int = 0) -> Sequence[Item]:
        """Return the items of a split."""
        return [
            Item(
                Task.of(f"{split} {i}: what is the rest?", id=f"{split}-{i}", answer="number"),
                str(i % 7),
            )
            for i in range(self.sizes[split])
        ][:limit]

    def digest(self) -> str:
        """Name the items."""
        return f"toy-{self.sizes['dev']}-{self.sizes['test']}"

    async def score(self, item: Item, text: str | None, ctx: ScoreContext) -> Scored:
        """Score, or give what the test wants."""
        if item.task.id in self.scores:
            return Scored(self.scores[item.task.id], "as the test says")
        return await super().score(item, text, ctx)


def search_file(**changes: str) -> SearchFile:
    """Return the toy search with other lines; `temperature` and `max_tokens` are the models'."""
    space = SPACE.replace("temperature: 0.7", f"temperature: {changes.pop('temperature', '0.7')}")
    space = space.replace("max_tokens: 40", f"max_tokens: {changes.pop('max_tokens', '40')}")
    kept = [line for line in space.splitlines() if line.partition(":")[0] not in changes]
    more = [f"{key}: {value}" for key, value in changes.items()]
    return read_search(source("\n".join([*kept, *more]) + "\n"))


def source(text: str) -> Source:
    """Return YAML text as what is read from a file."""
    return Source(text, "search.yaml", TAGS)


def session(path: Path | None, *, price: Price | None = None, latency: float = 0.0) -> Session:
    """Return a session over the fake models."""
    return Session(path, backends={"fake": Fake(answer, price=price, latency=latency)})
