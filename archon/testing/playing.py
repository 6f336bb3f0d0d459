"""Runs one layer on one state against a fake model, and keeps all that can be seen of it."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from archon.backends.fake import Answer, Fake
from archon.base import Architecture, Node, NodeRecord, Place, Run
from archon.budget import Budget, Ledger
from archon.errors import ArchonError
from archon.executor import perform
from archon.gateway import Gateway, Spending
from archon.model import Draw, Outcome, Request
from archon.pool import Pool
from archon.types import Json, State, Usage

__all__ = ["Played", "Say", "Shuffled", "obliging", "play", "play_async"]

Say = Callable[[Request, Draw], Answer]


_LABEL = re.compile(r"^(?:<<<.*answer |\[)([A-Z]|C\d+)\]?$", re.MULTILINE)
"""Labels of candidates in the prompts of archon's own judging layers."""


class _NoPool(Pool):
    """For runs in mode `off`, which never look at it: no file, no thread."""

    def __init__(self) -> None:
        pass


@dataclass(frozen=True)
class Played:
    """What one run of one node did.

    Attributes:
        before: what went in.
        after: what came out; None if it raised `error`.
        fake: the model; `requests` holds everything that was sent.
    """

    before: State
    after: State | None
    error: ArchonError | None
    fake: Fake
    ledger: Ledger
    records: tuple[NodeRecord, ...]

    @property
    def sent(self) -> int:
        """Draws that reached the backend."""
        return len(self.fake.requests)

    @property
    def used(self) -> Usage:
        """All calls of all nodes."""
        return Usage.sum(record.used for record in self.records)

    @property
    def unparsed(self) -> int:
        """Replies that did not parse."""
        return sum(record.unparsed for record in self.records)


class Shuffled(Fake):
    """A fake whose replies arrive in another order for each `order`.

    Attributes:
        together: how many requests waited for a reply at once.
    """

    def __init__(self, say: Say, order: int, faults: Iterable[Exception | None] = ()) -> None:
        super().__init__(say, faults=faults)
        self._chance = random.Random(order)
        self._waiting = self.together = 0

    async def complete(self, request: Request, draws: tuple[Draw, ...]) -> list[Outcome]:
        """Answer after a random number of turns of the event loop."""
        self._waiting += 1
        self.together = max(self.together, self._waiting)
        try:
            for _ in range(self._chance.randint(1, 12)):
                await asyncio.sleep(0)
            return await super().complete(request, draws)
        finally:
            self._waiting -= 1


def obliging(request: Request, draw: Draw) -> str:
    """Say something that most protocols can read, different for each request and draw."""
    chance = random.Random(f"{request.key()}:{draw.member}:{draw.number}")
    if request.verdicts:
        return chance.choice(request.verdicts)
    if request.schema:
        return json.dumps(_instance(json.loads(request.schema), chance))
    if "```python\nassert" in request.messages[-1].content:
        return f"```python\nassert f({chance.random():.6f}) == 1\n```"
    if "JSON list" in request.messages[-1].content:
        return json.dumps([f"The answer holds ({chance.random():.6f})." for _ in range(10)])
    labels = list(dict.fromkeys(_LABEL.findall(request.messages[-1].content)))
    chance.shuffle(labels)
    told = [f"[{label}]\nIt holds ({chance.random():.6f})." for label in labels]
    tests = [f"Test #{i}: {chance.choice(('[Passed]', '[Failed]'))}" for i in range(1, 10)]
    ranking = [f"Ranking: {' > '.join(labels)}"] if labels else []
    end = [f"Score: {chance.randint(1, 10)}", "[Correct]", f"#### {chance.randint(1, 3)}"]
    if "[[" in request.messages[-1].content:
        end.append(chance.choice(("[[A]]", "[[B]]")))
    return "\n".join(["1. It holds.", *tests, *told, *end, *ranking])


def _instance(schema: Json, chance: random.Random) -> Json:
    """Return a value that a JSON schema allows; what it does not know becomes text."""
    if not isinstance(schema, dict):
        return "x"
    if "enum" in schema:
        return chance.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    match schema.get("type"):
        case "object":
            return {k: _instance(v, chance) for k, v in schema.get("properties", {}).items()}
        case "array":
            size = max(schema.get("minItems", 1), min(2, schema.get("maxItems", 2)))
            return [_instance(schema.get("items", {}), chance) for _ in range(size)]
        case "boolean":
            return chance.random() < 0.5
        case "integer":
            return chance.randint(schema.get("minimum", 0), schema.get("maximum", 10))
        case "number":
            return chance.uniform(schema.get("minimum", 0), schema.get("maximum", 1))
    return f"text {chance.random():.6f}"


async def play_async(
    node: Node,
    state: State,
    fake: Fake | None = None,
    *,
    budget: Budget | None = None,
    seed: int = 0,
) -> Played:
    """Run a node on a state as the executor would, and return what happened."""
    fake = fake or Fake(obliging)
    ledger = Ledger(budget or Budget())
    gateway = Gateway(_NoPool(), {"fake": fake})
    members = Architecture((Place("node", node),)).members
    run = Run(gateway, Spending((ledger,), "off"), seed, members, perform)
    after: State | None = None
    error: ArchonError | None = None
    try:
        after = await perform(node, state, run, "node")
    except ArchonError as raised:
        error = raised
    finally:
        await gateway.close()
    return Played(state, after, error, fake, ledger, tuple(run.records))


def play(node: Node, state: State, fake: Fake | None = None, **options: Any) -> Played:
    """Run a node on a state like `play_async`, from outside any event loop."""
    return asyncio.run(play_async(node, state, fake, **options))
