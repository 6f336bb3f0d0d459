"""Works out every architecture of a space on every item, once, through the pool.

The calls of a block of items are made first: a few architectures that together make every call of
the space are evaluated. After that each layer runs once for all architectures that are alike up to
it, and what it asks is in the pool. A recording that was stopped goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archon.backends.torch import Torch
from archon.base import Benchmark, Item, Layer, Node, Run, ScoreContext
from archon.budget import Budget, Ledger
from archon.errors import ConfigError
from archon.executor import perform
from archon.model import Ability, Model
from archon.result import conclude
from archon.scoring import score
from archon.search.measuring import job_of, measure
from archon.search.table import Table
from archon.session import Session
from archon.types import State
from archon.writing import whole_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bits = NDArray[np.bool_]

__all__ = ["Recorder", "covering"]

BLOCK = 10
"""Items that are worked on together."""


def covering(table: Table) -> list[int]:
    """Return architectures that together make every call of the space, the widest first."""
    calls = [set(table.nodes_of(row).tolist()) for row in range(len(table))]
    missing = set(range(table.node_count))
    chosen = []
    while missing:
        row = max(range(len(table)), key=lambda row: len(calls[row] & missing))
        missing -= calls[row]
        chosen.append(row)
    return chosen


@dataclass(frozen=True)
class _Step:
    """A layer behind others.

    Attributes:
        node: the layer.
        after: numbers of the steps whose candidates it gets; none for the question alone.
        path: its place in the first architecture that has it.
        scored: whether a reward head has scored what comes in or goes out.
    """

    node: Node
    after: tuple[int, ...]
    path: str
    scored: bool


class _Remembering(Torch):
    """Scores a text once: what a reward head says depends on question and text alone."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[Model, dict[tuple[str, str], float]] = {}

    async def score(self, model: Model, question: str, answers: Sequence[str]) -> list[float]:
        """Return known scores, and those of new texts."""
        known = self._said.setdefault(model, {})
        new = [answer for answer in dict.fromkeys(answers) if (question, answer) not in known]
        if new:
            scores = await super().score(model, question, new)
            known.update({(question, a): found for a, found in zip(new, scores, strict=True)})
        return [known[question, answer] for answer in answers]


class Recorder:
    """Works items out.

    Args:
        table: the architectures. Branches of a stage only generate, and no two of an architecture
            share a model with its settings.
        benchmark: scores answers without a call.
        pool: file that keeps the replies; None keeps them in memory.
        step: is told how far it is.
    """

    def __init__(
        self,
        table: Table,
        benchmark: Benchmark,
        pool: Path | None,
        step: Callable[[str], None] = lambda what: None,
    ) -> None:
        self.table, self.benchmark, self.step = table, benchmark, step
        self.session = Session(pool, backends={"local": _Remembering()})
        self._steps: list[_Step] = []
        self._heads: dict[Model, None] = {}
        self._ends: list[tuple[int, ...]] = []
        numbers: dict[tuple[str, tuple[int, ...]], int] = {}
        for row in range(len(table)):
            self._plan(row, numbers)

    def _plan(self, row: int, numbers: dict[tuple[str, tuple[int, ...]], int]) -> None:
        architecture = self.table.architecture(row)
        if any(architecture.members.values()):
            raise ConfigError(f"{architecture} has two layers that ask the same", where="recording")
        here: dict[str, int] = {}
        for place in architecture.order:
            after = tuple(here[id_] for id_ in place.after)
            key = (repr(place.node), after)
            if key not in numbers:
                heads = [model for model, need in _abilities(place.node) if need == "score"]
                self._heads.update(dict.fromkeys(heads))
                scored = bool(heads) or any(self._steps[number].scored for number in after)
                numbers[key] = len(self._steps)
                self._steps.append(_Step(place.node, after, place.id, scored))
            here[place.id] = numbers[key]
        self._ends.append(tuple(here[place.id] for place in architecture.ends))

    def outcomes(self, items: int, folder: Path) -> Bits:
        """Return whether each architecture is right, `[architectures, items]`.

        Args:
            items: how many, from the first.
            folder: keeps each block of items that is done.
        """
        import numpy as np

        every = list(self.benchmark.items("test"))[:items]
        found = []
        for start in range(0, items, BLOCK):
            block = every[start : start + BLOCK]
            path = folder / f"{start}-{start + len(block)}.npy"
            if not path.exists():
                right = self.session.wait(self._block(block))
                with whole_file(path) as file:
                    np.save(file, right)
            found.append(np.load(path))
            self.step(f"{start + len(block)} of {items} items")
        return np.concatenate(found, axis=1)

    async def _block(self, items: Sequence[Item]) -> Bits:
        import numpy as np

        await self.draw(items)
        return np.array([await self._item(item) for item in items]).T

    async def draw(self, items: Sequence[Item]) -> None:
        """Make every call of some items."""
        known = {item.task.id: item for item in items}
        ledgers = [Ledger(Budget(), "paid")]
        for row in covering(self.table):
            job = job_of(
                self.table.architecture(row), self.benchmark, "test", [*known], run="recording"
            )
            await measure(job, self.session, ledgers, benchmark=self.benchmark, items=known)

    async def _item(self, item: Item) -> list[bool]:
        """Return whether each architecture is right on an item."""
        spending = self.session.spending(mode="only", run_id="recording")[1]
        run = Run(self.session.gateway(), spending, perform=perform)
        states: dict[int, State] = {}
        await self._advance(run, item, states, scored=False)
        texts = dict.fromkeys(c.text for state in states.values() for c in state.candidates)
        for head in self._heads:  # all at once: one by one takes three times as long
            await run.gateway.score(head, item.task.conversation, [*texts])
        await self._advance(run, item, states, scored=True)
        grades: dict[str | None, bool] = {None: False}
        right = []
        for ends in self._ends:
            text = conclude(_joined([states[number] for number in ends], State(item.task)))[0]
            if text not in grades:
                graded = await score(self.benchmark, item, text, ScoreContext((text or "",)))
                grades[text] = graded[0].value == 1
            right.append(grades[text])
        return right

    async def _advance(
        self, run: Run, item: Item, states: dict[int, State], *, scored: bool
    ) -> None:
        """Run the steps before, or from, the first reward head on."""
        for number, step in enumerate(self._steps):
            if step.scored is scored:
                before = _joined([states[number] for number in step.after], State(item.task))
                states[number] = await perform(step.node, before, run, step.path)


def _abilities(node: Node) -> Iterator[tuple[Model, Ability]]:
    return node.abilities() if isinstance(node, Layer) else iter(())


def _joined(states: Sequence[State], alone: State) -> State:
    """Return the candidates of branches that only generate, in listing order."""
    if not states:
        return alone
    candidates = tuple(candidate for state in states for candidate in state.candidates)
    return states[0].replace(candidates=candidates)
