"""Ctrl-C and SIGTERM: the first lets calls in flight end and be stored, the second leaves now."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

import typer

if TYPE_CHECKING:
    from archon.session import Session

__all__ = ["INTERRUPTED", "Stopping"]

INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Lets signals stop a session gently while the block runs.

    After the first one the block ends by itself with what there is, and what takes longer than
    the session's `DRAIN` is cut. The second one raises KeyboardInterrupt.

    Attributes:
        heard: whether a signal came.
    """

    def __init__(self, session: Session) -> None:
        self.heard = False
        self._session = session
        self._late: threading.Timer | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():  # no other one hears signals
            self._before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def _hear(self, number: int, frame: FrameType | None) -> None:
        from archon.session import DRAIN

        if self.heard:
            raise KeyboardInterrupt
        self.heard = True
        self._session.stop()
        flying = self._session.in_flight
        typer.echo(f"archon: stopping; {flying} calls in flight may end, again cuts them", err=True)
        main = threading.main_thread().ident
        assert main is not None
        self._late = threading.Timer(DRAIN, signal.pthread_kill, (main, number))
        self._late.daemon = True
        self._late.start()

    def __exit__(self, *_: object) -> Literal[False]:
        if self._late is not None:
            self._late.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        return False

    def leave(self, resume: str) -> None:
        """End the command as one that was interrupted, if it was; `resume` says how to go on."""
        if self.heard:
            typer.echo(f"archon: stopped; what was paid is stored: {resume}", err=True)
            raise typer.Exit(INTERRUPTED)
