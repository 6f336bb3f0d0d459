"""Tests as code: assertions that a model writes from the task, to be executed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archon.asserts import asserts
from archon.base import Bound, Context, ModelLayer, Shape, ports, register
from archon.code_tasks import CodeTask
from archon.errors import NodeError
from archon.layers import judging
from archon.layers.judging import DATA
from archon.model import ModelRef
from archon.types import State

__all__ = ["CodeTests"]

WRITE = f"""\
You write tests for a Python program that somebody else will write to answer the last turn of a \
conversation.

{DATA}
Write {{{{ count }}}} assertions that every right program passes\
{{% if entry_point %}} and that call `{{{{ entry_point }}}}`{{% endif %}}. Cover ordinary inputs \
and edge cases. Work out each expected value yourself, step by step, before you write it down, \
and leave out a test whose value you are not sure of. Each assertion must stand alone, in one line.

End with one block and nothing after it:
```python
assert {{{{ entry_point or "function" }}}}(...) == ...
```
"""

NANO_WRITE = "Write {{ count }} asserts.\n{{ question }}"


@register("code_tests")
class CodeTests(ModelLayer):
    """Write Python assertions from the conversation, for `run_tests` to execute.

    They do not depend on the candidates. Model-written tests are often wrong, so `run_tests`
    tries them on stubs first, and one that tells nothing carries no weight. Tests that come in
    are replaced. CodeT: Chen et al. 2022, arXiv 2207.10397, section 3.1.
    """

    gives = ports("asserts")
    templates = {"write": {"default": WRITE, "nano": NANO_WRITE}}

    model: ModelRef
    count: int = Field(5, ge=1, le=100, description="tests to write in one reply")
    samples: int = Field(1, ge=1, le=1000, description="replies, whose tests are put together")
    unparsed: Literal["keep", "fail"] = Field(
        "keep", description="no test can be read: go on without tests, or fail"
    )

    def bound(self, shape: Shape) -> Bound:
        """Bound one call for each sample."""
        cost = self.cost(self.model, self.samples, shape.question_tokens, step="write", parsed=True)
        return cost.handing_on(shape)

    async def run(self, state: State, ctx: Context) -> State:
        """Return the state with the tests, equal ones once."""
        task, entry_point = state.task, CodeTask.of(state.task).entry_point
        text = self.render(
            "write", self.model, question=task.question, conversation=task.conversation,
            count=self.count, entry_point=entry_point, fence=judging.fence(task.conversation),
        )  # fmt: skip

        async def ask(_: int) -> tuple[str, ...]:
            def read(reply: str) -> tuple[str, ...] | None:
                return asserts(reply, entry_point, self.count) or None

            said = await ctx.parsed(self.model, text, read)
            return said.value or ()

        written = await ctx.each(ask, range(self.samples), key=lambda _: text)
        tests = tuple(dict.fromkeys(test for some in written for test in some))
        if not tests:
            if self.unparsed == "fail":
                raise NodeError("no tests could be read (unparsed: fail)", path=ctx.path)
            ctx.warn("no tests could be read, so there are none (unparsed: keep)")
        return state.replace(asserts=tests)
