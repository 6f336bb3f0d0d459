"""The performance benchmarks run and say what they found; what they found is not judged here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

import archon
from archon.benchmarks.perf import __main__ as program
from archon.benchmarks.perf import report, waves
from archon.benchmarks.perf.figures import Benchmark, Figure, Group, Line, Target
from archon.benchmarks.perf.judge import say
from archon.benchmarks.perf.rig import Client, environment
from archon.testing.provider import Provider

APP = typer.Typer()
APP.command()(program.main)


def call(*arguments: str) -> Any:
    """Run the program and return its JSON."""
    result = CliRunner().invoke(APP, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def numbers(found: Any) -> dict[tuple[str, str, str], dict[str, float]]:
    """Return every figure by group, client and name."""
    return {
        (group["name"], line["client"], name): figure
        for benchmark in found["benchmarks"]
        for group in benchmark["groups"]
        for line in group["lines"]
        for name, figure in line["figures"].items()
    }


def test_the_program_measures_from_end_to_end(tmp_path: Path) -> None:
    """The counts of B5 and B6 depend on no clock, so they are demanded: nothing is paid twice."""
    file = tmp_path / "found.json"
    found = call("B1", "B5", "B6", "--quick", "--scale", "0.05", "--out", str(file))
    assert found == json.loads(file.read_text(encoding="utf-8"))
    assert [benchmark["id"] for benchmark in found["benchmarks"]] == ["B1", "B5", "B6"]
    assert found["machine"]["cores"] >= 1
    assert str(Path.home()) not in file.read_text(encoding="utf-8")
    for figure in numbers(found).values():
        assert figure["low"] <= figure["median"] <= figure["high"]
    targets = [target for benchmark in found["benchmarks"] for target in benchmark["targets"]]
    missed = [t["what"] for t in targets if not t["met"] and "ms " not in t["what"]]
    assert not missed


def test_every_judging_layer_can_read_the_scripted_judge() -> None:
    with Provider(script=say) as provider, archon.Session(pool=None) as session:
        for yaml, calls in ((waves.BEST, 128), (waves.STACK, 67)):
            arch = archon.loads(yaml.replace("URL", f"{provider.url}/v1"))
            result = archon.run(arch, "What is 6 * 7?", session=session)
            assert result.answer
            assert not result.warnings
            assert result.used.calls == calls


def test_ratios_are_taken_within_a_repetition() -> None:
    floor = Line("floor", [{"cpu_ms": 1.0}, {"cpu_ms": 2.0}, {"cpu_ms": 4.0}])
    ours = Line("ours", [{"cpu_ms": 2.0}, {"cpu_ms": 5.0}, {"cpu_ms": 4.0}])
    assert ours.ratio(floor, "cpu_ms") == Figure(2.0, 1.0, 2.5)
    assert ours.ratio(floor, "absent") is None
    assert floor.figures()["cpu_ms"] == Figure(2.0, 1.0, 4.0)


def test_the_table_says_what_was_met_and_what_was_missed(tmp_path: Path) -> None:
    lines = [Line("floor", [{"cpu_ms": 1.0}]), Line("ours", [{"cpu_ms": 1234.0}])]
    group = Group("calls", {}, lines, ("cpu_ms", "absent"), ("cpu_ms",))
    targets = [Target("this", 1.0, 2.0), Target("that", 1.0, 2.0, at_most=False)]
    with (tmp_path / "table.txt").open("w", encoding="utf-8") as file:
        report.show(Console(width=100, file=file), Benchmark("B0", "Test", [group], targets))
    text = (tmp_path / "table.txt").read_text(encoding="utf-8")
    assert "1,234" in text
    assert "met    this" in text
    assert "missed that" in text


def test_a_client_that_fails_says_why() -> None:
    job = {"url": "http://127.0.0.1:9/v1", "n": 1, "concurrency": 1}
    with pytest.raises(RuntimeError, match=r"client nobody failed:\n(.|\n)*No such file"):
        Client("nobody", "nobody").run(job)


def test_clients_see_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    assert "secret" not in environment().values()
    assert "HTTPS_PROXY" not in environment()


@pytest.mark.parametrize("words", [["B9"], ["B2", "--rivals", "dspi"]])
def test_an_unknown_name_is_refused(words: list[str]) -> None:
    result = CliRunner().invoke(APP, words)
    assert result.exit_code == 2
    assert "unknown" in result.output
