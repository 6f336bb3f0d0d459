"""The process that holds one candidate: it gets the source, then one call at a time."""

from __future__ import annotations

import sys
import types

from archon.sandbox.inside import codec, errors
from archon.sandbox.inside.frames import Channel

TYPE_CHECKING = False  # `typing` is not loaded for a name
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FILE", "execute", "serve"]

FILE = "<candidate>"

_PLAIN = (type(None), bool, int, float, complex, str, bytes, range)


def execute(source: str, name: str, file: str = FILE) -> dict[str, Any]:
    """Run source as a module of that name and return what it defines."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    return module.__dict__


def serve(channel: Channel) -> None:
    """Load the candidate and answer calls until the supervisor is gone."""
    _, name, body = channel.receive()
    try:
        defined = execute(codec.decode(body), "candidate")
    except BaseException as error:  # whatever the candidate raises is its answer
        channel.send(b"E", name, codec.encode(errors.described(error, FILE)))
        return
    channel.send(b"L", name)
    while True:
        _, name, body = channel.receive()
        try:
            kind, answer = _call(defined, body)
        except BaseException as error:  # as above
            kind, answer = b"x", codec.encode(errors.described(error, FILE))
        channel.send(kind, name, answer)


def _call(defined: dict[str, Any], body: bytes) -> tuple[bytes, bytes]:
    name, args, kwargs = codec.decode(body)
    if name not in defined:
        raise NameError(f"name {name!r} is not defined")
    given: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
    before = {key: codec.encode(v) for key, v in given.items() if type(v) not in _PLAIN}
    value = defined[name](*args, **kwargs)
    try:
        result = codec.encode(value)
    except codec.CannotCross as error:
        return b"u", codec.encode(str(error))
    changed = {key: given[key] for key, old in before.items() if _differs(given[key], old)}
    if not changed:
        # The pair (result, {}) without reading the result again.
        return b"r", b"t\x00\x00\x00\x02" + result + codec.encode({})
    try:
        return b"r", codec.encode((value, changed))
    except codec.CannotCross as error:
        return b"u", codec.encode(f"an argument after the call: {error}")


def _differs(value: Any, before: bytes) -> bool:
    try:
        return codec.encode(value) != before
    except codec.CannotCross:
        return True
