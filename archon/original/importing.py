"""Original files as architectures: read, translate, check, and write as YAML."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from archon.base import Architecture, parse
from archon.errors import ConfigError
from archon.original.choices import Choices
from archon.original.components import read_original
from archon.original.json_text import Document, read_text
from archon.original.placement import misplaced
from archon.original.repairing import Fix, repaired
from archon.original.shape import layer_string
from archon.original.translating import translate
from archon.original.yaml_text import yaml_text
from archon.types import Json

__all__ = ["Imported", "import_document", "import_file", "read_document"]


@dataclass(frozen=True)
class Imported:
    """An original file and the architecture that it is here.

    Attributes:
        file: what was read.
        architecture: its name, metadata and remarks included.
        shape: its layer string, such as `8G > C > R(k5) > 1F`.
        yaml: the file that loads as the same architecture.
        models: what each model of the file became, by its name there.
        fixes: what had to be changed to read it.
        retired: retired models and what stands in for each, by their names here.
        known: every name by which a replacement of its models could have been asked for.
    """

    file: str
    architecture: Architecture
    shape: str
    yaml: str
    models: Mapping[str, str]
    fixes: tuple[Fix, ...] = ()
    retired: Mapping[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is worth knowing: what has no effect, what was replaced, what is unusual."""
        return self.architecture.remarks

    def to_json(self) -> Json:
        """Return everything but the text as plain data."""
        bound = self.architecture.bound()
        return {
            "file": self.file,
            "name": self.architecture.name,
            "digest": self.architecture.digest(),
            "layers": self.shape,
            "calls": bound.calls,
            "reasks": bound.reasks,
            "models": dict(self.models),
            "retired": dict(self.retired),
            "remarks": list(self.remarks),
            "fixes": [str(fix) for fix in self.fixes],
        }


def import_file(path: str | Path, choices: Choices | None = None) -> Imported:
    """Import one file.

    Raises:
        ConfigError: with file, line and column, what is wrong and what would be right.
    """
    choices = choices or Choices()
    document, fixes = read_document(Path(path), repair=choices.repair)
    return import_document(document, choices, fixes)


def read_document(path: Path, *, repair: bool = False) -> tuple[Document, tuple[Fix, ...]]:
    """Return the JSON of a file, mended where that is wanted, and what was changed.

    Raises:
        ConfigError: with file, line and column, where it cannot be read.
    """
    text = read_text(path)
    return repaired(text, str(path)) if repair else (Document(text, str(path)), ())


def import_document(
    document: Document, choices: Choices | None = None, fixes: tuple[Fix, ...] = ()
) -> Imported:
    """Import what has been read; raise ConfigError as `import_file` does."""
    choices = choices or Choices()
    original = read_original(document)
    made = translate(original, choices)
    for text, where in misplaced(original):
        made.remarks.add(text, where)
    for fix in fixes:
        made.remarks.add(f"repaired: {fix}", document.name)
    name = original.name or Path(document.name).stem
    metadata = _metadata(document, original.name, made.ignored)
    data = {"name": name, "metadata": metadata, "models": made.models, "stages": made.stages}
    try:
        architecture = parse(data, made.where)
    except ConfigError as error:
        raise error.at(document.name) from None
    architecture = replace(architecture, remarks=made.remarks.lines())
    shape = layer_string(original)
    text = yaml_text(
        name, metadata, made,
        shape=shape, calls=architecture.bound().calls, remarks=architecture.remarks,
    )  # fmt: skip
    return Imported(
        document.name,
        architecture,
        shape,
        text,
        dict(made.used),
        fixes,
        dict(made.retired),
        frozenset(made.known),
    )


def _metadata(document: Document, name: str, ignored: Mapping[str, Json]) -> dict[str, Json]:
    """Return where an architecture comes from, and what of the file has no effect.

    Names of files and architectures were not kept unique or true, so the content has a hash.
    """
    content = hashlib.sha256(document.text.encode()).hexdigest()[:16]
    about: dict[str, Json] = {"file": Path(document.name).name, "sha256": content}
    data: dict[str, Json] = {"original": about}
    if ignored:
        data["without_effect"] = dict(ignored)
    return data
