"""HumanEval (Chen et al. 2021, arXiv 2107.03374) and HumanEval+ (Liu et al. 2023, 2305.01210).

The task shows the signature and the docstring, as published. Public tests are the examples of the
docstring. What the official `check` repeats of them is taken out of it, so that public and hidden
tests are disjoint; both together are the official test.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence

from archon.base import BENCHMARKS, Item, Split
from archon.benchmarks.files import Source, read_jsonl, value_of
from archon.benchmarks.programs import Call, ProgramBenchmark, calls_of, examples
from archon.errors import ConfigError
from archon.types import Json, Task

__all__ = ["HumanEval", "HumanEvalPlus"]

_QUESTION = """\
Complete this Python function. Reply with the whole function, and with the imports that it needs, \
in one block that begins with ```python.

```python
{prompt}
```"""


class HumanEval(ProgramBenchmark):
    """164 functions to complete from their docstrings.

    Args:
        path: `HumanEval.jsonl.gz`, or its folder.
        dev: share of the items that becomes the split `dev`.
        min_level: the weakest sandbox that will do, 2 or 3.
        packages: folders of packages that programs may import, separated by colons.
        allow_unsafe_execution: `I understand` accepts a sandbox that keeps code from nothing.
    """

    name = "humaneval"
    about = "164 Python functions to complete from their docstrings"
    sources = (
        Source(
            "HumanEval.jsonl.gz",
            "https://github.com/openai/human-eval/raw/master/data/HumanEval.jsonl.gz",
            "MIT",
            size=44_877,
            sha256="b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
        ),
    )
    sizes: Mapping[Split, int] = {"test": 164}
    seconds = 3.0
    """The official time limit of one program."""

    def read(self, split: Split) -> Sequence[Item]:
        """Return the published items."""
        path = self.file(self.sources[0])
        return [self._item(row, f"{path}:{line}") for line, row in read_jsonl(path)]

    def _item(self, row: dict[str, Json], where: str) -> Item:
        prompt, name = value_of(row, "prompt", str, where), value_of(row, "entry_point", str, where)
        public, hidden = self._tests(row, examples(prompt, name), where)
        target = {
            "entry_point": name,
            "prompt": prompt,
            "setup": "",
            "reference": value_of(row, "canonical_solution", str, where),
            "public": public,
            "hidden": hidden,
            "seconds": self.seconds,
            "memory_bytes": None,
        }
        question = _QUESTION.format(prompt=prompt.strip())
        return self.item(Task.of(question, id=value_of(row, "task_id", str, where)), target)

    def _tests(self, row: dict[str, Json], shown: Sequence[Call], where: str) -> tuple[Json, Json]:
        name = row["entry_point"]
        rest, repeated = _without(
            value_of(row, "test", str, where), {call.identity for call in shown}
        )
        public = [{"code": c.source, "scored": c.identity in repeated} for c in shown]
        return public, [{"code": f"{rest.rstrip()}\n\ncheck({name})\n", "scored": True}]


def _without(test: str, shown: set[tuple[str, ...]]) -> tuple[str, set[tuple[str, ...]]]:
    """Take assertions of `check` out of it; return the rest and what was taken.

    The other lines stay as they are, so that whatever else the test does is done as published.
    """
    lines = test.split("\n")
    taken: set[tuple[str, ...]] = set()
    for node in _statements(test):
        for call in calls_of(node, "candidate"):
            whole = lines[node.lineno - 1][: node.col_offset].isspace()
            if call.identity in shown and whole and node.end_lineno is not None:
                taken.add(call.identity)
                lines[node.lineno - 1] = " " * node.col_offset + "pass"
                for number in range(node.lineno, node.end_lineno):
                    lines[number] = ""
    return "\n".join(lines), taken


def _statements(test: str) -> list[ast.stmt]:
    try:
        body = ast.parse(test).body
    except (SyntaxError, ValueError):
        return []
    return next((n.body for n in body if isinstance(n, ast.FunctionDef) and n.name == "check"), [])


class HumanEvalPlus(HumanEval):
    """HumanEval with about eighty times as many tests, in the format of EvalPlus.

    Args:
        path: `HumanEvalPlus.jsonl.gz`, or its folder.
        dev: share of the items that becomes the split `dev`.
        min_level: the weakest sandbox that will do, 2 or 3.
        packages: folders of packages that programs may import, separated by colons.
        allow_unsafe_execution: `I understand` accepts a sandbox that keeps code from nothing.
    """

    name = "humaneval_plus"
    about = "HumanEval with about 80 times as many tests (EvalPlus)"
    sources = (
        Source(
            "HumanEvalPlus.jsonl.gz",
            "https://github.com/evalplus/humanevalplus_release/releases/download/v0.1.10/"
            "HumanEvalPlus.jsonl.gz",
            "Apache-2.0",
        ),
    )

    def _tests(self, row: dict[str, Json], shown: Sequence[Call], where: str) -> tuple[Json, Json]:
        return plus_tests(row, shown, where)


def plus_tests(row: dict[str, Json], shown: Sequence[Call], where: str) -> tuple[Json, Json]:
    """Return public and hidden tests of a record of EvalPlus.

    Raises:
        ConfigError: for a record of another form.
    """
    base, plus = value_of(row, "base_input", list, where), row.get("plus_input")
    if not isinstance(plus, (list, dict)):  # an empty list is written as an object
        raise ConfigError("field 'plus_input' must be a list", where=where)
    inputs = [*base, *plus]
    keys = {_key(arguments) for arguments in inputs}
    public = [{"code": c.source, "scored": _key(c.arguments) in keys} for c in shown]
    seen = {_key(call.arguments) for call in shown}
    rest = [arguments for arguments in inputs if _key(arguments) not in seen]
    return public, [{"inputs": rest, "atol": row.get("atol", 0), "scored": True}]


def _key(arguments: Json) -> str:
    """Return arguments as the files write them, where tuples are lists."""
    try:
        return json.dumps(arguments, sort_keys=True)
    except TypeError:  # such as a set: not the same as any input
        return repr(arguments)


BENCHMARKS.add("humaneval", HumanEval)
BENCHMARKS.add("humaneval_plus", HumanEvalPlus)
