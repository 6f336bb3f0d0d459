"""`archon show`: an architecture as a tree, as Mermaid, or as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archon.cli import common

if TYPE_CHECKING:
    from rich.tree import Tree

    from archon.base import Architecture, Layer, Node

__all__ = ["show"]


def show(
    arch: common.Arch,
    mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Print a Mermaid flowchart, for Markdown.")
    ] = False,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an SVG.")] = None,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a PNG.")] = None,
) -> None:
    """Show an architecture."""
    architecture = common.load_architecture(arch)
    for path, ending in ((svg, ".svg"), (png, ".png")):
        if path is not None:
            saved = architecture.draw().save(path if path.suffix else path.with_suffix(ending))
            typer.echo(f"wrote {saved}", err=True)
    if mermaid:
        typer.echo(architecture.draw().mermaid)
    elif svg is None and png is None:
        common.console().print(_tree(architecture))


def _tree(architecture: Architecture) -> Tree:
    from rich.text import Text
    from rich.tree import Tree

    bound = architecture.bound()
    cost = f"at most {common.amount(bound.calls)} calls, {common.dollars(bound.usd)} a question"
    tree = Tree(Text.assemble((architecture.label, "bold"), f"  {cost}"))
    _add(tree, architecture)
    return tree


def _add(tree: Tree, architecture: Architecture) -> None:
    from archon.base.places import stages

    grouped = stages(architecture.places) or [[place] for place in architecture.places]
    for stage in grouped:
        branch = tree if len(stage) == 1 else tree.add("in parallel")
        for place in stage:
            _add_node(branch, place.id, place.node)


def _add_node(tree: Tree, name: str, node: Node) -> None:
    from rich.text import Text

    from archon.base import Architecture, Layer

    if isinstance(node, Architecture):
        _add(tree.add(Text(name, "bold")), node)
        return
    assert isinstance(node, Layer)
    inner = list(node.children())
    branch = tree.add(Text.assemble((name, "bold"), f"  {_settings(node)}"))
    for child, held in inner:
        _add_node(branch, child, held)


def _settings(layer: Layer) -> str:
    from archon.base import Node
    from archon.model import Model

    parts = []
    for name, value in layer.settings().items():
        if isinstance(value, Model):
            rest = {k: v for k, v in value.compact().items() if k != "model"}
            extra = " ".join(f"{k}={v}" for k, v in rest.items())
            parts.append(f"{value.model}" + (f" ({extra})" if extra else ""))
        elif name == "prompt":
            parts.append("own prompt")
        elif not isinstance(value, Node):
            parts.append(f"{name}={value}")
    return ", ".join(parts)
