"""The nano ground: how it is recorded, what is committed, and how it is searched."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from archon import benchmarks
from archon.benchmarks.search import __main__ as program
from archon.benchmarks.search.curves import Curve, Point, at_best_size
from archon.benchmarks.search.nano import Settings, goal, ours, rival
from archon.benchmarks.search.nano_ground import FILE, SPACE, NanoGround, Recording, recording
from archon.benchmarks.search.null import PLAN, claimed
from archon.benchmarks.search.recording import Recorder, covering
from archon.benchmarks.search.rivals import RIVALS, trials
from archon.config import Source
from archon.evaluation import evaluate
from archon.search import read_search
from archon.search.arms import Block
from archon.search.race import Plan
from archon.search.reading import TAGS
from archon.search.table import Table

SMALL = """\
space:
  models:
    writer: {model: local/nano-math, temperature: 0.8, max_tokens: 192}
    other: {model: local/nano, temperature: 0.8, max_tokens: 192}
    lines: {model: local/nano-prm}
  holes:
    writers: !subset {of: [writer, other]}
    samples: !choice [1, 2]
  stages:
    - - !each
        of: !ref writers
        do: {generate: {model: !ref item, samples: !ref samples}}
    - !maybe {name: rewritten, of: {refine: {model: writer}}, when: samples == 1}
    - !choice
      name: selection
      of:
        vote: vote
        best: [rank: {model: lines, method: scorer}, best]
        weighted: [rank: {model: lines, method: scorer}, vote: {weight: score}]
