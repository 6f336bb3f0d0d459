"""`drive` runs one layer, or an architecture, on the fake backend and shows what it asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from archon.backends.fake import Fake
from archon.base import Node, NodeRecord, Run, Shape, as_architecture
from archon.executor import perform
from archon.gateway import Gateway
from archon.model import Request
from archon.pool import Pool
from archon.types import Candidate, Note, State, Task


@dataclass
class Driven:
    """What came out, and how."""

    state: State
    requests: list[Request]
    records: list[NodeRecord]
    draws: list[tuple[int, int]] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [candidate.id for candidate in self.state.candidates]

    @property
    def texts(self) -> list[str]:
        return [candidate.text for candidate in self.state.candidates]

    @property
    def prompts(self) -> list[str]:
        return [request.messages[-1].content for request in self.requests]

    @property
    def warnings(self) -> list[str]:
        return [warning for record in self.records for warning in record.warnings]

    @property
    def unparsed(self) -> int:
        return sum(record.unparsed for record in self.records)


@pytest.fixture
def candidates() -> Callable[..., tuple[Candidate, ...]]:
    def make(*texts: str, notes: Sequence[Note | None] = ()) -> tuple[Candidate, ...]:
        made = [Candidate.of(text, id=f"gen:{i}") for i, text in enumerate(texts)]
        for i, note in enumerate(notes):
            made[i] = made[i] if note is None else made[i].with_note(note)
        return tuple(made)

    return make


@pytest.fixture
def drive() -> Callable[..., Driven]:
    """Run a node; check on the way that its bound holds and that the input is not changed."""

    def go(
        node: Node, script: Any, state: State | Sequence[Candidate] = (), *, seed: int = 0
    ) -> Driven:
        if not isinstance(state, State):
            state = State(Task.of("What is 6 * 7?"), candidates=tuple(state))
        before = state.to_json()
        fake = Fake(script)
        architecture = as_architecture(node)
        run = Run(
            Gateway(Pool(None), {"fake": fake}),
            seed=seed,
            members=architecture.members,
            perform=perform,
        )

        async def main() -> State:
            return await perform(architecture, state, run, "")

        after = asyncio.run(main())
        assert state.to_json() == before
        bound = node.bound(Shape(candidates=len(state.candidates), tests=len(state.tests)))
        used = sum(record.used.calls for record in run.records)
        unparsed = sum(record.unparsed for record in run.records)
        assert used <= bound.calls + min(bound.reasks, unparsed)
        assert len(after.candidates) <= bound.candidates
        requests = [request for request, _ in fake.requests]
        draws = [(draw.member, draw.number) for _, draw in fake.requests]
        return Driven(after, requests, run.records, draws)

    return go
