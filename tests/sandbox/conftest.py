from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from archon import coding
from archon.sandbox import BACKENDS, Backend, Limits, Sandbox, Test, TestFile, ladder
from archon.sandbox.inside import landlock

collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]


@pytest.fixture(scope="session")
def usable() -> dict[int, Backend]:
    """The backends of level 2 and 3 that work on this machine, by level.

    What the machine offers has to work: a guard that is broken must not look like a machine that
    has none.
    """
    answers = {b.level: (b, ladder.probe(b)) for b in BACKENDS if b.level > 1}
    offered = {2: _has_landlock(), 3: _has_landlock() and _has_namespaces()}
    for level, (_, answer) in answers.items():
        assert answer.works or not offered[level], answer.reason
    return {level: backend for level, (backend, answer) in answers.items() if answer.works}


def _has_landlock() -> bool:
    return landlock.abi(ctypes.CDLL(None, use_errno=True)) >= 1


def _has_namespaces() -> bool:
    if (bwrap := shutil.which("bwrap")) is None:
        return False
    words = [bwrap, "--unshare-all", "--ro-bind", "/", "/", "true"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def backend(usable: dict[int, Backend]) -> Backend:
    """The best one, or that of the level in ARCHON_TEST_SANDBOX_LEVEL."""
    if not usable:
        pytest.skip("nothing on this machine may execute untrusted code")
    return usable[int(os.environ.get("ARCHON_TEST_SANDBOX_LEVEL", max(usable)))]


def made(backend: Backend, **rest: Any) -> Sandbox:
    """Return a sandbox of two slots; to be made in a running loop, and closed."""
    rest.setdefault("size", 2)
    return Sandbox(backend, rest.pop("limits", Limits()), **rest)


@dataclass(frozen=True)
class Problem:
    """A problem of a benchmark, as the sandbox takes it."""

    id: str
    name: str
    reference: str
    file: TestFile


@pytest.fixture(scope="session")
def humaneval(shared_data: Path) -> Sequence[Problem]:
    from archon.benchmarks.humaneval import HumanEval

    items = HumanEval(path=shared_data / "humaneval").items("test")
    return [_problem(item.task.id, item.target, item.target["prompt"]) for item in items]


@pytest.fixture(scope="session")
def mbpp(shared_data: Path) -> Sequence[Problem]:
    from archon.benchmarks.mbpp import MBPP

    items = MBPP(path=shared_data / "mbpp").items("test")
    return [_problem(item.task.id, item.target, item.target["setup"]) for item in items]


def _problem(name: str, target: Any, setup: str) -> Problem:
    entry, prompt = target["entry_point"], target["prompt"]
    reference = target["reference"]
    whole = coding.complete(reference, prompt, entry) if prompt else reference
    tests = [t["code"] for t in [*target["public"], *target["hidden"]] if t["scored"]]
    file = TestFile(tuple(Test(code, str(n)) for n, code in enumerate(tests)), setup)
    return Problem(name, entry, whole, file)
