"""Backends are probed and never assumed; what is too weak is refused, with what would mend it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from archon.cli.sandboxing import sandbox as command
from archon.errors import ConfigError
from archon.sandbox import (
    BACKENDS,
    CONSENT,
    Backend,
    Limits,
    Sandbox,
    SandboxUnavailable,
    choose,
    ladder,
)
from archon.sandbox.backends import Bubblewrap, Kernel, Nothing
from archon.sandbox.canaries import CANARIES
from archon.sandbox.launching import Launch
from tests.sandbox.test_attacks import environment


@pytest.fixture
def backend(usable: dict[int, Backend]) -> Backend:
    """The strongest one, whatever level the other tests are for."""
    if not usable:
        pytest.skip("nothing on this machine may execute untrusted code")
    return usable[max(usable)]


class Changed:
    """A backend whose launch is changed: it says one thing and does another."""

    def __init__(self, inner: Backend, change: Callable[[Launch], Launch], level: int = 2) -> None:
        self.name = "changed"
        self.level = level
        self.about = ""
        self.remedy = "mend it"
        self._inner = inner
        self._change = change

    def launch(self, packages: Sequence[str] = ()) -> Launch:
        return self._change(self._inner.launch(packages))

    def identity(self) -> Sequence[str | int]:
        return ("changed",)


def setting(**settings: Any) -> Callable[[Launch], Launch]:
    return lambda launch: dataclasses.replace(launch, settings={**launch.settings, **settings})


def command_of(*words: str) -> Callable[[Launch], Launch]:
    return lambda launch: dataclasses.replace(launch, command=list(words))


BROKEN: dict[str, tuple[Callable[[Launch], Launch], str]] = {
    "no Landlock, no filter": (setting(kernel=False), "fork"),
    "everything may be read": (
        setting(readable=["/"]),
        "a child ended before",
    ),  # it was given code
    "temporary files may be read": (
        lambda launch: setting(readable=[*launch.settings["readable"], tempfile.gettempdir()])(
            launch
        ),
        "read a secret file",
    ),
    "the interpreter is no interpreter": (command_of("/bin/true"), ""),
    "the interpreter is missing": (command_of("/nonexistent/python"), "/nonexistent/python"),
    "it hangs up at once": (command_of("/bin/sh", "-c", "echo broken >&2; exit 1"), "broken"),
    "no module can be found": (setting(paths=["/nonexistent"]), ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_backend_is_rejected(name: str, usable: dict[int, Backend]) -> None:
    if 2 not in usable:
        pytest.skip("no Landlock here")
    change, reason = BROKEN[name]
    answer = ladder.probe(Changed(Kernel(), change))
    assert not answer.works
    assert reason in answer.reason
    with pytest.raises(SandboxUnavailable):
        choose(backends=[Changed(Kernel(), change)])


def test_the_probe_is_many_canaries_and_quick(backend: Backend) -> None:
    assert len(CANARIES) >= 12
    start = time.perf_counter()
    assert ladder.probe(backend).escaped == ()
    assert time.perf_counter() - start < 15  # some 0.3 s on a quiet machine


def test_without_anything_most_canaries_come_through() -> None:
    answer = ladder.probe(Nothing())
    assert answer.works
    assert answer.level == 1
    expected = {
        "read a secret file", "connect by TCP", "send by UDP", "fork", "run another program",
        "connect to a unix socket", "connect to an abstract socket",
    }  # fmt: skip
    assert expected <= set(answer.escaped)


def test_the_strongest_is_chosen(usable: dict[int, Backend], backend: Backend) -> None:
    assert choose() is backend
    if 3 not in usable:
        with pytest.raises(SandboxUnavailable):
            choose(3)


def test_without_bubblewrap_it_is_level_2(
    usable: dict[int, Backend], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if 2 not in usable:
        pytest.skip("no Landlock here")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose().level == 2
    with pytest.raises(SandboxUnavailable) as refused:
        choose(min_level=3)
    said = str(refused.value)
    assert "bubblewrap (level 3): bwrap is not installed" in said
    assert "apt-get install bubblewrap" in said
    assert "archon sandbox" in said


def denied() -> list[Backend]:
    """Bubblewrap hidden and Landlock refused by the kernel, as where it is not enabled."""

    def broken(launch: Launch) -> Launch:
        # The rules are asked of a kernel that says that it has none.
        return setting(readable=None)(launch)

    class Hidden(Bubblewrap):
        def _binary(self) -> str:
            raise OSError("bwrap is not installed")

    return [Hidden(), Changed(Kernel(), broken), Nothing()]


def test_with_neither_it_refuses_and_says_what_would_help() -> None:
    with pytest.raises(SandboxUnavailable) as refused:
        choose(backends=denied())
    said = str(refused.value)
    assert "bwrap is not installed" in said
    assert "changed (level 2)" in said
    assert said.count("mend it:") == 2
    assert isinstance(refused.value, ConfigError)
    assert refused.value.exit_code == 2


DENYING = """
import ctypes, struct, sys
from archon.sandbox.inside.seccomp import _Program
from archon.sandbox.inside.syscalls import architecture
step = lambda *words: struct.pack('=HBBI', *words)
code = (step(0x20, 0, 0, 0) + step(0x35, 0, 2, 444) + step(0x25, 1, 0, 446)
        + step(0x06, 0, 0, 0x50000 | 38) + step(0x06, 0, 0, 0x7FFF0000))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(_Program(len(code) // 8, code)), 0, 0) == 0
from archon.sandbox import SandboxUnavailable, choose
try:
    print('chosen', choose().name)
except SandboxUnavailable as error:
    print('refused', error)
"""


@pytest.mark.parametrize("hidden", [True, False])
def test_where_the_kernel_denies_landlock_nothing_is_chosen(hidden: bool, tmp_path: Path) -> None:
    """Its system calls answer `not implemented`, as in a kernel without it, bubblewrap or not."""
    done = subprocess.run(
        [sys.executable, "-c", DENYING],
        env={**environment(), "PATH": str(tmp_path) if hidden else os.environ["PATH"]},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("refused nothing on this machine"), done.stderr
    assert "landlock (level 2): OSError: the kernel has no Landlock" in done.stdout
    if hidden:
        assert "bwrap is not installed" in done.stdout


def test_unsafe_execution_needs_consent_in_these_words_and_is_stamped() -> None:
    for words in ("yes", "i understand", "true"):
        with pytest.raises(ConfigError, match="I understand"):
            choose(allow_unsafe_execution=words, backends=denied())
    with pytest.raises(ConfigError, match="min_level"):
        choose(min_level=1)

    async def work() -> bool:
        async with Sandbox.open(
            allow_unsafe_execution=CONSENT, backends=denied(), size=1
        ) as sandbox:
            report = await sandbox.check(
                "def f(x): return x", ["assert f(1) == 1"], entry_point="f"
            )
            assert report.passed
            assert report.to_json()["unsafe"] is True
            return report.stamp.unsafe

    assert asyncio.run(work())


def test_consent_does_not_choose_the_weakest(backend: Backend) -> None:
    assert choose(allow_unsafe_execution=CONSENT).level == backend.level


def test_answers_are_kept_and_failures_are_not(
    archon_home: Path, monkeypatch: pytest.MonkeyPatch, backend: Backend
) -> None:
    archon_home.mkdir()
    monkeypatch.setattr(ladder, "_known", {})
    asked: list[str] = []
    real = ladder.probe

    def counted(backend: Backend) -> ladder.Probed:
        asked.append(backend.name)
        return real(backend)

    monkeypatch.setattr(ladder, "probe", counted)
    choose(backend.level)
    first = list(asked)
    assert backend.name in first
    choose(backend.level)
    monkeypatch.setattr(ladder, "_known", {})  # another process: the file knows
    choose(backend.level)
    assert asked.count(backend.name) == 1
    stored = archon_home / "sandbox.json"
    assert backend.name in {row["backend"] for row in json.loads(stored.read_text()).values()}
    stored.write_text("[damaged", encoding="utf-8")
    monkeypatch.setattr(ladder, "_known", {})
    choose(backend.level)
    assert asked.count(backend.name) == 2


def test_another_binary_is_probed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = tmp_path / "bwrap"
    monkeypatch.setenv("PATH", str(tmp_path))
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    first = ladder._key(Bubblewrap())
    assert ladder._key(Bubblewrap()) == first
    os.utime(binary, (1, 1))
    assert ladder._key(Bubblewrap()) != first


def test_choosing_works_inside_a_running_loop(backend: Backend) -> None:
    async def work() -> Backend:
        return choose(backend.level, cached=False)

    assert asyncio.run(work()) is backend


def test_the_policy_names_all_that_matters(backend: Backend) -> None:
    digests = {
        ladder.policy(backend, Limits()),
        ladder.policy(backend, Limits(memory_bytes=1 << 30)),
        ladder.policy(backend, Limits(), ("/opt/packages",)),
        ladder.policy(Nothing(), Limits()),
    }
    assert len(digests) == 4


def run_command(*arguments: str) -> Any:
    import typer

    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(arguments))


def test_the_command_shows_every_backend(backend: Backend) -> None:
    done = run_command("--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["chosen"] == backend.name
    assert [row["backend"] for row in found["backends"]] == [b.name for b in BACKENDS]
    shown = run_command()
    assert shown.exit_code == 0
    assert f"a model's code runs in: {backend.name}" in shown.stdout


def test_the_command_fails_where_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    weak = [Changed(Kernel(), setting(kernel=False))]
    real = ladder.survey
    monkeypatch.setattr("archon.sandbox.survey", lambda: real(weak))
    monkeypatch.setattr("archon.sandbox.known", lambda: weak)
    monkeypatch.setattr("archon.sandbox.offered", lambda: weak)
    done = run_command()
    assert done.exit_code == 1
    assert "nothing here may execute a model's code" in done.stdout
    assert "mend it" in done.stdout
