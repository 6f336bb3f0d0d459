"""B4: what it takes to start, and to be installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import archon
from archon.benchmarks.perf import rivals
from archon.benchmarks.perf.figures import Benchmark, Found, Group, Line
from archon.benchmarks.perf.rig import Options, environment

__all__ = ["starts"]

_LAUNCH = Path(__file__).parent / "clients" / "launch.py"
_COUNT = (
    "import atexit, os, sys;"
    "atexit.register(lambda: os.write(2, f'MODULES {len(sys.modules)}'.encode()));"
)
PROGRAMS = {
    "python -c pass": "pass",
    "import archon": "import archon",
    "archon --help": "sys.argv = ['archon', '--help']; from archon.cli import main; main()",
    "ready to run": (
        "import archon, asyncio\n"
        "from archon.api import arun\n"
        "from archon.model import Model\n"
        "async def ready():\n"
        "    session = archon.Session(sys.argv[1])\n"
        "    model = Model('hosted_vllm/scripted', base_url='http://127.0.0.1:9/v1')\n"
        "    session.gateway().check([model])\n"
        "    await session.aclose()\n"
        "asyncio.run(ready())"
    ),
}
"""What is started; the last makes all that a first call needs: session, pool file, backend."""
IMPORTS = {"litellm": "litellm", "its_hub": "its_hub.core.orchestrator", "dspy": "dspy",
           "inspect": "inspect_ai.model"}  # fmt: skip


def starts(options: Options) -> Benchmark:
    """B4: fresh interpreters, measured from outside; and the size of what pip installs."""
    found = Benchmark("B4", "Cold start and footprint")
    programs = {name: (sys.executable, code) for name, code in PROGRAMS.items()}
    for name, client in zip(
        options.rivals, rivals.clients(options.rivals, options.tell), strict=True
    ):
        programs[f"import {client.name}"] = (client.python, f"import {IMPORTS[name]}")
    lines = [Line(name) for name in programs]
    for repetition in range(options.repeat + 1):
        for line, (python, code) in zip(lines, programs.values(), strict=True):
            options.tell(f"cold start: {line.name} ({repetition} of {options.repeat})")
            run = _start(python, code)
            if repetition:  # the first one only fills the page cache
                line.runs.append(run)
    found.groups.append(
        Group("fresh interpreters, page cache warm", {}, lines, ("cpu", "wall", "mb", "modules"))
    )
    found.groups.append(
        Group(
            "installed, MB on disk", {"extras": "none"},
            [Line(name, [{"disk_mb": mb}]) for name, mb in _sizes().items()], ("disk_mb",),
        )
    )  # fmt: skip
    return found


def _start(python: str, code: str) -> Found:
    with tempfile.TemporaryDirectory(prefix="archon-perf-") as folder:
        pool = str(Path(folder) / "pool.db")
        done = subprocess.run(  # noqa: S603 (our own words)
            [sys.executable, "-I", "-S", str(_LAUNCH), python, "-c", _COUNT + code, pool],
            capture_output=True,
            text=True,
            check=True,
            env={**environment(), "ARCHON_HOME": folder},
            cwd=folder,
        )
    found: dict[str, float] = json.loads(done.stdout)
    modules = re.search(r"MODULES (\d+)", done.stderr)
    if found.pop("code") or modules is None:
        raise RuntimeError(f"{code!r} failed:\n{done.stderr[-2000:]}")
    return {**found, "modules": int(modules.group(1))}


def _sizes() -> dict[str, float]:
    """Return the size of archon, of all that it needs, and of the largest of those."""
    root = Path(archon.__file__).parent
    sizes = {"archon itself": sum(map(_size, root.rglob("*"))) / 1e6}
    parts = {name: _installed(found) / 1e6 for name, found in _needed("archon-itas").items()}
    sizes[f"archon and its {len(parts)} dependencies"] = sizes["archon itself"] + sum(
        parts.values()
    )
    largest = sorted(parts, key=lambda name: -parts[name])[:6]
    return sizes | {f"of that {name}": parts[name] for name in largest}


def _size(path: Path) -> int:
    kept = path.is_file() and "__pycache__" not in path.parts
    return path.stat().st_size if kept else 0


def _installed(found: Distribution) -> int:
    return sum(_size(Path(str(found.locate_file(file)))) for file in found.files or ())


def _needed(name: str) -> dict[str, Distribution]:
    """Return all that a distribution requires without extras, itself left out."""
    found: dict[str, Distribution] = {}
    waiting = _requires(name)
    while waiting:
        other = waiting.pop()
        if other in found:
            continue
        try:
            found[other] = distribution(other)
        except PackageNotFoundError:  # for another system
            continue
        waiting += _requires(other)
    return found


def _requires(name: str) -> list[str]:
    listed = [text for text in distribution(name).requires or () if "extra ==" not in text]
    names = (re.match(r"[A-Za-z0-9._-]+", text) for text in listed)
    return [re.sub(r"[-_.]+", "-", found.group()).lower() for found in names if found]
