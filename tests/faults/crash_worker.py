"""Children that draw through the gateway and are killed: a line of JSON in, a line out for each.

Importing archon takes far longer than a kill, so this process imports it once, opens nothing and
forks: each child is a process of its own with its own pool, connections and threads.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import random
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

import archon.backends.http  # noqa: F401 (imported before the fork, not in each child)
from archon import crashing, limits
from archon.budget import Budget, Ledger
from archon.gateway import Gateway, Spending
from archon.model import Draw, Model, Outcome, Price, Request
from archon.pool import Pool
from archon.types import Message, Reply

STUCK = 60.0
"""Seconds after which a child that does not end is a failure."""


def requests_of(job: dict[str, Any]) -> list[Request]:
    """Return what a job asks, in its order."""
    model = Model(
        "openai/test",
        base_url=job["url"] + "/v1",
        max_tokens=32,
        timeout=60,
        concurrency=job["in_flight"],
        price=Price(input=100, output=200),
    )
    return [Request(model, (Message("user", text),)) for text in job["texts"]]


async def draw_all(job: dict[str, Any]) -> list[Any]:
    """Draw everything and return the texts, or the kind of error in their place."""
    pool = Pool(Path(job["path"]))
    gate = Gateway(pool)
    scopes: tuple[Ledger, ...] = ()
    if job["budget"]:
        scopes = (Ledger(Budget(tokens=job["budget"]), "paid", name="campaign"),)
    draws = [Draw(0, number) for number in range(job["draws"])]
    spending = Spending(scopes, run="campaign")
    seen = os.open(job["seen"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def ask(request: Request) -> list[Outcome]:
        outcomes = await gate.draw(request, draws, spending)
        for draw, outcome in zip(draws, outcomes, strict=True):
            if isinstance(outcome, Reply):
                os.write(seen, f"{gate.key(request)} {draw.number}\n".encode())
        return outcomes

    answers = await asyncio.gather(*map(ask, requests_of(job)))
    await gate.close()
    pool.close()
    return [[_said(outcome) for outcome in outcomes] for outcomes in answers]


def _said(outcome: Outcome) -> str:
    return outcome.text if isinstance(outcome, Reply) else type(outcome).__name__


def child(job: dict[str, Any], begun: int) -> None:
    """Do the work and leave what came of it in a file; or die on the way."""
    random.seed()
    limits.BACKOFF = (0.005, 0.05)
    os.environ["ARCHON_CRASH"] = job["crash"]
    importlib.reload(crashing)
    os.write(begun, b"!")
    said = asyncio.run(draw_all(job))
    Path(job["out"]).write_text(json.dumps(said))


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Fork, kill the child after a while if the job says so, and say how it ended."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reading)
            child(job, writing)
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    status = _end(pid, job["after"])
    if os.WIFSIGNALED(status):
        return {"killed": os.WTERMSIG(status) == signal.SIGKILL, "code": None}
    return {"killed": False, "code": os.WEXITSTATUS(status)}


def _end(pid: int, after: float | None) -> int:
    ended = os.pidfd_open(pid)
    try:
        readable, _, _ = select.select([ended], [], [], STUCK if after is None else after)
        if not readable:
            os.kill(pid, signal.SIGABRT if after is None else signal.SIGKILL)
        return os.waitpid(pid, 0)[1]
    finally:
        os.close(ended)


def main() -> None:
    """Serve until stdin closes."""
    for line in sys.stdin:
        began = time.monotonic()
        answer = run(json.loads(line))
        sys.stdout.write(json.dumps(answer | {"seconds": time.monotonic() - began}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
