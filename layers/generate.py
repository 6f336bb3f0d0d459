"""Generate: one model answers the question, any number of times."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from archon.base import Bound, Context, ModelLayer, Ports, Shape, plus, ports, register
from archon.layers import tested
from archon.layers.tested import NANO_WITH_TESTS, WITH_TESTS
from archon.model import ModelRef
from archon.types import Message, State

__all__ = ["Generate"]


@register("generate")
class Generate(ModelLayer):
    """Ask one model for `samples` answers to the conversation as it stands.

    Several in parallel make an ensemble. Candidates that come in are replaced unless `keep`.
    Repeated sampling: Brown et al. 2024, "Large Language Monkeys"; ensembles: Archon, section 3.1.
    """

    uses = ports("tests", "candidates")
    gives = ports("candidates")
    templates = {"with_tests": {"default": WITH_TESTS, "nano": NANO_WITH_TESTS}}

    model: ModelRef
    samples: int = Field(1, ge=1, le=100_000, description="answers to ask for")
    with_tests: bool = Field(False, description="show the model the unit tests of the state")
    keep: bool = Field(False, description="put the new candidates behind those that come in")

    def required(self) -> Ports:
        """Need tests only where they are to be shown."""
        return tested.needed(self.needs, self.with_tests)

    def lint(self) -> Iterator[str]:
        """Warn of samples that are meant to be equal."""
        if self.samples > 1 and self.model.temperature == 0:
            yield f"{self.samples} samples at temperature 0: expect nearly equal answers"

    def signature(self) -> str:
        """Return the model alone unless tests are shown: equal questions make one family."""
        return super().signature() if self.with_tests else self.model.signature

    def bound(self, shape: Shape) -> Bound:
        """Bound `samples` calls."""
        tests = shape.test_tokens if self.with_tests else 0
        step = "with_tests" if self.with_tests else ""
        cost = self.cost(self.model, self.samples, plus(shape.question_tokens, tests), step=step)
        return cost.handing_on(shape.with_new(self.samples, self.model.max_tokens, keep=self.keep))

    async def run(self, state: State, ctx: Context) -> State:
        """Return the new candidates."""
        replies = await ctx.sample(
            self.model, self._messages(state), self.samples, schema=state.task.schema
        )
        new = tuple(reply.candidate() for reply in replies)
        return state.replace(candidates=(*state.candidates, *new) if self.keep else new)

    def _messages(self, state: State) -> tuple[Message, ...]:
        if not self.with_tests or not state.tests:
            return state.task.messages
        text = self.render(
            "with_tests", self.model, question=state.task.question, tests=state.tests
        )
        return state.task.asking(text)
