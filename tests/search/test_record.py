"""The record of a study: what it keeps, and what a broken one is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archon import optimize
from archon.errors import ConfigError
from archon.search import record as module
from archon.search.books import Books, Standing
from archon.search.history import History
from archon.search.record import (
    Moment,
    Record,
    find_study,
    keep_record,
    no_study,
    read_record,
    record_of,
    studies,
    thinned,
)
from archon.types import Usage
from tests.report.studied import Studied, space
from tests.search.ground import Toy, search_file, session


def moment(number: int) -> Moment:
    return Moment(round=number, trials=1, calls=number, usd=None, arm=0, mean=0.5, sd=0.1, items=8)


def test_a_record_is_what_was_measured(tmp_path: Path) -> None:
    study = Studied(seen=lambda row: 180 if row % 2 else 40).make()
    keep_record(tmp_path, record_of(study))
    found = read_record(tmp_path)
    assert np.array_equal(found.matrix(), study.books.scores, equal_nan=True)
    assert np.array_equal(found.rows(), study.books.table.rows, equal_nan=True)
    assert [arm.items for arm in found.arms[:4]] == [40, 180, 40, 180]
    assert [s.arm for s in found.standings] == [s.arm for s in study.standings]
    table = space()[1]
    for arm in found.arms:
        architecture = table.architecture(arm.row)
        assert arm.digest == architecture.digest()
        assert set(arm.layers) == {layer.kind for _, layer in architecture.walk()}
        place = arm.row
        assert arm.values["score"] == pytest.approx(np.nanmean(study.books.scores[place]))
    assert found.best["yaml"] == study.to_yaml()
    assert (tmp_path / "record.json").stat().st_mode & 0o077 == 0


def test_of_too_many_scores_those_of_some_architectures_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_CELLS", 5 * 180)
    study = Studied().make()
    found = record_of(study)
    assert len(found.arms) == 32
    assert found.scored == (0, 8, 16, 23, 31)  # evenly, both ends among them
    assert np.array_equal(found.matrix(), study.books.scores[list(found.scored)])


def test_moments_are_thinned_evenly() -> None:
    assert [m.round for m in thinned([moment(n) for n in range(101)], 5)] == [0, 25, 50, 75, 100]
    assert [m.round for m in thinned([moment(n) for n in range(3)], 5)] == [0, 1, 2]


def test_what_was_said_in_a_round_stays_said(tmp_path: Path) -> None:
    table: Any = space()[1]
    books = Books(table, 8)
    first = History(tmp_path)
    first.note(books, [], Usage())
    assert not first.moments
    first.note(books, [Standing(3, 0.6, 0.1, 0.9)], Usage(calls=7))
    first.note(books, [Standing(4, 0.9, 0.1, 0.9)], Usage(calls=9))
    assert [(m.arm, m.mean, m.calls) for m in first.moments] == [(3, 0.6, 7)]
    study = Studied(change={"history": first.moments}).make()
    first.keep(study)
    assert not first.due
    # Another process goes on with what was said before.
    second = History(tmp_path)
    books.round = 1
    second.note(books, [Standing(4, 0.9, 0.1, 0.9)], Usage(calls=9))
    assert [m.arm for m in second.moments] == [3, 4]
    assert History(None).due is False


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no record yet; the same `archon search` again writes one"),
        ("", "is no record of a study"),
        ("{}", r"is no record of a study \(name: Field required\)"),
        ('{"version": 2}', r"version: Input should be 1"),
    ],
)
def test_a_broken_record(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "record.json").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_record(tmp_path)


def test_a_study_is_found_by_name_or_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHON_HOME", str(tmp_path))
    folder = tmp_path / "studies" / "toy"
    folder.mkdir(parents=True)
    assert find_study("toy") is None
    (folder / "study.json").write_text("{}")
    assert find_study("toy") == find_study(str(folder)) == folder
    assert find_study("") is find_study("tou") is None
    assert (studies(), no_study("tou"), no_study("zzz")) == (["toy"], "; did you mean 'toy'?", "")


class Interrupted(Exception):
    """Somebody stopped it."""


def test_a_real_study_keeps_its_record_from_the_first_moment_on(tmp_path: Path) -> None:
    few = {"searcher": "{name: random, items: 8}", "trials": "3", "seeds": "[]"}

    def stop(progress: object) -> None:
        raise Interrupted

    with session(tmp_path / "pool.db") as opened:
        with pytest.raises(Interrupted):
            optimize(search_file(**few), Toy(), session=opened, progress=stop)
        begun = read_record(tmp_path / "studies" / "toy")
        assert (begun.ended, begun.trials, begun.best, begun.matrix().size) == ("", (), {}, 0)
        study = optimize(search_file(**few), Toy(), session=opened)
    ended = read_record(tmp_path / "studies" / "toy")
    assert isinstance(ended, Record)
    assert ended.ended == "trials"
    assert len(ended.groups) == 16
    assert [told.number for told in ended.trials] == [0, 1, 2]
    assert ended.found is not None
    assert ended.found["winner"]["digest"] == study.best.digest() == ended.best["digest"]
    assert ended.reserve == pytest.approx(0.3)
    assert ended.history[-1].calls <= (ended.spent["calls"] or 0)
    assert ended.history[-1].arm == study.standings[0].arm
    assert np.allclose(ended.matrix(), study.books.scores, equal_nan=True)  # kept in four bytes
