"""Test evaluation: judge every candidate against the unit tests in prose."""

from __future__ import annotations

from pydantic import Field

from archon import parsing
from archon.base import Bound, Context, ModelLayer, Shape, plus, ports, register, times
from archon.layers import judging, tested
from archon.layers.judging import DATA, Duplicates, Keep, NonePassed, Panel
from archon.model import ModelRef
from archon.types import Candidate, Note, State

__all__ = ["TestEval"]

JUDGE = (
    """\
You check which of several statements hold for an answer to the last turn of a conversation.

"""
    + DATA
    + """\

<<< {{ fence }} answer
{{ candidate }}
>>> {{ fence }}

<<< {{ fence }} tests
{% for test in tests %}
Test #{{ loop.index }}: {{ test }}
{% endfor %}
>>> {{ fence }}

Go through the tests one by one and say briefly why each holds for this answer or does not. Then
give the results, one line for each test and nothing after them, in this form:
{% for test in tests %}
Test #{{ loop.index }}: [Passed] or [Failed]
{% endfor %}
"""
)

NANO_JUDGE = """\
Try the tests.
{{ question }}

Answer:
{{ candidate }}

Tests:
{% for test in tests %}
Test #{{ loop.index }}: {{ test }}
{% endfor %}
"""

Results = tuple[bool | None, ...]


@register("test_eval")
class TestEval(ModelLayer):
    """Judge each candidate against all tests in one call; the score is the share passed.

    The results make a candidate x test matrix; `keep`, `first` and `threshold` are functions of
    it alone. With `votes`, a test counts by the share of votes. A test that could not be judged
    is not passed; a candidate without any result gets no note. Archon, section 3.1.
    """

    __test__ = False  # its name makes pytest look for tests in it

    needs = ports("candidates", "tests")
    gives = ports("scores")
    templates = {"judge": {"default": JUDGE, "nano": NANO_JUDGE}}

    model: ModelRef
    votes: int = Field(1, ge=1, le=1000, description="evaluations of each candidate")
    threshold: float = Field(1.0, ge=0, le=1, description="score from which a candidate passes")
    keep: Keep = Field("all", description="those that pass, all, or the best so many")
    first: int | None = Field(
        None, ge=1, description="stop when so many passed, in candidate order"
    )
    none: NonePassed = Field("all", description="with keep passed: what goes on when none passes")
    duplicates: Duplicates = Field("once", description="judge equal texts once or each")
    with_tests: bool = Field(
        False, description="show the unit tests of the state with the question"
    )

    def bound(self, shape: Shape) -> Bound:
        """Bound one call for each vote on each candidate; early exits never lower it."""
        asked = tested.question_shape(shape, self.with_tests)
        tokens = plus(
            asked.question_tokens, shape.candidate_tokens, shape.test_tokens,
            times(shape.tests, 32), 96,
        )  # fmt: skip
        cost = self.cost(
            self.model, shape.candidates * self.votes, tokens, step="judge", parsed=True
        )
        return cost.handing_on(judging.kept(shape, self.keep, self.first, self.none))

    async def run(self, state: State, ctx: Context) -> State:
        """Return the candidates that `keep` lets through, each with its results."""
        if not state.tests:
            ctx.warn("there are no tests, so nothing was judged")
            return state

        async def ask(candidate: Candidate) -> Results | None:
            return await self._ask(state, candidate, ctx)

        panel = Panel(
            ctx, ask, self._note, self.votes, self.duplicates, self.first,
            strict=self.on_error == "fail",
        )  # fmt: skip
        judged = await panel.judge(state.candidates)
        if missing := sum(note is None for _, note in judged) if self.first is None else 0:
            ctx.warn(f"{missing} of {len(judged)} candidates could not be judged")
        candidates = judging.chosen(judged, self.keep, self.first, self.none)
        reason = "" if candidates else "no candidate passed the tests"
        return state.replace(candidates=candidates, reason=reason or state.reason)

    async def _ask(self, state: State, candidate: Candidate, ctx: Context) -> Results | None:
        task = tested.asked(state, self.with_tests)
        shown = self.shows("judge", self.model, "critique")
        fields = judging.one(task, candidate, *state.tests, critiques=shown)
        text = self.render("judge", self.model, **fields, tests=state.tests)
        count = len(state.tests)

        def complete(reply: str) -> Results | None:
            results = parsing.passed(reply, count)
            return None if results is None or None in results else results

        said = await ctx.parsed(self.model, text, complete)
        return said.value or parsing.passed(said.reply.text, count)

    def _note(self, votes: list[Results]) -> Note:
        shares = [
            sum(vote is True for vote in test) / len(votes) for test in zip(*votes, strict=True)
        ]
        score = sum(shares) / len(shares)
        results = tuple(_majority(test) for test in zip(*votes, strict=True))
        return Note("tests", score=score, passed=score >= self.threshold, results=results)


def _majority(votes: tuple[bool | None, ...]) -> bool | None:
    judged = [vote for vote in votes if vote is not None]
    return 2 * sum(judged) > len(votes) if judged else None
