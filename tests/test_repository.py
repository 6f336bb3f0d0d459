"""The repository itself: its folders, links, sizes, and what must not stand in any file."""

from __future__ import annotations

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    ".ci",
    "archon",
    "benchmarks",
    "configs",
    "docs",
    "examples",
    "layers",
    "search",
    "tests",
}
FILES = {
    ".gitattributes",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "constraints.txt",
    "pyproject.toml",
}
LINKS = {"archon/benchmarks", "archon/configs", "archon/layers", "archon/search"}
LARGEST = 9_000_000

# Written so that this file does not hold what it looks for.
FORBIDDEN = (
    r"/wo" r"rk/(main|shared|\.)",
    r"/ro" r"ot/",
    r"/tmp/" r"w/",
    r"files\.pythonhosted" r"\.org",
    r"pypi" r"\.org/simple",
    r"index" r"[-_]url",
    r"-----BEGIN [A-Z ]*PRIV" r"ATE KEY",
    r"\bsk-[A-Za-z0-9]{20," r"}",
    r"\bHACK" r"\b",
    r"<<<<" r"<<<",
)


@cache
def tracked() -> tuple[str, ...]:
    """Return the files that git knows or would add, without those it ignores."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    names = {name for name in done.stdout.decode().split("\0") if name}
    return tuple(sorted(name for name in names if (ROOT / name).exists()))


def test_only_the_known_things_stand_at_the_top() -> None:
    folders = {name.partition("/")[0] for name in tracked() if "/" in name}
    files = {name for name in tracked() if "/" not in name}
    assert folders <= FOLDERS, f"unexpected folder: {sorted(folders - FOLDERS)}"
    assert files == FILES


def test_the_folders_are_linked_into_the_package() -> None:
    links = {name for name in tracked() if (ROOT / name).is_symlink()}
    assert links == LINKS
    for link in links:
        assert (ROOT / link).readlink() == Path("..") / Path(link).name


def test_no_file_is_too_large() -> None:
    large = [name for name in tracked() if (ROOT / name).lstat().st_size > LARGEST]
    assert not large


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_nothing_of_one_machine_or_one_person_stands_in_a_file(pattern: str) -> None:
    found = []
    for name in tracked():
        path = ROOT / name
        if path.is_symlink() or path.suffix in (".safetensors", ".png", ".npz"):
            continue
        text = path.read_text(encoding="utf-8")
        found += [f"{name}: {hit.group()}" for hit in re.finditer(pattern, text)]
    assert not found


def test_the_changelog_knows_this_version() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d[^\]]*)\]", text, re.MULTILINE)
    assert released[0] == version


def test_the_listed_packages_are_the_folders_with_python_in_them() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["tool"]["setuptools"]["packages"]
    folders = set()
    for top in ("archon", "benchmarks", "configs", "layers", "search"):
        for path in (ROOT / top).rglob("*.py"):
            inside = path.parent.relative_to(ROOT)
            folders.add(".".join(inside.parts if top == "archon" else ("archon", *inside.parts)))
    assert set(listed) == folders


def test_the_pins_hold_one_version_of_everything_that_is_needed() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.\-]+==[A-Za-z0-9_.]+", pin) for pin in pins)
    assert "torch==2.13.0" in pins
    names = [re.sub(r"[-_.]+", "-", pin.partition("==")[0]).lower() for pin in pins]
    assert len(names) == len(set(names))
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(name for extra in extras for name in extra)]
    missing = {re.split(r"[\[>=<~! ]", name)[0].lower() for name in wanted} - set(names)
    assert not missing
