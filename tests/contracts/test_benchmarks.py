"""Every contract over every registered benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from archon import benchmarks
from archon.base import BENCHMARKS, Benchmark
from archon.benchmarks.files import FileBenchmark
from archon.errors import ConfigError
from archon.sandbox import ladder
from archon.testing import BENCHMARK_CONTRACTS
from archon.testing.benchmarks import Make
from tests.benchmarks.samples import SAMPLES


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Tiny files in the official format of each benchmark, one folder for each."""
    made = {}
    for name, write in SAMPLES.items():
        made[name] = tmp_path_factory.mktemp(name)
        write(made[name])
    return made


def maker(name: str, folders: Mapping[str, Path]) -> Make:
    """Return what makes a benchmark, from its sample files where it reads files."""

    def make() -> Benchmark:
        return benchmarks.get(name, path=folders[name])

    if not isinstance(BENCHMARKS.get(name)(), FileBenchmark):
        return BENCHMARKS.get(name)
    if name not in folders:
        pytest.fail(
            f"{name!r} has no sample: add a function that writes its files in their official"
            " format to SAMPLES in tests/benchmarks/samples.py"
        )
    return make


@pytest.mark.parametrize("contract", BENCHMARK_CONTRACTS)
@pytest.mark.parametrize("name", list(BENCHMARKS.all()))
def test_contract(name: str, contract: str, folders: Mapping[str, Path]) -> None:
    BENCHMARK_CONTRACTS[contract](maker(name, folders))


@pytest.mark.parametrize("name", list(BENCHMARKS.all()))
def test_it_is_listed_without_its_files(name: str, tmp_path: Path) -> None:
    benchmark = benchmarks.get(name)
    assert benchmark.name == name
    if isinstance(benchmark, FileBenchmark):
        assert not benchmark.present
        with pytest.raises(ConfigError, match=rf"archon benchmarks get {name}"):
            benchmark.items("test", 1)


@pytest.mark.parametrize("name", list(SAMPLES))
def test_a_downloaded_set_of_another_size_is_refused(
    name: str, folders: Mapping[str, Path], archon_home: Path
) -> None:
    benchmark = BENCHMARKS.get(name)()
    assert isinstance(benchmark, FileBenchmark)
    if "test" not in benchmark.sizes:
        pytest.skip(f"{name} is published without a count of its items")
    place = archon_home / "benchmarks"
    place.mkdir(parents=True)
    (place / name).symlink_to(folders[name])
    with pytest.raises(ConfigError, match=f"but {benchmark.sizes['test']} were published"):
        benchmark.items("test")


@pytest.mark.parametrize("name", list(BENCHMARKS.all()))
def test_what_is_missing_is_named(
    name: str, folders: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "BACKENDS", ())
    benchmark = maker(name, folders)()
    try:
        benchmark.ready()
    except ConfigError as error:
        expected = "archon sandbox" if "sandbox" in benchmark.needs else "pip install"
        assert expected in str(error)  # noqa: PT017
    else:
        assert "sandbox" not in benchmark.needs
