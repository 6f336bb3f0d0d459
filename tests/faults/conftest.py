"""What the fault suites share: models at a provider of this machine, gateways, and fast retries."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from archon import limits as limits_module
from archon.backends import http_errors, litellm_errors
from archon.gateway import Gateway, Spending
from archon.limits import Limits
from archon.model import Backend, Draw, Model, Outcome, Price, Request
from archon.pool import Pool
from archon.testing.provider import Provider
from archon.types import Message, Reply

T = TypeVar("T")

FIRST = Draw(0, 0)
PRICE = Price(input=100, output=200)
"""High enough that every token is many micro-dollars, so that nothing hides in rounding."""
LARGE, BOMB = 9_000_000, 20_000_000
"""Just above what a backend reads."""


@pytest.fixture(autouse=True)
def fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pauses a hundredth of what they are; how they are chosen stays."""
    monkeypatch.setattr(limits_module, "BACKOFF", (0.005, 0.05))
    for module in (http_errors, litellm_errors):
        real = module.retry_after

        def soon(
            headers: Mapping[str, str],
            real: Callable[[Mapping[str, str]], float | None] = real,
        ) -> float | None:
            seconds = real(headers)
            return None if seconds is None else seconds / 50

        monkeypatch.setattr(module, "retry_after", soon)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(large_bytes=LARGE, bomb_bytes=BOMB, drip_seconds=0.2) as made:
        yield made


def at(provider: Provider | str, name: str = "openai/test", **settings: Any) -> Model:
    """Return a model that a provider serves."""
    url = provider if isinstance(provider, str) else provider.url
    usual = {"base_url": f"{url}/v1", "max_tokens": 32, "price": PRICE}
    return Model(name, **(usual | settings))


def question(model: Model, text: str) -> Request:
    return Request(model, (Message("user", text),))


def right(request: Request, i: int = 0) -> str:
    """Return what the provider answers to a request and to no other."""
    messages = [message.to_json() for message in request.messages]
    canonical = json.dumps(messages, sort_keys=True, separators=(",", ":"))
    return f"answer {hashlib.sha256(canonical.encode()).hexdigest()[:8]} {i}"


def play(
    work: Callable[[Gateway], Awaitable[T]],
    path: Path | None = None,
    backends: Mapping[str, Backend] | None = None,
    limits: Limits | None = None,
) -> T:
    """Run `work` with a gateway of its own and close everything."""

    async def run() -> T:
        pool = Pool(path)
        gate = Gateway(pool, backends, limits)
        try:
            return await work(gate)
        finally:
            await gate.close()
            pool.close()

    return asyncio.run(run())


async def one(gate: Gateway, request: Request, spending: Spending | None = None) -> Outcome:
    """Ask for one draw."""
    [outcome] = await gate.draw(request, [FIRST], spending or Spending())
    return outcome


async def each(
    gate: Gateway, requests: Sequence[Request], spending: Spending | None = None
) -> list[Outcome]:
    """Ask for one draw of each request, all at the same time."""
    return list(await asyncio.gather(*(one(gate, request, spending) for request in requests)))


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Query a pool's file that nobody has open."""
    db = sqlite3.connect(path)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def single(path: Path, sql: str) -> Any:
    return rows(path, sql)[0][0]


def whole(path: Path) -> bool:
    """Return whether SQLite finds nothing wrong with a file."""
    return bool(single(path, "PRAGMA integrity_check") == "ok")


def texts(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the texts of outcomes that are replies, all of them."""
    failed = [outcome for outcome in outcomes if not isinstance(outcome, Reply)]
    assert not failed, failed[:3]
    return [outcome.text for outcome in outcomes if isinstance(outcome, Reply)]


def quiet_litellm() -> None:
    """Import LiteLLM where its own warnings are no error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        litellm_errors.library()


def until(holds: Callable[[], bool]) -> None:
    """Wait for something to come true."""
    limit = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.005)
