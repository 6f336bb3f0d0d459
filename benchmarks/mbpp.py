"""MBPP (Austin et al. 2021, arXiv 2108.07732) and MBPP+ (Liu et al. 2023, arXiv 2305.01210).

The published split goes by number: 11 to 510 test, 511 to 600 validation (here `dev`), 1 to 10
examples for prompts and 601 to 974 training, which are no items here. The task shows the three
assertions that score it, as published: its public tests. `challenge_test_list` is hidden and not
scored.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

from archon.base import BENCHMARKS, Item, Split
from archon.benchmarks.evalplus import restored
from archon.benchmarks.files import Source, read_jsonl, value_of
from archon.benchmarks.humaneval import plus_tests
from archon.benchmarks.programs import Call, ProgramBenchmark, calls_of
from archon.types import Json, Task

__all__ = ["MBPP", "MBPPPlus"]

NUMBERS: dict[Split, range] = {"test": range(11, 511), "dev": range(511, 601)}
"""The published split by `task_id`."""

_QUESTION = """\
Write this Python function. Reply with the whole program, and with the imports that it needs, in \
one block that begins with ```python.

{text}

It has to pass {tests}:

```python
{asserts}
```"""
_CALLED = re.compile(r"\bassert\s[^\w]{0,40}(?:(?:set|sorted|list|tuple|math\.isclose|len|str|not)"
                     r"\s{0,2}\(\s{0,2}){0,3}([A-Za-z_]\w{0,100})\s{0,2}\(")  # fmt: skip


def _question(text: str, asserts: Sequence[str]) -> str:
    tests = "this test" if len(asserts) == 1 else "these tests"
    return _QUESTION.format(text=text.strip(), tests=tests, asserts="\n".join(asserts))


class MBPP(ProgramBenchmark):
    """Short functions from one sentence and three assertions.

    Args:
        path: `mbpp.jsonl`, or its folder.
        min_level: the weakest sandbox that will do, 2 or 3.
        packages: folders of packages that programs may import, separated by colons.
        allow_unsafe_execution: `I understand` accepts a sandbox that keeps code from nothing.
    """

    name = "mbpp"
    about = "500 short Python functions from one sentence and three assertions"
    sources = (
        Source(
            "mbpp.jsonl",
            "https://raw.githubusercontent.com/google-research/google-research/master/mbpp/"
            "mbpp.jsonl",
            "CC-BY-4.0",
            size=563_743,
            sha256="ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",
        ),
    )
    sizes: Mapping[Split, int] = {"test": 500}
    parts = ("dev", "test")
    seconds = 10.0

    def read(self, split: Split) -> Sequence[Item]:
        """Return the items of a published split."""
        path = self.file(self.sources[0])
        found = []
        for line, row in read_jsonl(path):
            where = f"{path}:{line}"
            if value_of(row, "task_id", int, where) in NUMBERS[split]:
                found.append(self._item(row, where))
        return found

    def _item(self, row: dict[str, Json], where: str) -> Item:
        asserts = value_of(row, "test_list", list, where)
        challenge = [test for test in row.get("challenge_test_list", ()) if test not in asserts]
        called = _CALLED.search(asserts[0]) if asserts else None
        target = {
            "entry_point": called.group(1) if called else "",
            "prompt": "",
            "setup": value_of(row, "test_setup_code", str, where),
            "reference": value_of(row, "code", str, where),
            "public": [{"code": test, "scored": True} for test in asserts],
            "hidden": [{"code": test, "scored": False} for test in challenge],
            "seconds": self.seconds,
            "memory_bytes": None,
        }
        question = _question(value_of(row, "text", str, where), asserts)
        return self.item(Task.of(question, id=f"mbpp/{row['task_id']}"), target)


class MBPPPlus(ProgramBenchmark):
    """The 378 well-formed functions of MBPP with about 35 times as many tests, from EvalPlus.

    The task shows one assertion, as published.

    Args:
        path: `MbppPlus.jsonl.gz`, or its folder.
        dev: share of the items that becomes the split `dev`.
        min_level: the weakest sandbox that will do, 2 or 3.
        packages: folders of packages that programs may import, separated by colons.
        allow_unsafe_execution: `I understand` accepts a sandbox that keeps code from nothing.
    """

    name = "mbpp_plus"
    about = "378 functions of MBPP with about 35 times as many tests (EvalPlus)"
    sources = (
        Source(
            "MbppPlus.jsonl.gz",
            "https://github.com/evalplus/mbppplus_release/releases/download/v0.2.0/"
            "MbppPlus.jsonl.gz",
            "Apache-2.0",
        ),
    )
    sizes: Mapping[Split, int] = {"test": 378}
    seconds = 3.0

    def read(self, split: Split) -> Sequence[Item]:
        """Return the published items."""
        path = self.file(self.sources[0])
        return [self._item(row, f"{path}:{line}") for line, row in read_jsonl(path)]

    def _item(self, row: dict[str, Json], where: str) -> Item:
        identity = value_of(row, "task_id", str, where)
        number = int(identity.rpartition("/")[2]) if identity[-1:].isdecimal() else 0
        text, asserts = _parted(value_of(row, "prompt", str, where))
        name = value_of(row, "entry_point", str, where)
        public, hidden = plus_tests(row, _calls(asserts, name), where)
        for arguments in hidden[0]["inputs"]:
            restored(number, arguments)
        known = {test["code"] for test in public}
        public += [{"code": test, "scored": False} for test in asserts if test not in known]
        target = {
            "number": number,
            "entry_point": name,
            "prompt": "",
            "setup": "",
            "reference": value_of(row, "canonical_solution", str, where),
            "public": public,
            "hidden": hidden,
            "seconds": self.seconds,
            "memory_bytes": None,
        }
        return self.item(Task.of(_question(text, asserts), id=identity), target)


def _parted(prompt: str) -> tuple[str, list[str]]:
    """Return the sentence and the assertions of a prompt, which is a docstring."""
    lines = prompt.strip().removeprefix('"""').removesuffix('"""').strip().splitlines()
    asserts = [line.strip() for line in lines if line.lstrip().startswith("assert ")]
    return "\n".join(line for line in lines if not line.lstrip().startswith("assert ")), asserts


def _calls(asserts: Sequence[str], name: str) -> list[Call]:
    found = []
    for test in asserts:
        try:
            body = ast.parse(test).body
        except (SyntaxError, ValueError):
            continue
        for node in body:
            for call in calls_of(node, name):
                call.source = test
                found.append(call)
    return found


BENCHMARKS.add("mbpp", MBPP)
BENCHMARKS.add("mbpp_plus", MBPPPlus)
