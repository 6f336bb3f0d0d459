"""The hostile corpus reaches nothing: at both levels, as this user and as another one."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import archon
from archon.sandbox import Backend
from archon.sandbox.containers import VARIABLE
from tests.sandbox.attacks import ATTACKS, SECRET, SUCCEED_WITHOUT

PROGRAM = Path(__file__).with_name("attacks.py")
NOBODY = 65534
THIS, ORDINARY = "this user", "ordinary user"


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
        who = Who(ORDINARY, python, NOBODY)
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
        VARIABLE: os.environ.get(VARIABLE, ""),
        SECRET: f"sk-{secrets.token_hex(12)}",
    }


def start(who: Who, where: str, names: Sequence[str] = ()) -> subprocess.Popen[str]:
    user: dict[str, Any] = {}
    if who.user is not None:
        user = {"user": who.user, "group": who.user, "extra_groups": []}
    return subprocess.Popen(
        [who.python, str(PROGRAM), where, *names],
        env=environment(), cwd="/", text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        **user,
    )  # fmt: skip


Reached = dict[tuple[str, str], dict[str, Any]]
"""What the corpus reached, by who ran it and where."""

EVERYWHERE = pytest.mark.parametrize(
    ("who", "where"), [(who, where) for who in (THIS, ORDINARY) for where in ("3", "2")]
)


def run_everywhere(
    usable: dict[int, Backend], names: Callable[[str, str], Sequence[str]]
) -> Reached:
    """Run attacks as everybody and at every level, two runs at a time."""
    everybody = [Who(THIS, sys.executable), *filter(None, [other()])]
    places = [(who, str(level)) for who in everybody for level in usable]

    def one(place: tuple[Who, str]) -> dict[str, Any]:
        who, where = place
        return finished(start(who, where, names(who.name, where)))

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(one, places))
    return {(who.name, where): found for (who, where), found in zip(places, results, strict=True)}


def finished(run: subprocess.Popen[str]) -> dict[str, Any]:
    out, errors = run.communicate(timeout=280)
    assert run.returncode == 0, errors
    found: dict[str, Any] = json.loads(out)
    return found


def half(who: str, where: str) -> Sequence[str]:
    """Every attack stands in two halves of four: at both levels, and as both users."""
    return list(ATTACKS)[(who == THIS) ^ (where == "3") :: 2]


@pytest.fixture(scope="module")
def halves(usable: dict[int, Backend]) -> Reached:
    return run_everywhere(usable, half)


@pytest.fixture(scope="module")
def whole(usable: dict[int, Backend]) -> Reached:
    return run_everywhere(usable, lambda who, where: list(ATTACKS))


@EVERYWHERE
def test_no_attack_has_any_effect(who: str, where: str, halves: Reached) -> None:
    _nothing_reached(who, where, halves, half(who, where))


def test_each_attack_is_tried_at_both_levels_and_as_both_users() -> None:
    places = [(who, where) for who in (THIS, ORDINARY) for where in ("3", "2")]
    for name in ATTACKS:
        tried = [place for place in places if name in half(*place)]
        assert {who for who, _ in tried} == {THIS, ORDINARY}
        assert {where for _, where in tried} == {"3", "2"}


@pytest.mark.slow
@EVERYWHERE
def test_no_attack_has_any_effect_anywhere(who: str, where: str, whole: Reached) -> None:
    _nothing_reached(who, where, whole, list(ATTACKS))


def _nothing_reached(who: str, where: str, reached: Reached, names: Sequence[str]) -> None:
    if (who, where) not in reached:
        pytest.skip(f"not on this machine: level {where} as {who}")
    found = reached[who, where]
    assert {name: what for name, what in found["reached"].items() if what} == {}
    assert set(found["reached"]) == set(names)
    assert found["survivors"] == 0
    if who == ORDINARY:
        assert found["user"] == NOBODY


def test_there_are_many_attacks_and_all_are_programs() -> None:
    from tests.sandbox.attacks import program

    assert len(ATTACKS) >= 60
    for name in ATTACKS:
        compile(program(name), name, "exec")


def test_the_host_notices_where_nothing_keeps_attacks_in() -> None:
    """Without Landlock and seccomp, harmless ones of the same attacks do come through."""
    found = finished(start(Who(THIS, sys.executable), "1", SUCCEED_WITHOUT))["reached"]
    missed = [name for name, what in found.items() if not what]
    # Where user namespaces are forbidden, that attack fails by itself.
    assert set(missed) <= {"user namespace"}
