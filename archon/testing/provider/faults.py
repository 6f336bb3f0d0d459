"""All faults by name, and the deterministic choice of which request gets which."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate

from archon.errors import did_you_mean
from archon.testing.provider.bodies import BODIES
from archon.testing.provider.exchange import Fault
from archon.testing.provider.refusals import REFUSALS
from archon.testing.provider.settings import Settings
from archon.testing.provider.streams import STREAMS
from archon.testing.provider.transport import TRANSPORT

__all__ = ["FAULTS", "Chance", "chance", "fault_named", "faults_of"]

FAULTS: dict[str, Fault] = {
    fault.name: fault for fault in (*REFUSALS, *TRANSPORT, *BODIES, *STREAMS)
}
"""Every fault by name."""

_KINDS = ("transient", "malformed", "fatal", "content", "reply")
_USUAL = ("transient", "malformed", "reply")


def fault_named(name: str) -> Fault:
    """Return a fault.

    Raises:
        ValueError: if there is none of that name.
    """
    if name not in FAULTS:
        raise ValueError(f"unknown fault {name!r}{did_you_mean(name, (*_KINDS, *FAULTS))}")
    return FAULTS[name]


def faults_of(kinds: Iterable[str]) -> list[Fault]:
    """Return the faults of some kinds and names, without those after a `-`.

    Raises:
        ValueError: for a name that is neither.
    """
    chosen: dict[str, Fault] = {}
    for kind in kinds or _USUAL:
        name = kind.removeprefix("-")
        found = [f for f in FAULTS.values() if f.kind == name] or [fault_named(name)]
        for fault in found:
            if kind == name:
                chosen[fault.name] = fault
            else:
                chosen.pop(fault.name, None)
    return list(chosen.values())


def chance(seed: int, what: str) -> float:
    """Return a number from 0 to 1 that depends on these alone."""
    digest = hashlib.sha256(f"{seed}:{what}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


class Chance:
    """Chooses the fault of a request, if it gets any."""

    def __init__(self, settings: Settings) -> None:
        self._seed, self._most = settings.seed, settings.max_in_a_row
        self._tables = {stream: _table(settings, stream) for stream in (False, True)}
        self.used = any(faults for faults, _ in self._tables.values())

    def fault(self, digest: str, asked: int, in_a_row: int, *, stream: bool) -> Fault | None:
        """Choose for a prompt that was asked before, and got so many faults in succession."""
        faults, ends = self._tables[stream]
        if in_a_row >= self._most or not faults:
            return None
        at = bisect_right(ends, chance(self._seed, f"{digest}:{asked}"))
        return faults[at] if at < len(faults) else None


def _table(settings: Settings, stream: bool) -> tuple[list[Fault], list[float]]:
    """Return the faults that such a request can get, and where the share of each ends."""

    def fits(fault: Fault) -> bool:
        return fault.streaming in (None, stream)

    if settings.faults:
        shares = {fault_named(name): share for name, share in settings.faults.items()}
        shares = {fault: share for fault, share in shares.items() if fits(fault)}
    else:
        faults = [f for f in faults_of(settings.kinds) if fits(f)] if settings.fault_share else []
        shares = dict.fromkeys(faults, settings.fault_share / len(faults) if faults else 0.0)
    if any(share < 0 for share in shares.values()) or sum(shares.values()) > 1 + 1e-9:
        raise ValueError("the shares of the faults must be at least 0 and sum up to 1 at most")
    return list(shares), list(accumulate(shares.values()))
