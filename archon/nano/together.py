"""Several models in training at once: each begins when the one that it starts from is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

from archon.nano.members import Member

__all__ = ["in_turn", "train_together"]


def in_turn(members: Mapping[str, Member]) -> list[str]:
    """Names of models, those first behind which most is to be trained, themselves included."""

    def chain(name: str) -> int:
        after = [one.name for one in members.values() if one.trunk == name]
        return members[name].tokens + max(map(chain, after), default=0)

    return sorted(members, key=chain, reverse=True)


def train_together(
    members: Mapping[str, Member], train: Callable[[str], None], executor: Executor, jobs: int
) -> None:
    """Train models, `jobs` at once.

    Args:
        members: by their names.
        train: trains the model of a name.
        executor: where it is called.
        jobs: how many at once.

    Raises:
        Exception: whatever `train` raised; no further model is begun.
    """
    waiting = in_turn(members)
    running: dict[Future[None], str] = {}
    while waiting or running:
        for name in _ready(waiting, running.values(), members)[: jobs - len(running)]:
            waiting.remove(name)
            running[executor.submit(train, name)] = name
        ended, _ = wait(running, return_when=FIRST_COMPLETED)
        for one in ended:
            del running[one]
            one.result()


def _ready(waiting: list[str], running: Iterable[str], members: Mapping[str, Member]) -> list[str]:
    """Those whose trunk is not still to be trained."""
    coming = {*waiting, *running}
    return [name for name in waiting if members[name].trunk not in coming]
