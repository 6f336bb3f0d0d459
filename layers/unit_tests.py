"""Unit tests in prose: statements that a good answer fulfils."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from archon import parsing
from archon.base import Bound, Context, ModelLayer, Shape, ports, register
from archon.errors import NodeError
from archon.layers import judging
from archon.layers.judging import DATA
from archon.model import ModelRef
from archon.types import State

__all__ = ["UnitTests"]

WRITE = f"""\
You write checks that tell good answers to the last turn of a conversation from bad ones.

{DATA}
Write {{% if least < count %}}{{{{ least }}}} to {{% else %}}exactly {{% endif %}}\
{{{{ count }}}} statements about the answer, each of which holds for every good \
answer and fails for some bad one. Each must be decidable by reading the answer alone, be about \
one thing, and stand alone. Together they should cover whether the answer is right, complete, and \
in the form asked for, system message included. Begin each with "The answer". Do not ask for a \
result that you are not sure of.

First think briefly about what a good answer needs. Then give the statements as a JSON list of
{{% if least == count %}}{{{{ count }}}} {{% endif %}}strings, and nothing after it.
"""

NANO_WRITE = "Write {{ count }} tests.\n{{ question }}"


@register("unit_tests")
class UnitTests(ModelLayer):
    """Write `count` tests in prose from the conversation, for `test_eval` and `generate`.

    They do not depend on the candidates and are judged by a model, never executed. Archon,
    section 3.1. Tests that come in are replaced.
    """

    gives = ports("tests")
    templates = {"write": {"default": WRITE, "nano": NANO_WRITE}}

    model: ModelRef
    count: int = Field(5, ge=1, le=100, description="tests to write")
    least: int | None = Field(
        None, ge=1, le=100, description="how few are taken too; `count` if left out"
    )
    unparsed: Literal["keep", "fail"] = Field(
        "keep", description="no list can be read: go on without tests, or fail"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least is not None and self.least > self.count:
            raise ValueError(f"`least` ({self.least}) is more than `count` ({self.count})")
        return self

    def bound(self, shape: Shape) -> Bound:
        """Bound one call."""
        cost = self.cost(self.model, 1, shape.question_tokens, step="write", parsed=True)
        after = shape.replace(tests=self.count, test_tokens=self.model.max_tokens)
        return cost.handing_on(after)

    async def run(self, state: State, ctx: Context) -> State:
        """Return the state with the tests."""
        task = state.task
        text = self.render(
            "write", self.model, question=task.question, conversation=task.conversation,
            count=self.count, least=self.least or self.count,
            fence=judging.fence(task.conversation),
        )  # fmt: skip

        async def ask(text: str) -> tuple[str, ...]:
            said = await ctx.parsed(self.model, text, self._read)
            return said.value or ()

        [tests] = await ctx.try_each(ask, [text])
        if not tests:
            if self.unparsed == "fail":
                raise NodeError("no tests could be read (unparsed: fail)", path=ctx.path)
            ctx.warn("no tests could be read, so there are none (unparsed: keep)")
        return state.replace(tests=tests or ())

    def _read(self, reply: str) -> tuple[str, ...] | None:
        tests = parsing.items(reply) or ()
        return tests[: self.count] if len(tests) >= (self.least or self.count) else None
