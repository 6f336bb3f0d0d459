"""Live progress of one run on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from archon.api import stream
from archon.cli import common
from archon.types import Usage

if TYPE_CHECKING:
    from rich.console import RenderableType

    from archon.base import Architecture, Event, NodeRecord
    from archon.pool import Mode
    from archon.result import Result
    from archon.session import Session
    from archon.types import Task

__all__ = ["run_live"]


def run_live(
    architecture: Architecture,
    task: Task,
    session: Session,
    *,
    budget: str | None,
    seed: int,
    mode: Mode,
) -> Result:
    """Run, and show each node with its cost while it runs if stderr is a terminal."""
    events = stream(architecture, task, session=session, budget=budget, seed=seed, mode=mode)
    result: Result | None = None
    if not sys.stderr.isatty():
        for event in events:
            result = event.data if event.kind == "result" else result
    else:
        from rich.live import Live

        board = _Board()
        with Live(console=common.console(err=True), transient=True) as live:
            for event in events:
                result = event.data if event.kind == "result" else result
                board.tell(event)
                live.update(board.view())
    assert result is not None  # a stream ends with its result, or raises
    return result


class _Board:
    """What each node did so far."""

    def __init__(self) -> None:
        self.records: dict[str, NodeRecord] = {}

    def tell(self, event: Event) -> None:
        if event.kind in ("start", "end"):
            self.records[event.path] = event.data

    def view(self) -> RenderableType:
        table = common.table("node", "status", "calls", "tokens", "dollars", left=2)
        for path, record in self.records.items():
            used = record.used
            table.add_row(
                path, record.status, common.amount(used.calls), common.amount(used.tokens),
                common.dollars(used.usd),
            )  # fmt: skip
        total = Usage.sum(record.used for record in self.records.values())
        table.add_section()
        table.add_row(
            "total", "", common.amount(total.calls), common.amount(total.tokens),
            common.dollars(total.usd),
        )  # fmt: skip
        return table
