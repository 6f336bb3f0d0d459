"""Compose, run and search architectures of LLM inference-time techniques.

Example::

    import archon
    from archon.layers import Fuse, Generate

    strong = archon.Model("openai/gpt-4o", temperature=0.7)
    arch = Generate(model=strong, samples=5) >> Fuse(model=strong)
    print(archon.run(arch, "Why is the sky blue?"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archon import benchmarks, layers, matrix, report, search
    from archon.api import arun, astream, run, stream
    from archon.base import Architecture, Layer, ModelLayer, ports, register
    from archon.budget import Budget
    from archon.comparing import Comparison, acompare, compare
    from archon.config import dumps, load, loads
    from archon.errors import ArchonError, BudgetExceeded, ConfigError, ModelError, NodeError
    from archon.evaluation import aevaluate, evaluate
    from archon.limits import Limits
    from archon.matrix import SampleMatrix, asample, sample
    from archon.measured import Evaluation
    from archon.model import Model, Price
    from archon.report import Report, report_on
    from archon.result import Result
    from archon.search import Study, aoptimize, optimize
    from archon.session import Session
    from archon.types import Candidate, Message, Note, Reply, State, Task, Usage

    __version__: str

__all__ = [
    "Architecture",
    "ArchonError",
    "Budget",
    "BudgetExceeded",
    "Candidate",
    "Comparison",
    "ConfigError",
    "Evaluation",
    "Layer",
    "Limits",
    "Message",
    "Model",
    "ModelError",
    "ModelLayer",
    "NodeError",
    "Note",
    "Price",
    "Reply",
    "Report",
    "Result",
    "SampleMatrix",
    "Session",
    "State",
    "Study",
    "Task",
    "Usage",
    "acompare",
    "aevaluate",
    "aoptimize",
    "arun",
    "asample",
    "astream",
    "benchmarks",
    "compare",
    "dumps",
    "evaluate",
    "layers",
    "load",
    "loads",
    "matrix",
    "optimize",
    "ports",
    "register",
    "report",
    "report_on",
    "run",
    "sample",
    "search",
    "stream",
]

# Every name is imported when it is first asked for: `import archon` costs milliseconds.
_HOMES = {
    "archon.api": ("arun", "astream", "run", "stream"),
    "archon.base": ("Architecture", "Layer", "ModelLayer", "ports", "register"),
    "archon.budget": ("Budget",),
    "archon.comparing": ("Comparison", "acompare", "compare"),
    "archon.config": ("dumps", "load", "loads"),
    "archon.errors": ("ArchonError", "BudgetExceeded", "ConfigError", "ModelError", "NodeError"),
    "archon.evaluation": ("aevaluate", "evaluate"),
    "archon.matrix": ("SampleMatrix", "asample", "sample"),
    "archon.measured": ("Evaluation",),
    "archon.model": ("Model", "Price"),
    "archon.report": ("Report", "report_on"),
    "archon.result": ("Result",),
    "archon.limits": ("Limits",),
    "archon.search": ("Study", "aoptimize", "optimize"),
    "archon.session": ("Session",),
    "archon.types": ("Candidate", "Message", "Note", "Reply", "State", "Task", "Usage"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
_PACKAGES = ("benchmarks", "layers", "matrix", "report", "search")


def __getattr__(name: str) -> object:
    if name in _PACKAGES:
        return import_module(f"archon.{name}")
    if name in _HOME:
        value: object = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    if name == "__version__":
        return _version()
    raise AttributeError(f"module 'archon' has no attribute {name!r}")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("archon-itas")
    except PackageNotFoundError:  # run from a tree that was never installed
        return "0+unknown"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
