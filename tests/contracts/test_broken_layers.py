"""The contracts can fail: for each, a layer with a planted fault that it must reject."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from archon.base import LAYERS, Bound, Context, Layer, ModelLayer, Shape, ports, register
from archon.errors import ConfigError
from archon.model import Draw, Model, ModelRef, Request
from archon.testing import LAYER_CONTRACTS, MODEL
from archon.types import Candidate, Message, Note, State, Task


class _Broken(ModelLayer):
    """A layer that rewrites each candidate, and is honest; each fault below changes one thing."""

    needs = ports("candidates")
    gives = ports("candidates")
    model: ModelRef

    def bound(self, shape: Shape) -> Bound:
        cost = self.cost(self.model, shape.candidates, 100_000)
        return cost.handing_on(shape.with_new(shape.candidates, self.model.max_tokens))

    def asking(self, state: State, old: Candidate) -> tuple[Message, ...]:
        return (*state.task.messages, Message("assistant", old.text), Message("user", "better?"))

    async def run(self, state: State, ctx: Context) -> State:
        async def better(old: Candidate) -> Candidate:
            return (await ctx.ask(self.model, self.asking(state, old))).candidate([old])

        return state.replace(candidates=await ctx.each(better, state.candidates))


@register("broken-none")
class Honest(_Broken):
    pass


@register("broken-bound")
class AsksTwice(_Broken):
    async def run(self, state: State, ctx: Context) -> State:
        await super().run(state, ctx)
        return await super().run(state, ctx)


@register("broken-input")
class Mutates(_Broken):
    async def run(self, state: State, ctx: Context) -> State:
        object.__setattr__(state, "candidates", state.candidates[:1])
        return await super().run(state, ctx)


@register("broken-task")
class RewritesTheTask(_Broken):
    async def run(self, state: State, ctx: Context) -> State:
        after = await super().run(state, ctx)
        return after.replace(task=Task.of("another question"))


@register("broken-chance")
class UsesGlobalChance(_Broken):
    async def run(self, state: State, ctx: Context) -> State:
        after = await super().run(state, ctx)
        return after.replace(candidates=random.sample(after.candidates, len(after.candidates)))


@register("broken-order")
class OrdersByArrival(_Broken):
    async def run(self, state: State, ctx: Context) -> State:
        arrived: list[Candidate] = []

        async def better(old: Candidate) -> None:
            reply = await ctx.ask(self.model, self.asking(state, old))
            arrived.append(reply.candidate([old]))

        await ctx.each(better, state.candidates)
        return state.replace(candidates=arrived)


@register("broken-state")
class Remembers(_Broken):
    seen: ClassVar[list[str]] = []

    async def run(self, state: State, ctx: Context) -> State:
        after = await super().run(state, ctx)
        self.seen.append("once more")
        return after.replace(reason=str(len(self.seen)))


@register("broken-budget")
class GoesAroundTheGateway(_Broken):
    async def run(self, state: State, ctx: Context) -> State:
        request = Request(self.model, state.task.messages)
        [reply] = await ctx.run_.gateway.backend(self.model).complete(request, (Draw(0, 0),))
        return state.replace(candidates=(reply.candidate(),))  # type: ignore[union-attr]


@register("broken-refusal")
class MakesSomethingUp(_Broken):
    async def run(self, state: State, ctx: Context) -> State:
        try:
            return await super().run(state, ctx)
        except Exception:
            return state.replace(candidates=(Candidate.of("made up"),))


@register("broken-yaml")
class LosesASetting(_Broken):
    strength: int = 1
    example: ClassVar = {"strength": 3}

    def settings(self) -> dict[str, Any]:
        return {k: v for k, v in super().settings().items() if k != "strength"}


@register("broken-ports")
class ScoresOnlyTheFirst(_Broken):
    gives = ports("scores")

    async def run(self, state: State, ctx: Context) -> State:
        first, *others = state.candidates
        return state.replace(candidates=(first.with_note(Note("score", score=1.0)), *others))


@register("broken-garbage")
class ExpectsNumbers(_Broken):
    async def run(self, state: State, ctx: Context) -> State:
        reply = await ctx.ask(self.model, state.task.messages)
        note = Note("score", score=float(reply.text.split()[0]))
        return state.replace(candidates=[c.with_note(note) for c in state.candidates])


@register("broken-ids")
class KeepsTheIdOfAnotherText(_Broken):
    async def run(self, state: State, ctx: Context) -> State:
        after = await super().run(state, ctx)
        pairs = zip(state.candidates, after.candidates, strict=False)
        return state.replace(candidates=[replace(new, id=old.id) for old, new in pairs])


@register("broken-notes")
class HandsNotesOn(_Broken):
    async def run(self, state: State, ctx: Context) -> State:
        after = await super().run(state, ctx)
        pairs = zip(state.candidates, after.candidates, strict=False)
        return state.replace(candidates=[replace(new, notes=old.notes) for old, new in pairs])


@register("broken-system")
class ForgetsTheSystemMessage(_Broken):
    def asking(self, state: State, old: Candidate) -> tuple[Message, ...]:
        return super().asking(state, old)[1:]


@register("broken-models")
class AsksAHiddenModel(_Broken):
    async def run(self, state: State, ctx: Context) -> State:
        other = Model("fake/hidden", max_tokens=9)
        return await self.model_copy(update={"model": other}).rewritten(state, ctx)

    async def rewritten(self, state: State, ctx: Context) -> State:
        return await super().run(state, ctx)


@register("broken-cancel")
class LeavesATask(_Broken):
    kept: ClassVar[set[asyncio.Task[Any]]] = set()

    async def run(self, state: State, ctx: Context) -> State:
        self.kept.add(asyncio.ensure_future(asyncio.sleep(600)))
        return await super().run(state, ctx)


@register("broken-failure")
class LosesAllForOne(_Broken):
    async def run(self, state: State, ctx: Context) -> State:
        ask = [ctx.ask(self.model, self.asking(state, old)) for old in state.candidates]
        replies = await asyncio.gather(*ask)
        return state.replace(candidates=[reply.candidate() for reply in replies])


@register("broken-obedience")
class ReadsTheCandidateForAVerdict(_Broken):
    gives = ports("verdicts")

    async def run(self, state: State, ctx: Context) -> State:
        async def judged(old: Candidate) -> Candidate:
            reply = await ctx.ask(self.model, self.asking(state, old))
            passed = "[Correct]" in old.text + reply.text
            return old.with_note(Note("verdict", passed=passed))

        return state.replace(candidates=await ctx.each(judged, state.candidates))


@register("broken-task-check")
class RefusesEveryTask(_Broken):
    def check_task(self, task: Task) -> None:
        raise ConfigError("never")


FAULTS: list[tuple[str, type[Layer]]] = [
    ("keeps_its_bound", AsksTwice),
    ("leaves_its_input", Mutates),
    ("leaves_its_input", RewritesTheTask),
    ("is_deterministic", UsesGlobalChance),
    ("is_deterministic", OrdersByArrival),
    ("is_deterministic", Remembers),
    ("refuses_before_spending", GoesAroundTheGateway),
    ("refuses_before_spending", MakesSomethingUp),
    ("round_trips", LosesASetting),
    ("keeps_its_ports", ScoresOnlyTheFirst),
    ("survives_garbage", ExpectsNumbers),
    ("keeps_ids", KeepsTheIdOfAnotherText),
    ("ends_notes", HandsNotesOn),
    ("shows_the_conversation", ForgetsTheSystemMessage),
    ("names_its_models", AsksAHiddenModel),
    ("cancels_cleanly", LeavesATask),
    ("loses_only_what_failed", LosesAllForOne),
    ("obeys_no_candidate", ReadsTheCandidateForAVerdict),
    ("accepts_some_task", RefusesEveryTask),
]
CLASSES = {cls.kind: cls for _, cls in FAULTS} | {Honest.kind: Honest}
for _kind in CLASSES:
    LAYERS.remove(_kind)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    for kind, cls in CLASSES.items():
        LAYERS.add(kind, cls)
    yield
    for kind in CLASSES:
        LAYERS.remove(kind)


def _made(cls: type[Layer]) -> Layer:
    return cls(**{"model": MODEL, **getattr(cls, "example", {})})


@pytest.mark.parametrize(("contract", "cls"), FAULTS, ids=lambda x: getattr(x, "__name__", x))
def test_contract_rejects_the_fault(contract: str, cls: type[Layer]) -> None:
    with pytest.raises((AssertionError, ExceptionGroup)):
        LAYER_CONTRACTS[contract](_made(cls))


@pytest.mark.parametrize("contract", LAYER_CONTRACTS)
def test_contract_accepts_the_layer_without_a_fault(contract: str) -> None:
    LAYER_CONTRACTS[contract](_made(Honest))


def test_every_contract_has_a_fault() -> None:
    assert {contract for contract, _ in FAULTS} == set(LAYER_CONTRACTS)
