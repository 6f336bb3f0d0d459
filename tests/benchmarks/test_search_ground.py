"""The simulated ground of the search, its rivals, and the program that measures both."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from archon.benchmarks.search import __main__ as program
from archon.benchmarks.search import ablation, truths
from archon.benchmarks.search.curves import Curve, curve, first_below
from archon.benchmarks.search.ground import Ground, itas_arms
from archon.benchmarks.search.itas import Settings
from archon.benchmarks.search.rivals import RIVALS, arm_of, trials
from archon.benchmarks.search.space import CHECKS, FUSIONS, GENERATORS, designs, space
from archon.benchmarks.search.tasks import Task, record, truth
from archon.search.arms import Block
from archon.search.race import Plan, Race, finished


def test_the_space_is_the_published_one() -> None:
    assert (len(GENERATORS), len(FUSIONS), len(CHECKS)) == (38, 84, 3)
    whole = space()
    assert len(whole.rows) == 9_576
    assert whole.calls.sum() == 364_308
    assert whole.distinct == 55_899
    assert (whole.calls.min(), whole.calls.max()) == (8, 73)


def test_the_calls_of_one_architecture_by_hand() -> None:
    """2 models x 3 samples; critic, ranker, 4 fusers; 2 verifications each; three last calls."""
    place = [d.generators == (2, 3) and d.widths == (4,) for d in designs()].index(True)
    assert [designs()[place + check].check for check in range(3)] == list(CHECKS)
    alone = 2 * 3 + 2 + 4 + 3
    # Unit tests are written once and run for each candidate.
    assert space().calls[place : place + 3].tolist() == [alone, alone + 8, alone + 1 + 4]


def test_a_narrower_layer_is_part_of_a_wider_one() -> None:
    nodes = {design: set(design.nodes()) for design in designs()[: 84 * 3]}
    narrow = next(d for d in nodes if d.widths == (2,) and d.check == "none")
    wide = next(d for d in nodes if d.widths == (8,) and d.check == "none")
    # What is not shared of the narrow one is what follows its layer: critic, ranker, answer.
    assert len(nodes[narrow] - nodes[wide]) == 3


def test_arms_have_places_from_zero_to_one_and_absent_layers() -> None:
    arms = itas_arms()
    assert len(arms) == 9_576
    assert np.nanmin(arms.units) == 0
    assert np.nanmax(arms.units) == 1
    assert np.isnan(arms.units[:, 3]).sum() == 38 * 4 * 3
    assert (arms.calls == space().calls).all()


@pytest.mark.slow
def test_outcomes_agree_with_the_truth() -> None:
    task = Task.draw(100)
    right = record(task, 600, [100, 0]).mean(axis=1)
    true = truth(task, 1, 2_000)
    # Over all architectures luck averages out but for that of the items: 0.4 / sqrt(600).
    assert right.mean() == pytest.approx(true.mean(), abs=0.05)
    assert np.corrcoef(right, true)[0, 1] > 0.7


def test_a_ground_is_reproducible_and_its_draws_differ() -> None:
    sizes = {"dev": 6, "test": 4}
    one, same, other = (Ground(0, draw, sizes) for draw in (0, 0, 1))  # type: ignore[arg-type]
    assert (one.outcomes == same.outcomes).all()
    assert (one.outcomes != other.outcomes).any()
    test = one.evaluate(7, Block("test", 1, 3))
    assert test.tolist() == one.outcomes[7, 7:9].astype(float).tolist()


def test_the_committed_truth_is_of_the_reported_and_the_tuning_tasks_and_no_other() -> None:
    assert not set(truths.REPORTED) & set(truths.TUNING)
    with np.load(truths.FILE) as kept:
        assert {int(task) for task in kept.files} == {*truths.REPORTED, *truths.TUNING}
    assert truths.of(0).shape == (9_576,)
    assert 0.5 < truths.of(0).max() < 1


@pytest.mark.slow
def test_the_committed_truth_is_what_the_simulation_gives() -> None:
    fresh = truth(Task.draw(3), 99, 2_000)
    kept = truths.of(3)
    assert np.corrcoef(fresh, kept)[0, 1] > 0.97
    assert kept[fresh.argmax()] > kept.max() - 0.01


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground(100, 0, {"dev": 8})


@pytest.mark.parametrize("name", ["random", "greedy", "tpe"])
def test_a_rival_pays_for_what_it_measures(name: str, ground: Ground) -> None:
    done = trials(RIVALS[name], ground, 8, 0, 1_000_000, 12)
    assert len(done) == 12
    costs = np.diff([0, *(trial.alone for trial in done)])
    assert (costs == [8 * ground.arms.calls[trial.arm] for trial in done]).all()
    assert all(trial.shared <= trial.alone for trial in done)
    assert done[-1].shared < done[-1].alone
    right = [ground.outcomes[trial.arm].mean() for trial in done]
    assert [trial.score for trial in done] == pytest.approx(right)


def test_a_rival_stops_when_its_calls_are_paid(ground: Ground) -> None:
    done = trials(RIVALS["random"], ground, 8, 0, 1_000, 300)
    assert done[-2].alone < 1_000 <= done[-1].alone


def test_settings_outside_the_space_are_no_arm() -> None:
    assert arm_of(10, 5, (2,), 0) is None
    assert arm_of(1, 1, (0, 0, 0), 0) is None
    arm = arm_of(6, 4, (4, 0, 2), 1)
    assert arm is not None
    assert designs()[arm] == ((6, 4), (4, 2), "verifier")


def test_a_curve_takes_the_last_step_within_a_mark() -> None:
    paths = [
        [(5_000, 0.04, 0.1), (9_500, 0.03, 0.1), (24_000, 0.01, 0.2)],
        [(9_800, 0.05, 0.0), (30_000, 0.02, 0.0)],
    ]
    found = curve("x", 100, False, paths, 1.0)
    # By hand: at 10,000 (3 + 5) / 2; the second run has nothing new between 9,800 and 25,000.
    assert {mark: point.mean for mark, point in found.regret.items()} == {10_000: 4.0, 25_000: 3.0}
    assert first_below(found, 3.5) == 25_000
    assert first_below(found, 1.0) is None
    assert Curve.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_runs_that_ended_count_at_one_mark_more() -> None:
    paths = [[(4_000, 0.04, 0.1), (6_000, 0.02, 0.1)], [(3_000, 0.05, 0.0)]]
    assert curve("x", 100, True, paths, 1.0, (2_500, 5_000, 10_000, 25_000)).regret == {}
    found = curve("x", 100, True, paths, 1.0, (2_500, 5_000, 10_000, 25_000), ended=True)
    assert {m: point.mean for m, point in found.regret.items()} == {5_000: 4.5, 10_000: 3.5}


def test_the_program_measures_prints_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(program, "_BUDGETS", (3_000,))
    monkeypatch.setattr(
        "archon.benchmarks.search.itas.sizes", lambda calls: {"dev": 48, "confirm": 8, "test": 8}
    )
    out, drawn = tmp_path / "itas.json", tmp_path / "itas.svg"
    monkeypatch.setattr(
        program, "Settings", lambda draws, step: Settings(tasks=(0,), draws=draws, step=step)
    )
    arguments = ["itas", "--quick", "--json", "--out", str(out), "--figure", str(drawn)]
    result = CliRunner().invoke(program.APP, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    race = [data for data in found["curves"] if data["name"] == "race"]
    assert race[0]["regret"]["3000"]["runs"] == 1
    assert found["races"]["3000"]["paid"] <= 3_000
    assert drawn.read_text().startswith("<?xml")


def test_an_unknown_rival_is_told() -> None:
    result = CliRunner().invoke(program.APP, ["itas", "--rivals", "randon"])
    assert result.exit_code == 2
    assert "randon" in result.output


def raced(kind: type[Race], ground: Ground, calls: int = 20_000) -> Race:
    """Return a race of a kind at its end."""
    return finished(kind(ground.arms, ground.sizes, Plan(calls, starts=4)), ground)


def on_dev(race: Race) -> list[tuple[int, Block]]:
    """Return what a race measured before its final."""
    arms, blocks, _, _ = race.measured.arrays()
    found = [
        (int(arm), race.measured.blocks[int(at)]) for arm, at in zip(arms, blocks, strict=True)
    ]
    return [(arm, block) for arm, block in found if block.split == "dev"]


def test_parts_are_taken_out_of_the_race() -> None:
    ground = Ground(0, 0, {"dev": 240, "confirm": 8, "test": 8})
    # The race itself does each of these things, or the ablation would say nothing.
    whole = raced(Race, ground)
    assert len({arm for arm, _ in on_dev(whole)}) < len(on_dev(whole))
    assert len({block for _, block in on_dev(whole)}) > 1
    assert whole.paid.calls < whole.paid.alone
    once = [arm for arm, _ in on_dev(raced(ablation.Once, ground))]
    assert len(set(once)) == len(once) > 4
    same = {block for _, block in on_dev(raced(ablation.fixed(12), ground))}
    assert same == {Block("dev", 0, 12)}
    unshared = raced(ablation.Unshared, ground)
    assert unshared.paid.calls == unshared.paid.alone <= 20_000
    raw = raced(ablation.RawChoice, ground)
    means = {arm: np.concatenate([s for at, s in raw.measured.of(arm) if at.split != "test"]).mean()
             for arm in {arm for arm, _ in on_dev(raw)} | set(raw.finalists.tolist())}  # fmt: skip
    assert raw.winner is not None
    assert means[raw.winner] == max(means.values())


@pytest.mark.parametrize("command", ["ablation", "losses"])
def test_the_program_takes_parts_out(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("ablation", "losses"):
        monkeypatch.setattr(
            f"archon.benchmarks.search.{module}.sizes",
            lambda calls: {"dev": 48, "confirm": 8, "test": 8},
        )
    monkeypatch.setattr(truths, "TUNING", (100,))
    monkeypatch.setattr(
        program, "Settings",
        lambda tasks=(0,), draws=(0,), step=print: Settings((tasks[0],), draws, lambda what: None),
    )  # fmt: skip
    out = tmp_path / "found.json"
    arguments = [command, "--draws", "1", "--calls", "3000", "--out", str(out)]
    result = CliRunner().invoke(program.APP, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    if command == "ablation":
        assert [each["name"] for each in found["variants"]] == [v.name for v in ablation.VARIANTS]
        assert max(each["paid"] for each in found["variants"]) <= 3_000
        assert found["variants"][0]["more"]["mean"] == 0
    else:
        lost = {each["what"]: each["regret"]["mean"] for each in found["losses"]}
        assert lost["the best of the ten finalists"] <= lost["the winner"]
        assert lost["15 % for the final, 10 % for the test"] == lost["the winner"]
