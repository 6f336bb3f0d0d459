"""Strict JSON that knows where everything stands, and what would mend what is broken.

The reader of the standard library gives neither the line of a value nor an error for a key that
stands twice; both matter in files that people write by hand.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

from archon.errors import ConfigError
from archon.types import Json

__all__ = ["Broken", "Document", "Edit", "Reader", "read_text"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_DIGITS = 400

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_WORD = re.compile(r"[A-Za-z_][\w.]*|-Infinity")
_JUNK = re.compile(r"[^\s,:{}\[\]][^,:}\]\n\r]*")
_NAMES: dict[str, Json] = {"true": True, "false": False, "null": None}
_NOT_JSON = {
    "NaN": "a number", "Infinity": "a number", "-Infinity": "a number",
    "None": "null", "True": "true", "False": "false",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edit:
    """A change that would mend a text: what stands from `start` to `end` becomes `text`."""

    start: int
    end: int
    text: str
    what: str


class Broken(Exception):
    """Text that is not JSON.

    Attributes:
        message: what is wrong and what would be right.
        at: the character where it is wrong.
        edit: what would mend it, where only one change is plausible.
    """

    def __init__(self, message: str, at: int, edit: Edit | None = None) -> None:
        super().__init__(message)
        self.message, self.at, self.edit = message, at, edit


class Document:
    """A JSON text as plain data, and where each part of it stands.

    Args:
        text: the text; a byte-order mark in front is passed over.
        name: what the file is called in messages.

    Raises:
        ConfigError: with file, line and column, for what is not JSON, keys that stand twice,
            NaN, or too much of it.
    """

    def __init__(self, text: str, name: str = "<text>") -> None:
        self.name = name
        self.text = text.removeprefix("\ufeff")
        self._breaks = [match.end() for match in re.finditer(r"\n|\r\n?", self.text)]
        reader = Reader(self.text)
        try:
            self.data: Json = reader.whole()
        except Broken as error:
            hint = (
                "" if error.edit is None else f"; `archon import --repair` would {error.edit.what}"
            )
            raise ConfigError(f"not JSON: {error.message}{hint}", where=self.at(error.at)) from None
        self._starts, self._keys, self._keep = reader.starts, reader.keys, reader.keep

    def at(self, offset: int) -> str:
        """Return `file:line:column` of a character."""
        line, column = self.place(offset)
        return f"{self.name}:{line}:{column}"

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column of a character, both from 1."""
        line = bisect_right(self._breaks, offset)
        return line + 1, offset - (self._breaks[line - 1] if line else 0) + 1

    def where(self, container: object, key: object = None) -> str:
        """Return `file:line:column` of an object, a list, or one entry in it."""
        offset = self._keys.get(id(container), {}).get(key, self._starts.get(id(container)))
        return self.name if offset is None else self.at(offset)


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        ConfigError: when it is not there, not text, or larger than a configuration can be.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError("no such file", where=str(path)) from None
    except OSError as error:
        raise ConfigError((error.strerror or str(error)).lower(), where=str(path)) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"larger than {MAX_BYTES >> 20} MiB", where=str(path))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 text (byte {error.start})", where=str(path)) from None


