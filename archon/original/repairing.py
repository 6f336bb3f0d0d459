"""Mending broken JSON where only one change is plausible; nothing is changed unasked."""

from __future__ import annotations

from dataclasses import dataclass

from archon.original.json_text import Broken, Document, Edit, Reader

__all__ = ["Fix", "repaired"]

MOST_FIXES = 100


@dataclass(frozen=True, slots=True)
class Fix:
    """One change that was made.

    Attributes:
        line, column: where, in the file as it stands.
        removed: what stood there.
        added: what stands there now.
    """

    line: int
    column: int
    removed: str
    added: str

    def __str__(self) -> str:
        change = f"dropped {self.removed!r}" if self.removed else f"put in {self.added!r}"
        return f"line {self.line}, column {self.column}: {change}"


def repaired(text: str, name: str = "<text>") -> tuple[Document, tuple[Fix, ...]]:
    """Return the document and what had to be changed to read it; nothing if it was whole.

    Raises:
        ConfigError: for what no single plausible change mends.
    """
    original = text = text.removeprefix("\ufeff")
    fixes: list[Fix] = []
    shift = 0
    while (edit := _edit(text)) is not None and len(fixes) < MOST_FIXES:
        removed = text[edit.start : edit.end]
        line, column = _place(original, edit.start - shift)
        fixes.append(Fix(line, column, removed, edit.text))
        text = text[: edit.start] + edit.text + text[edit.end :]
        shift += len(edit.text) - len(removed)
    return Document(text, name), tuple(fixes)


def _edit(text: str) -> Edit | None:
    try:
        Reader(text).whole()
    except Broken as error:
        return error.edit
    return None


def _place(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
