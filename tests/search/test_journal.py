"""Optuna's journal of a study: whole lines only, nothing twice, and Optuna opens it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from archon.search.books import Books, Cells, Told
from archon.search.journal import Journal, mend
from archon.search.told import Translation
from tests.search.conftest import space_of

SPACE = """\
stages:
  - generate: {model: !choice {name: model, of: [a, b]}, samples: !choice {name: n, of: [1, 2, 4]}}
  - !choice {name: voted, of: {no: [], yes: vote}}
"""


def _books(trials: int) -> Books:
    table = space_of(SPACE).table()
    books = Books(table, 10)
    for number in range(trials):
        arm = number % len(table)
        scores = np.array([float((number + i) % 2) for i in range(5)])
        start = 5 * (number // len(table))
        books.tell(Told(number, number, arm, start, start + 5, "done"), Cells(scores))
    return books


def _study(path: Path) -> optuna.Study:
    return optuna.load_study(
        study_name="j", storage=JournalStorage(JournalFileBackend(str(path))),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )  # fmt: skip


def test_every_told_trial_is_there_once(tmp_path: Path) -> None:
    books, path = _books(7), tmp_path / "journal.log"
    journal = Journal(path, "j", books, {"name": "tpe"})
    journal.write(books)
    journal.write(books)
    Journal(path, "j", books, {"name": "tpe"}).write(books)
    study = _study(path)
    trials = study.get_trials()
    assert [t.user_attrs["archon"]["number"] for t in trials] == list(range(7))
    assert [t.values for t in trials] == [list(told.values) for told in books.trials]
    assert study.user_attrs["archon"] == {"name": "tpe"}
    assert study.best_value == max(told.values[0] for told in books.trials)


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_half_a_line_is_taken_off_and_written_again(tmp_path: Path, cut: int) -> None:
    books, path = _books(5), tmp_path / "journal.log"
    Journal(path, "j", books, {}).write(books)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    journal = Journal(path, "j", books, {})
    assert len(journal.mended) == 1
    torn = whole[:-cut].rpartition(b"\n")[2]
    assert journal.mended[0].read_bytes() == torn
    journal.write(books)
    assert [t.user_attrs["archon"]["number"] for t in _study(path).get_trials()] == list(range(5))


@given(st.lists(st.binary(max_size=20)), st.binary(min_size=1, max_size=300_000))
def test_mending_keeps_whole_lines_and_every_byte(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], tail: bytes
) -> None:
    path = tmp_path_factory.mktemp("mend") / "journal.log"
    whole = b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines)
    torn = tail.replace(b"\n", b" ")
    path.write_bytes(whole + torn)
    kept = mend(path)
    assert path.read_bytes() == whole
    assert kept is not None
    assert kept.read_bytes() == torn
    assert mend(path) is None


def test_two_that_write_at_once_double_nothing(tmp_path: Path) -> None:
    books, path = _books(12), tmp_path / "journal.log"
    Journal(path, "j", books, {})
    threads = [
        threading.Thread(target=lambda: Journal(path, "j", books, {}).write(books))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [t.user_attrs["archon"]["number"] for t in _study(path).get_trials()]
    assert sorted(numbers) == list(range(12))
    assert not [name for name in os.listdir(tmp_path) if "torn" in name]


def test_rows_survive_the_translation() -> None:
    table = space_of(SPACE).table()
    telling = Translation(table.columns)
    for row in table.rows:
        params = telling.params(row)
        assert set(params) == {column.name for column in table.columns}  # every one, always
        np.testing.assert_array_equal(telling.row(params), row)
        for name, value in params.items():
            assert telling.space[name]._contains(telling.space[name].to_internal_repr(value))
