"""What a run ends with."""

from __future__ import annotations

from dataclasses import dataclass, field

from archon import answers
from archon.base import NodeRecord
from archon.types import Candidate, Json, State, Task, Usage

__all__ = ["Result", "choose", "conclude"]


@dataclass(frozen=True)
class Result:
    """What a run ends with.

    Attributes:
        answer: text of the final answer, or None with a `reason`.
        value: the parsed answer, where the task has an answer kind.
        reason: why there is no answer.
        candidates: all final candidates, the chosen one first.
        used: every call that was needed, from the pool or not; what accuracy is compared to.
        paid: what was newly spent.
        cut_short: the budget limit that ended the run early, or empty.
        trace: one record for each node, in the order in which they began.
        warnings: what the user should know, each once.
        seed: names the replicate; the same seed and pool give the same run.
        seconds: wall time.
    """

    task: Task
    answer: str | None
    value: str | None = None
    reason: str = ""
    candidates: tuple[Candidate, ...] = ()
    used: Usage = field(default_factory=Usage)
    paid: Usage = field(default_factory=Usage)
    cut_short: str = ""
    trace: tuple[NodeRecord, ...] = ()
    warnings: tuple[str, ...] = ()
    seed: int = 0
    seconds: float = 0.0
    run: str = ""
    architecture: str = ""
    digest: str = ""

    @property
    def usage(self) -> Usage:
        """The same as `used`."""
        return self.used

    @property
    def unparsed(self) -> int:
        """Replies that did not parse, over all nodes."""
        return sum(record.unparsed for record in self.trace)

    def __str__(self) -> str:
        return self.answer if self.answer is not None else f"(no answer: {self.reason})"

    def to_json(self, *, trace: bool = True) -> Json:
        """Return plain data.

        Args:
            trace: with the record of every node.
        """
        data: dict[str, Json] = {
            "answer": self.answer,
            "value": self.value,
            "reason": self.reason,
            "cut_short": self.cut_short,
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "used": self.used.to_json(),
            "paid": self.paid.to_json(),
            "unparsed": self.unparsed,
            "warnings": list(self.warnings),
            "seed": self.seed,
            "seconds": self.seconds,
            "run": self.run,
            "architecture": self.architecture,
            "digest": self.digest,
            "task": self.task.to_json(),
        }
        if trace:
            data["trace"] = [record.to_json() for record in self.trace]
        return data

    def _repr_markdown_(self) -> str:
        used, usd = self.used, self.used.usd
        cost = "unknown price" if usd is None else f"${usd:.4f}"
        return f"{self}\n\n*{used.calls} calls, {used.tokens} tokens, {cost}*"


def choose(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Return the candidates with the answer first: the best last score, then listing order."""

    def rank(entry: tuple[int, Candidate]) -> tuple[float, int]:
        score = entry[1].score()
        return (float("inf") if score is None else -score, entry[0])

    return tuple(candidate for _, candidate in sorted(enumerate(candidates), key=rank))


def conclude(state: State) -> tuple[str | None, str | None, str, tuple[Candidate, ...]]:
    """Return answer, parsed value, reason and ordered candidates of a final state."""
    if not state.candidates:
        return None, None, state.reason or "no candidate is left", ()
    ordered = choose(state.candidates)
    text = ordered[0].text
    kind = state.task.answer
    value = None if kind == "text" else answers.extract(text, kind)
    return text, value, "", ordered
