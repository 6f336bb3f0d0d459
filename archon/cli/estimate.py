"""An estimate of an evaluation's cost from the replies that the pool has for its items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from archon.base import Architecture, Event, Item, NodeRecord, Run, plus
from archon.errors import ArchonError
from archon.executor import finish_run, perform
from archon.session import Session
from archon.types import Json, Usage

__all__ = ["Estimate", "NodeEstimate", "estimate"]


@dataclass
class NodeEstimate:
    """One node over all items: calls as bounded, each as large as the recorded ones on average.

    Attributes:
        calls: over all items, at most.
        recorded: usage of the replies that the pool has.
    """

    calls: int
    recorded: Usage = field(default_factory=Usage)

    def scaled(self, amount: float | None) -> float | None:
        """Return an amount of the recorded replies for all calls; unknown without any reply."""
        if self.calls == 0:
            return 0
        if amount is None or self.recorded.calls == 0:
            return None
        return amount / self.recorded.calls * self.calls

    @property
    def tokens(self) -> int | None:
        """Tokens of all calls."""
        found = self.scaled(self.recorded.tokens)
        return None if found is None else round(found)

    @property
    def usd(self) -> float | None:
        """Dollars of all calls at list price."""
        return self.scaled(self.recorded.usd)


@dataclass
class Estimate:
    """What an evaluation may use.

    Attributes:
        items: how many.
        complete: those of them for which no reply is missing.
        nodes: by id.
    """

    items: int
    complete: int
    nodes: dict[str, NodeEstimate]

    @property
    def calls(self) -> int:
        """Calls of all nodes."""
        return sum(node.calls for node in self.nodes.values())

    @property
    def recorded(self) -> int:
        """Replies in the pool."""
        return sum(node.recorded.calls for node in self.nodes.values())

    @property
    def tokens(self) -> int | None:
        """Tokens of all nodes."""
        return plus(*(node.tokens for node in self.nodes.values()))

    @property
    def usd(self) -> float | None:
        """Dollars of all nodes."""
        parts = [node.usd for node in self.nodes.values()]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    def to_json(self) -> Json:
        """Return plain data."""
        nodes = {
            id_: {
                "recorded": node.recorded.calls, "calls": node.calls, "tokens": node.tokens,
                "usd": node.usd,
            }
            for id_, node in self.nodes.items()
        }  # fmt: skip
        return {
            "items": self.items, "complete": self.complete, "recorded": self.recorded,
            "calls": self.calls, "tokens": self.tokens, "usd": self.usd, "nodes": nodes,
        }  # fmt: skip


def estimate(architecture: Architecture, items: Sequence[Item], seed: int) -> Estimate:
    """Replay the items from the pool, without a call or a key, and count what is there."""
    bounds = architecture.bounds()
    nodes = {id_: NodeEstimate(bound.calls * len(items)) for id_, bound in bounds.items()}
    found = Estimate(len(items), 0, nodes)

    def tell(event: Event) -> None:
        if event.kind == "reply":
            node = found.nodes[event.path.partition("/")[0]]
            node.recorded = node.recorded + event.data.usage

    async def replay(session: Session) -> None:
        for item in items:
            _, spending = session.spending(mode="only")
            run = Run(session.gateway(), spending, seed, architecture.members, perform, tell)
            try:
                await finish_run(architecture, item.task, run)
            except ArchonError:
                continue  # a reply is missing: that is what is being counted
            found.complete += not _missing(run.records)

    with Session() as session:
        session.wait(replay(session))
    return found


def _missing(records: Sequence[NodeRecord]) -> bool:
    return any(record.errors for record in records)
