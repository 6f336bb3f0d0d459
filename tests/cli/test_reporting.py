from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import typer

from archon.cli import reporting
from archon.report import building
from archon.search.record import keep_record, record_of
from tests.cli.conftest import Archon, data
from tests.report.studied import Studied


@pytest.fixture
def runs(archon: Archon) -> list[str]:
    """Two evaluations, by name, the older first."""
    archon("eval", "one.yaml", "voted.yaml", "-b", "arithmetic", "-n", "8")
    return [run["id"] for run in data(archon("runs", "--json"))][::-1]


def test_a_report_of_real_evaluations(archon: Archon, runs: list[str]) -> None:
    said = archon("report", *runs).stderr
    assert re.search(r"wrote report\.html \(0\.\d MB\)", said)
    page = Path("report.html").read_text(encoding="utf-8")
    assert "arithmetic, test split" in page
    for part in ("Cost of each node of voted", "Picture of voted", "samples: 5"):
        assert part in page
    archon("report", "--last", "2", "--out", "again.html")
    again = Path("again.html").read_text(encoding="utf-8")
    made = re.compile(r"Written [^<]*")
    assert made.sub("", again) == made.sub("", page)


def test_a_report_as_json(archon: Archon, runs: list[str]) -> None:
    found = data(archon("report", *runs, "--json", "--items", "3"))
    assert not Path("report.html").exists()
    [one] = found["sets"]
    assert [run["label"] for run in one["runs"]] == ["one", "voted"]
    assert one["pairwise"]["pairs"][0]["difference"]["n"] == 8
    items = found["items"]
    assert (items["total"], items["detailed"]) == (8, 3)
    detailed = [item for item in items["list"] if item["details"]]
    trail = detailed[0]["details"]["runs"]["1"]["trail"]
    assert [node["path"] for node in trail["nodes"]] == ["generate", "vote"]
    assert len(trail["candidates"]) == 5
    assert found["nodes"]["voted"]["generate"]["used"]["calls"] == 40


def test_open(archon: Archon, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    status = [0, 1]

    def launch(address: str) -> int:
        opened.append(address)
        return status.pop(0)

    monkeypatch.setattr(typer, "launch", launch)
    assert "no browser" not in archon("report", runs[0], "--open").stderr
    assert opened == [Path("report.html").resolve().as_uri()]
    assert "no browser could be opened; the page is report.html" in (
        archon("report", runs[0], "--open").stderr
    )


def test_mistakes(archon: Archon, runs: list[str]) -> None:
    assert "name the runs to report on, or say --last N" in archon("report", code=2).stderr
    both = archon("report", runs[0], "--last", "1", code=2)
    assert "or say --last N" in both.stderr
    wrong = archon("report", f"{runs[0][:-1]}x", code=2).stderr
    assert f"did you mean '{runs[0]}'" in wrong
    assert "the newest: " in wrong
    assert "no run or study 'zz'; the newest: " in archon("report", "zz", code=2).stderr
    nowhere = archon("report", runs[0], "--out", "no/such/place.html", code=2).stderr
    assert "place.html: cannot be written: no such file or directory" in nowhere
    archon("run", "one.yaml", "2 + 2?")
    [single] = [r["id"] for r in data(archon("runs", "--json")) if r["what"] == "run"]
    assert "answered one question" in archon("report", single, code=2).stderr


def test_nothing_was_evaluated_yet(archon: Archon) -> None:
    assert "nothing was evaluated yet" in archon("report", "--last", "3", code=2).stderr


def test_the_command_and_the_function_keep_as_many_items() -> None:
    default = inspect.signature(reporting.report).parameters["items"].default
    assert default == building.ITEMS


def test_a_report_of_a_study(archon: Archon, runs: list[str], home: Path) -> None:
    folder = home / "studies" / "toy"
    folder.mkdir(parents=True)
    keep_record(folder, record_of(Studied(arms=range(8)).make()))
    assert re.search(
        r"wrote toy\.html \(0\.\d MB\)", archon("report", "toy", "-o", "toy.html").stderr
    )
    assert "Study toy" in Path("toy.html").read_text(encoding="utf-8")
    by_folder = data(archon("report", str(folder), "--json"))
    assert by_folder == data(archon("report", "toy", "--json"))
    assert len(by_folder["study"]["trials"]) == 8
    assert (
        "'toy' is a study: a report is on one study"
        in archon("report", runs[0], "toy", code=2).stderr
    )
    (folder / "study.json").write_text("{}")
    said = archon("report", "toi", code=2).stderr
    assert "no run or study 'toi'; did you mean 'toy'?" in said
    (folder / "record.json").write_text("no")
    assert "is no record of a study" in archon("report", "toy", code=2).stderr
