"""The prompts of every role, rendered by the layers themselves with their `nano` profile.

A changed template changes the examples, and so a model trained before is stale.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from archon.base import ModelLayer
from archon.layers import (
    CodeTests,
    Critique,
    Fuse,
    Generate,
    Rank,
    Refine,
    TestEval,
    UnitTests,
    Verify,
)
from archon.layers.judging import labels
from archon.model import Model

__all__ = [
    "Labelled", "answering_tests", "checking", "code_tests", "critiquing", "fusing",
    "judging", "ranking", "refining", "reviewing", "trying", "unit_tests",
]  # fmt: skip

MODEL = Model("local/nano")

Labelled = Sequence[tuple[str, str, str]]
"""Label, text and critique (or nothing) of each answer shown."""


@cache
def _layers() -> dict[str, ModelLayer]:
    return {
        "critique": Critique(model=MODEL), "fuse": Fuse(model=MODEL), "rank": Rank(model=MODEL),
        "refine": Refine(model=MODEL), "test_eval": TestEval(model=MODEL),
        "unit_tests": UnitTests(model=MODEL), "verify": Verify(model=MODEL),
        "generate": Generate(model=MODEL), "code_tests": CodeTests(model=MODEL),
    }  # fmt: skip


def _render(layer: str, step: str, **fields: object) -> str:
    return _layers()[layer].render(step, MODEL, **fields)


def labelled(texts: Sequence[str], critiques: Sequence[str] = ()) -> Labelled:
    """Put answers under labels, as the layers do."""
    reviews = critiques or [""] * len(texts)
    return list(zip(labels(len(texts)), texts, reviews, strict=True))


def _several(layer: str, step: str, question: str, shown: Labelled, **more: object) -> str:
    answers = [{"label": a, "text": text, "critique": said} for a, text, said in shown]
    names = [label for label, _, _ in shown]
    return _render(
        layer, step, question=question, conversation=question, answers=answers, labels=names,
        fence="", **more,
    )  # fmt: skip


def _one(layer: str, step: str, question: str, candidate: str, **more: object) -> str:
    fields = {"question": question, "conversation": question, "candidate": candidate, "fence": ""}
    return _render(layer, step, **(fields | {"critique": ""} | more))


def critiquing(question: str, shown: Labelled) -> str:
    """Critique of all answers at once."""
    return _several("critique", "all", question, shown)


def reviewing(question: str, candidate: str) -> str:
    """Critique of one answer."""
    return _one("critique", "candidate", question, candidate)


def ranking(question: str, shown: Labelled) -> str:
    """List-wise ranking."""
    return _several("rank", "list", question, shown)


def fusing(question: str, shown: Labelled) -> str:
    """Fusion, with reviews where the answers have some."""
    reviewed = any(said for _, _, said in shown)
    return _several("fuse", "fuse", question, shown, reviewed=reviewed, longest=False)


def refining(question: str, candidate: str, critique: str) -> str:
    """Refinement of one answer, with its critique if it has one."""
    return _one("refine", "refine", question, candidate, critique=critique)


def checking(question: str, candidate: str) -> str:
    """First step of verify: the check."""
    return _one("verify", "reason", question, candidate)


def judging(question: str, candidate: str, reasoning: str) -> str:
    """Second step of verify: the verdict."""
    return _one("verify", "verdict", question, candidate, reasoning=reasoning)


def unit_tests(question: str, count: int) -> str:
    """Tests in prose."""
    return _render(
        "unit_tests", "write", question=question, conversation=question, count=count, fence=""
    )


def code_tests(question: str, count: int) -> str:
    """Tests in Python."""
    return _render(
        "code_tests", "write", question=question, conversation=question, count=count,
        entry_point="", fence="",
    )  # fmt: skip


def trying(question: str, candidate: str, tests: Sequence[str]) -> str:
    """Evaluation of tests in prose."""
    return _one("test_eval", "judge", question, candidate, tests=tests)


def answering_tests(question: str, tests: Sequence[str]) -> str:
    """An answer that sees the tests."""
    return _render("generate", "with_tests", question=question, tests=tests)
