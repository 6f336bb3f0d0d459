"""Run an architecture on a question: synchronously, asynchronously, or as a stream of events."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from archon.base import Event, Node, as_architecture
from archon.budget import Budget
from archon.config import load
from archon.executor import finish_run, start
from archon.pool import Mode
from archon.result import Result
from archon.runs import record_run
from archon.session import Session, default_session
from archon.types import AnswerKind, Json, Task

__all__ = ["Question", "Runnable", "arun", "astream", "run", "stream"]

Runnable: TypeAlias = Node | str | Path
"""An architecture, a single layer, or the path of a YAML file."""
Question: TypeAlias = str | Sequence[Json] | Task
"""A question, chat messages, or a task."""


def run(
    architecture: Runnable,
    question: Question,
    *,
    system: str = "",
    answer: AnswerKind = "text",
    schema: str = "",
    budget: Budget | str | None = None,
    seed: int = 0,
    mode: Mode | None = None,
    session: Session | None = None,
) -> Result:
    """Run an architecture on one question and return the result.

    Args:
        architecture: an architecture, a layer, or the path of a YAML file.
        question: text, chat messages, or a `Task`.
        system: a system message to put in front.
        answer: how answers are read and compared, for layers that vote.
        schema: JSON schema that the answer must follow, as JSON text.
        budget: what this run may use, such as `"usd=0.5,calls=40"`.
        seed: names an independent replicate; the same seed gives the same run.
        mode: `reuse` takes replies from the pool, `fresh` draws new ones, `only` never calls,
            `off` leaves the pool out.
        session: where to run; a default one otherwise.

    Raises:
        ConfigError: before any call, for what cannot work.
        BudgetError: for a budget that cannot be enforced, or that left no answer at all.
        NodeError: when a node failed beyond its policy.
    """
    session = session or default_session()
    return session.wait(
        arun(
            architecture, question, system=system, answer=answer, schema=schema, budget=budget,
            seed=seed, mode=mode, session=session,
        )
    )  # fmt: skip


async def arun(
    architecture: Runnable,
    question: Question,
    *,
    system: str = "",
    answer: AnswerKind = "text",
    schema: str = "",
    budget: Budget | str | None = None,
    seed: int = 0,
    mode: Mode | None = None,
    session: Session | None = None,
) -> Result:
    """Run like `run`, in the caller's event loop."""
    events = astream(
        architecture, question, system=system, answer=answer, schema=schema, budget=budget,
        seed=seed, mode=mode, session=session,
    )  # fmt: skip
    async for event in events:
        if event.kind == "result":
            result: Result = event.data
    return result


async def astream(
    architecture: Runnable,
    question: Question,
    *,
    system: str = "",
    answer: AnswerKind = "text",
    schema: str = "",
    budget: Budget | str | None = None,
    seed: int = 0,
    mode: Mode | None = None,
    session: Session | None = None,
) -> AsyncIterator[Event]:
    """Run and yield each event as it happens; the last one holds the `Result`.

    Leaving the loop early cancels the run.
    """
    session = session or default_session()
    arch = as_architecture(resolve(architecture)).check()
    task = Task.of(question, system=system, answer=answer, schema=schema)
    await asyncio.to_thread(arch.ready)
    run = start(session, arch, task, budget=budget, seed=seed, mode=mode)
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    run.notify = events.put_nowait
    async with record_run(session.pool, run, arch) as outcome:
        work = asyncio.ensure_future(finish_run(arch, task, run))
        work.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            outcome.result = await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
    yield Event("result", "", outcome.result)


def stream(
    architecture: Runnable, question: Question, *, session: Session | None = None, **options: object
) -> Iterator[Event]:
    """Run and yield each event as it happens, without an event loop of one's own.

    Takes the options of `run`. Leaving the loop early cancels the run.
    """
    session = session or default_session()
    events: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()

    async def pump() -> None:
        try:
            async for event in astream(
                architecture,
                question,
                session=session,
                **options,  # type: ignore[arg-type]  # checked by astream's own signature
            ):
                events.put(event)
        except BaseException as error:  # cancellation too, or the caller would wait for ever
            events.put(error)  # handed to the caller's thread, which raises it
            raise
        finally:
            events.put(None)

    future = session.submit(pump())
    try:
        while (event := events.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event
    except KeyboardInterrupt:
        session.drain(future)
        raise
    finally:
        future.cancel()


def resolve(architecture: Runnable) -> Node:
    """Return a node given as such or by the path of its file."""
    return architecture if isinstance(architecture, Node) else load(architecture)
