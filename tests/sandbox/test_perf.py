"""The program that measures: it judges that figures are there, never what they are."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from archon.benchmarks.perf.sandbox import TARGETS, main
from archon.sandbox import Backend


@pytest.mark.slow
def test_every_backend_that_works_is_measured(usable: dict[int, Backend]) -> None:
    app = typer.Typer()
    app.command()(main)
    done = CliRunner().invoke(app, ["--json", "--quick"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert set(found["backends"]) == {backend.name for backend in usable.values()}
    for figures in found["backends"].values():
        assert TARGETS.keys() <= figures.keys()
        assert all(value > 0 for value in figures.values())
