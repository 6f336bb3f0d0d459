"""Studies whose workers are killed: nothing lost, nothing twice, nothing left running."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FILE = {"trials": "6", "searcher": "{name: random, items: 8}", "seed": "3"}


class Workers:
    """The process that forks workers."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("study_worker.py")
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, str(script)], stdin=pipe, stdout=pipe, text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip

    def run(self, **job: Any) -> dict[str, Any]:
        """Do a job and return how it went."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """One process for all tests: it imports everything once."""
    made = Workers()
    yield made
    made.process.communicate()


def _study(out: str, folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in folder.glob(f"{Path(out).name}.*")]


def _comparable(study: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a kill may leave behind: a call in doubt, a look that was not finished."""
    assert study["found"].pop("looks") >= 1
    return {k: v for k, v in study.items() if k not in ("spent", "notes")}


def _check_books(path: Path) -> None:
    """Check trials, calls and journal after the last worker."""
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    trials = db.execute(
        "SELECT number, stage, arm, start, stop, state FROM trials ORDER BY number"
    ).fetchall()
    assert [row[0] for row in trials] == list(range(len(trials)))
    assert {row[5] for row in trials} == {"done"}
    searched = [row for row in trials if row[1] == "search"]
    places = [row[2:5] for row in searched if row[2] >= 0]
    assert max(Counter(places).values()) == 1
    # A draw that was stored was never reserved again.
    stored: set[Any] = set()
    rows = db.execute("SELECT key, member, draw, state FROM attempts ORDER BY id").fetchall()
    for *place, state in rows:
        assert tuple(place) not in stored
        if state == "done":
            stored.add(tuple(place))
    assert "inflight" not in {row[3] for row in rows}
    db.close()
    _check_journal(path.parent / "studies" / "kills" / "journal.log", len(places))


def _check_journal(path: Path, trials: int) -> None:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    study = optuna.load_study(
        study_name="kills", storage=JournalStorage(JournalFileBackend(str(path))),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )  # fmt: skip
    states = Counter(trial.state.name for trial in study.get_trials(deepcopy=False))
    assert states == {"COMPLETE": trials}


def _campaign(workers: Workers, tmp_path: Path, seed: int, kills: int, count: int = 4) -> int:
    whole = tmp_path / "whole"
    whole.mkdir(parents=True)
    job = {"file": FILE, "seed": seed, "pause": 0.12}
    done = workers.run(
        **job, path=str(whole / "pool.db"), out=str(whole / "study"), workers=1, kills=0
    )
    assert (done["ended"], done["failed"]) == (1, 0)
    [expected] = map(_comparable, _study("study", whole))
    cut = tmp_path / "cut"
    cut.mkdir()
    again = {**job, "path": str(cut / "pool.db"), "out": str(cut / "study")}
    killed = 0
    while killed < kills:
        found = workers.run(**again, workers=count, kills=kills - killed)
        assert (found["failed"], found["bad"]) == (0, 0)
        killed += found["kills"]
        if found["kills"] < 1 and not _study("study", cut):
            continue
        if _study("study", cut):
            break
    assert workers.run(**again, workers=1, kills=0)["failed"] == 0
    studies = _study("study", cut)
    assert studies
    for study in studies:
        assert _comparable(study) == expected
    _check_books(cut / "pool.db")
    return killed


def test_a_killed_worker_is_missed_by_nobody(workers: Workers, tmp_path: Path) -> None:
    assert _campaign(workers, tmp_path, seed=1, kills=4, count=3) >= 1


@pytest.mark.slow
def test_fifty_kills(workers: Workers, tmp_path: Path) -> None:
    killed, seed = 0, 0
    while killed < 50:
        killed += _campaign(workers, tmp_path / str(seed), seed=seed, kills=50 - killed)
        seed += 1


@pytest.mark.slow
def test_a_thousand_schedules(workers: Workers, tmp_path: Path) -> None:
    chance = random.Random(0)
    for number in range(1000):
        _campaign(workers, tmp_path / str(number), seed=chance.randrange(10**6), kills=3)
