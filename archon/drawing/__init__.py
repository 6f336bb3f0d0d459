"""Pictures of architectures, drawn here without any dependency: Mermaid text, SVG, PNG.

Colours tell what a layer does with candidates, as its ports say; they hold on light and dark
backgrounds. A nested architecture and a layer that holds one are frames around their inside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from archon.base import Node, as_architecture
from archon.drawing.mermaid import mermaid
from archon.drawing.parts import clean, graph_of
from archon.drawing.png import save_png
from archon.drawing.scene import Scene, scene_of
from archon.drawing.svg import svg
from archon.errors import ConfigError

__all__ = ["Drawing", "draw"]


@dataclass(frozen=True)
class Drawing:
    """A picture of an architecture; a notebook shows it as such.

    Attributes:
        mermaid: a Mermaid flowchart, for Markdown.
        svg: a complete SVG document.
    """

    mermaid: str
    svg: str
    _scene: Scene = field(repr=False, compare=False)

    def save(self, path: str | Path) -> Path:
        """Write the picture in the format that the ending names: .svg, .mmd, .md or .png.

        Raises:
            ConfigError: for another ending, a file that cannot be written, or .png without
                matplotlib.
        """
        path = Path(path)
        writers: dict[str, Callable[[], object]] = {
            ".svg": lambda: path.write_text(self.svg, encoding="utf-8"),
            ".mmd": lambda: path.write_text(self.mermaid, encoding="utf-8"),
            ".md": lambda: path.write_text(f"```mermaid\n{self.mermaid}```\n", encoding="utf-8"),
            ".png": lambda: save_png(self._scene, path),
        }
        if path.suffix.lower() not in writers:
            raise ConfigError(f"a picture ends in {', '.join(writers)}, got {str(path)!r}")
        try:
            writers[path.suffix.lower()]()
        except OSError as error:
            raise ConfigError(str(error.strerror).lower(), where=str(path)) from None
        return path

    def _repr_svg_(self) -> str:
        return self.svg


def draw(node: Node) -> Drawing:
    """Return the picture of an architecture or a layer."""
    architecture = as_architecture(node)
    graph = graph_of(architecture)
    scene = scene_of(graph, clean(architecture.name))
    return Drawing(mermaid(graph), svg(scene), scene)
