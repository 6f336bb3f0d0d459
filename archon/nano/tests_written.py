"""Whether the tests that a model writes hold for what is right."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence

from archon import parsing
from archon.benchmarks.listfn import Function
from archon.benchmarks.listfn_steps import run
from archon.nano.answering import LIMIT, Asked
from archon.nano.cells import Cell, Place, mean
from archon.nano.examples import prompts
from archon.nano.sampling import Speaker

__all__ = ["asserts", "statements"]

COUNT = 3
_CALL = re.compile(r"f\((\[[-0-9, ]*\])\) == (\[[-0-9, ]*\]|-?\d+)")


def _holds(problem: Function, test: str) -> bool | None:
    """Whether the call in a test has the value it says; None where there is no call."""
    found = _CALL.search(test)
    if found is None:
        return None
    row, value = (ast.literal_eval(part) for part in found.groups())
    return bool(run(problem.steps, row) == value)


def _cells(
    asked: Sequence[Asked], said: Sequence[str], place: Place, parts: Callable[[str], Sequence[str]]
) -> list[Cell]:
    """Shares of the tests asked for that hold, and of problems whose tests all hold."""
    every, whole, keys = [], [], []
    for one, text in zip(asked, said, strict=True):
        held = [_holds(one.problem, test) for test in parts(text)][:COUNT]
        every.append(sum(held_ is True for held_ in held) / COUNT)
        whole.append(len(held) == COUNT and all(held))
        keys.append(one.problem.key)
    cells = mean(place, "tests that hold", every, keys)
    return cells + mean(place, f"all {COUNT} hold", whole, keys)


def statements(voice: Speaker, asked: Sequence[Asked], place: Place) -> list[Cell]:
    """Tests in prose, of list functions."""
    asks = [prompts.unit_tests(one.question, COUNT) for one in asked]
    return _cells(asked, voice.reply(asks, 0.0, LIMIT), place, lambda s: parsing.items(s) or ())


def asserts(voice: Speaker, asked: Sequence[Asked], place: Place) -> list[Cell]:
    """Tests in Python, of list functions."""
    asks = [prompts.code_tests(one.question, COUNT) for one in asked]
    return _cells(asked, voice.reply(asks, 0.0, LIMIT), place, _asserts)


def _asserts(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("assert ")]
