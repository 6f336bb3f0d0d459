"""How tests that a model wrote as Python assertions are read from its reply."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from archon import coding

__all__ = ["asserts"]

SOURCE_CHARS = 50_000
"""Of a reply that is looked at: what is longer is no list of tests."""

_SHARED = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
"""Statements that the tests behind them may use."""


def asserts(text: str, entry_point: str = "", count: int | None = None) -> tuple[str, ...]:
    r"""Return the tests that a reply gives, each as source that stands alone.

    They come from blocks in Python, or from lines that begin with `assert` where there is none.
    What stands before an assertion at the margin (imports, values) goes with it. A function named
    `test…` without arguments is one test. Functions that the reply defines otherwise are left
    out, so that no test brings its own solution along. Equal tests count once; what calls nothing
    is no test.

    Args:
        text: a whole reply.
        entry_point: the function under test, which each test has to name; any if empty.
        count: how many at most, in order.

    >>> asserts("```python\nimport math\nassert math.ceil(f(2)) == 3\n```")
    ('import math\nassert math.ceil(f(2)) == 3',)
    """
    found: dict[str, None] = {}
    for module in _modules(text[:SOURCE_CHARS]):
        for test in _tests(module.body, entry_point):
            found[test] = None
    return tuple(found)[:count]


def _modules(text: str) -> Iterator[ast.Module]:
    codes = [b.code for b in coding.blocks(text) if b.language in coding.PYTHON]
    codes = codes or [b.code for b in coding.blocks(text) if "assert" in b.code] or [text]
    for code in codes:
        whole = _parsed(code)
        if whole is not None:
            yield whole
            continue
        # Prose between the lines, or one that is cut: what can be read line by line.
        for line in code.split("\n"):
            alone = line.strip().startswith("assert ") and _parsed(line.strip())
            if alone:
                yield alone


def _parsed(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # whatever a model may write
        return None


def _tests(body: Sequence[ast.stmt], entry_point: str) -> Iterator[str]:
    before: list[ast.stmt] = []
    for node in body:
        if isinstance(node, _SHARED):
            before.append(node)
        elif isinstance(node, ast.Assert):
            if _calls(node, entry_point):
                yield from _source([*before, node])
        elif isinstance(node, ast.FunctionDef) and _is_test(node) and _calls(node, entry_point):
            call = ast.Expr(ast.Call(ast.Name(node.name, ast.Load()), [], []))
            yield from _source([*before, node, call])


def _is_test(node: ast.FunctionDef) -> bool:
    arguments = node.args
    takes = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return node.name.startswith("test") and not takes and not node.decorator_list


def _calls(node: ast.stmt, entry_point: str) -> bool:
    called = [inner for inner in ast.walk(node) if isinstance(inner, ast.Call)]
    if not entry_point:
        return bool(called)
    return any(isinstance(inner, ast.Name) and inner.id == entry_point for inner in ast.walk(node))


def _source(nodes: list[ast.stmt]) -> Iterator[str]:
    try:
        yield ast.unparse(ast.Module(nodes, []))
    except RecursionError:  # nested deeper than it can be written
        return
