"""A container engine as a backend: only where it is named, and then that or nothing.

Here the engine is a stand-in that makes its containers with bubblewrap. Name a real one in
ARCHON_TEST_SANDBOX_CONTAINER, such as `podman python:3.12-slim`, and these tests use it; with
ARCHON_TEST_SANDBOX_LEVEL=container, so do the other tests of the sandbox.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from pathlib import Path

import pytest

from archon.errors import ConfigError
from archon.sandbox import (
    BACKENDS,
    Backend,
    Limits,
    Sandbox,
    SandboxUnavailable,
    choose,
    known,
    ladder,
    offered,
)
from archon.sandbox.backends import interpreter
from archon.sandbox.containers import VARIABLE, Container, configured
from archon.sandbox.faults import Infrastructure
from archon.sandbox.workers import Worker
from tests.sandbox.attacks import ATTACKS, SUCCEED_WITHOUT, children
from tests.sandbox.conftest import REAL_CONTAINER, made
from tests.sandbox.test_attacks import THIS, Who, finished, start
from tests.sandbox.test_workers import descriptors, gone

ENGINE = """#!{python} -ISB
import json, os, sys
words = sys.argv[1:]
with open({log!r}, "a") as log:
    print(json.dumps([words, dict(os.environ)]), file=log)
if words[:2] == ["image", "inspect"]:
    if words[-1] != "here":
        sys.exit("Error: no such image: " + words[-1])
    print("sha256:1234")
    sys.exit(0)
assert words[0] == "run"
at = words.index("here")
options, rest = words[1:at], words[at + 1:]
taken = list(zip(options, options[1:]))
entry = dict(taken)["--entrypoint"]
assert entry == "python3"
box = ["bwrap", "--unshare-all", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]
box += ["--die-with-parent", "--clearenv", "--setenv", "IMAGE_HAS", "its own", "--dev", "/dev"]
for path in {system!r}:
    box += ["--ro-bind-try", path, path]
for option, value in taken:
    if option == "--volume":
        parts = value.split(":")
        box += ["--ro-bind" if parts[2:] == ["ro"] else "--bind", *parts[:2]]
    if option == "--env":
        box += ["--setenv", *value.split("=", 1)]
os.execvp("bwrap", [*box, "--chdir", "/", {inside!r}, *rest])
"""
SYSTEM = ["/usr", "/lib", "/lib64", "/etc/ld.so.cache", sys.base_prefix]


@dataclasses.dataclass(frozen=True)
class Engine:
    """An engine that can be named, and what it has been asked."""

    words: str
    log: Path

    def asked(self) -> list[tuple[list[str], dict[str, str]]]:
        return [tuple(json.loads(line)) for line in self.log.read_text().splitlines()]

    def ran(self) -> tuple[list[str], dict[str, str]]:
        return next(entry for entry in self.asked() if entry[0][0] == "run")


async def settled(files: int) -> None:
    """See that no descriptor stays, once what was left to end by itself has ended."""
    for _ in range(100):
        if descriptors() <= files:
            return
        await asyncio.sleep(0.05)
    assert descriptors() <= files


@pytest.fixture
def stand_in(usable: dict[int, Backend], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    if 3 not in usable:
        pytest.skip("the stand-in for an engine needs bubblewrap, which does not work here")
    log, path = tmp_path / "asked", tmp_path / "engine"
    path.write_text(
        ENGINE.format(python=interpreter(), log=str(log), system=SYSTEM, inside=interpreter())
    )
    path.chmod(0o755)
    monkeypatch.setenv(VARIABLE, f"{path} here")
    return Engine(f"{path} here", log)


@pytest.fixture
def container(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Container:
    """The real one if there is one, else the stand-in."""
    if REAL_CONTAINER:
        monkeypatch.setenv(VARIABLE, REAL_CONTAINER)
    else:
        request.getfixturevalue("stand_in")
    found = configured()
    assert found is not None
    return found


def test_no_engine_is_used_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert configured() is None
    assert known() == offered() == BACKENDS


def test_the_one_that_is_named_is_probed_and_chosen(container: Container) -> None:
    answer = ladder.probe(container)
    assert answer.works, answer.reason
    assert answer.escaped == ()
    assert answer.level == 3
    chosen = choose(3)
    assert chosen.name == container.name
    assert [backend.name for backend in known()] == [container.name, *(b.name for b in BACKENDS)]


def test_code_runs_in_it_and_verdicts_say_so(container: Container, tmp_path: Path) -> None:
    (tmp_path / "granted.py").write_text("VALUE = 7")
    tmp_path.chmod(0o755)
    (tmp_path / "granted.py").chmod(0o644)

    async def work() -> None:
        before, files = children(), descriptors()
        sandbox = made(container, packages=[str(tmp_path)], size=1)
        source = "import granted\ndef f(x):\n    x.append(granted.VALUE)\n    return len(x)"
        tests = ["y = [1]\nassert f(y) == 2 and y == [1, 7]", "assert f([]) == 0"]
        report = await sandbox.check(source, tests, entry_point="f")
        assert [v.outcome for v in report.verdicts] == ["pass", "fail"]
        assert (report.stamp.backend, report.stamp.level) == (container.name, 3)
        # Its environment holds what archon gives it, and nothing of the image's.
        told = await sandbox.run_program("import os\nprint(sorted(os.environ))")
        assert "LC_ALL" in told.stdout
        assert "IMAGE_HAS" not in told.stdout
        ran = await sandbox.run_program("while True: pass", limits=Limits(seconds=0.3))
        assert ran.outcome == "timeout"
        sandbox.close()
        assert not await gone(before, 20)
        await settled(files)

    asyncio.run(work())


def test_attacks_reach_nothing_through_it(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that do come through where only limits are set; all of them in the slow suite."""
    _no_effect(SUCCEED_WITHOUT)


