from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import archon as package
from archon.search import counting
from tests.cli.conftest import Archon, data

SEARCH = """\
name: mine
space:
  models: {m: {model: fake/words, max_tokens: 60}}
  stages:
    - generate: {model: m, samples: !int {low: 1, high: 4}}
    - !maybe {fuse: {model: m, samples: !choice [1, 2]}}
benchmark: arithmetic
limits: {max: {calls: 4}}
seed: 3
"""


@pytest.fixture(autouse=True)
def file() -> Path:
    path = Path("mine.yaml")
    path.write_text(SEARCH)
    return path


def test_count(archon: Archon) -> None:
    said = archon("search", "mine.yaml", "--count").stdout
    assert "mine: 3 holes" in said
    assert "architectures: 12\n" in said
    # of 1 to 4 draws alone, with one fusion up to 3, with two up to 2
    assert f"within the limits of kind max: {4 + 3 + 2}\n" in said
    # alone 1 + 2 + 3 + 4, thrice, and 1 or 2 fusions for each of 4; shared 4 draws and 2 for each
    assert "42 alone, 12 shared (3.50 times fewer)" in said


def test_count_as_json(archon: Archon) -> None:
    found = data(archon("search", "mine.yaml", "--count", "--json"))
    assert found["architectures"] == found["assignments"] == 12
    assert (found["fitting"], found["calls_alone"], found["calls_shared"]) == (9, 42, 12)
    assert (found["least"]["calls"], found["most"]["calls"]) == (1, 6)
    assert found["holes"] == [
        {"name": "generate.samples", "kind": "ordinal", "levels": [1, 2, 3, 4]},
        {"name": "fuse", "kind": "ordinal", "levels": [False, True]},
        {"name": "fuse.samples", "kind": "ordinal", "levels": [1, 2]},
    ]


def test_the_question_tokens_matter(archon: Archon) -> None:
    few = data(archon("search", "mine.yaml", "--count", "--json", "--question-tokens", "10"))
    many = data(archon("search", "mine.yaml", "--count", "--json"))
    assert many["least"]["tokens"] - few["least"]["tokens"] == 2000 - 10


def test_a_large_space_is_estimated(archon: Archon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "SAMPLE", 50)
    more = "    - !maybe {fuse: {model: m, samples: !int [1, 9]}}\n"
    Path("large.yaml").write_text(SEARCH.replace("benchmark:", f"{more * 8}benchmark:", 1))
    said = archon("search", "large.yaml", "--count").stdout
    assert "assignments: 1,200,000,000\n" in said
    assert "assignments within the limits of kind max: about" in said
    assert "at most, of a sample of" in said
    assert "shared" not in said
    assert archon("search", "large.yaml", "--count").stdout == said


def test_a_space_without_an_end(archon: Archon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "SAMPLE", 50)
    Path("endless.yaml").write_text(
        SEARCH.replace("!choice [1, 2]", "1, prompt: x, reasks: !int [0, 2]").replace(
            "model: fake/words,", "model: fake/words, temperature: !float [0, 1],"
        )
    )
    assert "assignments: no end" in archon("search", "endless.yaml", "--count").stdout
    found = data(archon("search", "endless.yaml", "--count", "--json"))
    assert found["holes"][-1] == {
        "name": "m.temperature", "kind": "real", "low": 0, "high": 1, "log": False,
    }  # fmt: skip


def test_samples_are_architectures(archon: Archon) -> None:
    said = archon("search", "mine.yaml", "--sample", "4").stdout
    assert archon("search", "mine.yaml", "--sample", "4", "--seed", "3").stdout == said
    assert archon("search", "mine.yaml", "--sample", "4", "--seed", "4").stdout != said
    documents = list(yaml.safe_load_all(said))
    assert len(documents) == 4
    found = data(archon("search", "mine.yaml", "--sample", "4", "--json"))
    for document, row in zip(documents, found, strict=True):
        architecture = package.loads(yaml.safe_dump(document))
        assert architecture.digest() == row["digest"]
        assert architecture.bound().calls == row["bound"]["calls"]
        assert row["architecture"] == architecture.dump()
        assert f"# {row['digest']}: at most" in said
        assert f"# generate.samples: {row['holes']['generate.samples']}\n" in said


def test_one_is_drawn(archon: Archon) -> None:
    archon("search", "mine.yaml", "--sample", "1", "--svg", "one")
    assert Path("one.svg").read_text().startswith("<svg")
    assert "--sample 1" in archon("search", "mine.yaml", "--count", "--svg", "x", code=2).stderr


def test_two_questions_at_once(archon: Archon) -> None:
    said = archon("search", "mine.yaml", "--count", "--sample", "1", code=2).stderr
    assert "--count and --sample are two questions: ask one of them" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("calls: 4", "calls: 0", "keeps to the limits of kind max (calls: the cheapest needs 1,"),
        ("  stages:", "  require: false\n  stages:", "`require` is a condition"),
        ("  stages:", "  require: 1 > 2\n  stages:", "the space is empty"),
        ("samples: !int {low: 1", "sampels: !int {low: 1", "mine.yaml:5: layer 'generate' has no"),
        ("!choice [1, 2]", "!choice [1, x]", "mine.yaml:6: layer 'fuse', samples"),
    ],
)
def test_a_bad_space_is_one_line(archon: Archon, old: str, new: str, said: str) -> None:
    Path("mine.yaml").write_text(SEARCH.replace(old, new, 1))
    stderr = archon("search", "mine.yaml", "--count", code=2).stderr
    assert said in stderr
    assert stderr.count("\n") == 1


def test_a_name_that_is_none(archon: Archon) -> None:
    assert "no such file" in archon("search", "papre", "--count", code=2).stderr


def test_the_schema_of_search_files(archon: Archon) -> None:
    assert data(archon("schema", "--search"))["title"] == "archon search"
