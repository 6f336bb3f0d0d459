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
    from archon import benchmarks, layers, search
    from archon.api import arun, astream, run, stream
    from archon.base import Architecture, Layer, ModelLayer, ports, register
    from archon.budget import Budget
    from archon.config import dumps, load, loads
    from archon.errors import ArchonError, BudgetExceeded, ConfigError, ModelError, NodeError
    from archon.evaluation import aevaluate, evaluate
    from archon.limits import Limits
    from archon.measured import Evaluation
    from archon.model import Model, Price
    from archon.result import Result
    from archon.session import Session
    from archon.types import Candidate, Message, Note, Reply, State, Task, Usage

    __version__: str

__all__ = [
    "Architecture",
    "ArchonError",
    "Budget",
    "BudgetExceeded",
    "Candidate",
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
    "Result",
    "Session",
    "State",
    "Task",
    "Usage",
    "aevaluate",
    "arun",
    "astream",
    "benchmarks",
    "dumps",
    "evaluate",
    "layers",
    "load",
    "loads",
    "ports",
    "register",
    "run",
    "search",
    "stream",
]

# Every name is imported when it is first asked for: `import archon` costs milliseconds.
_HOMES = {
    "archon.api": ("arun", "astream", "run", "stream"),
    "archon.base": ("Architecture", "Layer", "ModelLayer", "ports", "register"),
    "archon.budget": ("Budget",),
    "archon.config": ("dumps", "load", "loads"),
    "archon.errors": ("ArchonError", "BudgetExceeded", "ConfigError", "ModelError", "NodeError"),
    "archon.evaluation": ("aevaluate", "evaluate"),
    "archon.measured": ("Evaluation",),
    "archon.model": ("Model", "Price"),
    "archon.result": ("Result",),
    "archon.limits": ("Limits",),
    "archon.session": ("Session",),
    "archon.types": ("Candidate", "Message", "Note", "Reply", "State", "Task", "Usage"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
_PACKAGES = ("benchmarks", "layers", "search")


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
