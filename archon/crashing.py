"""Named points at which a test can kill the process, as a power cut or `kill -9` would.

`ARCHON_CRASH=NAME` kills at the first time that the point is reached, `ARCHON_CRASH=NAME:7` at
the seventh. Without the variable a point costs one comparison.
"""

from __future__ import annotations

import os
import signal

__all__ = ["POINTS", "STUDY_POINTS", "crash_point"]

POINTS = (
    "reserve.before",
    "reserve.written",
    "reserve.after",
    "sent",
    "received",
    "settle.written",
    "settle.committed",
    "settle.after",
    "run.recorded",
)
"""Every point in the order in which a call passes them: before its reservation; in the open
transaction; when it is durable; just before the request goes out; with the reply in hand; in the
open transaction that stores it; when that is durable and nobody knows; before a layer sees it;
and when a run's outcome is on record."""
STUDY_POINTS = ("trial.taken", "trial.written", "trial.ended")
"""Those of a study: a trial is held; in the open transaction that ends it; that is durable."""

_name, _, _count = os.environ.get("ARCHON_CRASH", "").partition(":")
_left = int(_count or 1)


def crash_point(name: str) -> None:
    """Die here, if this is the armed point and its time has come."""
    if _name and _name == name:
        _count_down()


def _count_down() -> None:
    global _left
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
