"""Other clients, each in an environment of its own, made on demand and kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from archon.benchmarks.perf.rig import Client

__all__ = ["RIVALS", "clients"]


@dataclass(frozen=True, slots=True)
class Rival:
    """A package that can be measured beside ours.

    Attributes:
        program: the client that drives it.
        packages: what pip installs; empty: it is in our own environment.
    """

    program: str
    packages: tuple[str, ...] = ()

    def client(self, name: str, tell: Callable[[str], None]) -> Client:
        """Return its client, installing it first where need be."""
        python = _environment(name, self.packages, tell) if self.packages else sys.executable
        return Client(" ".join((name, *_version(self.packages))), self.program, python)


RIVALS = {
    "litellm": Rival("bare_litellm"),
    "its_hub": Rival("rival_its_hub", ("its_hub[lm]==1.2.0",)),
    "dspy": Rival("rival_dspy", ("dspy==3.4.1",)),
    "inspect": Rival("rival_inspect", ("inspect-ai==0.3.285", "openai")),
}
"""By the name that `--rivals` takes."""


def clients(names: Sequence[str], tell: Callable[[str], None]) -> list[Client]:
    """Return the clients of rivals by name."""
    return [RIVALS[name].client(name, tell) for name in names]


def _version(packages: Sequence[str]) -> list[str]:
    return [package.partition("==")[2] for package in packages[:1]]


def _environment(name: str, packages: Sequence[str], tell: Callable[[str], None]) -> str:
    """Return the interpreter of an environment that has the packages."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "archon-perf" / "venvs" / "-".join((name, *_version(packages)))
    python, ready = home / "bin" / "python", home / ".ready"
    if not ready.exists():
        tell(f"installing {' '.join(packages)} into {home}")
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for command in ([sys.executable, "-m", "venv", str(home)], [*pip, *packages]):
            subprocess.run(command, check=True)  # noqa: S603 (names and versions are ours)
        ready.touch()
    return str(python)
