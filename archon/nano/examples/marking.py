"""Examples for reward heads: answers with, for each line, whether all is right up to there.

A step scorer learns every mark, at the end of its line; an outcome scorer the last one alone,
which says whether the answer is right. Drafts are those that the judging roles see.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from archon.nano.data import ASSISTANT, USER
from archon.nano.examples.family import Draft, Family
from archon.nano.examples.mixing import Mix, Problems, drawn
from archon.nano.examples.roles import Case, drafts

__all__ = ["Marked", "marked", "marked_answers"]


@dataclass(frozen=True, slots=True)
class Marked:
    """An answer with its marks.

    Attributes:
        key: of the problem.
        prompt: question and mark of the reply, as a generator sees them.
        lines: of the answer; a line break stands between two.
        marks: for each line, whether it and all before it are right.
    """

    key: str
    prompt: str
    lines: tuple[str, ...]
    marks: tuple[bool, ...]

    @property
    def right(self) -> bool:
        """Whether the answer is right."""
        return self.marks[-1]


def marked(family: Family[Any, Any], problem: Any, draft: Draft[Any]) -> Marked:
    """Mark a draft."""
    lines = tuple(draft.text.split("\n"))
    marks = tuple(family.marks(problem, draft))
    assert len(lines) == len(marks)
    prompt = f"{USER}{problem.question}{ASSISTANT}"
    return Marked(problem.key, prompt, lines, marks)


def marked_answers(mix: Mix, seed: int, each: int = 4) -> Iterator[tuple[Marked, ...]]:
    """Endless answers, `each` to a question, the same ones for the same seed in every process."""
    rng = random.Random(f"archon-nano-marked/{seed}")
    problems = Problems(seed)
    while True:
        family = mix.families[drawn(mix.tasks, rng)]
        levels = mix.levels.get(family.name) or dict.fromkeys(family.levels, 1.0)
        problem = problems.next(family, drawn(levels, rng))
        case = Case(family, problem, mix.knobs, rng)
        yield tuple(marked(family, problem, draft) for draft in drafts(case, each))