@pytest.mark.slow
def test_no_attack_reaches_anything_through_it(container: Container) -> None:
    # The number of processes is limited by engines; the stand-in, run by root, has no such limit.
    beyond = () if REAL_CONTAINER else ("thread bomb",)
    _no_effect(tuple(name for name in ATTACKS if name not in beyond))


def _no_effect(names: tuple[str, ...]) -> None:
    found = finished(start(Who(THIS, sys.executable), "container", names))
    assert {name: what for name, what in found["reached"].items() if what} == {}
    assert found["survivors"] == 0


def test_the_engine_is_asked_for_a_hardened_container(
    stand_in: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-planted")
    monkeypatch.setenv("HTTP_PROXY", "http://user:sk-planted@localhost")
    backend = choose(3, cached=False)
    words, environment = stand_in.ran()
    text = " ".join(words)
    for option in (
        "--network none", "--cap-drop ALL", "--read-only", "--user 65534:65534", "--rm",
        "--pids-limit ", "--memory ", "--security-opt no-new-privileges", "--pull never",
    ):  # fmt: skip
        assert option in text
    mounts = [word for at, word in enumerate(words) if words[at - 1] == "--volume"]
    assert len(mounts) == 1  # the control socket
    assert not any("sk-planted" in json.dumps(entry) for entry in stand_in.asked())
    assert "PATH" in environment
    assert backend.identity()[-1] == "sha256:1234"


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("archon-no-such-engine here", "is not installed"),
        ("ENGINE elsewhere", "no such image: elsewhere"),
        ("/bin/false here", "it failed without a word"),
    ],
)
def test_one_that_does_not_work_is_not_replaced(
    named: str, reason: str, stand_in: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, named.replace("ENGINE", stand_in.words.split()[0]))
    with pytest.raises(SandboxUnavailable) as refused:
        choose()
    assert reason in str(refused.value)
    assert "pull" in str(refused.value)
    assert "bubblewrap" not in str(refused.value)


@pytest.mark.parametrize("named", ["podman", "podman --runtime runc --root", "podman 'x"])
def test_it_has_to_be_named_as_engine_and_image(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, named)
    with pytest.raises(ConfigError, match="an engine and an image"):
        choose()


def test_an_engine_that_fails_to_start_says_why(stand_in: Engine) -> None:
    async def work(*words: str) -> str:
        files = descriptors()
        backend = configured()
        assert backend is not None
        launch = dataclasses.replace(backend.launch(), command=words)
        with pytest.raises(Infrastructure) as failed:
            await Worker.start(launch)
        await settled(files)
        return str(failed.value)

    assert "no such luck" in asyncio.run(work("/bin/sh", "-c", "echo no such luck >&2; exit 1"))
    assert "did not connect" in asyncio.run(work("/bin/true"))
    assert "/nonexistent" in asyncio.run(work("/nonexistent/engine"))


def test_a_start_that_is_cancelled_leaves_nothing(container: Container) -> None:
    async def work() -> None:
        before, files = children(), descriptors()
        launch = container.launch()
        for delay in (0.0, 0.02, 0.05, 0.1, 0.3):
            starting = asyncio.create_task(Worker.start(launch))
            await asyncio.sleep(delay)
            starting.cancel()
            for done in await asyncio.gather(starting, return_exceptions=True):
                if isinstance(done, Worker):
                    done.close()
        assert not await gone(before, 20)
        await settled(files)

    asyncio.run(work())


def test_a_sandbox_opens_on_it(container: Container) -> None:
    async def work() -> str:
        async with Sandbox.open(size=1) as sandbox:
            return (await sandbox.run_program("print(input())", "hello")).stdout

    assert asyncio.run(work()) == "hello\n"
