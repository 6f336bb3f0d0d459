from __future__ import annotations

import json
from pathlib import Path

import pytest

from archon.benchmarks import Arithmetic
from tests.cli.conftest import Archon, data

KINDS = ("coverage", "selectors", "verifier", "temperature", "cost")


@pytest.fixture
def filled(archon: Archon) -> Archon:
    """Twelve items of each split, four draws at two temperatures, with what a verifier says."""
    lines = [
        {
            "item": item.task.id, "model": "a/b", "draw": draw, "temperature": temperature,
            "text": f"#### {int(str(item.target)) + (0 if right else draw + 1)}",
            "input_tokens": 10, "output_tokens": 5, "usd": 0.001,
            "signals": {"verify": float((place + draw) % 3 != 0)},
        }
        for split in ("dev", "test")
        for place, item in enumerate(Arithmetic().items(split, 12))
        for temperature in (0.5, 1)
        for draw in range(4)
        for right in [(place + draw) % (2 if temperature == 1 else 3) == 0]
    ]  # fmt: skip
    Path("s.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    archon("pool", "import", "s.jsonl", "-b", "arithmetic")
    return archon


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_prints_draws_and_gives_numbers(filled: Archon, kind: str) -> None:
    pictures = ("--out", "c.png", "--out", "c.svg")
    result = filled("curves", kind, "-b", "arithmetic", *pictures)
    assert "a/b" in result.stdout
    assert "wrote c.svg" in result.stderr
    assert Path("c.png").read_bytes().startswith(b"\x89PNG")
    assert Path("c.svg").read_text().startswith("<?xml")
    found = data(filled("curves", kind, "-b", "arithmetic", "--json"))
    assert found["kind"] == kind
    assert found["benchmark"] == "arithmetic"


def test_one_stored_matrix_gives_all_findings(filled: Archon) -> None:
    sampler = "a/b temperature=1"
    only = ("-b", "arithmetic", "-s", "a/b temperature=1", "--json")
    f1 = data(filled("curves", "coverage", *only))["samplers"][sampler]
    # At temperature 1 every second draw of an item is right: 2 of 4.
    assert [point["mean"] for point in f1["points"]] == pytest.approx([1 / 2, 5 / 6, 1.0])
    assert set(f1["fits"]) == {"power", "log-linear"}
    f2 = data(filled("curves", "selectors", *only))["samplers"][sampler]
    assert f2["oracle"]["gap"] == 0
    assert f2["majority"]["points"][-1]["mean"] == 1.0  # the wrong draws all say something else
    f3 = data(filled("curves", "verifier", *only, "--penalty", "3"))
    assert f3["stakes"]["penalty"] == 3
    assert f3["samplers"][sampler]["right"] == 0.5
    f7 = data(filled("curves", "temperature", "-b", "arithmetic", "--json"))
    assert f7["tuned"]["a/b"]["chosen"] == 1.0
    assert f7["tuned"]["a/b"]["default"] == 1.0


def test_the_candidates_of_an_evaluation(archon: Archon) -> None:
    run = data(archon("eval", "voted.yaml", "-b", "arithmetic", "-n", "4", "--json"))
    name = run["evaluations"][0]["run"]
    found = data(archon("curves", "--run", name, "--json"))["samplers"]["fake/words"]
    assert [point["k"] for point in found["points"]] == [1, 2, 4, 5]
    said = archon("curves", "--run", name, "--node", "genrate", code=2).stderr
    assert "did you mean 'generate'?" in said


def test_splits_and_numbers_of_draws(filled: Archon) -> None:
    found = data(filled("curves", "-b", "arithmetic", "--split", "all", "-k", "2", "--json"))
    row = found["samplers"]["a/b temperature=0.5"]
    assert row["items"] == 24
    assert [point["k"] for point in row["points"]] == [2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--benchmark NAME, or --run RUN"),
        (("-b", "arithmetic", "--run", "x"), "--benchmark NAME, or --run RUN"),
        (("-b", "arithmetic", "--out", "c.pdf"), "ends in .png or .svg"),
        (("-b", "arithmetic", "-s", "a/c"), "no sampler 'a/c'"),
        (("-b", "arithmetic", "-k", "9"), "no item has 9 graded draws"),
        (("selectors", "-b", "arithmetic", "--signal", "vrify"), "did you mean 'verify'?"),
        (("cost", "-b", "arithmetic", "--unit", "seconds"), "seconds of some draws is unknown"),
        (("--run", "x"), "no run 'x'"),
        (("-b", "arithmetic", "--level", "2"), "there is no sample of 'arithmetic' yet"),
    ],
)
def test_mistakes(filled: Archon, arguments: tuple[str, ...], message: str) -> None:
    result = filled("curves", *arguments, code=2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_all_items_of_a_benchmark_that_makes_more_than_it_lists(
    archon: Archon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archon.benchmarks.procedural.DEFAULT_ITEMS", 3)
    archon("sample", "-b", "arithmetic", "-m", "fake/words", "-k", "1", "-n", "7")
    found = data(archon("curves", "-b", "arithmetic", "--json"))
    assert found["samplers"]["fake/words"]["items"] == 7
