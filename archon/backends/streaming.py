"""When calls are streamed, and how long a stream may be silent."""

from __future__ import annotations

import asyncio

from archon.model import Model

__all__ = ["IDLE_SECONDS", "LARGEST", "Cut", "Idle", "may_be_long"]

LONG_TOKENS = 2048
"""Replies that may be longer can take over a minute: they are streamed."""
IDLE_SECONDS = 60.0
"""How long a stream may say nothing once it has begun; before that, the model may be thinking."""
LARGEST = 8 * 2**20
"""Bytes of one choice; more is no answer."""


def may_be_long(model: Model) -> bool:
    """Return whether a call may exceed a minute, so that it must show signs of life."""
    return model.max_tokens is None or model.max_tokens > LONG_TOKENS or model.effort is not None


class Cut(Exception):
    """A stream ended, or fell silent, before the reply was complete."""


class Idle:
    """A time limit that starts anew with each sign of life.

    One timer is moved on, rather than one made for each chunk. Leaving after the limit has passed
    raises `Cut`.
    """

    def __init__(self, seconds: float = IDLE_SECONDS) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(None)
        self._since = 0.0

    async def __aenter__(self) -> Idle:
        await self._timeout.__aenter__()
        return self

    def alive(self) -> None:
        """Put the end off."""
        now = asyncio.get_running_loop().time()
        # Moving it costs a timer each time; a sixtieth more or less does not matter.
        if now - self._since > self._seconds / 60:
            self._since = now
            self._timeout.reschedule(now + self._seconds)

    async def __aexit__(self, *raised: object) -> None:
        try:
            await self._timeout.__aexit__(*raised)  # type: ignore[arg-type]
        except TimeoutError:
            raise Cut(f"the stream said nothing for {self._seconds:g} s") from None