class Reader:
    """Reads a text value by value, and notes where each began.

    Raises:
        Broken: where the text is not JSON.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts: dict[int, int] = {}
        self.keys: dict[int, dict[object, int]] = {}
        self.keep: list[object] = []  # the ids above hold only while the values live

    def whole(self) -> Json:
        """Return the one value that the text is."""
        value = self._value(0)
        if self._next():
            raise Broken(f"text after the end of the data: {self._shown()}", self.at)
        return value

    def _next(self) -> str:
        """Return the next character that is no space; empty at the end."""
        match = _SPACE.match(self.text, self.at)
        assert match is not None  # it matches nothing too
        self.at = match.end()
        return self.text[self.at : self.at + 1]

    def _shown(self) -> str:
        """Return the beginning of what stands here."""
        rest = self.text[self.at : self.at + 40].splitlines()
        return repr(rest[0]) if rest and rest[0] else "the end of the text"

    def _value(self, depth: int) -> Json:
        sign = self._next()
        if depth > MAX_DEPTH:
            raise Broken(f"nested deeper than {MAX_DEPTH} levels", self.at)
        if sign == "{":
            return self._mapping(depth)
        if sign == "[":
            return self._sequence(depth)
        if sign == '"':
            return self._string()
        return self._word() if _WORD.match(self.text, self.at) else self._number()

    def _mapping(self, depth: int) -> Json:
        found: dict[str, Json] = {}
        places: dict[object, int] = {}
        self._note(found, places)
        opened, self.at = self.at, self.at + 1
        while self._more("}", opened, first=not found):
            start = self.at
            if self._next() != '"':
                raise Broken(f'a key stands in quotes ("…"), got {self._shown()}', self.at)
            key = self._string()
            if key in found:
                raise Broken(f"the key {key!r} stands here twice", start)
            if self._next() != ":":
                raise Broken(f"':' is expected after {key!r}, got {self._shown()}", self.at)
            self.at += 1
            self._next()
            places[key] = start
            found[key] = self._value(depth + 1)
        return found

    def _sequence(self, depth: int) -> Json:
        found: list[Json] = []
        places: dict[object, int] = {}
        self._note(found, places)
        opened, self.at = self.at, self.at + 1
        while self._more("]", opened, first=not found):
            places[len(found)] = self.at
            found.append(self._value(depth + 1))
        return found

    def _note(self, value: object, places: dict[object, int]) -> None:
        self.keep.append(value)
        self.starts[id(value)] = self.at
        self.keys[id(value)] = places

    def _more(self, close: str, opened: int, *, first: bool) -> bool:
        """Step over a comma and say whether an entry follows; step over the end."""
        end, sign = self.at, self._next()
        if sign == close:
            self.at += 1
            return False
        if not sign:
            kind = "object" if close == "}" else "list"
            raise Broken(f"the {kind} that begins here has no {close!r}", opened)
        if first:
            return True
        if sign != ",":
            raise self._unseparated(end, close)
        comma, self.at = self.at, self.at + 1
        if self._next() == close:
            edit = Edit(comma, comma + 1, "", "drop it")
            raise Broken(f"a comma before {close!r}", comma, edit)
        return True

    def _unseparated(self, end: int, close: str) -> Broken:
        """Return the error for an entry without a comma before what follows at `end`."""
        junk = _JUNK.match(self.text, end)
        if junk and self.text[end - 1] == '"':
            drop = Edit(end, junk.end(), "", "drop it")
            return Broken(f"text after the closing quote of a string: {junk[0]!r}", end, drop)
        comma = Edit(end, end, ",", "put a comma there") if self.text[self.at] in '"{[' else None
        return Broken(f"',' or {close!r} is expected, got {self._shown()}", end, comma)

    def _string(self) -> str:
        match = _STRING.match(self.text, self.at)
        if match is None:
            raise Broken("this string has no end on its line, or a wrong escape in it", self.at)
        value: str = json.loads(match[0])
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise Broken("half of a character (a lone surrogate) in this string", self.at)
        self.at = match.end()
        return value

    def _word(self) -> Json:
        match = _WORD.match(self.text, self.at)
        assert match is not None  # the caller looked
        word = match[0]
        if word not in _NAMES:
            hint = f"; write {_NOT_JSON[word]}" if word in _NOT_JSON else '; texts stand in "…"'
            raise Broken(f"{word} is no JSON value{hint}", self.at)
        self.at = match.end()
        return _NAMES[word]

    def _number(self) -> Json:
        match = _NUMBER.match(self.text, self.at)
        if match is None:
            raise Broken(f"a value is expected, got {self._shown()}", self.at)
        digits = match[0]
        if len(digits) > MAX_DIGITS:
            raise Broken(f"a number of {len(digits)} digits", self.at)
        value = int(digits) if digits.lstrip("-").isdigit() else float(digits)
        if not math.isfinite(value):
            raise Broken(f"{digits} is too large for a number", self.at)
        self.at = match.end()
        return value
