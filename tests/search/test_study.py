"""Studies from their first trial to what they say, over real SQLite and fake models."""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from archon import optimize
from archon.backends.torch_config import nominal_price
from archon.base import Architecture, Scored
from archon.errors import BudgetRefused, ConfigError, RunError
from archon.model import Price
from archon.search import Books, Proposal, Standing, Study, StudyProgress, read_search
from archon.search.conducting import Conductor
from archon.search.crew import Crew
from archon.search.posterior import standings
from tests.search.ground import Toy, search_file, session, source

NANO = Path(__file__).parents[2] / "archon" / "weights" / "nano"
FEW = {"searcher": "{name: random, items: 8}", "trials": "4", "seeds": "[]"}


def _study(path: Path | None, bench: Toy | None = None, **changes: Any) -> Study:
    price = changes.pop("price", None)
    searcher = changes.pop("engine", None)
    mode = changes.pop("mode", None)
    with session(path, price=price) as opened:
        return optimize(
            search_file(**{**FEW, **changes}), bench or Toy(), searcher=searcher, mode=mode,
            session=opened,
        )  # fmt: skip


def test_the_same_seed_gives_the_same_study_and_going_on_changes_nothing(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = _study(tmp_path / "a" / "pool.db")
    second = _study(tmp_path / "b" / "pool.db")
    assert first.to_json(times=False) == second.to_json(times=False)
    again = _study(tmp_path / "a" / "pool.db")
    assert again.to_json(times=False) == first.to_json(times=False)
    assert first.ended == "trials"
    assert len(first.trials) == 4
    assert first.found is not None
    assert first.found.looks == 1
    assert json.loads(json.dumps(first.to_json()))["found"]["winner"]["items"] == 30


def test_what_the_printed_score_is_made_of(tmp_path: Path) -> None:
    found = _study(tmp_path / "pool.db").found
    assert found is not None
    # dev, confirm and test are disjoint, and only test items print.
    assert {id_.partition("-")[0] for id_ in found.winner.scores} == {"test"}
    assert {id_.partition("-")[0] for c in found.finalists for id_ in c.scores} == {"dev"}
    assert [c.name for c in found.baselines] == [
        "the best single model", "the best vote or best-of-n for the same money",
    ]  # fmt: skip
    assert found.baselines[0].note == "fake/good at 0.7"
    # Known by construction: the better model is right on 3 of 4 items, votes of it on more.
    assert found.winner.mean > 0.6
    assert not found.verdict["better"]  # a vote of the same model is as good


def test_calls_are_shared_and_counted(tmp_path: Path) -> None:
    study = _study(tmp_path / "pool.db", searcher="grid", trials="null", limits="{max: {calls: 5}}")
    db = sqlite3.connect(tmp_path / "pool.db")
    # Each of 16 dev items: samples 1, 2, 3, 5 of each model, alone or together within 5 calls.
    sums = [1 + 2 + 3 + 5, 1 + 2 + 3 + 5, 2 + 4]
    assert study.alone == 16 * sum(sums)
    dev = db.execute("SELECT count(*) FROM attempts").fetchone()[0]
    assert study.spent.calls == dev
    asked = 16 * (5 + 5)  # all that the search needs together
    assert asked < study.spent.calls < study.alone + 40 * 16 + 40 * 30
    assert max(int(study.books.table.calls[t.arm]) for t in study.trials) <= 5


def test_a_dollar_budget_is_kept_and_used(tmp_path: Path) -> None:
    # 320 architectures over 16 temperatures share few calls: ideas outlast the money.
    wide = "!choice [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]"
    with session(tmp_path / "pool.db", price=Price(input=1, output=150)) as opened:
        study = optimize(
            search_file(
                temperature=wide, searcher="tpe", items="{dev: 24, confirm: 24, test: 40}",
                seeds="[]", budget="{usd: 0.4}",
            ),
            Toy(48, 40), session=opened,
        )  # fmt: skip
    assert study.spent.usd is not None
    assert 0.9 * 0.4 <= study.spent.usd <= 0.4
    assert study.ended == "budget of usd"
    assert study.found is not None
    assert study.found.cut_short == ""
    assert len(study.found.winner.known) >= 1
    assert study.best.check()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", ["race", "tpe"])
def test_a_dollar_at_the_prices_of_the_nano_family(tmp_path: Path, engine: str) -> None:
    nominal = nominal_price(NANO)
    assert nominal is not None
    # 150 times the nominal price: a dollar pays for about 3,700 answers, of which the search's
    # share is 2,600, and there are ideas for 3,840. What the final leaves goes to test items: with
    # 40 of them a race ends at 0.84, since all are measured.
    price = Price(input=150 * nominal.input, output=150 * nominal.output)
    wide = "!choice [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]"
    with session(tmp_path / "pool.db", price=price) as opened:
        study = optimize(
            search_file(
                temperature=wide, searcher=engine, items="{dev: 48, confirm: 24, test: 200}",
                seeds="[]", budget="{usd: 1.0}",
            ),
            Toy(72, 200), session=opened,
        )  # fmt: skip
    db = sqlite3.connect(tmp_path / "pool.db")
    [(billed,)] = db.execute("SELECT sum(microusd) FROM attempts").fetchall()
    assert study.spent.usd is not None
    assert study.spent.usd == pytest.approx(billed / 1e6)
    assert 0.9 <= study.spent.usd <= 1.0
    assert study.ended == "budget of usd"
    assert study.found is not None
    assert study.found.cut_short == ""
    assert study.best.check()
    # It was delivered: the winner is as good as the better model alone, by construction.
    assert study.found.winner.mean >= 0.6


def test_the_reserve_is_not_eaten_by_the_search(tmp_path: Path) -> None:
    # All 12 architectures need 10 calls of each of 16 dev items; confirm and test need far more.
    study = _study(
        tmp_path / "pool.db", trials="null", searcher="grid", budget="{calls: 200}", reserve="0.5"
    )
    assert study.ended == "budget of calls"
    assert study.spent.calls <= 200
    db = sqlite3.connect(tmp_path / "pool.db")
    [(searched,)] = db.execute("SELECT calls FROM scopes WHERE name = 'toy/search'").fetchall()
    assert 90 <= searched <= 100
    assert study.found is not None


def test_what_is_left_pays_for_test_items(tmp_path: Path) -> None:
    study = _study(
        tmp_path / "pool.db", Toy(32, 400), items="{dev: 16, confirm: 16, test: 400}",
        trials="12", budget="{calls: 800}",
    )  # fmt: skip
    assert study.ended == "trials"
    # The winner's draws are the baselines' too, and are not held for them a second time.
    assert 0.9 * 800 <= study.spent.calls <= 800
    found = study.found
    assert found is not None
    assert found.cut_short == ""
    assert len({len(found.winner.scores), *(len(other.scores) for other in found.baselines)}) == 1


BAD = [math.nan, "good", None, pytest.param(math.inf, marks=pytest.mark.slow),
       pytest.param(7, marks=pytest.mark.slow)]  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_score_fails_the_trial_and_not_the_study(tmp_path: Path, bad: Any) -> None:
    class Sometimes(Toy):
        """Gives the bad score where the poor model's answer to an item is wrong."""

        async def score(self, item: Any, text: Any, ctx: Any) -> Any:
            scored = await super().score(item, text, ctx)
            return scored if scored.value else Scored(bad, "as the test says")

    # Eight items of each of the first four architectures: only a flawless one gets through.
    study = _study(tmp_path / "pool.db", Sometimes(), searcher="{name: grid, items: 8}")
    failed = [told for told in study.trials if told.state == "failed"]
    assert len(failed) >= 2
    assert len(study.trials) >= 4
    for told in failed:
        assert repr(bad) in told.reason if bad is not None else "no score" in told.reason
        assert not study.books.open[told.arm]
    assert {told.values for told in study.trials if told.state == "done"} <= {(1.0,)}


def test_a_study_in_which_all_fails_gives_up(tmp_path: Path) -> None:
    scores = {f"dev-{i}": math.nan for i in range(32)}
    with pytest.raises(RunError, match="all 5 trials failed; the last one: the scorer gave nan"):
        _study(tmp_path / "pool.db", Toy(scores=scores), trials="null", concurrency="{trials: 5}")


def test_a_study_does_not_go_on_with_other_settings(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    _study(path)
    with pytest.raises(
        ConfigError, match=r"begun with searcher\.name \"random\", now it is \"tpe\""
    ):
        _study(path, searcher="{name: tpe}")
    with pytest.raises(ConfigError, match="begun with seed 0, now it is 5"):
        _study(path, seed="5")
    with pytest.raises(ConfigError, match=r"begun with items\.dev 16, now it is 15|too few"):
        _study(path, items="{dev: 15, confirm: 16}")
    with pytest.raises(ConfigError, match="objective"):
        _study(path, objective="[score, calls]")


def test_a_larger_budget_goes_on_and_claims_at_half_the_level(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    first = _study(path, trials="2")
    second = _study(path, trials="4")
    assert len(first.trials) == 2
    assert [t.arm for t in second.trials[:2]] == [t.arm for t in first.trials]
    assert len(second.trials) == 4
    assert first.found is not None
    assert second.found is not None
    assert (first.found.verdict["level"], second.found.verdict["level"]) == (0.05, 0.025)
    assert (first.found.looks, second.found.looks) == (1, 2)


def test_replay_makes_no_call(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    first = _study(path)
    spent = sqlite3.connect(path).execute("SELECT count(*) FROM attempts").fetchone()
    db = sqlite3.connect(path)
    db.execute("DELETE FROM outcomes")
    db.execute("DELETE FROM trials")
    db.execute("DELETE FROM looks")
    db.commit()
    db.close()
    again = _study(path, mode="only")
    assert [t.values for t in again.trials] == [t.values for t in first.trials]
    assert again.found is not None
    assert sqlite3.connect(path).execute("SELECT count(*) FROM attempts").fetchone() == spent


def test_a_deadline_ends_a_search_that_has_nothing_to_pay(tmp_path: Path) -> None:
    whole = _study(tmp_path / "pool.db", trials="12")
    late = _study(tmp_path / "pool.db", name="late", budget="seconds=0.001", trials="12")
    assert late.ended == "budget of seconds"
    assert len(late.trials) < len(whole.trials)
    assert late.spent.calls == 0


def test_what_others_end_between_a_look_and_the_verdict_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole study by another session, after this one has looked at the pool and seen nothing."""
    looked = Conductor._catch_up
    begun: list[Conductor] = []
    others: list[Study] = []

    async def then_others(conductor: Conductor) -> None:
        await looked(conductor)
        if not begun:
            begun.append(conductor)
            others.append(await asyncio.to_thread(_study, tmp_path / "pool.db"))

    monkeypatch.setattr(Conductor, "_catch_up", then_others)
    study = _study(tmp_path / "pool.db")
    assert study.to_json(times=False) == others[0].to_json(times=False)


class Many:
    """Proposes more at once than is tried at the same time."""

    def ask(self, books: Books) -> Sequence[Proposal]:
        """Propose eight rows, once."""
        return [] if books.round else [Proposal(arm, 0, 16) for arm in range(8)]

    def recommend(self, books: Books) -> Sequence[Standing]:
        """Leave it to the posterior."""
        return standings(books)


@pytest.mark.parametrize("budget", ["seconds=0.001", "calls=40"])
def test_a_budget_may_end_in_the_middle_of_a_round(tmp_path: Path, budget: str) -> None:
    """What waited behind the trials that were cut is cut too, and the study ends."""
    study = _study(tmp_path / "pool.db", engine=Many(), budget=budget, trials="null",
                   concurrency="{trials: 2}")  # fmt: skip
    assert study.ended == f"budget of {budget.partition('=')[0]}"
    states = sqlite3.connect(tmp_path / "pool.db").execute(
        "SELECT state, count(*) FROM trials WHERE stage = 'search' GROUP BY state"
    )
    found = dict(states.fetchall())
    assert found.pop("cut") >= 3
    assert set(found) <= {"done"}


def test_a_seed_outside_the_space_can_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archon.search.finals.ablations", lambda whole: [])
    seed = tmp_path / "seed.yaml"
    seed.write_text(
        "models: {good: {model: fake/good, temperature: 0.7, max_tokens: 40}}\n"
        "stages:\n  - generate: {model: good, samples: 9}\n  - vote\n"
    )
    study = _study(tmp_path / "pool.db", seeds=f"['{seed}']", trials="3",
                   searcher="{name: grid, items: 16}")  # fmt: skip
    table = study.books.table
    outside = len(table) - 1
    # It is tried first, is a row of its own, and its calls are shared with those of the space.
    assert [told.arm for told in study.trials] == [outside, 0, 1]
    assert table.calls[outside] == 9
    assert study.to_json()["architectures"] == outside
    assert outside in [standing.arm for standing in study.standings]
    assert study.found is not None
    assert outside in [finalist.row for finalist in study.found.finalists]
    # Nine votes of the good model beat one or two answers of it on confirm, by construction.
    assert study.found.winner.row == outside
    assert study.best.digest() == study.found.winner.architecture.digest()
    again = _study(tmp_path / "pool.db", seeds=f"['{seed}']", trials="3",
                   searcher="{name: grid, items: 16}")  # fmt: skip
    assert again.to_json(times=False) == study.to_json(times=False)
    seed.write_text(seed.read_text().replace("9", "8"))
    with pytest.raises(ConfigError, match="seeds_outside"):
        _study(tmp_path / "pool.db", seeds=f"['{seed}']", trials="3",
               searcher="{name: grid, items: 16}")  # fmt: skip


class First:
    """A stranger's searcher: the first arms, one after the other."""

    def ask(self, books: Books) -> Sequence[Proposal]:
        """Propose the next row."""
        done = len(books.arms)
        return [Proposal(done, 0, 8, "mine")] if done < 3 else []

    def recommend(self, books: Books) -> Sequence[Standing]:
        """Leave it to the posterior."""
        return standings(books)


def test_a_stranger_brings_a_searcher(tmp_path: Path) -> None:
    study = _study(tmp_path / "pool.db", engine=First())
    assert [told.arm for told in study.trials] == [0, 1, 2]
    assert study.ended == "no more ideas"
    named = _study(tmp_path / "named.db", searcher="'tests.search.test_study:First'")
    assert [told.arm for told in named.trials] == [0, 1, 2]


def test_what_a_searcher_must_not_propose(tmp_path: Path) -> None:
    class Bad(First):
        def ask(self, books: Books) -> Sequence[Proposal]:
            return [Proposal(10**6, 0, 8)]

    with pytest.raises(ConfigError, match="proposed what cannot be tried"):
        _study(tmp_path / "pool.db", engine=Bad())


def test_too_few_items_are_told_before_anything_is_paid(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="12 items cannot tell architectures apart"):
        _study(tmp_path / "pool.db", Toy(6, 12))
    with pytest.raises(ConfigError, match="no architecture fits the limits"):
        _study(tmp_path / "pool.db", limits="{max: {calls: 0}}")
    with pytest.raises(BudgetRefused, match="token budget cannot be enforced"):
        _study(tmp_path / "pool.db", budget="{tokens: 1000}", max_tokens="null")
    db = sqlite3.connect(tmp_path / "pool.db")
    assert db.execute("SELECT count(*) FROM attempts").fetchone() == (0,)


RANKED = """\
space:
  models:
    poor: {model: fake/poor, temperature: 0.7, max_tokens: 60}
    good: {model: fake/good, temperature: 0.7, max_tokens: 40}
  groups: {writers: [poor, good]}
  stages:
    - - !each
        of: !subset {name: writers, of: writers, take: first}
        do: {generate: {model: !ref item, samples: 3}}
    - vote
benchmark: arithmetic
items: {dev: 16, confirm: 16, test: 30}
seeds: []
power_ranking: {writers: {role: generate}}
"""


def _ranked(path: Path, more: str = "", heat: str = "0.7", told: Any = None) -> Study:
    text = RANKED.replace("temperature: 0.7", f"temperature: {heat}", 1) + more
    with session(path) as opened:
        return optimize(read_search(source(text)), Toy(), session=opened, progress=told)


def test_models_are_ranked_before_the_search(tmp_path: Path) -> None:
    told: list[StudyProgress] = []
    found = _ranked(tmp_path / "pool.db", told=told.append).found
    assert list(dict.fromkeys(progress.stage for progress in told))[:2] == ["ranking", "search"]
    assert found is not None
    writers = [list(candidate.architecture.models()) for candidate in found.finalists]
    assert [[m.model for m in models] for models in writers if len(models) == 1] == [["fake/good"]]


def test_fusers_are_ranked_on_the_answers_of_the_best_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Architecture] = []
    measured = Crew.measured

    def spy(self: Crew, architecture: Architecture, *args: Any) -> Any:
        seen.append(architecture)
        return measured(self, architecture, *args)

    monkeypatch.setattr(Crew, "measured", spy)
    mixers = "power_ranking: {mixers: {role: fuse, of: 2, items: 4}, writers: {role: generate}}"
    text = RANKED.replace(
        "{writers: [poor, good]}", "{mixers: [poor, good], writers: [poor, good]}"
    )
    text = text.replace("power_ranking: {writers: {role: generate}}", mixers)
    with session(tmp_path / "pool.db") as opened:
        optimize(read_search(source(text)), Toy(), session=opened)
    ranked = [{model.model for model in architecture.models()} for architecture in seen[:4]]
    assert ranked == [{"fake/poor"}, {"fake/good"}, {"fake/good", "fake/poor"}, {"fake/good"}]


def test_nothing_is_ranked_for_a_search_that_cannot_begin(tmp_path: Path) -> None:
    # The first model listed would cost 180 tokens of output; ranked first, the other costs 120.
    cheap = "name: cheap\nlimits: {max: {output_tokens: 150}}\n"
    assert len(_ranked(tmp_path / "cheap.db", cheap).trials) > 0
    with pytest.raises(ConfigError, match="no architecture fits the limits"):
        _ranked(tmp_path / "pool.db", "limits: {max: {output_tokens: 100}}\n")
    with pytest.raises(ConfigError, match="power_ranking: 'poor' of 'writers' is no model"):
        _ranked(tmp_path / "pool.db", heat="!choice [0.2, 0.7]")
    with pytest.raises(BudgetRefused, match="pays for no measurement"):
        _ranked(tmp_path / "pool.db", "budget: {calls: 20}\n")
    db = sqlite3.connect(tmp_path / "pool.db")
    assert db.execute("SELECT count(*) FROM attempts").fetchone() == (0,)


def test_few_items_print_by_folds(tmp_path: Path) -> None:
    class Small(Toy):
        splits = ("test",)

    study = _study(tmp_path / "pool.db", Small(0, 40), searcher="{name: grid}", trials="3")
    assert study.found is not None
    assert study.found.stage == "crossed"
    assert len(study.found.winner.scores) == 40
    assert set(study.found.winner.scores) == {f"test-{i}" for i in range(40)}


def test_several_objectives_give_a_front(tmp_path: Path) -> None:
    study = _study(
        tmp_path / "pool.db", objective="[score, calls]", searcher="{name: grid, items: 16}",
        trials="8",
    )  # fmt: skip
    calls = study.books.values("calls")
    score = study.books.values("score")
    on = {standing.arm for standing in study.front}
    for place, arm in enumerate(study.books.arms.tolist()):
        beaten = ((score >= score[place]) & (calls < calls[place])).any() or (
            (score > score[place]) & (calls <= calls[place])
        ).any()
        assert (arm in on) == (not beaten)
    assert study.found is not None
    assert len(study.found.front) >= 1
