"""Verify: reason about each candidate, then give a verdict on it."""

from __future__ import annotations

from pydantic import Field

from archon.base import Bound, Context, ModelLayer, Ports, Shape, plus, ports, register
from archon.layers import judging, tested
from archon.layers.judging import DATA, Duplicates, Keep, NonePassed, Panel
from archon.model import ModelRef
from archon.parsing import verdict
from archon.types import Candidate, Note, Reply, State, Task

__all__ = ["Verify"]

ANSWER = """\

<<< {{ fence }} answer
{{ candidate }}
>>> {{ fence }}
"""

REASON = (
    """\
You check an answer to the last turn of a conversation.

"""
    + DATA
    + ANSWER
    + """\

Work out for yourself what a right answer needs. Then go through the answer step by step and say
for each step whether it holds, and whether the whole does what was asked, in the form in which it
was asked, system message included. Quote what is wrong. Do not give a verdict yet.
"""
)

VERDICT = (
    """\
You decide whether an answer to the last turn of a conversation is right.

"""
    + DATA
    + ANSWER
    + """\

<<< {{ fence }} check of the answer
{{ reasoning }}
>>> {{ fence }}

Is the answer right and complete? Reply with nothing but [Correct] or [Incorrect].
"""
)

DIRECT = (
    """\
You decide whether an answer to the last turn of a conversation is right.

"""
    + DATA
    + ANSWER
    + """\

Is the answer right and complete? Reply with nothing but [Correct] or [Incorrect].
"""
)

NANO_REASON = "Check this answer.\n{{ question }}\n\nAnswer:\n{{ candidate }}"
NANO_VERDICT = (
    "Is this answer right?\n{{ question }}\n\nAnswer:\n{{ candidate }}\n\nCheck:\n{{ reasoning }}"
)
NANO_DIRECT = "Is this answer right?\n{{ question }}\n\nAnswer:\n{{ candidate }}"

CORRECT, INCORRECT = "[Correct]", "[Incorrect]"


@register("verify")
class Verify(ModelLayer):
    """Check each candidate in two calls: reasons, then a verdict; keep those that pass.

    With `reasons: false` the verdict alone is asked for, in one call. The score is the probability
    of the verdict where the backend gives it, else the share of `votes`; `threshold`, `keep` and
    `first` are functions of the scores alone. A candidate that could not be judged gets no note and
    does not pass. Verifiers: Archon, section 3.1; probability of the verdict: Zhang et al. 2024,
    "Generative Verifiers", section 3.
    """

    needs = ports("candidates")
    gives = ports("verdicts", "scores")
    templates = {
        "reason": {"default": REASON, "nano": NANO_REASON},
        "verdict": {"default": VERDICT, "nano": NANO_VERDICT},
        "direct": {"default": DIRECT, "nano": NANO_DIRECT},
    }

    model: ModelRef
    votes: int = Field(1, ge=1, le=1000, description="checks of each candidate")
    reasons: bool = Field(True, description="work out reasons before the verdict")
    threshold: float = Field(0.5, ge=0, le=1, description="score from which a candidate passes")
    keep: Keep = Field("passed", description="those that pass, all, or the best so many")
    first: int | None = Field(
        None, ge=1, description="stop when so many passed, in candidate order"
    )
    none: NonePassed = Field("all", description="what goes on when none passes")
    duplicates: Duplicates = Field("once", description="check equal texts once or each")
    with_tests: bool = Field(
        False, description="show the unit tests of the state with the question"
    )

    def required(self) -> Ports:
        """Need tests only where they are to be shown."""
        return tested.needed(self.needs, self.with_tests)

    def bound(self, shape: Shape) -> Bound:
        """Bound two calls for each vote on each candidate; early exits never lower it."""
        asked = shape.candidates * self.votes
        asking = tested.question_shape(shape, self.with_tests)
        each = plus(asking.question_tokens, shape.candidate_tokens, 48)
        after = judging.kept(shape, self.keep, self.first, self.none)
        if not self.reasons:
            direct = self.cost(self.model, asked, each, step="direct", parsed=True)
            return direct.handing_on(after)
        reasons = self.cost(self.model, asked, each, step="reason")
        verdicts = self.cost(
            self.model, asked, plus(each, self.model.max_tokens, 48), step="verdict", parsed=True
        )
        return (reasons + verdicts).handing_on(judging.noted(after, self.model.max_tokens))

    async def run(self, state: State, ctx: Context) -> State:
        """Return the candidates that `keep` lets through, each with its verdict."""
        task = tested.asked(state, self.with_tests)

        async def ask(candidate: Candidate) -> tuple[float, str] | None:
            return await self._ask(task, candidate, ctx)

        panel = Panel(
            ctx, ask, self._note, self.votes, self.duplicates, self.first,
            strict=self.on_error == "fail",
        )  # fmt: skip
        judged = await panel.judge(state.candidates)
        candidates = judging.chosen(judged, self.keep, self.first, self.none)
        if state.candidates and not any(note and note.passed for _, note in judged):
            ctx.warn(f"no candidate passed (none: {self.none})")
        reason = "" if candidates else "no candidate passed the verifier"
        return state.replace(candidates=candidates, reason=reason or state.reason)

    async def _ask(
        self, task: Task, candidate: Candidate, ctx: Context
    ) -> tuple[float, str] | None:
        """Return the probability that the candidate is right, and why."""
        step, why = "direct", ""
        if self.reasons:
            shown = self.shows("reason", self.model, "critique")
            fields = judging.one(task, candidate, critiques=shown)
            reason = await ctx.ask(self.model, self.render("reason", self.model, **fields))
            step, why = "verdict", reason.text
        texts = (why,) if self.reasons else ()
        shown = self.shows(step, self.model, "critique")
        fields = judging.one(task, candidate, *texts, critiques=shown) | {"reasoning": why}
        text = self.render(step, self.model, **fields)
        said = await ctx.parsed(self.model, text, verdict, verdicts=(CORRECT, INCORRECT))
        score = _probability(said.reply)
        if score is None and said.value is not None:
            score = float(said.value)
        return None if score is None else (score, why)

    def _note(self, votes: list[tuple[float, str]]) -> Note:
        score = sum(score for score, _ in votes) / len(votes)
        return Note("verdict", text=votes[0][1], score=score, passed=score >= self.threshold)


def _probability(reply: Reply) -> float | None:
    """Return P(right) as the backend saw it, or None if it gave nothing."""
    given = dict(reply.verdict_probs)
    right, wrong = given.get(CORRECT, 0.0), given.get(INCORRECT, 0.0)
    return right / (right + wrong) if right + wrong > 0 else None
