"""A layer of your own: check the arithmetic of every candidate, without asking a model.

python examples/custom_layer.py
"""

from __future__ import annotations

import re

import archon
from archon.base import Bound, Context, Layer, Shape
from archon.types import Candidate, Note, State

QUESTION = (
    "Mia has 64 stamps. She buys 4 boxes of 7 stamps. Then she sells 35 stamps. "
    "How many stamps does Mia have now? Give the answer after ####."
)
STEP = re.compile(r"(\d+) ([-+*]) (\d+) = (\d+)")
DO = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}


@archon.register("check_steps")
class CheckSteps(Layer):
    """Score each candidate by the share of its steps, such as `3 * 8 = 24`, that are right."""

    needs = archon.ports("candidates")
    gives = archon.ports("scores")

    def bound(self, shape: Shape) -> Bound:
        """Cost nothing and hand on what comes in."""
        return Bound(shape=shape)

    async def run(self, state: State, ctx: Context) -> State:
        """Attach a score to every candidate."""
        return state.replace(candidates=[scored(candidate) for candidate in state.candidates])


def scored(candidate: Candidate) -> Candidate:
    """Return the candidate with its score."""
    steps = [DO[sign](int(a), int(b)) == int(c) for a, sign, b, c in STEP.findall(candidate.text)]
    return candidate.with_note(Note("score", score=sum(steps) / len(steps) if steps else 0.0))


ARCHITECTURE = """
models:
  nano: {model: local/nano-math, temperature: 0.8, max_tokens: 192}
stages:
  - generate: {model: nano, samples: 8}
  - check_steps
  - vote
"""


def main() -> None:
    """Load an architecture that names the new layer, and run it."""
    result = archon.run(archon.loads(ARCHITECTURE), QUESTION, answer="number")
    print(result.answer)
    for candidate in result.candidates:
        print(f"  {candidate.score()}  {candidate.text!r}")


if __name__ == "__main__":
    main()
