from __future__ import annotations

import asyncio
import ctypes
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from archon import coding
from archon.sandbox import BACKENDS, Backend, Limits, Sandbox, Test, TestFile, ladder
from archon.sandbox.containers import VARIABLE, Container
from archon.sandbox.inside import landlock

T = TypeVar("T")

REAL_CONTAINER = os.environ.get("ARCHON_TEST_SANDBOX_CONTAINER", "")
"""A container engine and an image that tests may use; a stand-in takes its place without."""


collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]


@pytest.fixture(scope="session", autouse=True)
def _no_container_unasked() -> Iterator[None]:
    """Tests say themselves which backend they mean."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(VARIABLE, raising=False)
        yield


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
    """The best one, or what ARCHON_TEST_SANDBOX_LEVEL says: 2, 3 or `container`."""
    if not usable:
        reasons = "; ".join(f"{b.name}: {ladder.probe(b).reason}" for b in BACKENDS if b.level > 1)
        pytest.skip(f"nothing on this machine may execute untrusted code ({reasons})")
    wanted = os.environ.get("ARCHON_TEST_SANDBOX_LEVEL", str(max(usable)))
    if wanted != "container":
        return usable[int(wanted)]
    words = shlex.split(REAL_CONTAINER)
    return Container(words[:-1], words[-1])


class Warm:
    """One sandbox of two slots for the tests of a module, in a loop that outlives each of them."""

    def __init__(self, backend: Backend, runner: asyncio.Runner) -> None:
        self.backend = backend
        self._runner = runner
        self._sandbox = runner.run(self._made())

    async def _made(self) -> Sandbox:
        return made(self.backend)

    def inside(self, work: Callable[[Sandbox], Awaitable[T]]) -> T:
        """Return what some work in the sandbox returns."""

        async def whole() -> T:
            return await work(self._sandbox)

        return self._runner.run(whole())

    def close(self) -> None:
        """End the sandbox, in its loop."""

        async def closed() -> None:
            self._sandbox.close()

        self._runner.run(closed())


@pytest.fixture(scope="module")
def warm(backend: Backend) -> Iterator[Warm]:
    """For tests that are not about what a sandbox leaves behind."""
    with asyncio.Runner() as runner:
        found = Warm(backend, runner)
        yield found
        found.close()


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
