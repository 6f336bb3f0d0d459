"""The hostile corpus reaches nothing: at both levels, as this user and as another one."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import archon
from archon.sandbox import Backend
from tests.sandbox.attacks import ATTACKS, SECRET, SUCCEED_WITHOUT

PROGRAM = Path(__file__).with_name("attacks.py")
NOBODY = 65534


@dataclass(frozen=True)
class Who:
    """Somebody who runs the corpus."""

    name: str
    python: str
    user: int | None = None


@cache
def other() -> Who | None:
    """An ordinary user and an interpreter that it may use; only root can become one."""
    if os.geteuid() != 0:
        return None
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        who = Who("ordinary user", python, NOBODY)
        try:
            done = subprocess.run(
                [python, "-c", "import archon.sandbox"], env=environment(), user=NOBODY,
                group=NOBODY, extra_groups=[], capture_output=True, check=False, cwd="/",
            )  # fmt: skip
        except OSError:
            continue
        if done.returncode == 0:
            return who
    return None


def environment() -> dict[str, str]:
    packages = [path for path in sys.path if path.endswith("site-packages")]
    source = str(Path(archon.__file__).parents[1])
    return {
        "PYTHONPATH": os.pathsep.join([source, *packages]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": os.environ["PATH"],
        SECRET: f"sk-{secrets.token_hex(12)}",
    }


def start(who: Who, level: int, names: Sequence[str] = ()) -> subprocess.Popen[str]:
    user: dict[str, Any] = {}
    if who.user is not None:
        user = {"user": who.user, "group": who.user, "extra_groups": []}
    return subprocess.Popen(
        [who.python, str(PROGRAM), str(level), *names],
        env=environment(), cwd="/", text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        **user,
    )  # fmt: skip


@pytest.fixture(scope="module")
def reached(usable: dict[int, Backend]) -> dict[tuple[str, int], dict[str, Any]]:
    """What the corpus reached, by who ran it and level; all run at the same time."""
    everybody = [Who("this user", sys.executable), *filter(None, [other()])]
    runs = {(who.name, level): start(who, level) for who in everybody for level in usable}
    found = {}
    for key, run in runs.items():
        out, errors = run.communicate(timeout=280)
        assert run.returncode == 0, errors
        found[key] = json.loads(out)
    return found


@pytest.mark.parametrize("level", [3, 2])
@pytest.mark.parametrize("who", ["this user", "ordinary user"])
def test_no_attack_has_any_effect(
    who: str, level: int, reached: dict[tuple[str, int], dict[str, Any]]
) -> None:
    if (who, level) not in reached:
        pytest.skip(f"not on this machine: level {level} as {who}")
    found = reached[who, level]
    assert {name: what for name, what in found["reached"].items() if what} == {}
    assert found["reached"].keys() == ATTACKS.keys()
    assert found["survivors"] == 0
    if who == "ordinary user":
        assert found["user"] == NOBODY


def test_there_are_many_attacks_and_all_are_programs() -> None:
    from tests.sandbox.attacks import program

    assert len(ATTACKS) >= 60
    for name in ATTACKS:
        compile(program(name), name, "exec")


def test_the_host_notices_where_nothing_keeps_attacks_in() -> None:
    """Without Landlock and seccomp, harmless ones of the same attacks do come through."""
    run = start(Who("this user", sys.executable), 1, SUCCEED_WITHOUT)
    out, errors = run.communicate(timeout=100)
    assert run.returncode == 0, errors
    found = json.loads(out)["reached"]
    missed = [name for name, what in found.items() if not what]
    # Where user namespaces are forbidden, that attack fails by itself.
    assert set(missed) <= {"user namespace"}
