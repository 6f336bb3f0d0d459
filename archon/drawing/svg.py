"""A scene as an SVG document."""

from __future__ import annotations

from html import escape

from archon.drawing.parts import COLOURS, GREY
from archon.drawing.scene import Mark, Rect, Scene, Text, bezier, head

__all__ = ["svg"]


def svg(scene: Scene) -> str:
    """Return a complete document."""
    width, height = f"{scene.width:.0f}", f"{scene.height:.0f}"
    body = "\n".join(map(_svg_mark, scene.marks))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="system-ui, -apple-system, '
        f"'Segoe UI', 'Helvetica Neue', Arial, sans-serif\">\n"
        f"<title>{escape(scene.name or 'architecture')}</title>\n{body}\n</svg>\n"
    )


def _svg_mark(mark: Mark) -> str:
    if isinstance(mark, Text):
        anchor = ' text-anchor="middle"' if mark.middle else ""
        bold = ' font-weight="600"' if mark.bold else ""
        return (
            f'<text x="{mark.x:.1f}" y="{mark.y:.1f}" font-size="{mark.size}" '
            f'fill="{mark.colour}"{anchor}{bold}>{escape(mark.text)}</text>'
        )
    if isinstance(mark, Rect):
        fill, stroke = COLOURS[mark.role]
        dash = ' stroke-dasharray="5 4"' if mark.role == "frame" else ""
        round_ = min(mark.h / 2, 16.0 if mark.role == "end" else 8.0)
        tip = f"<title>{escape(mark.tip)}</title>" if mark.tip else ""
        return (
            f'<rect x="{mark.x:.1f}" y="{mark.y:.1f}" width="{mark.w:.1f}" height="{mark.h:.1f}" '
            f'rx="{round_:.1f}" fill="{fill}" stroke="{stroke}" stroke-width="1.3"{dash}>{tip}'
            "</rect>"
        )
    points = bezier(mark)
    (x1, y1), *rest = points
    path = f"M{x1:.1f} {y1:.1f}C" + " ".join(f"{x:.1f} {y:.1f}" for x, y in rest)
    line = f'<path d="{path}" fill="none" stroke="{GREY}" stroke-width="1.3"/>'
    if not mark.arrow:
        return line
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in head(mark))
    return f'{line}<polygon points="{corners}" fill="{GREY}"/>'
