"""Benchmarks, one data set or task family per file. Importing this package registers them."""

from __future__ import annotations

import inspect

from archon.base import BENCHMARKS, Benchmark
from archon.benchmarks.arithmetic import Arithmetic
from archon.errors import ConfigError, did_you_mean

__all__ = ["Arithmetic", "get", "names"]


def names() -> list[str]:
    """Return the names of all registered benchmarks."""
    return list(BENCHMARKS.all())


def get(name: str, **options: object) -> Benchmark:
    """Return a benchmark by name.

    Args:
        name: as in `names()`.
        **options: the benchmark's own, such as `level`.

    Raises:
        ConfigError: for an unknown name or option, with the nearest known one.
    """
    factory = BENCHMARKS.get(name)
    known = inspect.signature(factory).parameters
    for option in options:
        if option not in known:
            near = did_you_mean(option, known)
            raise ConfigError(f"benchmark {name!r} has no option {option!r}{near}")
    return factory(**options)
