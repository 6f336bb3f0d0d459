"""Benchmarks, one data set or task family per file. Importing this package registers them."""

from __future__ import annotations

import inspect

from archon.base import BENCHMARKS, Benchmark
from archon.benchmarks.aime import AIME
from archon.benchmarks.alpaca_eval import AlpacaEval
from archon.benchmarks.arena_hard import ArenaHard
from archon.benchmarks.arithmetic import Arithmetic
from archon.benchmarks.code_contests import CodeContests
from archon.benchmarks.constraints import Constraints
from archon.benchmarks.countdown import Countdown
from archon.benchmarks.files import FileBenchmark, Source
from archon.benchmarks.gpqa import GPQA
from archon.benchmarks.gsm8k import GSM8K
from archon.benchmarks.humaneval import HumanEval, HumanEvalPlus
from archon.benchmarks.ifeval import IFEval
from archon.benchmarks.listfn import ListFn
from archon.benchmarks.math import MATH, MATH500
from archon.benchmarks.mbpp import MBPP, MBPPPlus
from archon.benchmarks.mixeval import MixEval, MixEvalHard
from archon.benchmarks.mmlu import MMLU
from archon.benchmarks.mmlu_pro import MMLUPro
from archon.benchmarks.mt_bench import MTBench
from archon.benchmarks.procedure import Procedure
from archon.errors import ConfigError, did_you_mean

__all__ = [
    "AIME",
    "GPQA",
    "GSM8K",
    "MATH",
    "MATH500",
    "MBPP",
    "MMLU",
    "AlpacaEval",
    "ArenaHard",
    "Arithmetic",
    "CodeContests",
    "Constraints",
    "Countdown",
    "FileBenchmark",
    "HumanEval",
    "HumanEvalPlus",
    "IFEval",
    "ListFn",
    "MBPPPlus",
    "MMLUPro",
    "MTBench",
    "MixEval",
    "MixEvalHard",
    "Procedure",
    "Source",
    "get",
    "names",
]


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
