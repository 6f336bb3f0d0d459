"""Every example runs as a user would run it, on the embedded model."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SHOWN = {
    "compare.py": (
        ["20"],
        r"local/single .* 1 calls each\n.* 16 calls each\ndifference [-+]0\.\d",
    ),
    "compose.py": ([], r"generate > verify > vote: at most 48 calls\nanswer: \d+; \d+ calls"),
    "custom_layer.py": ([], r"(?s)#### \d+.*\n  [01]\.\d"),
    "langgraph_app.py": ([], r"That makes .+, after \d+ calls\."),
}


def test_every_example_is_known() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_it_runs(name: str, tmp_path: Path) -> None:
    arguments, shown = SHOWN[name]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        cwd=tmp_path,
        env={**os.environ, "ARCHON_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Traceback" not in done.stderr  # such as one from closing at the end
    assert re.search(shown, done.stdout), done.stdout
