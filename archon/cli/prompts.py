"""`archon run --show-prompts`: what would be sent first, without sending it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

import typer

from archon.backends import backend_name
from archon.cli import common
from archon.errors import ArchonError, ModelError
from archon.executor import finish_run, start
from archon.model import Ability, Draw, Model, Outcome, Price, Request
from archon.session import Session

if TYPE_CHECKING:
    from archon.base import Architecture
    from archon.types import Json, Task

__all__ = ["show_prompts"]


class _Listener:
    """A backend that writes down what it is asked and answers nothing."""

    def __init__(self) -> None:
        self.asked: Counter[Request] = Counter()

    def abilities(self, model: Model) -> frozenset[Ability]:
        """Return everything: nobody is asked, so nobody can be unable."""
        return frozenset(get_args(Ability))

    def batch_size(self, model: Model) -> int:
        """Return a number that no request reaches, so that each is listed once."""
        return 1_000_000

    def check(self, model: Model) -> None:
        """Accept every model: nothing is sent, so nothing is needed."""

    def fingerprint(self, model: Model) -> str:
        """Return nothing."""
        return ""

    def price(self, model: Model) -> Price | None:
        """Return no price."""
        return None

    async def complete(self, request: Request, draws: tuple[Draw, ...]) -> list[Outcome]:
        """Write down the request."""
        self.asked[request] += len(draws)
        return [ModelError("nothing is sent", billed=False)] * len(draws)

    async def score(self, model: Model, question: str, answers: Sequence[str]) -> list[float]:
        """Refuse: there is no answer to score."""
        raise ModelError("nothing is scored", billed=False)

    async def close(self) -> None:
        """Nothing to free."""


def show_prompts(architecture: Architecture, task: Task, seed: int, *, as_json: bool) -> None:
    """Print every request that is made before any reply is there."""
    listener = _Listener()
    names = {n for model in architecture.models() for n in (model.provider, backend_name(model))}

    async def listen(session: Session) -> None:
        run = start(session, architecture, task, seed=seed)
        # The first stage fails, for it gets no reply; what it asked is all that is wanted.
        await asyncio.gather(finish_run(architecture, task, run), return_exceptions=True)

    with Session(None, backends=dict.fromkeys(names, listener), mode="off") as session:
        session.wait(listen(session))
    if not listener.asked:
        raise ArchonError("no prompt was rendered: the first layers ask no model")
    if as_json:
        common.print_json([_data(request, n) for request, n in listener.asked.items()])
        return
    for number, (request, samples) in enumerate(listener.asked.items(), 1):
        sampled = {k: v for k, v in request.model.settings.items() if k != "model"}
        settings = "".join(f", {name}: {value}" for name, value in sampled.items())
        typer.echo(f"── {number}. {request.model.model}, samples: {samples}{settings}")
        for message in request.messages:
            typer.echo(f"[{message.role}]\n{message.content}\n")
        if request.prefix:
            typer.echo(f"[the reply begins with]\n{request.prefix}\n")


def _data(request: Request, samples: int) -> Json:
    return {
        "model": request.model.settings,
        "samples": samples,
        "messages": [message.to_json() for message in request.messages],
        "prefix": request.prefix,
        "schema": request.schema,
    }
