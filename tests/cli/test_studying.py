"""`archon search` as a command: a study from its file to its winner."""

from __future__ import annotations

import json
import re
import sqlite3
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


BAD = {
    "an empty space": ("  stages:", "  require: 1 > 2\n  stages:", "the space is empty"),
    "nothing within the limits": (
        "seeds:", "limits: {max: {calls: 0}}\nseeds:", "no architecture fits the limits",
    ),
    "nothing within the budget": (
        "seeds:", "budget: {calls: 2}\nseeds:", "budget of 2 calls pays for no measurement",
    ),
    "an unknown field": ("{model: m, samples:", "{model: m, sampels:", "did you mean 'samples'"),
    "a condition on a missing hole": (
        "of: {first: [], vote: vote}", "of: {first: [], vote: vote}, when: depth > 1",
        "there is no hole 'depth'",
    ),
    "too few items": ("dev: 16", "dev: 5", "5 items for 'dev' are too few for the question"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_search_is_told_in_one_line_and_pays_nothing(
    archon: Archon, home: Path, what: str
) -> None:
    old, new, said = BAD[what]
    assert FILE.count(old) == 1
    Path("words.yaml").write_text(FILE.replace(old, new))
    stderr = archon("search", "words.yaml", code=2).stderr
    assert said in stderr
    assert stderr.count("\n") == 1
    if (home / "pool.db").exists():
        db = sqlite3.connect(home / "pool.db")
        assert db.execute("SELECT count(*) FROM attempts").fetchone() == (0,)
        db.close()


def test_the_same_seed_is_the_same_study(
    archon: Archon, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(folder: str, *more: str) -> dict[str, object]:
        monkeypatch.setenv("ARCHON_HOME", str(home / folder))
        said = data(archon("search", "words.yaml", "--json", *more))
        return {key: said[key] for key in ("trials", "standings", "spent")}

    first = found("a", "--seed", "4")
    assert _timeless(found("b", "--seed", "4")) == _timeless(first)
    assert _timeless(found("c", "--seed", "5")) != _timeless(first)


def _timeless(found: dict[str, object]) -> str:
    return re.sub(r'"(seconds|latency)": [^,}]*', "", json.dumps(found))


GRADE = """\
import hashlib


def grade(answer, item):
    number = int(hashlib.sha256((answer or "").encode()).hexdigest(), 16) % 40
    return float('nan') if number == 0 else number % 2
"""


def test_a_scorer_that_gives_no_number_fails_trials_and_not_the_study(archon: Archon) -> None:
    Path("grade.py").write_text(GRADE)
    rows = [json.dumps({"question": f"Say word {i}", "answer": "x"}) for i in range(120)]
    Path("words.jsonl").write_text("\n".join(rows))
    Path("own.yaml").write_text(
        "{file: words.jsonl, answer: text, scorer: {python: grade.py:grade}, splits: {dev: 0.5}}"
    )
    pick = "{first: [], rank: [rank: {model: m, keep: 1}]}"  # one vote in 40 is worth no number
    Path("words.yaml").write_text(
        FILE.replace("{name: arithmetic, level: 1}", "own.yaml")
        .replace("{first: [], vote: vote}", pick)
        .replace("seeds: [single]", "seeds: []").replace("trials: 3", "trials: 8")
    )  # fmt: skip
    said = archon("search", "words.yaml").stdout
    failed = int(said.partition("trials that failed: ")[2].partition(",")[0])
    assert 1 <= failed < 8
    assert "score must be finite, got nan" in said
    assert "the winner as YAML" in said


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
