"""Tiny files in the official formats of the benchmarks of programs and instructions.

Everything in them was written for these tests. `SAMPLES` names for each benchmark the function
that writes its files into a folder.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["SAMPLES"]

DOUBLE = '''import math


def double(n: int) -> int:
    """Return twice a number.

    >>> double(2)
    4
    >>> double(-1)
    -2
    """
'''
NEGATE = '''

def negate(values):
    """ Change the sign of each number, such as 1 into -1. """
'''


def lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return rows as JSONL."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def humaneval(folder: Path) -> None:
    """Write two functions, one with examples in its docstring and one without."""
    check = "METADATA = {}\n\n\ndef check(candidate):\n    assert candidate(2) == 4\n"
    rows = [
        {
            "task_id": "HumanEval/0",
            "prompt": DOUBLE,
            "entry_point": "double",
            "canonical_solution": "    return 2 * n\n",
            "test": check + "    assert candidate(5) == 10\n",
        },
        {
            "task_id": "HumanEval/1",
            "prompt": NEGATE,
            "entry_point": "negate",
            "canonical_solution": "    return [-value for value in values]\n",
            "test": "def check(candidate):\n    assert candidate([1, -2]) == [-1, 2]\n",
        },
    ]
    (folder / "HumanEval.jsonl.gz").write_bytes(gzip.compress(lines(rows)))


def humaneval_plus(folder: Path) -> None:
    """Write one function with inputs; the first is an example of the docstring."""
    row = {
        "task_id": "HumanEval/0",
        "prompt": DOUBLE,
        "entry_point": "double",
        "canonical_solution": "    return 2 * n\n",
        "contract": "\n    assert isinstance(n, int)\n",
        "base_input": [[2], [5]],
        "plus_input": [[0], [10**20]],
        "atol": 0,
    }
    (folder / "HumanEvalPlus.jsonl.gz").write_bytes(gzip.compress(lines([row])))


def mbpp(folder: Path) -> None:
    """Write one problem of each part of the published split."""
    rows = [
        {
            "text": f"Write function {number} to add two numbers.",
            "code": "def add(a, b):\r\n  return a + b",
            "task_id": number,
            "test_setup_code": "",
            "test_list": [f"assert add({n}, {n}) == {2 * n}" for n in (1, 2, 3)],
            "challenge_test_list": ["assert add(7, 7) == 14"],
        }
        for number in (2, 11, 510, 511, 600, 601)
    ]
    (folder / "mbpp.jsonl").write_bytes(lines(rows))


def mbpp_plus(folder: Path) -> None:
    """Write one problem that shows an assertion."""
    row = {
        "task_id": "Mbpp/3",
        "prompt": '"""\nWrite a function to add two numbers.\nassert add(1, 2) == 3\n"""\n',
        "entry_point": "add",
        "canonical_solution": "\ndef add(a, b):\n    return a + b\n",
        "base_input": [[1, 2], [0, 0]],
        "contract": "\n",
        "assertion": "assert add(1, 2) == 3\nassert add(0, 0) == 0\n",
        "atol": 0,
        "plus_input": [[5, 5]],
    }
    (folder / "MbppPlus.jsonl.gz").write_bytes(gzip.compress(lines([row])))


def problem(name: str, **changed: Any) -> dict[str, Any]:
    """Return a row of CodeContests."""
    return {
        "name": name,
        "description": "Read a number and print twice that number.",
        "public_tests": {"input": ["2\n"], "output": ["4\n"]},
        "private_tests": {"input": ["2\n", "7\n"], "output": ["4\n", "14\n"]},
        "generated_tests": {"input": ["9\n", "7\n"], "output": ["18\n", "14\n"]},
        "source": 2,
        "difficulty": 7,
        "cf_rating": 800,
        "time_limit": {"seconds": 2, "nanos": 500_000_000},
        "memory_limit_bytes": 256_000_000,
        "input_file": "",
        "output_file": "",
        **changed,
    }


def code_contests(folder: Path) -> None:
    """Write two problems, one of them with an image, and one for `dev`."""
    import pyarrow
    from pyarrow import parquet

    test = [
        problem("1575_A. Twice"),
        problem("1575_B. Seen", description="As the picture shows. <image>"),
        problem("1575_C. Bare", time_limit=None, cf_rating=0, memory_limit_bytes=0),
    ]
    parquet.write_table(pyarrow.Table.from_pylist(test), folder / "test.parquet")
    valid = [problem("1548_A. Other", input_file="in.txt", output_file="out.txt")]
    parquet.write_table(pyarrow.Table.from_pylist(valid), folder / "valid.parquet")


def ifeval(folder: Path) -> None:
    """Write three prompts, one of them with two instructions."""
    rows = [
        {
            "key": 1000,
            "prompt": "Describe the sea. Do not use any commas.",
            "instruction_id_list": ["punctuation:no_comma"],
            "kwargs": [{}],
        },
        {
            "key": 1001,
            "prompt": "Praise tea in lowercase, in fewer than 9 words.",
            "instruction_id_list": [
                "keywords:existence",
                "length_constraints:number_words",
            ],
            "kwargs": [{"keywords": ["tea"]}, {"relation": "less than", "num_words": 9}],
        },
        {
            "key": 1002,
            "prompt": "Wrap your whole answer in double quotation marks.",
            "instruction_id_list": ["startend:quotation"],
            "kwargs": [{"num_words": None}],
        },
    ]
    (folder / "ifeval_input_data.jsonl").write_bytes(lines(rows))


SAMPLES: dict[str, Callable[[Path], None]] = {
    "humaneval": humaneval,
    "humaneval_plus": humaneval_plus,
    "mbpp": mbpp,
    "mbpp_plus": mbpp_plus,
    "code_contests": code_contests,
    "ifeval": ifeval,
}
