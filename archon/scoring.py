"""Scoring one answer by a benchmark, whose code may be a stranger's and may ask a judge."""

from __future__ import annotations

from archon.base import Benchmark, Item, ScoreContext, Scored
from archon.errors import ArchonError, ModelError, PoolMiss, RunError
from archon.measured import Lost
from archon.sandbox import SandboxFailed

__all__ = ["score"]


async def score(
    benchmark: Benchmark, item: Item, text: str | None, ctx: ScoreContext
) -> tuple[Scored, Lost]:
    """Return what the scorer says, and why it says nothing.

    Raises:
        BudgetExceeded: when the budget has nothing left for the judge.
        RunError: when the benchmark's own code fails; what was paid is in the pool.
    """
    try:
        scored = await benchmark.score(item, text, ctx)
    except (ModelError, PoolMiss) as error:
        return Scored(None, f"judge: {error}"), "infrastructure"
    except SandboxFailed as error:  # no fault of the program in it
        return Scored(None, f"sandbox: {error}"), "infrastructure"
    except ArchonError:
        raise
    except Exception as bug:  # whatever a stranger's code raises is told as its own
        raise RunError(
            f"{benchmark.name}: scoring {item.task.id!r} failed: {type(bug).__name__}: {bug}"
        ) from bug
    return scored, "judgement" if scored.value is None else ""
