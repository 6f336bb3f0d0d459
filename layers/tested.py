"""Questions with unit tests: what a layer shows whose setting is `with_tests`."""

from __future__ import annotations

from dataclasses import replace

from archon import prompts
from archon.base import Ports, Shape, plus, ports
from archon.types import State, Task

__all__ = ["NANO_WITH_TESTS", "WITH_TESTS", "asked", "needed", "question_shape"]

WITH_TESTS = """\
{{ question }}

The answer will be checked against these statements:
{% for test in tests %}
- {{ test }}
{% endfor %}
"""

NANO_WITH_TESTS = """\
{{ question }}

Tests:
{% for test in tests %}
Test #{{ loop.index }}: {{ test }}
{% endfor %}
"""

PER_TEST = 4
"""Tokens around each test."""


def needed(needs: Ports, with_tests: bool) -> Ports:
    """Return the ports of a layer, tests among them where it shows them."""
    return needs | ports("tests") if with_tests else needs


def asked(state: State, with_tests: bool) -> Task:
    """Return the task as the layer's models see it; the state keeps its own."""
    task = state.task
    if not with_tests or not state.tests:
        return task
    text = prompts.render(WITH_TESTS, question=task.question, tests=state.tests)
    return replace(task, messages=task.asking(text))


def question_shape(shape: Shape, with_tests: bool) -> Shape:
    """Return the shape with the tests counted into the question."""
    if not with_tests:
        return shape
    # Where the tests have no known length, neither has the question that shows them.
    tokens = plus(shape.question_tokens, shape.test_tokens, PER_TEST * shape.tests, len(WITH_TESTS))
    return shape.replace(question_tokens=tokens)
