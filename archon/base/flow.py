"""What a layer needs, may use and gives; how ports travel through an architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from archon.errors import ArchitectureError

__all__ = ["GIVERS", "NOTE_PORTS", "PORTS", "Flow", "Port", "Ports", "ports"]

Port = Literal["candidates", "critiques", "scores", "verdicts", "tests", "asserts"]
Ports = frozenset[Port]

PORTS: Ports = frozenset(get_args(Port))
NOTE_PORTS: Ports = frozenset({"critiques", "scores", "verdicts"})
"""What is known about candidates; a layer that writes new ones ends all of these."""


def ports(*names: Port) -> Ports:
    """Return a set of ports, for the class attributes of a layer.

    >>> sorted(ports("scores", "candidates"))
    ['candidates', 'scores']
    """
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class Flow:
    """Ports at one point of an architecture.

    Attributes:
        have: what is there for certain.
        outside: what could still come in from outside, were this part of something larger.
        needs: what the part so far needs from outside.
    """

    have: Ports = frozenset()
    outside: Ports = PORTS
    needs: Ports = frozenset()

    def through(self, node: str, needs: Ports, gives: Ports) -> Flow:
        """Return the ports behind a layer.

        Raises:
            ArchitectureError: when the layer needs a port that nothing can supply.
        """
        missing = needs - self.have
        if lost := sorted(missing - self.outside):
            raise ArchitectureError(
                f"{node} needs {lost[0]!r}, but what comes before it gives "
                f"{', '.join(sorted(self.have)) or 'nothing'}{_hint(lost[0])}"
            )
        have, outside = self.have | missing, self.outside
        if "candidates" in gives:
            have, outside = have - NOTE_PORTS, outside - NOTE_PORTS - {"candidates"}
        return Flow(have | gives, outside, self.needs | missing)

    @staticmethod
    def join(branches: list[Flow]) -> Flow:
        """Return the ports behind a join: a port holds only if every branch gives it."""
        if len(branches) == 1:
            return branches[0]
        return Flow(
            frozenset.intersection(*(flow.have for flow in branches)),
            frozenset.intersection(*(flow.outside for flow in branches)),
            frozenset.union(*(flow.needs for flow in branches)),
        )


GIVERS = {
    "candidates": "`generate`",
    "critiques": "`critique`",
    "scores": "`rank`, `verify` or `test_eval`",
    "verdicts": "`verify`",
    "tests": "`unit_tests`",
    "asserts": "a layer that writes code tests",
}
"""What to put in front where a port is missing."""


def _hint(port: str) -> str:
    return f"; put {GIVERS[port]} before it"
