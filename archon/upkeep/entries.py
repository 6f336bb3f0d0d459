"""One reply as a line of JSON, and what makes it right."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archon.errors import ConfigError
from archon.model import Draw, address
from archon.plain import canonical
from archon.pool import checksum
from archon.types import Finish, Json, Reply

__all__ = ["FORMAT", "HEADER", "LINE", "Row", "header", "problem", "read_entry"]

FORMAT = 1
"""Of the lines; in the first one."""
HEADER = "archon_pool"
"""What the first line names its format by."""
LINE = 64 << 20
"""Bytes that a line has at most."""
_SHOWN = 60
"""Characters of a wrong value that an error shows."""
_BREAKS = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}
"""Characters that JSON lets stand, but at which some readers of lines would break one."""
_INT64 = (1 << 63) - 1


class Row(NamedTuple):
    """A reply as the pool's file keeps it, with its request."""

    key: str
    request: str
    member: int
    draw: int
    reply: str
    checksum: str
    model: str
    created: float


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Usage(_Shape):
    calls: int = Field(ge=0)
    input_tokens: int | None = Field(ge=0)
    output_tokens: int | None = Field(ge=0)
    microusd: int | None = Field(ge=0)
    seconds: float | None = Field(ge=0, allow_inf_nan=False)
    flops: int | None = Field(None, ge=0)


class _JsonPart(_Shape):
    value: str = Field(alias="json")


class _ToolPart(_Shape):
    tool_call: tuple[str, str, str]


class _Reply(_Shape):
    parts: list[str | _JsonPart | _ToolPart]
    model: str
    finish: Finish
    usage: _Usage
    reasoning: str = ""
    verdict_probs: list[tuple[str, float]] = Field(default_factory=list)


class _Entry(_Shape):
    key: str = Field(pattern=r"^[0-9a-f]{32}\z")
    request: dict[str, Any]
    member: int = Field(ge=0, le=_INT64)
    draw: int = Field(ge=0, le=_INT64)
    reply: _Reply
    model: str
    created: float = Field(ge=0, allow_inf_nan=False)
    paid: _Usage | None = None


def header() -> str:
    """Return the first line of an export."""
    return canonical({HEADER: FORMAT})


def is_header(line: bytes) -> bool:
    """Return whether a line is the header of an export, which may follow another export.

    Raises:
        ConfigError: for the header of a format that is not known here.
    """
    if HEADER.encode() not in line[:_SHOWN]:
        return False
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(data, dict) or HEADER not in data:
        return False
    if data != {HEADER: FORMAT}:
        raise ConfigError(f"an export of another format: {_short(data)}; known is {header()}")
    return True


def read_entry(line: bytes) -> Row:
    """Read one reply; nothing in it is believed.

    Raises:
        ConfigError: saying what is wrong and what would be right.
    """
    try:
        entry = _Entry.model_validate_json(line)
        content = canonical(entry.request)
        reply = canonical(entry.reply.model_dump(mode="json", by_alias=True, exclude_unset=True))
        right = address(content)
        check = checksum(entry.key, Draw(entry.member, entry.draw), reply)
        content.encode()
    except ValidationError as error:
        raise ConfigError(_first(error)) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not a value that can be stored: {error}") from None
    if entry.key != right:
        raise ConfigError(f"key: not the address of this request, which is {right!r}")
    if entry.model != entry.reply.model:
        raise ConfigError(f"model: {entry.model!r}, but the reply is by {entry.reply.model!r}")
    return Row(
        entry.key, content, entry.member, entry.draw, reply, check, entry.model, entry.created
    )


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return f"not JSON: {first['msg'].removeprefix('Invalid JSON: ')}"
    place = ".".join(map(str, first["loc"])) or "line"
    got = "" if first["type"] == "missing" else f", got {_short(first['input'])}"
    return f"{place}: {first['msg']}{got}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def problem(key: Json, member: Json, draw: Json, text: Json, check: Json) -> str:
    """Return what is wrong with a stored reply, or an empty string."""
    if not (isinstance(key, str) and isinstance(text, str)):
        return "key or reply is not text"
    if not (isinstance(member, int) and isinstance(draw, int)):
        return "the draw is not a number"
    if checksum(key, Draw(member, draw), text) != check:
        return "the checksum does not fit"
    try:
        Reply.from_json(json.loads(text))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        return f"not a reply: {type(error).__name__}: {error}"
    return ""


def request_problem(key: Json, text: Json) -> str:
    """Return what is wrong with a stored request, or an empty string."""
    if not (isinstance(key, str) and isinstance(text, str)):
        return "key or request is not text"
    return "" if address(text) == key else "the key is not its address"


def row_line(row: sqlite3.Row | tuple[Any, ...]) -> str:
    """Return a stored row as a line; see `Row` for its order, `paid` comes last.

    Raises:
        ValueError: when it is damaged or its request is not there.
    """
    key, request, member, draw, reply, check, model, created, paid = row
    wrong = problem(key, member, draw, reply, check) or request_problem(key, request)
    if wrong:
        raise ValueError(wrong)
    data: dict[str, Json] = {
        "key": key, "request": json.loads(request), "member": member, "draw": draw,
        "reply": json.loads(reply), "model": model, "created": created,
    }  # fmt: skip
    if paid is not None:
        data["paid"] = paid
    return canonical(data).translate(_BREAKS)
