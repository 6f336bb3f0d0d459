"""Every contract over every registered benchmark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from archon.base import BENCHMARKS
from archon.testing import BENCHMARK_CONTRACTS
from archon.testing.benchmarks import Make


def _benchmarks() -> Iterator[object]:
    for name, make in BENCHMARKS.all().items():
        yield pytest.param(make, id=name)


@pytest.mark.parametrize("contract", BENCHMARK_CONTRACTS)
@pytest.mark.parametrize("make", list(_benchmarks()))
def test_contract(make: Make, contract: str) -> None:
    BENCHMARK_CONTRACTS[contract](make)
