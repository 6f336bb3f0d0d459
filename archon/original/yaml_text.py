"""The YAML text of an imported architecture, with comments that say what each part was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from archon.original.remarks import one_line
from archon.original.translating import Translation
from archon.types import Json

__all__ = ["commented", "flow", "yaml_text"]

_WIDE = 1 << 20


def yaml_text(
    name: str,
    metadata: Mapping[str, Json],
    made: Translation,
    *,
    shape: str,
    calls: int,
    remarks: Sequence[str],
) -> str:
    """Return the file that loads as the same architecture.

    Args:
        name: of the architecture.
        metadata: as it stands in the architecture.
        made: models and stages, with their comments.
        shape: the layer string of the original.
        calls: the most model calls for one question.
        remarks: what whoever imports should know.
    """
    lines = [
        f"# {one_line(shape)}",
        "# Imported from a file of the original Archon.",
        f"# Calls for one question: {calls}",
        *(f"# {one_line(remark)}" for remark in remarks),
        *_block({"name": name}),
        *_block({"metadata": dict(metadata)}),
        "models:",
        *(commented(f"  {flow(short)}: {flow(settings)}", made.comments.get(id(settings), ""))
          for short, settings in made.models.items()),
        "stages:",
        *(line for stage in made.stages for line in _stage(stage, made.comments)),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _stage(stage: Json, comments: Mapping[int, str]) -> Iterator[str]:
    entries = stage if isinstance(stage, list) else [stage]
    for i, entry in enumerate(entries):
        [(kind, settings)] = entry.items()
        front = "  - " if len(entries) == 1 else "  - - " if i == 0 else "    - "
        yield commented(f"{front}{kind}: {flow(settings)}", comments.get(id(entry), ""))


def commented(line: str, comment: str) -> str:
    """Return a line with a comment behind it, where there is one to make."""
    return f"{line}  # {one_line(comment)}" if comment else line


def flow(value: Json) -> str:
    """Return a value on one line."""
    text = _dumped(value, default_flow_style=True).strip().removesuffix("\n...")
    # YAML folds a text with line breaks over several lines; JSON, which is YAML too, does not.
    return text if text.isprintable() else json.dumps(value)


def _block(value: Json) -> list[str]:
    return _dumped(value, default_flow_style=False).rstrip("\n").split("\n")


def _dumped(value: Json, **style: Any) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=_WIDE, **style)
    return text
