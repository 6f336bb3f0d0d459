"""Kill the workers of a study, again and again, and check what they leave behind.

    python tests/search/killing.py --schedules 1000 --out benchmarks/perf/results/study-kills.json

A schedule is a study by four processes that are killed by SIGKILL at named points of the code or at
random times, and started again until it ends. Then every process that got through must have found
what one that was left alone finds, no trial is lost, doubled or left open, no stored reply was
reserved again, and Optuna's journal holds every trial once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

FILE = {"trials": "6", "searcher": "{name: random, items: 8}", "seed": "3"}
PAUSE = 0.12
"""Seconds, at most, between two kills."""


class Workers:
    """The process that forks workers."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("study_worker.py")
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, str(script)], stdin=pipe, stdout=pipe, text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip

    def run(self, folder: Path, seed: int, workers: int, kills: int) -> dict[str, Any]:
        """Let workers do the study in a folder, killing some, and return how it went."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        job = {
            "file": FILE, "seed": seed, "pause": PAUSE, "workers": workers, "kills": kills,
            "path": str(folder / "pool.db"), "out": str(folder / "study"),
        }  # fmt: skip
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    @cached_property
    def expected(self) -> dict[str, Any]:
        """What a process finds that is left alone."""
        with tempfile.TemporaryDirectory() as name:
            done = self.run(Path(name), 0, workers=1, kills=0)
            assert (done["ended"], done["failed"]) == (1, 0)
            [found] = map(_comparable, _studies(Path(name)))
        return found

    def close(self) -> None:
        """Let it end."""
        self.process.communicate()


def schedule(workers: Workers, folder: Path, seed: int, kills: int, count: int = 4) -> int:
    """Run a schedule of kills in a folder, check everything, and return how many there were.

    Raises:
        AssertionError: when a promise is broken.
    """
    folder.mkdir(parents=True)
    killed = 0
    while killed < kills and not _studies(folder):
        found = workers.run(folder, seed, count, kills - killed)
        assert (found["failed"], found["bad"]) == (0, 0)
        killed += found["kills"]
    assert workers.run(folder, seed, 1, 0)["failed"] == 0
    for study in _studies(folder):
        found = _comparable(study)
        names = {**workers.expected, **found}
        other = [name for name in names if found.get(name) != workers.expected.get(name)]
        assert not other, f"a process found others: {', '.join(other)}"
    _check_books(folder / "pool.db")
    return killed


def _studies(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in folder.glob("study.*")]


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


def main() -> None:
    """Run schedules from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=3, help="of each schedule, if it lasts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    began, chance, workers = time.monotonic(), random.Random(options.seed), Workers()
    found: dict[str, Any] = {"schedules": 0, "kills": 0, "broken_promises": 0, "first_broken": []}
    for number in range(options.schedules):
        folder, seed = Path(tempfile.mkdtemp()), chance.randrange(10**6)
        try:
            found["kills"] += schedule(workers, folder / "study", seed, options.kills)
        except AssertionError as error:
            found["broken_promises"] += 1
            broken = str(error) or traceback.extract_tb(error.__traceback__)[-1].line
            found["first_broken"] += [f"seed {seed}: {broken}"][: 5 - len(found["first_broken"])]
        shutil.rmtree(folder)
        found |= {"schedules": number + 1, "seed": options.seed, "workers": 4}
        found["seconds"] = round(time.monotonic() - began, 1)
        text = json.dumps(found, indent=1) + "\n"
        if options.out is not None:
            options.out.write_text(text)
    workers.close()
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
