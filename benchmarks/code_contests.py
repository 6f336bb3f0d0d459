"""CodeContests (Li et al. 2022, arXiv 2203.07814): programs for problems of programming contests.

The files are those of the Hub. Problems whose text refers to images are left out, as in the paper
on Archon (arXiv 2409.15254): 140 of the 165 test problems remain. Public tests are the published
ones, which the problem's text shows; hidden ones are the private and the generated tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from archon.base import BENCHMARKS, Item, Split
from archon.benchmarks.files import Source, hugging_face, read_parquet, value_of
from archon.benchmarks.programs import ProgramBenchmark
from archon.errors import ConfigError
from archon.types import Json, Task

__all__ = ["CodeContests"]

COLUMNS = (
    "name", "description", "public_tests", "private_tests", "generated_tests", "cf_rating",
    "time_limit", "memory_limit_bytes", "input_file", "output_file",
)  # fmt: skip
IMAGE = "<image>"
DEFAULT_SECONDS = 3.0
"""Where the problem states no limit."""

_QUESTION = """\
Solve this problem of a programming contest with a Python 3 program. The program reads {source} \
and writes {sink}. Reply with the whole program in one block that begins with ```python.

{text}"""


class CodeContests(ProgramBenchmark):
    """Problems of programming contests, in Python.

    Args:
        path: the folder of `test.parquet` and `valid.parquet`.
        time_factor: by what the problems' time limits, which were set for compiled languages, are
            multiplied.
        min_level: the weakest sandbox that will do, 2 or 3.
        packages: folders of packages that programs may import, separated by colons.
        allow_unsafe_execution: `I understand` accepts a sandbox that keeps code from nothing.
    """

    name = "code_contests"
    about = "140 problems of programming contests (of 165: those without images)"
    sources = (
        Source(
            "test.parquet",
            hugging_face(
                "deepmind/code_contests", "data/test-00000-of-00001-9c49eeff30aacaa8.parquet"
            ),
            "CC-BY-4.0",
            size=63_077_400,
            sha256="aa426cbdb202bf8703b658bcb31fd1878ca7cfd33ca07d3b703dc94ca6a2b651",
        ),
        Source(
            "valid.parquet",
            hugging_face(
                "deepmind/code_contests", "data/valid-00000-of-00001-5e672c5751f060d3.parquet"
            ),
            "CC-BY-4.0",
            size=51_829_044,
            sha256="02e8c1ccedae716f1e43cc813fcb7823c3db666ea92638820aba80e8cef451ab",
            split="dev",
        ),
    )

    sizes: Mapping[Split, int] = {"test": 140}
    extra = "eval"

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        time_factor: float = 1.0,
        min_level: int = 2,
        packages: str = "",
        allow_unsafe_execution: str = "",
    ) -> None:
        super().__init__(
            path,
            min_level=min_level,
            packages=packages,
            allow_unsafe_execution=allow_unsafe_execution,
        )
        if isinstance(time_factor, bool) or not 0 < time_factor <= 100:
            raise ConfigError(
                f"{self.name}: `time_factor` must be above 0 and at most 100, got {time_factor!r}"
            )
        self.time_factor = time_factor

    def settings(self) -> Json:
        """Return what changes scores: time limits, and what programs may import."""
        return [self.time_factor, super().settings()]

    def read(self, split: Split) -> Sequence[Item]:
        """Return the problems of a split whose text needs no image."""
        return [
            self.item(*_item(row, f"{path}, row {number}", self.time_factor))
            for path in self.files(split)
            for number, row in read_parquet(path, COLUMNS)
            if IMAGE not in str(row["description"]).lower()
        ]


def _item(row: dict[str, Json], where: str, factor: float) -> tuple[Task, dict[str, Json], str]:
    public = _tests(value_of(row, "public_tests", dict, where), where)
    hidden = dict.fromkeys(
        [
            *_tests(value_of(row, "private_tests", dict, where), where),
            *_tests(value_of(row, "generated_tests", dict, where), where),
        ]
    )
    shown = dict.fromkeys(public)
    target = {
        "entry_point": "",
        "prompt": "",
        "setup": "",
        "reference": "",
        "public": [_test(*pair) for pair in shown],
        "hidden": [_test(*pair) for pair in hidden if pair not in shown],
        "seconds": factor * _seconds(row["time_limit"]),
        "memory_bytes": row["memory_limit_bytes"] or None,
        "input_file": row["input_file"] or "",
        "output_file": row["output_file"] or "",
    }
    question = _QUESTION.format(
        source=f"the file {target['input_file']}" if target["input_file"] else "standard input",
        sink=f"the file {target['output_file']}" if target["output_file"] else "standard output",
        text=value_of(row, "description", str, where).strip(),
    )
    task = Task.of(question, id=value_of(row, "name", str, where))
    return task, target, _group(row)


def _tests(found: Mapping[str, Json], where: str) -> list[tuple[str, str]]:
    inputs, outputs = found.get("input") or [], found.get("output") or []
    if len(inputs) != len(outputs):
        message = f"{len(inputs)} inputs of tests, but {len(outputs)} outputs"
        raise ConfigError(message, where=where)
    return list(zip(inputs, outputs, strict=True))


def _test(stdin: str, stdout: str) -> Json:
    return {"stdin": stdin, "stdout": stdout, "scored": True}


def _seconds(limit: Json) -> float:
    if not limit:
        return DEFAULT_SECONDS
    return (limit.get("seconds") or 0) + (limit.get("nanos") or 0) / 1e9 or DEFAULT_SECONDS


def _group(row: Mapping[str, Json]) -> str:
    """Return the rating in steps of 500, where the problem has one."""
    rating = row["cf_rating"] or 0
    return f"rating {rating // 500 * 500}" if rating else "unrated"


BENCHMARKS.add("code_contests", CodeContests)
