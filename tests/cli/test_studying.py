"""`archon search` as a command: a study from its file to its winner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import archon as package
from archon.cli.studying import lines
from archon.search import Standing, StudyProgress
from archon.types import Usage
from tests.cli.conftest import Archon, data

FILE = """\
name: words
space:
  models:
    m: {model: fake/words, max_tokens: 60, temperature: !choice [0.2, 0.9]}
  stages:
    - generate: {model: m, samples: !choice [1, 3]}
    - !choice {name: pick, of: {first: [], vote: vote}}
benchmark: {name: arithmetic, level: 1}
items: {dev: 16, confirm: 16, test: 30}
searcher: {name: random, items: 8}
seeds: [single]
trials: 3
"""


@pytest.fixture(autouse=True)
def _file() -> None:
    Path("words.yaml").write_text(FILE)


def test_a_study_is_run_exported_and_gone_on_with(archon: Archon, home: Path) -> None:
    said = archon("search", "words.yaml", "--export", "best.yaml")
    assert "trials of 3 of 6 architectures" in said.stdout or "of 3 of" in said.stdout
    assert "nothing is claimed" in said.stdout
    assert "the best single model" in said.stdout
    exported = package.load("best.yaml").check()
    again = data(archon("search", "words.yaml", "--json"))
    assert again["found"]["winner"]["digest"] == exported.digest()
    assert again["found"]["looks"] == 1  # it was printed again, not looked at again
    assert again["spent"]["calls"] > 0
    assert (home / "studies" / "words" / "journal.log").exists()
    settings = json.loads((home / "studies" / "words" / "study.json").read_text())["settings"]
    assert settings["searcher"] == {"name": "random", "items": 8}
    wrong = archon("search", "words.yaml", "--searcher", "tpe", code=2).stderr
    assert "was begun with searcher." in wrong


def test_what_cannot_work_is_told_before_anything_runs(archon: Archon) -> None:
    assert "no study 'words' yet" in archon("search", "words.yaml", "--join", code=2).stderr
    assert "--benchmark" in archon("search", "words.yaml", "--level", "2", code=2).stderr
    assert "did you mean 'race'" in archon(
        "search", "words.yaml", "--searcher", "rase", code=2
    ).stderr  # fmt: skip


def test_progress_in_lines() -> None:
    progress = StudyProgress(
        "search", 12, 5, 1, Standing(3, 0.62, 0.02, 0.9), "generate > vote",
        Usage(100, 1000, 200, 5000), 0.4, 0.3, 350, 60, 2, "the scorer gave nan",
    )  # fmt: skip
    assert lines(progress) == {
        "trials": "12 of 5 architectures, 1 failed",
        "best so far": "62.0 (95 % 58.1 to 65.9): generate > vote",
        "out of the race": "2, less than 5 % likely to be within a point",
        "spent": "100 calls, $0.005; 40 % of the budget left, 30 % are the reserve",
        "without sharing": "350 calls",
        "last failure": "the scorer gave nan",
    }
