"""Which runs a report is about, and what of them is read."""

from __future__ import annotations

import asyncio
import time

import pytest

import archon
from archon.errors import ConfigError
from archon.report import report_on
from archon.report.reading import newest, subjects
from archon.runs import RunRow, put_run
from archon.trails import drop_items
from archon.types import Usage
from tests.report.stored import Stored, pattern, put

SCORES = pattern(30, 0.5)


def test_a_run_is_found_by_its_name_or_the_beginning_of_it(session: archon.Session) -> None:
    one, two = put(session.pool, Stored("one", SCORES), Stored("two", SCORES))
    found = subjects([one, two[:9]], session.pool)
    assert [subject.evaluation.run for subject in found] == [one, two]
    assert [subject.label for subject in found] == ["one", "two"]
    assert found[0].evaluation.n == 30


def test_what_cannot_be_reported_on_says_why(session: archon.Session) -> None:
    with pytest.raises(ConfigError, match="a report needs a run; nothing was evaluated yet"):
        report_on(session=session)
    [one, _] = put(session.pool, Stored("one", SCORES), Stored("one", SCORES, seed=1))
    said = rf"no run or study '{one}x'; did you mean '{one}'.*the newest: "
    with pytest.raises(ConfigError, match=said):
        report_on(f"{one}x", session=session)
    with pytest.raises(ConfigError, match="is given twice"):
        report_on(one, one, session=session)
    with pytest.raises(ConfigError, match="is the beginning of 2 runs"):
        report_on(one[:8], session=session)
    with pytest.raises(ConfigError, match="no run or study ''"):
        report_on("", session=session)
    with pytest.raises(ConfigError, match="items must be at least 0"):
        report_on(one, items=-1, session=session)
    single = RunRow("abc", time.time(), "run", "d", "one", "done", time.time(), result="42")
    asyncio.run(put_run(session.pool, single))
    with pytest.raises(ConfigError, match=r"answered one question.*the newest: "):
        report_on("abc", session=session)


def test_the_newest_runs_are_the_newest_evaluations(session: archon.Session) -> None:
    with pytest.raises(ConfigError, match="nothing was evaluated yet"):
        newest(session.pool, 3)
    names = put(session.pool, *(Stored(name, SCORES) for name in ("one", "two", "three")))
    assert newest(session.pool, 2) == names[1:]
    assert newest(session.pool, 9) == names


def test_a_run_that_has_not_ended_shows_what_there_is(session: archon.Session) -> None:
    done, running = put(
        session.pool, Stored("done", SCORES), Stored("going", SCORES[:7], status="running")
    )
    made = report_on(running, done, session=session)
    going, other = made.subjects
    assert (going.status, going.evaluation.n, going.evaluation.benchmark) == ("running", 7, "sums")
    # The last part of their names says that both are on the same items.
    assert len(made.kins) == 1
    assert other.evaluation.benchmark_digest == going.evaluation.benchmark_digest
    alone = report_on(running, session=session)
    assert "unknown until the run ends" in alone.html


def test_a_run_with_a_benchmark_of_several_words_is_read_by_its_name(
    session: archon.Session,
) -> None:
    [name] = put(session.pool, Stored("x", SCORES, benchmark="mmlu-pro", seed=4, status="running"))
    [found] = subjects([name], session.pool)
    e = found.evaluation
    assert (e.benchmark, e.split, e.seed) == ("mmlu-pro", "test", 4)


def test_a_run_of_an_older_archon_has_rows_but_no_items(session: archon.Session) -> None:
    put(session.pool, Stored("old", SCORES), items=False)
    made = report_on(Stored("old", SCORES).id, session=session)
    assert made.subjects[0].pool is None
    assert made.subjects[0].evaluation.n == 30
    assert "no items are stored with this run" in made.html
    assert made.browser.listed == 30
    assert not made.browser.nodes[0]


def test_items_of_an_earlier_longer_measurement_do_not_count(session: archon.Session) -> None:
    put(session.pool, Stored("one", SCORES))
    shorter = Stored("one", SCORES[:10], total=30, result={"cut_short": "stopped"})
    [name] = put(session.pool, shorter)
    made = report_on(name, session=session)
    assert len(made.subjects[0].evaluation.rows) == made.browser.total == 10


def test_items_that_got_lost_are_missed(session: archon.Session) -> None:
    [name] = put(session.pool, Stored("one", SCORES))
    asyncio.run(drop_items(session.pool, name, 28))
    made = report_on(name, session=session)
    assert made.subjects[0].missing == 2
    assert "2 items that the run counted are not stored" in made.html


def test_an_evaluation_in_memory_can_be_reported_on(session: archon.Session) -> None:
    stored = Stored("one", SCORES)
    without = report_on(stored.evaluation(), session=session)
    assert without.subjects[0].pool is None
    put(session.pool, stored)
    made = report_on(stored.evaluation(), session=session)
    assert made.subjects[0].pool is session.pool
    assert made.browser.nodes[0]["generate"].used.calls == 30


def test_what_nodes_needed_is_added_up(session: archon.Session) -> None:
    usage = Usage(3, 100, 20, 50, 1.0)
    names = put(session.pool, Stored("one", SCORES, usage=usage), Stored("two", [None] * 4))
    made = report_on(*names, session=session)
    cost = made.browser.nodes[0]["generate"]
    assert (cost.items, cost.used.calls, cost.used.tokens, cost.used.microusd) == (
        30, 90, 3600, 1500,
    )  # fmt: skip
    assert made.browser.nodes[1]["vote"].used.calls == 0
