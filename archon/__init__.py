"""Compose, run and search architectures of LLM inference-time techniques.

import archon
from archon.layers import Fuse, Generate

strong = archon.Model("openai/gpt-4o", temperature=0.7)
arch = Generate(model=strong, samples=5) >> Fuse(model=strong)
print(archon.run(arch, "Why is the sky blue?"))
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from archon.base import Architecture, Layer, ModelLayer, ports, register
from archon.budget import Budget
from archon.errors import ArchonError, BudgetExceeded, ConfigError, ModelError, NodeError
from archon.model import Model, Price
from archon.types import Candidate, Message, Note, Reply, State, Task, Usage

if TYPE_CHECKING:
    from archon import benchmarks, layers, search
    from archon.api import arun, astream, run, stream
    from archon.config import dumps, load, loads
    from archon.evaluation import aevaluate, evaluate
    from archon.result import Result
    from archon.session import Session

__all__ = [
    "Architecture",
    "ArchonError",
    "Budget",
    "BudgetExceeded",
    "Candidate",
    "ConfigError",
    "Layer",
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

# What needs more than pydantic is imported when it is first asked for.
_LATER = {
    "aevaluate": "archon.evaluation",
    "arun": "archon.api",
    "astream": "archon.api",
    "dumps": "archon.config",
    "evaluate": "archon.evaluation",
    "load": "archon.config",
    "loads": "archon.config",
    "Result": "archon.result",
    "run": "archon.api",
    "Session": "archon.session",
    "stream": "archon.api",
}
_PACKAGES = ("benchmarks", "layers", "search")

try:
    __version__ = version("archon-itas")
except PackageNotFoundError:  # run from a tree that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> object:
    if name in _PACKAGES:
        return import_module(f"archon.{name}")
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'archon' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
