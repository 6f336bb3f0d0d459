"""Critique: say what is good and what is bad about each candidate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archon import parsing
from archon.base import Bound, Context, ModelLayer, Ports, Shape, plus, ports, register
from archon.errors import NodeError
from archon.layers import judging, tested
from archon.layers.judging import ANSWERS, DATA, NANO_ANSWERS, Duplicates, Panel, Unit
from archon.model import ModelRef
from archon.types import Candidate, Note, State

__all__ = ["Critique"]

ALL = (
    """\
You review answers to the last turn of a conversation.

"""
    + DATA
    + ANSWERS
    + """\

For each answer, say what is right and useful in it, and what is wrong, missing, unclear or not as
asked. Be specific: quote the place and say what would be right. Check facts and calculations
yourself; do not take what several answers agree on for granted.

Begin the review of each answer with its label alone on a line, in this form and order:
{% for label in labels %}
[{{ label }}]
(strengths and weaknesses of answer {{ label }})
{% endfor %}
"""
)

CANDIDATE = (
    """\
You review an answer to the last turn of a conversation.

"""
    + DATA
    + """\

<<< {{ fence }} answer
{{ candidate }}
>>> {{ fence }}

Say what is right and useful in the answer, and what is wrong, missing, unclear or not as asked. Be
specific: quote the place and say what would be right. Check facts and calculations yourself. Write
only the review.
"""
)

NANO_ALL = "Review the answers.\n" + NANO_ANSWERS
NANO_CANDIDATE = "Review this answer.\n{{ question }}\n\nAnswer:\n{{ candidate }}"


@register("critique")
class Critique(ModelLayer):
    """Attach strengths and weaknesses to every candidate, for layers that rank, fuse or refine.

    Critics: Archon, section 3.1; Saunders et al. 2022, "Self-critiquing models". A critique
    belongs to its candidate, so it goes wherever that goes and nowhere else.
    """

    needs = ports("candidates")
    gives = ports("critiques")
    templates = {
        "all": {"default": ALL, "nano": NANO_ALL},
        "candidate": {"default": CANDIDATE, "nano": NANO_CANDIDATE},
    }

    model: ModelRef
    per: Literal["all", "candidate"] = Field(
        "all", description="one call for all candidates, or one for each"
    )
    group_size: int = Field(26, ge=1, le=1000, description="candidates in one prompt at most")
    unparsed: Literal["keep", "drop", "fail"] = Field(
        "keep", description="candidates whose critique cannot be read: go on without, drop, fail"
    )
    duplicates: Duplicates = Field("once", description="review equal texts once or each")
    with_tests: bool = Field(
        False, description="show the unit tests of the state with the question"
    )

    def required(self) -> Ports:
        """Need tests only where they are to be shown."""
        return tested.needed(self.needs, self.with_tests)

    def bound(self, shape: Shape) -> Bound:
        """Bound one call for each group, or for each candidate."""
        after = judging.noted(shape, self.model.max_tokens)
        shape = tested.question_shape(shape, self.with_tests)
        if self.per == "candidate":
            each = plus(shape.question_tokens, shape.candidate_tokens, 48)
            cost = self.cost(self.model, shape.candidates, each, step="candidate", parsed=True)
            return cost.handing_on(after)
        size = min(self.group_size, shape.candidates)
        calls = -(-shape.candidates // self.group_size)
        # The labels stand twice in the prompt: once with the answer, once in the form asked for.
        tokens = plus(judging.listing_tokens(shape.replace(note_tokens=0), size), 48 * size)
        return self.cost(self.model, calls, tokens, step="all", parsed=True).handing_on(after)

    async def run(self, state: State, ctx: Context) -> State:
        """Return the candidates with their critiques."""
        by_all = self.per == "all"
        judged = await (self._by_group(state, ctx) if by_all else self._one_by_one(state, ctx))
        missing = sum(note is None for _, note in judged)
        if missing:
            message = f"{missing} of {len(judged)} candidates have no critique"
            if self.unparsed == "fail":
                raise NodeError(f"{message} (unparsed: fail)", path=ctx.path)
            ctx.warn(f"{message} (unparsed: {self.unparsed})")
        drop = self.unparsed == "drop"
        return state.replace(candidates=[c for c, note in judged if note is not None or not drop])

    async def _one_by_one(self, state: State, ctx: Context) -> list[judging.Judged]:
        task = tested.asked(state, self.with_tests)

        async def ask(candidate: Candidate) -> str | None:
            shown = self.shows("candidate", self.model, "critique")
            fields = judging.one(task, candidate, critiques=shown)
            text = self.render("candidate", self.model, **fields)
            said = await ctx.parsed(self.model, text, lambda reply: reply.strip() or None)
            return said.value

        def note(texts: list[str]) -> Note:
            return Note("critique", text=texts[0])

        return await Panel(ctx, ask, note, duplicates=self.duplicates).judge(state.candidates)

    async def _by_group(self, state: State, ctx: Context) -> list[judging.Judged]:
        things = judging.presented(
            judging.units(state.candidates, self.duplicates), ctx, "critique"
        )
        task, size = tested.asked(state, self.with_tests), self.group_size
        groups = [tuple(things[i : i + size]) for i in range(0, len(things), size)]

        async def ask(group: tuple[Unit, ...]) -> list[str | None]:
            fields = judging.listing(task, group, critiques=False)
            names = judging.labels(len(group))
            said = await ctx.parsed(
                self.model,
                self.render("all", self.model, **fields),
                lambda reply: parsing.critiques(reply, names),
            )
            return [said.value[name] if said.value else None for name in names]

        answers = await ctx.try_each(ask, groups, key=lambda group: tuple(u.text for u in group))
        found: dict[int, str | None] = {}
        for group, texts in zip(groups, answers, strict=True):
            for unit, text in zip(group, texts or [None] * len(group), strict=True):
                found.update((id(member), text) for member in unit.members)
        return [_reviewed(candidate, found.get(id(candidate))) for candidate in state.candidates]


def _reviewed(candidate: Candidate, text: str | None) -> judging.Judged:
    if text is None:
        return candidate, None
    note = Note("critique", text=text)
    return candidate.with_note(note), note
