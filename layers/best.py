"""Best: keep the candidates with the highest score."""

from __future__ import annotations

from pydantic import Field

from archon.base import Bound, Context, Layer, Shape, ports, register
from archon.types import Candidate, State

__all__ = ["Best"]


@register("best")
class Best(Layer):
    """Keep the candidate with the highest score; no model is asked.

    Best-of-n: Stiennon et al. 2020; Cobbe et al. 2021, section 4. Ties go by listing order, and a
    candidate without a score loses to every one that has one.
    """

    needs = ports("candidates", "scores")

    by: str = Field("", description="path of the node whose score counts; empty: the last score")
    keep: int = Field(1, ge=1, description="how many go on, best first")

    def bound(self, shape: Shape) -> Bound:
        """Bound nothing but the number of candidates."""
        return Bound(shape=shape.replace(candidates=min(self.keep, shape.candidates)))

    async def run(self, state: State, ctx: Context) -> State:
        """Return the best candidates."""

        def badness(candidate: Candidate) -> tuple[bool, float]:
            score = candidate.score(self.by)
            return score is None, -(score or 0.0)

        missing = sum(candidate.score(self.by) is None for candidate in state.candidates)
        if missing:
            ctx.warn(f"{missing} of {len(state.candidates)} candidates have no score")
        return state.replace(candidates=sorted(state.candidates, key=badness)[: self.keep])
