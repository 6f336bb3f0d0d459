"""The books: what was measured, what it cost, what a searcher may rely on."""

from __future__ import annotations

import random

import numpy as np
import pytest

from archon.errors import ConfigError
from archon.search.books import Books, Cells, Proposal, Told
from archon.search.posterior import fit, standings
from archon.search.searchers import SEARCHERS, more_items, searcher_of
from tests.search.conftest import space_of

SPACE = """\
holes: {n: !choice [1, 2, 4, 8]}
stages:
  - generate: {model: !choice {name: model, of: [a, b]}, samples: !ref n}
  - !choice {name: voted, of: {no: [], yes: vote}}
"""
TABLE = space_of(SPACE).table()


def _told(number: int, arm: int, start: int, stop: int) -> Told:
    return Told(number, number, arm, start, stop, "done")


def test_means_are_over_the_items_that_have_a_score() -> None:
    books = Books(TABLE, 6, objectives=("score", "usd"))
    scores = np.array([1.0, np.nan, 0.0, 1.0])
    told = books.tell(_told(0, 3, 0, 4), Cells(scores, {"usd": np.array([2.0, np.nan, 4.0, 3.0])}))
    assert told.values == (2 / 3, 3.0)
    assert told.items == 3
    assert books.seen(3) == 4
    assert books.counts.tolist() == [3]
    more = books.tell(_told(1, 3, 2, 6), Cells(np.array([0.5, 0.5, 0.0, 0.0])))
    assert more.values[0] == (1 + 0 + 1 + 0 + 0) / 5  # what was measured stays as it was


def test_new_calls_are_those_that_nobody_has_paid() -> None:
    chance = random.Random(0)
    books, paid = Books(TABLE, 30), np.zeros((TABLE.node_count, 30), bool)
    for number in range(20):
        arm, start = chance.randrange(len(TABLE)), chance.randrange(25)
        stop = chance.randint(start + 1, 30)
        expected = (~paid[TABLE.nodes_of(arm)][:, start:stop]).sum()
        assert books.new_calls([arm], start, stop).tolist() == [expected]
        books.tell(_told(number, arm, start, stop), Cells(np.ones(stop - start)))
        paid[TABLE.nodes_of(arm), start:stop] = True


def test_limits_of_kind_mean_are_broken_only_clearly() -> None:
    books = Books(TABLE, 50, limits={"usd": 1.0}, least=0.5)
    ones = np.ones(50)
    noise = np.tile([0.0, 2.2], 25)  # mean 1.1, standard error 0.16: not clearly above 1
    for number, usd in enumerate((0.9 * ones, noise, 1.1 * ones)):
        books.tell(_told(number, number, 0, 50), Cells(ones, {"usd": usd}))
    books.tell(_told(3, 3, 0, 50), Cells(0 * ones, {"usd": 0 * ones}))
    assert books.feasible.tolist() == [True, True, False, False]


def test_what_fails_is_closed_at_once_or_at_the_second_outage() -> None:
    books = Books(TABLE, 8)
    books.tell(Told(0, 0, 1, 0, 8, "failed", reason="the scorer gave nan"))
    assert not books.open[1]
    outage = "3 of 8 items have no score (infrastructure); first: busy"
    books.tell(Told(1, 1, 2, 0, 8, "failed", reason=outage))
    assert books.open[2]
    books.tell(Told(2, 2, 2, 0, 8, "failed", reason=outage))
    assert not books.open[2]


def test_restricted_books_have_never_seen_the_other_items() -> None:
    books = Books(TABLE, 10)
    scores = np.array([1.0, 0.0] * 5)
    books.tell(_told(0, 2, 0, 10), Cells(scores))
    keep = np.arange(10) % 2 == 0
    other = books.restricted(keep)
    assert other.values("score").tolist() == [1.0]
    assert books.values("score").tolist() == [0.5]
    other.tell(_told(1, 5, 0, 10), Cells(scores))
    assert 5 not in books


def test_more_items_double_until_all_are_seen() -> None:
    books = Books(TABLE, 100)
    asked = []
    while (proposal := more_items(books, 0, 16)) is not None:
        asked.append((proposal.start, proposal.stop))
        books.tell(_told(len(asked), 0, *asked[-1]), Cells(np.ones(proposal.stop - proposal.start)))
    assert asked == [(0, 16), (16, 32), (32, 64), (64, 100)]


def test_the_recommendation_is_not_the_luckiest_arm() -> None:
    # Fifteen arms of mean 0.5; the last is lucky on 4 items, the first good on 200.
    books = Books(TABLE, 200)
    chance = np.random.default_rng(0)
    for number in range(14):
        mean = 0.75 if number == 0 else 0.5
        scores = (chance.random(200) < mean).astype(float)
        books.tell(_told(number, number, 0, 200), Cells(scores))
    books.tell(_told(14, 14, 0, 4), Cells(np.ones(4)))
    raw = books.arms[np.argmax(books.values("score"))]
    assert raw == 14
    ranked = standings(books)
    assert ranked[0].arm == 0
    assert ranked[0].chance > 0.5
    lucky = next(standing for standing in ranked if standing.arm == 14)
    assert lucky.mean < 0.75
    assert lucky.sd > ranked[0].sd


