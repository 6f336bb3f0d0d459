"""Architectures in files: YAML, strict, with the line of every mistake; the original's JSON."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from archon.base import Architecture, dump, parse
from archon.errors import ConfigError, did_you_mean
from archon.types import Json

__all__ = ["Source", "Tagged", "dumps", "load", "loads", "read_yaml", "shipped"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 32


@dataclass(frozen=True, eq=False, slots=True)
class Tagged:
    """A value with a tag of its own, such as `!int {low: 1, high: 5}`.

    Attributes:
        tag: with its exclamation mark.
        value: plain data; of a scalar, the text.
        where: `file:line`.
    """

    tag: str
    value: Json
    where: str


class Source:
    """A YAML text as plain data, and where each part of it stands.

    Args:
        text: YAML.
        name: of the file, for messages.
        tags: those that may stand in it; what has one is `Tagged`.

    Raises:
        ConfigError: for what is not YAML, duplicate keys, aliases, other tags, or too much of it.
    """

    def __init__(self, text: str, name: str = "<text>", tags: Collection[str] = ()) -> None:
        self.name = name
        self.tags = tags
        self._lines: dict[int, dict[object, int]] = {}
        self._starts: dict[int, int] = {}
        self._keep: list[object] = []
        if len(text.encode("utf-8", "replace")) > MAX_BYTES:
            raise ConfigError(f"larger than {MAX_BYTES >> 20} MiB", where=name)
        self.data = self._read(text)

    def _read(self, text: str) -> Json:
        try:
            self._refuse_aliases(text)
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            return None if root is None else self._value(root, 0)
        except yaml.MarkedYAMLError as error:
            mark: Any = error.problem_mark or error.context_mark
            where = self.name if mark is None else f"{self.name}:{mark.line + 1}"
            raise ConfigError(f"not YAML: {error.problem or error.context}", where=where) from None
        except (yaml.YAMLError, RecursionError) as error:
            raise ConfigError(f"not YAML: {_first_line(error)}", where=self.name) from None

    def _refuse_aliases(self, text: str) -> None:
        """Look at the events first: composing a bomb of aliases would already explode."""
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise self._error("aliases (*name) are not supported; write it out", event)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise self._error(f"nested deeper than {MAX_DEPTH} levels", event)

    def _error(self, message: str, at: Any) -> ConfigError:
        return ConfigError(message, where=f"{self.name}:{at.start_mark.line + 1}")

    def _value(self, node: yaml.Node, depth: int) -> Json:
        if node.tag in self.tags:
            where = f"{self.name}:{node.start_mark.line + 1}"
            return Tagged(node.tag, self._below(node, depth), where)
        if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTIONS:
            raise self._unknown(node)
        return self._below(node, depth)

    def _unknown(self, node: yaml.Node) -> ConfigError:
        near = did_you_mean(node.tag, self.tags) if self.tags else ""
        return self._error(f"unknown tag {node.tag!r}{near}", node)

    def _below(self, node: yaml.Node, depth: int) -> Json:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            items = [self._value(item, depth + 1) for item in node.value]
            self._note(items, node, {i: item.start_mark.line for i, item in enumerate(node.value)})
            return items
        return str(node.value) if node.tag in self.tags else self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> Json:
        result: dict[Any, Json] = {}
        lines: dict[object, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag in self.tags:
                raise self._error("a key must be a plain word", key_node)
            key = self._scalar(key_node)
            if key in result:
                raise self._error(f"the key {key!r} stands here twice", key_node)
            result[key] = self._value(value_node, depth + 1)
            lines[key] = key_node.start_mark.line
        self._note(result, node, lines)
        return result

    def _scalar(self, node: yaml.Node) -> Json:
        if not node.tag.startswith("tag:yaml.org,2002:"):
            raise self._unknown(node)
        try:
            value: Json = _SCALARS.construct_object(node)
        except (ValueError, yaml.YAMLError) as error:
            raise self._error(f"not a value: {_first_line(error)}", node) from None
        if value is None or isinstance(value, (str, int, float, bool)):
            return value
        return node.value  # dates and the like stay what the user wrote

    def _note(self, value: object, node: yaml.Node, lines: dict[object, int]) -> None:
        self._keep.append(value)  # the ids below hold only while the values live
        self._starts[id(value)] = node.start_mark.line
        self._lines[id(value)] = lines

    def where(self, container: object, key: object = None) -> str:
        """Return `file:line` of a container or of one key in it."""
        line = self._lines.get(id(container), {}).get(key, self._starts.get(id(container)))
        return self.name if line is None else f"{self.name}:{line + 1}"


_SCALARS = yaml.SafeLoader("")
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


def _first_line(error: Exception) -> str:
    """Return what is wrong without the excerpt that the YAML reader puts below it."""
    problem = getattr(error, "problem", None) or str(error)
    return str(problem).partition("\n")[0]


def read_yaml(path: str | Path, tags: Collection[str] = ()) -> Source:
    """Read a YAML file, in which `tags` may stand.

    Raises:
        ConfigError: when it is not there, not text, or not YAML.
    """
    file = Path(path)
    try:
        return Source(file.read_text(encoding="utf-8"), str(path), tags)
    except FileNotFoundError:
        raise ConfigError(f"no such file{_nearby(file)}", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 text (byte {error.start})", where=str(path)) from None
    except OSError as error:
        raise ConfigError(str(error.strerror).lower(), where=str(path)) from None


def _nearby(file: Path) -> str:
    """Return a hint at files beside it, or at what comes with archon where no file is meant."""
    if not file.suffix:
        return did_you_mean(file.as_posix(), shipped())
    there = file.parent.glob(f"*{file.suffix}") if file.parent.is_dir() else ()
    stems = {path.stem: path.name for path in there}
    near = difflib.get_close_matches(file.stem, stems, n=1)
    return f"; did you mean {stems[near[0]]!r}?" if near else ""


def load(path: str | Path) -> Architecture:
    """Build the architecture that a file describes; needs no key, weights or network.

    A JSON file of the original Archon is read too: what was odd in it are the `remarks` of the
    architecture, which its `lint` yields.

    Args:
        path: a file, or the name of one that comes with archon, such as `self-consistency`.

    Raises:
        ConfigError: with file and line, what is wrong and what would be right.
    """
    known = shipped()
    if str(path) in known and not Path(path).exists():
        path = known[str(path)]
    if Path(path).suffix.lower() == ".json" and (found := _original(Path(path))) is not None:
        return found
    source = read_yaml(path)
    architecture = _build(source)
    return architecture if architecture.name else architecture.named(Path(path).stem)


def _original(path: Path) -> Architecture | None:
    """Return the architecture of a JSON file of the original Archon; None if it is none."""
    from archon.original import import_document, is_original, is_search, read_document

    if not path.exists():
        return None  # the error for that looks for files nearby
    document, _ = read_document(path)
    if is_search(document.data):
        raise ConfigError(
            "this is a search configuration of the original, no architecture; `archon import`"
            " makes a search file of it", where=str(path),
        )  # fmt: skip
    return import_document(document).architecture if is_original(document.data) else None


def loads(text: str, name: str = "<text>") -> Architecture:
    """Build an architecture from YAML text."""
    return _build(Source(text, name))


def _build(source: Source) -> Architecture:
    try:
        return parse(source.data, source.where)
    except ConfigError as error:
        raise error.at(source.name) from None


def dumps(architecture: Architecture, *, headers: bool = True) -> str:
    """Return the YAML text of an architecture; `loads` reads it back.

    Args:
        architecture: what to write.
        headers: whether the values of HTTP headers, which may be secrets, are written; without
            them each is `…`.

    Raises:
        ConfigError: when a layer holds an object that no file can name, such as a local function.
    """
    data = json.loads(json.dumps(dump(architecture)))
    parse(data)
    shown = data if headers else _without_headers(data)
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=96)


def _without_headers(data: Json) -> Json:
    """Return a copy in which no header has its value, wherever models stand."""
    if isinstance(data, list):
        return [_without_headers(value) for value in data]
    if not isinstance(data, dict):
        return data
    return {
        name: dict.fromkeys(value, "…")
        if name == "headers" and isinstance(value, dict)
        else _without_headers(value)
        for name, value in data.items()
    }


def shipped() -> dict[str, Path]:
    """Return the architectures that come with archon, by name, such as `local/single`.

    Those of the paper stand below `paper/`.
    """
    root = Path(str(files("archon.configs")))
    ours, paper = root / "architectures", root / "paper"
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for top, folder in ((ours, ours), (paper, root))
        for path in sorted(top.rglob("*.yaml"))
    }
