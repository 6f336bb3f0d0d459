from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from archon.cli import app

Archon = Callable[..., Result]

ONE = """\
name: one
models: {m: {model: fake/words, max_tokens: 60}}
stages: [generate: {model: m}]
"""
VOTED = """\
name: voted
models: {m: {model: fake/words, max_tokens: 60}}
stages:
  - generate: {model: m, samples: 5}
  - vote
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pool of its own for every test, and a folder of its own to work in."""
    path = tmp_path / "home"
    monkeypatch.setenv("ARCHON_HOME", str(path))
    for name in ("OPENAI_API_KEY", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    (work / "one.yaml").write_text(ONE)
    (work / "voted.yaml").write_text(VOTED)
    return path


@pytest.fixture
def archon() -> Archon:
    """Run the command line in this process."""

    def run(*arguments: str, code: int = 0, input: str | bytes | None = None) -> Result:  # noqa: A002
        result = CliRunner().invoke(app, list(arguments), input=input, prog_name="archon")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


def data(result: Result) -> Any:
    """Return what `--json` printed: nothing else may stand on stdout."""
    return json.loads(result.stdout)
