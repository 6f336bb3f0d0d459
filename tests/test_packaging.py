"""The wheel holds what the folders hold, and works far away from the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAPPED = ("benchmarks", "configs", "layers", "search")
BUILD_INPUTS = ("pyproject.toml", "README.md", "LICENSE")
PACKAGED = {
    ".py", ".yaml", ".typed", ".json", ".safetensors", ".jinja", ".md", ".txt", ".css", ".js",
    ".npz",
}  # fmt: skip

SMOKE = """
import sys
from pathlib import Path

import archon
from archon import benchmarks, layers, search
from archon.backends.fake import Fake
from archon.config import shipped

assert Path(archon.__file__).is_relative_to(sys.prefix), archon.__file__
assert Path(layers.__file__).is_relative_to(sys.prefix), layers.__file__
assert archon.__version__ == sys.argv[1], archon.__version__
assert "local/single" in shipped(), sorted(shipped())
for name in shipped():
    archon.load(name)
with archon.Session(pool=None, backends={"fake": Fake(lambda request, draw: "four")}) as session:
    arch = archon.loads("stages: [generate: {model: fake/a, samples: 2}]")
    assert archon.run(arch, "2 + 2?", session=session).answer == "four"
for name in ("layers", "search", "benchmarks", "configs"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError(f"{name} is importable at the top level")
"""


def sh(*command: str | Path, cwd: Path, **env: str) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("COV_", "PYTHON", "PIP_"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def ignored(folder: str, names: Sequence[str]) -> set[str]:
    return {name for name in names if name == "__pycache__" or name.endswith(".egg-info")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy, through the source distribution, without isolation: no network."""
    source = tmp_path_factory.mktemp("source")
    for name in ("archon", *MAPPED):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for name in BUILD_INPUTS:
        shutil.copy(ROOT / name, source / name)
    out = tmp_path_factory.mktemp("dist")
    sh(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source, cwd=out)
    [built] = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a new environment with the wheel, which sees the dependencies and not the repository.

    A path in a .pth file is searched for modules, but its own .pth files, such as that of an
    editable installation, are not read.
    """
    home = tmp_path_factory.mktemp("fresh") / "venv"
    sh(sys.executable, "-m", "venv", "--without-pip", home, cwd=home.parent)
    paths = {"base": str(home), "platbase": str(home)}
    site = Path(sysconfig.get_path("purelib", vars=paths))
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    python = Path(sysconfig.get_path("scripts", vars=paths)) / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    sh(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=home.parent)
    return python


def in_folders() -> set[str]:
    """Return every file that belongs into the wheel, by its path there."""
    found = set()
    for name in ("archon", *MAPPED):
        for path in sorted((ROOT / name).rglob("*")):  # does not follow the links in archon/
            inside = path.relative_to(ROOT).as_posix()
            if path.is_file() and not path.is_symlink() and path.suffix in PACKAGED:
                found.add(inside if name == "archon" else f"archon/{inside}")
    return found


def test_the_wheel_holds_what_the_folders_hold(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == in_folders()


def test_the_wheel_works_from_another_directory(python: Path, tmp_path: Path) -> None:
    from archon import __version__

    sh(python, "-W", "error", "-c", SMOKE, __version__, cwd=tmp_path, ARCHON_HOME=str(tmp_path))


def test_the_command_works_from_another_directory(python: Path, tmp_path: Path) -> None:
    command = python.parent / "archon"
    assert "plan" in sh(command, "--help", cwd=tmp_path, ARCHON_HOME=str(tmp_path))
    plan = sh(command, "plan", "self-consistency", cwd=tmp_path, ARCHON_HOME=str(tmp_path))
    assert "generate" in plan
