"""Folders of original files: each is tried, and what fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from archon.errors import ConfigError
from archon.original.choices import Choices
from archon.original.components import is_original
from archon.original.importing import Imported, import_document, read_document
from archon.original.searching import ImportedSearch, import_search, is_search

__all__ = ["Keep", "Tried", "json_files", "try_all", "yaml_path"]


@dataclass
class Tried:
    """What became of several files, in their order.

    Attributes:
        imported: by file.
        searches: search configurations, by file.
        failed: files that should be architectures, or are not JSON, with the error.
        skipped: other JSON files.
    """

    imported: dict[Path, Imported] = field(default_factory=dict)
    searches: dict[Path, ImportedSearch] = field(default_factory=dict)
    failed: dict[Path, ConfigError] = field(default_factory=dict)
    skipped: list[Path] = field(default_factory=list)


def json_files(folder: Path) -> list[Path]:
    """Return the JSON files in a folder and those below it, hidden ones left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() == ".json")
    return sorted(path for path in found if path.is_file() and not _hidden(path, folder))


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


Keep = Callable[[Path, Imported | ImportedSearch], None]


def try_all(files: Iterable[Path], choices: Choices, keep: Keep) -> Tried:
    """Import each file.

    Args:
        files: JSON files of any kind.
        choices: how they are imported.
        keep: is given each import at once; what it raises counts as the file's failure.
    """
    tried = Tried()
    for path in files:
        try:
            _try(path, choices, keep, tried)
        except ConfigError as error:
            tried.failed[path] = error
    return tried


def _try(path: Path, choices: Choices, keep: Keep, tried: Tried) -> None:
    document, fixes = read_document(path, repair=choices.repair)
    if is_search(document.data):
        found = import_search(document, choices)
        keep(path, found)
        tried.searches[path] = found
    elif is_original(document.data):
        imported = import_document(document, choices, fixes)
        keep(path, imported)
        tried.imported[path] = imported
    else:
        tried.skipped.append(path)


def yaml_path(path: Path, folder: Path, out: Path) -> Path:
    """Return where the YAML of a file goes: its place below `folder`, below `out`."""
    return out / path.relative_to(folder).with_suffix(".yaml")