benchmark: {name: arithmetic, level: 2}
"""


def table_of(text: str) -> Table:
    return read_search(Source(text, "space.yaml", TAGS)).space.table()


@pytest.fixture(scope="module")
def tiny() -> Recording:
    """Four architectures of three holes on eight items; the last hole belongs to the second code
    of the first."""
    rows = np.array([[0, 0, np.nan], [1, 0, 0], [1, 0, 1], [1, 1, 0]], float)
    right = np.zeros((4, 8), bool)
    right[0, :2] = right[1, :4] = right[2, :6] = right[3, :5] = True
    return Recording(
        [("a", "categorical", 2), ("b", "ordinal", 2), ("c", "categorical", 2)], rows, rows,
        np.array([0, 1, 3, 5, 8]), np.array([0, 0, 1, 0, 1, 0, 1, 2]), np.ones(4), np.ones(4),
        right,
    )  # fmt: skip


def test_a_recording_is_what_an_evaluation_says(tmp_path: Path) -> None:
    table, benchmark = table_of(SMALL), benchmarks.get("arithmetic", level=2)
    recorder = Recorder(table, benchmark, tmp_path / "pool.db")
    right = recorder.outcomes(2, tmp_path)
    assert right.shape == (len(table), 2)
    for row in range(0, len(table), 2):
        found = evaluate(
            table.architecture(row), benchmark, limit=2, session=recorder.session, mode="only",
            trails=False,
        )  # fmt: skip
        assert [r.score for r in found.rows] == right[row].tolist(), table.assignment(row)
    # Two draws of two writers, and a lone answer of each rewritten.
    assert recorder.session.pool.count() == 2 * table.node_count == 2 * (2 * 2 + 2)
    again = Recorder(table, benchmark, tmp_path / "pool.db")
    assert (again.outcomes(2, tmp_path) == right).all()


def test_a_few_architectures_make_every_call() -> None:
    table = table_of(SMALL)
    chosen = covering(table)
    calls = set().union(*(table.nodes_of(row).tolist() for row in chosen))
    assert calls == set(range(table.node_count))
    assert len(chosen) == 2  # two samples of both; one rewritten of both


def test_what_is_committed_is_a_recording_of_the_space() -> None:
    kept, table = recording(), read_search(SPACE).space.table()
    assert len(kept.arms) == len(table) >= 500
    assert (kept.rows == table.rows)[~np.isnan(table.rows)].all()
    assert (kept.nodes == table.nodes).all()
    assert kept.arms.nodes.max() + 1 == table.node_count <= 300
    assert kept.right.shape[1] == 1_000
    assert FILE.stat().st_size < 5_000_000
    assert 0 < kept.true.min() < kept.true.max() < 1


def test_it_is_read_as_it_was_written(tmp_path: Path, tiny: Recording) -> None:
    tiny.save(tmp_path / "r.npz")
    read = Recording.load(tmp_path / "r.npz")
    assert read.columns == tiny.columns
    assert (read.right == tiny.right).all()
    assert read.true.tolist() == [2 / 8, 4 / 8, 6 / 8, 5 / 8]
    assert read.arms.calls.tolist() == [1, 2, 2, 3]


def test_levels_of_absent_holes_mean_nothing(tiny: Recording) -> None:
    layout = tiny.layout
    assert [layout.arm([0, 0, c]) for c in (0, 1)] == [0, 0]
    assert [layout.arm([1, 0, c]) for c in (0, 1)] == [1, 2]
    assert layout.arm([1, 1, 1]) is None


def test_dealt_anew_all_are_as_good(tiny: Recording) -> None:
    ground = NanoGround(tiny, 3, {"dev": 8_000})
    block = Block("dev", 0, 8_000)
    before = sum(ground.evaluate(arm, block) for arm in range(4))
    ground.deal(np.random.default_rng(1))
    dealt = np.array([ground.evaluate(arm, block) for arm in range(4)])
    assert (dealt.sum(axis=0) == before).all()
    # Four standard errors of a mean over 8,000 items.
    assert np.abs(dealt.mean(axis=1) - tiny.true.mean()).max() < 4 * 0.5 / 8_000**0.5


def test_items_are_drawn_with_replacement(tiny: Recording) -> None:
    ground = NanoGround(tiny, 3, {"dev": 4_000, "confirm": 5})
    scores = [ground.evaluate(arm, Block("dev", 0, 4_000)).mean() for arm in range(4)]
    # Four standard errors of a mean over 4,000 items.
    assert np.abs(scores - tiny.true).max() < 4 * 0.5 / 4_000**0.5
    same = NanoGround(tiny, 3, {"dev": 4_000, "confirm": 5})
    other = NanoGround(tiny, 4, {"dev": 4_000, "confirm": 5})
    block = Block("dev", 100, 200)
    assert (same.evaluate(1, block) == ground.evaluate(1, block)).all()
    assert (other.evaluate(1, block) != ground.evaluate(1, block)).any()


@pytest.mark.parametrize("name", ["random", "greedy", "tpe"])
def test_rivals_find_the_best_of_four(tiny: Recording, name: str) -> None:
    ground = NanoGround(tiny, 0, {"dev": 400})
    done = trials(RIVALS[name], ground, 400, 0, 10_000, 12)
    assert max(done, key=lambda trial: trial.score).arm == 2
    # At most three distinct calls for each of 400 items.
    assert done[-1].shared <= 1_200 <= done[-1].alone


def test_regret_is_zero_where_the_best_is_found(tiny: Recording) -> None:
    settings = Settings((0, 1), recorded=tiny)
    [plain, shared] = rival("random", settings, [300])
    # Eight calls an item alone, three shared: runs end at 2,400 and at 900 calls.
    assert plain.regret[2_500].mean == shared.regret[1_000].mean == 0
    race, seen = ours(settings, [2_000])
    assert race.regret[2_000].mean == 0
    assert seen["2000"]["paid"] <= 2_000


def test_claims_are_counted_and_right_ones_told_from_wrong() -> None:
    plan = Plan(800, test=0.3, free=0)
    equal = claimed("equal", recording(), 3, plan)
    assert equal["better"] == 0
    assert equal["claims"]["count"] == equal["wrong"]["count"]
    tuned = claimed("tuned", recording(), 3, plan)
    assert tuned["better"] == 0
    # Exact interval of none of three: 1 - 0.025 ** (1 / 3).
    assert (tuned["claims"]["low"], tuned["claims"]["high"]) == (0.0, 0.7076)
    assert tuned["test items"] >= 10


def test_a_sure_winner_is_claimed() -> None:
    """Some that are always right, among coins."""
    real = recording()
    right = np.random.default_rng(0).random(real.right.shape) < 0.5
    right[np.setdiff1d(np.flatnonzero(real.arms.calls > 12), real.votes)] = True
    found = claimed("real", replace(real, right=right), 2, PLAN)
    assert (found["claims"]["count"], found["better"], found["wrong"]["count"]) == (2, 2, 0)


def curve_of(name: str, items: int | None, regret: dict[int, float]) -> Curve:
    points = {mark: Point(mean, mean, mean, 2) for mark, mean in regret.items()}
    return Curve(name, items, False, points, points, 0.0)


def test_the_goal_is_the_paper_s_last_regret() -> None:
    paper = curve_of("paper", 100, {50_000: 4.0, 150_000: 2.0})
    race = curve_of("race", None, {2_500: 3.0, 10_000: 1.9, 25_000: 1.0})
    assert goal([paper, race]) == {
        "paper": 2.0, "its calls": 150_000, "ours": 10_000, "times": 15.0
    }  # fmt: skip
    assert goal([race]) is None
    assert goal([paper, curve_of("race", None, {2_500: 3.0})])["times"] is None  # type: ignore[index]


def test_a_rival_is_shown_at_its_best_size() -> None:
    """It may stop early: what it had reached counts on."""
    small = curve_of("tpe", 30, {10_000: 1.0, 50_000: 3.0})
    large = curve_of("tpe", 300, {10_000: 5.0, 100_000: 0.5})
    lone = curve_of("paper", 100, {10_000: 4.0})
    best, paper = at_best_size([small, large, lone, curve_of("tpe", 1_000, {})])
    assert {mark: point.mean for mark, point in best.regret.items()} == {
        10_000: 1.0, 50_000: 1.0, 100_000: 0.5,
    }  # fmt: skip
    assert (best.name, best.items) == ("tpe", None)
    assert paper is lone


def test_the_program_races_beside_kept_curves(tmp_path: Path) -> None:
    out = tmp_path / "nano.json"
    result = CliRunner().invoke(
        program.APP, ["nano", "--draws", "1", "--budgets", "1000", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert "mean regret" in result.output
    found = json.loads(out.read_text())
    assert found["races"]["1000"]["paid"] <= 1_000
    assert {"random", "race"} <= {each["name"] for each in found["curves"]}
    wrong = CliRunner().invoke(program.APP, ["nano", "--rivals", "tpee"])
    assert wrong.exit_code == 2
    assert "tpe" in wrong.output
