"""Layers, architectures, ports, bounds, the context they run in, and the registries."""

from archon.base.asking import ModelLayer
from archon.base.benchmark import (
    BENCHMARKS,
    Benchmark,
    Figure,
    Graded,
    Item,
    Need,
    Scored,
    Split,
)
from archon.base.bounds import QUESTION_TOKENS, Bound, Shape, plus, times
from archon.base.build import dump, parse, read_entry, read_model
from archon.base.context import Context, Event, NodeRecord, Parsed, Run
from archon.base.flow import Flow, Port, Ports, ports
from archon.base.node import (
    LAYERS,
    Architecture,
    Layer,
    Node,
    NodeRef,
    as_architecture,
    families,
    register,
)
from archon.base.places import Place
from archon.base.scoring import ScoreContext

__all__ = [
    "BENCHMARKS",
    "LAYERS",
    "QUESTION_TOKENS",
    "Architecture",
    "Benchmark",
    "Bound",
    "Context",
    "Event",
    "Figure",
    "Flow",
    "Graded",
    "Item",
    "Layer",
    "ModelLayer",
    "Need",
    "Node",
    "NodeRecord",
    "NodeRef",
    "Parsed",
    "Place",
    "Port",
    "Ports",
    "Run",
    "ScoreContext",
    "Scored",
    "Shape",
    "Split",
    "as_architecture",
    "dump",
    "families",
    "parse",
    "plus",
    "ports",
    "read_entry",
    "read_model",
    "register",
    "times",
]
