"""The published files: layer strings, numbers of calls, round trips, runs.

The expected values stand beside the files (`golden.csv`): they were counted from the original's
code with scripted models, not with this importer.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import archon
from archon import ConfigError
from archon.original import Choices, Imported, import_file
from tests.original.passing import fake

Row = dict[str, str]


@pytest.fixture(scope="module")
def published() -> Path:
    """The folder of published files, which are never committed; without it, nothing is tested."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("ARCHON_TEST_DATA", beside)).parent / "archon-published"
    if not (folder / "golden.csv").is_file():
        pytest.skip(f"no published files in {folder.name!r} beside the public data sets")
    return folder


@pytest.fixture(scope="module")
def golden(published: Path) -> list[Row]:
    with (published / "golden.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _shapes(golden: list[Row]) -> list[Row]:
    """Return one small file of each kind of layer, flag and depth, about 25 in all."""
    seen: set[str] = set()
    chosen = []
    for row in golden:
        words = row["layers"].replace(" > ", " ").split()
        kinds = {word.lstrip("0123456789").partition("x")[0] for word in words}
        flags = set(row["flags"].split()) - {"K", "N"}
        marks = {"".join(sorted(kinds)), *(flag for flag in flags if flag[0] not in "=~x")}
        if marks - seen and row["calls_max"] != "-" and int(row["calls_max"]) <= 60:
            seen |= marks
            chosen.append(row)
    return chosen


def _imported(published: Path, row: Row, choices: Choices | None = None) -> Imported:
    return import_file(published / "configs" / row["path"], choices)


def _check(published: Path, row: Row) -> None:
    """Compare a file's shape, bound and round trip with what is known of it."""
    what = _imported(published, row)
    assert what.shape == row["layers"], row["path"]
    assert what.architecture.bound().calls == int(row["calls_max"]), row["path"]
    loaded = archon.load(published / "configs" / row["path"])
    assert loaded == what.architecture
    again = archon.loads(what.yaml)
    assert again == what.architecture, row["path"]
    assert again.digest() == what.architecture.digest()
    assert again.metadata == what.architecture.metadata


def _run(published: Path, row: Row) -> None:
    """Run a file with verdicts that pass, and compare the calls."""
    what = _imported(published, row, Choices(all_models="fake/any"))
    with archon.Session(pool=None, backends={"fake": fake()}) as session:
        result = archon.run(what.architecture, "What is 6 * 7?", session=session)
    assert result.unparsed == 0, row["path"]
    assert result.used.calls == int(row["calls_min"]), row["path"]
    assert result.answer, row["path"]


def _valid(golden: list[Row]) -> Iterator[Row]:
    return (row for row in golden if row["calls_max"] != "-")


def test_shapes_of_all_kinds_import_and_run(published: Path, golden: list[Row]) -> None:
    chosen = _shapes(golden)
    assert 20 <= len(chosen) <= 40
    for row in chosen:
        _check(published, row)
        _run(published, row)


def test_the_broken_files_are_located_and_mended_on_request(
    published: Path, golden: list[Row]
) -> None:
    broken = [row for row in golden if row["layers"] == "invalid JSON"]
    # by hand, in an editor: the character after the quote that closes "generator"
    places = {
        "3-8-70BM3S": ("26:40", "8Gx3 > R(k3) > 1F"),
        "5-8-70BM": ("71:40", "8G > R(k5) > 1F"),
    }
    assert len(broken) == 2
    for row in broken:
        place, shape = places[row["path"].removesuffix(".json").rpartition("Ranker")[2]]
        with pytest.raises(ConfigError) as caught:
            _imported(published, row)
        assert caught.value.where.endswith(f"{row['path']}:{place}")
        mended = _imported(published, row, Choices(repair=True))
        assert mended.shape == shape
        assert len(mended.fixes) == 1


@pytest.mark.slow
def test_every_file_imports_and_runs_in_a_minute(published: Path, golden: list[Row]) -> None:
    began = time.process_time()  # other work on the machine does not count
    rows = list(_valid(golden))
    assert len(rows) == 193
    for row in rows:
        _check(published, row)
        _run(published, row)
    assert time.process_time() - began < 60
