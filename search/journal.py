"""Optuna's journal of a study, so that its dashboard and every tool of Optuna open it.

One trial of Optuna for each trial of the study, written only when it is whole: a killed process
leaves none running. The journal holds nothing that the pool does not: on opening, what it lacks is
written again, and half a line, as a power cut leaves it, is taken off and kept beside it.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archon.errors import StoreError
from archon.search.books import Books, Told
from archon.search.told import Translation, broken_limits, directions
from archon.types import Json

if TYPE_CHECKING:
    from optuna.study import Study as OptunaStudy

__all__ = ["Journal", "mend"]


def mend(path: Path) -> Path | None:
    """Take half a line off the end of a file; return where it is kept, or None.

    Only while nobody else writes: under the journal's lock.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return None
        whole = _last_line_end(file, size)
        file.seek(whole)
        kept = path.with_name(f"{path.name}.torn-{time.time_ns()}")
        kept.write_bytes(file.read())
        file.truncate(whole)
        file.flush()
        os.fsync(file.fileno())
    return kept


def _last_line_end(file: Any, size: int) -> int:
    """Return the place behind the last line feed, 0 without any."""
    step, end = 1 << 16, size
    while end:
        start = max(0, end - step)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return int(start + found + 1)
        end = start
    return 0


class _Lock:
    """A lock that the kernel takes back from a dead process; whoever gets it mends the file.

    Optuna's own locks stay behind when their holder is killed, for half a minute each time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mended: list[Path] = []
        self._file: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        file = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        self._file = file
        kept = mend(self.path)
        if kept is not None:
            self.mended.append(kept)
        return True

    def release(self) -> None:
        """Let go of the lock."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Journal:
    """A study's journal file.

    Args:
        path: the file.
        name: the study's.
        books: whose trials it gets.
        about: what Optuna's study is marked with: the searcher and its settings.

    Attributes:
        mended: files with half lines that were taken off.
    """

    def __init__(self, path: Path, name: str, books: Books, about: dict[str, Json]) -> None:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._lock = _Lock(path)
        self._lock.acquire()  # mends the file before it is read
        self._lock.release()
        self._telling = Translation(books.table.columns)
        self._read, self._there, self._whole = 0, set[int](), 0
        try:
            backend = JournalFileBackend(str(path), lock_obj=self._lock)  # type: ignore[arg-type]
            self.study: OptunaStudy = optuna.create_study(
                storage=JournalStorage(backend), study_name=name, load_if_exists=True,
                sampler=optuna.samplers.RandomSampler(seed=0),
                directions=directions(books.objectives),
            )  # fmt: skip
        except (ValueError, KeyError) as error:
            raise StoreError(
                f"{path}: cannot be read ({error}); it holds nothing that the pool does not, so it"
                " may be removed"
            ) from None
        if self.study.user_attrs.get("archon") != about:
            self.study.set_user_attr("archon", about)
        if len(self.study.directions) == 1 and not self.study.metric_names:
            self.study.set_user_attr("objective", books.objectives[0])

    @property
    def mended(self) -> list[Path]:
        """Files with half lines that were taken off."""
        return self._lock.mended

    def write(self, books: Books) -> None:
        """Append what the books have and the journal lacks."""
        missing = self._missing(books)
        if not missing:
            return
        # One process at a time: two that append the same trials would double them.
        guard = _Lock(self._lock.path.with_name(f"{self._lock.path.name}.append"))
        guard.acquire()
        try:
            broken, rows = broken_limits(books), books.table.rows
            for told in self._missing(books):
                about: dict[str, Json] = {"archon": _about(told)}
                self.study.add_trial(
                    self._telling.trial(told, rows[told.arm], broken.get(told.arm, {}), about)
                )
        finally:
            guard.release()

    def _missing(self, books: Books) -> list[Told]:
        stored = self.study.get_trials(deepcopy=False)
        for trial in stored[self._read :]:
            if "archon" in trial.user_attrs:
                self._there.add(trial.user_attrs["archon"]["number"])
        self._read = len(stored)
        # Trials only come behind those before: what is there from the first on stays there.
        trials = books.trials
        while self._whole < len(trials) and trials[self._whole].number in self._there:
            self._whole += 1
        return [told for told in trials[self._whole :] if told.number not in self._there]


def _about(told: Told) -> Json:
    return {
        "number": told.number, "round": told.round, "arm": told.arm, "why": told.why,
        "items": [told.start, told.stop], "reason": told.reason,
    }  # fmt: skip