def test_the_posterior_speaks_of_arms_that_were_never_measured() -> None:
    books = Books(TABLE, 100)
    good = [arm for arm in range(len(TABLE)) if TABLE.assignment(arm)["model"] == "a"]
    for number, arm in enumerate([*good[:6], *(set(range(len(TABLE))) - set(good))]):
        value = 0.9 if arm in good else 0.3
        scores = (np.arange(100) < 100 * value).astype(float)
        books.tell(_told(number, arm, 0, 100), Cells(scores))
    left = fit(books, np.array(good[6:]))
    assert (left.mean > 0.6).all()


@pytest.mark.parametrize("name", ["random", "grid", "race", "thompson", "tpe", "nsga2"])
def test_searchers_are_functions_of_the_books(name: str) -> None:
    def run(searcher: object, rounds: int) -> tuple[Books, list[Proposal]]:
        books, last = Books(TABLE, 40, seed=5, batch=3), []
        for books.round in range(rounds):
            last = list(searcher.ask(books))  # type: ignore[attr-defined]
            for proposal in last:
                assert 0 <= proposal.start < proposal.stop <= 40
                size = proposal.stop - proposal.start
                scores = np.resize([1.0, 0.0, proposal.arm % 2], size)
                told = Told(len(books.trials), books.round, proposal.arm, proposal.start,
                            proposal.stop, "done")  # fmt: skip
                books.tell(told, Cells(scores, {"calls": np.ones(size)}))
        return books, last

    whole, last = run(searcher_of(name, {}), 5)
    # A searcher that has kept nothing proposes the same from the same books.
    before, _ = run(searcher_of(name, {}), 4)
    before.round = 4
    assert list(searcher_of(name, {}).ask(before)) == last
    assert [s.arm for s in searcher_of(name, {}).recommend(whole)] == [
        s.arm for s in searcher_of(name, {}).recommend(whole)
    ]


def _round(searcher: object, books: Books, chance: np.random.Generator) -> list[Proposal]:
    """Ask, and tell what coins say; sometimes value earlier scores anew, as averaging does."""
    asked = list(searcher.ask(books))  # type: ignore[attr-defined]
    for proposal in asked:
        scores = chance.integers(0, 2, proposal.stop - proposal.start).astype(float)
        told = Told(len(books.trials), books.round, proposal.arm, proposal.start,
                    proposal.stop, "done")  # fmt: skip
        books.tell(told, Cells(scores))
    old = books.trials[len(books.trials) // 2]
    if books.round % 5 == 4:
        books.value(old.arm, old.start, chance.random(old.stop - old.start))
    books.round += 1
    return asked


@pytest.mark.parametrize("name", ["race", "tpe"])
def test_what_a_searcher_keeps_only_saves_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # More trials than it sees, scores that change later, an arm that is closed on the way.
    monkeypatch.setattr("archon.search.board.SEEN", 12)
    monkeypatch.setattr("archon.search.samplers.SEEN", {"tpe": 12})
    keeping = searcher_of(name, {})
    one, other = (Books(TABLE, 64, seed=5, batch=3) for _ in range(2))
    first, second = (np.random.default_rng(1) for _ in range(2))
    for number in range(11):
        asked = _round(keeping, one, first)
        assert asked == _round(searcher_of(name, {}), other, second)
        assert [s.mean for s in keeping.recommend(one)] == pytest.approx(
            [s.mean for s in searcher_of(name, {}).recommend(other)]
        )
        if number == 7:
            for books in (one, other):
                books.tell(Told(99, 7, 5, 0, 4, "failed", reason="it was broken"))
    assert len(one.trials) > 12


def test_a_round_costs_as_much_however_many_there_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archon.search.board.SEEN", 12)
    books, searcher = Books(TABLE, 400, seed=5), searcher_of("race", {"items": 2})
    chance, looked = np.random.default_rng(1), [0]
    of = Books.of

    def counted(self: Books, arm: int) -> np.ndarray:
        looked[0] += 1
        return of(self, arm)

    monkeypatch.setattr(Books, "of", counted)
    costs = []
    for _ in range(24):
        before = looked[0]
        searcher.recommend(books)
        asked = _round(searcher, books, chance)
        costs.append((looked[0] - before, len(asked)))
    # Of the 12 trials that it sees twice (for the belief, and for what was measured), of those
    # that are new, and at the marks of growth for a fit.
    late = [cost for cost, _ in costs[12:]]
    assert sorted(late)[len(late) // 2] <= 2 * 12 + 8
    assert max(late) <= 2 * 12 + 8 + 8 * 12
    assert len(books.trials) > 100


def test_closed_arms_are_not_proposed() -> None:
    for name in ("random", "grid", "race", "thompson", "tpe"):
        closed = np.ones(len(TABLE), bool)
        closed[3] = False
        books = Books(TABLE, 20, open=~closed, batch=4)
        assert {proposal.arm for proposal in searcher_of(name, {}).ask(books)} == {3}


def test_bad_settings_of_searchers_are_told() -> None:
    with pytest.raises(ConfigError, match="unknown searcher 'tpee'; did you mean 'tpe'"):
        searcher_of("tpee", {})
    with pytest.raises(ConfigError, match=r"'random'.*colour"):
        searcher_of("random", {"colour": 1})
    with pytest.raises(ConfigError, match=r"'tpe'.*colour"):
        searcher_of("tpe", {"colour": 1})
    with pytest.raises(ConfigError, match="cannot be imported"):
        searcher_of("no_such_module:Thing", {})
    assert set(SEARCHERS.all()) >= {"race", "tpe", "gp", "nsga2", "random", "grid", "paper"}
