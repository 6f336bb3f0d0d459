"""Benchmarks whose items stand in published files: where these are, and how splits are made."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from archon.base import Benchmark, Item, Split
from archon.benchmarks.reading import read_csv, read_json, read_jsonl, read_parquet, value_of
from archon.errors import ConfigError
from archon.plain import canonical
from archon.store import home
from archon.types import Json

__all__ = [
    "FileBenchmark",
    "Source",
    "data_home",
    "hugging_face",
    "read_csv",
    "read_json",
    "read_jsonl",
    "read_parquet",
    "value_of",
]


@dataclass(frozen=True, slots=True)
class Source:
    """A published file.

    Attributes:
        file: its name here; several addresses may offer the same file.
        url: where `archon benchmarks get` fetches it.
        licence: as its publisher states it.
        size: bytes, where known.
        sha256: of its content, where it is known not to change.
        split: the split that its items belong to.
        gated: who must be asked first, as a sentence; empty where the file is open to all.
    """

    file: str
    url: str
    licence: str
    size: int | None = None
    sha256: str | None = None
    split: Split = "test"
    gated: str = ""


def data_home() -> Path:
    """Return the folder of downloaded data sets: `benchmarks` in `ARCHON_HOME`."""
    return home() / "benchmarks"


def hugging_face(repository: str, path: str, revision: str = "main") -> str:
    """Return the address of a file of a Hugging Face data set."""
    return f"https://huggingface.co/datasets/{repository}/resolve/{revision}/{path}"


class FileBenchmark(Benchmark):
    """A benchmark read from published files.

    Where the publisher has one set only, it is the split `test`, so that figures can be compared
    with published ones; `dev` cuts a share of it off for choosing, by a hash of each item's id.

    Args:
        path: the file, or the folder of the files; by default where `archon benchmarks get`
            puts them. A file of a benchmark of several splits is the split `test`.
        dev: share of the published test set that becomes the split `dev`, from 0 to 0.9.

    Class attributes:
        sources: the published files.
        sizes: items that were published, by split; a downloaded set of another size is refused.
        version: counts changes of reading or scoring, which make results incomparable.
        extra: the extra of the package that reading or scoring needs, such as `eval`.
        parts: the splits that one file holds together, where it does.
    """

    sources: tuple[Source, ...] = ()
    sizes: Mapping[Split, int] = {}
    version: int = 1
    extra: str = ""
    parts: tuple[Split, ...] = ()

    def __init__(self, path: str | Path | None = None, dev: float = 0.0) -> None:
        if isinstance(dev, bool) or not isinstance(dev, int | float) or not 0 <= dev <= 0.9:
            raise ConfigError(f"{self.name}: `dev` is a share from 0 to 0.9, got {dev!r}")
        self.path = None if path is None else Path(path).expanduser()
        self.dev = dev
        if self.path is not None and self.path.is_file():
            self.sources = self._only_file(self.path)
        published = self.parts or dict.fromkeys(source.split for source in self.sources)
        if dev and "dev" in published:
            raise ConfigError(f"{self.name} has a split `dev` of its own: leave `dev` out")
        self.splits: tuple[Split, ...] = ("dev", "test") if dev else tuple(published)
        self._read: dict[Split, list[Item]] = {}

    def _only_file(self, path: Path) -> tuple[Source, ...]:
        """Return the source that one file stands for."""
        tests = tuple(source for source in self.sources if source.split == "test")
        if len(tests) > 1:
            raise ConfigError(
                f"{self.name} has {len(tests)} files: `path` must be their folder, not one file",
                where=str(path),
            )
        return tests

    @abstractmethod
    def read(self, split: Split) -> Sequence[Item]:
        """Return all published items of a split, in the order of the file."""

    def chosen(self, item: Item) -> bool:
        """Return whether an item belongs to what the options ask for, such as a subject."""
        return True

    def items(self, split: Split, limit: int | None = None, seed: int = 0) -> Sequence[Item]:
        """Return items in the order of the file; `seed` changes nothing.

        Raises:
            ConfigError: for a split that does not exist, or a file that is absent or malformed.
        """
        if split not in self.splits:
            hint = "; dev=0.2 makes one of a fifth of it" if split == "dev" else ""
            raise ConfigError(
                f"{self.name} has no split {split!r}, only {', '.join(self.splits)}{hint}"
            )
        if split not in self._read:
            self._read[split] = self._chosen(split)
        return self._read[split][:limit]

    def _chosen(self, split: Split) -> list[Item]:
        items = self._published("test" if self.dev else split)
        if self.dev:
            items = [i for i in items if (_share(i.task.id) < self.dev) == (split == "dev")]
        found = [item for item in items if self.chosen(item)]
        if not found:
            raise ConfigError(f"{self.name}: no item of the split {split!r} is left")
        return found

    def _published(self, split: Split) -> Sequence[Item]:
        items = self.read(split)
        expected = self.sizes.get(split)
        if self.path is None and expected is not None and len(items) != expected:
            raise ConfigError(
                f"{self.name}: {len(items)} items, but {expected} were published: the file is"
                f" incomplete or of another version. `archon benchmarks get {self.name} --force`"
                " fetches it again; the option `path` takes any file as it is",
                where=str(self.place(self._of(split)[0])),
            )
        return items

    def _of(self, split: Split) -> list[Source]:
        return [source for source in self.sources if source.split == split]

    def digest(self) -> str:
        """Return the hash of the files' content, the way of reading and the options."""
        text = canonical([self.name, self.version, self.dev, self._files, self.settings()])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def _files(self) -> list[str]:
        return [_digest(self.file(source)) for source in self.sources]

    def settings(self) -> Json:
        """Return the further options that change items or scores, such as the judge."""
        return None

    def file(self, source: Source) -> Path:
        """Return where a published file lies.

        Raises:
            ConfigError: when it is not there, saying where to put it.
        """
        place = self.place(source)
        if place.is_file():
            return place
        raise ConfigError(
            f"{self.name}: no file {str(place)!r}; `archon benchmarks get {self.name}` fetches it"
            f" from {source.url} (licence: {source.licence}), or put it there yourself,"
            " or say where it is with the option `path`"
        )

    def files(self, split: Split) -> list[Path]:
        """Return the files of a split, in the order of `sources`.

        Raises:
            ConfigError: when one is not there.
        """
        return [self.file(source) for source in self._of(split)]

    def place(self, source: Source) -> Path:
        """Return where a published file is looked for."""
        if self.path is None:
            return data_home() / self.name / source.file
        if self.path.is_dir() or len(self.sources) > 1:
            return self.path / source.file
        return self.path

    @property
    def present(self) -> bool:
        """Whether every file is there."""
        return all(self.place(source).is_file() for source in self.sources)


def _share(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
