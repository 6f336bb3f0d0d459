"""The process that holds the tests: the function under test is a proxy that only hands on values.

A test file is one unit: its setup runs once, and each test sees a fresh copy of what it defined.
"""

from __future__ import annotations

import _thread
from collections import deque
from collections.abc import Callable, Iterable

from archon.sandbox.inside import codec, errors
from archon.sandbox.inside.candidate import FILE, execute
from archon.sandbox.inside.frames import Channel

TYPE_CHECKING = False  # `typing` is not loaded for a name
if TYPE_CHECKING:
    from typing import Any

__all__ = ["serve", "serve_together"]

TESTS = "<tests>"
DETAIL = 700


class _Stop(BaseException):
    """The call cannot be answered; no test may catch this and go on to pass."""


class _Line:
    """The way to the candidate, and what became of the last call.

    Attributes:
        broken: why an answer is no value, once that happened.
        raised: the last exception that came from the candidate.
        last: the last call, for people.
    """

    def __init__(self, channel: Channel, nonce: bytes) -> None:
        self._channel = channel
        self._nonce = nonce
        self._one = _thread.allocate_lock()
        self.clear()

    def clear(self) -> None:
        self.broken = ""
        self.raised: BaseException | None = None
        self.last: tuple[str, Any, Any, Any] | None = None

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            body = codec.encode((name, args, kwargs))
        except codec.CannotCross as error:
            raise self._break(f"an argument of {name}: {error}") from None
        self.last = (name, args, kwargs, _NOTHING)
        with self._one:
            self._channel.send(b"c", self._nonce, body)
            kind, _, answer = self._channel.receive()
        try:
            found = codec.decode(answer)
            if kind == b"r":
                value, changed = found
                self._write_back(args, kwargs, changed)
                self.last = (name, args, kwargs, value)
                return value
            if kind == b"x":
                known, own, message, _ = found
                self.raised = errors.restored(known, own, message)
        except (ValueError, TypeError) as error:  # what the candidate sent is not of this form
            raise self._break(f"{name} answered with something malformed: {error}") from None
        if kind == b"x" and self.raised is not None:
            raise self.raised
        raise self._break(f"{name} returned a value that does not cross: {str(found)[:200]}")

    def _break(self, why: str) -> _Stop:
        self.broken = why
        return _Stop(why)

    def _write_back(self, args: tuple[Any, ...], kwargs: dict[str, Any], changed: Any) -> None:
        if type(changed) is not dict:
            raise TypeError("no arguments")
        given: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
        for key, new in changed.items():
            if key in given:
                write_back(given[key], new)


_NOTHING = object()


def write_back(old: Any, new: Any) -> None:
    """Make a mutable built-in equal to what the candidate made of its copy, in place."""
    if type(old) is not type(new):
        return
    if isinstance(old, (list, deque)):
        old_items = list(old)
        merged = [_merged(a, b) for a, b in zip(old_items, new, strict=False)]
        merged += list(new)[len(merged) :]
        old.clear()
        old.extend(merged)
    elif isinstance(old, dict):
        merged_pairs = {k: _merged(old[k], v) if k in old else v for k, v in new.items()}
        old.clear()
        old.update(merged_pairs)
    elif isinstance(old, set):
        old.clear()
        old.update(new)
    elif isinstance(old, bytearray):
        old[:] = new
    elif isinstance(old, tuple):
        for a, b in zip(old, new, strict=False):
            write_back(a, b)


def _merged(old: Any, new: Any) -> Any:
    """Return `old` changed to look like `new` where that can be done in place, else `new`."""
    if type(old) is type(new) and isinstance(old, (list, dict, set, bytearray, deque)):
        write_back(old, new)
        return old
    return new


def serve(channel: Channel) -> None:
    """Run tests one at a time as the supervisor asks, with proxies for the candidate's names."""
    _, nonce, body = channel.receive()
    setup, names = codec.decode(body)
    line = _Line(channel, nonce)
    proxies = {name: _proxy(line, name) for name in names}

    def start() -> dict[str, Any]:
        return _set_up(setup, proxies)

    _tests(channel, nonce, line, start)


def serve_together(channel: Channel) -> None:
    """Run tests and candidate in one process: nothing here keeps a candidate from forging."""
    _, nonce, body = channel.receive()
    source, setup, names = codec.decode(body)
    line = _Line(channel, nonce)

    def start() -> dict[str, Any]:
        defined = execute(source, "candidate")
        named = {name: _watched(line, name, defined[name]) for name in names if name in defined}
        own = {k: v for k, v in defined.items() if not k.startswith("__")}
        return _set_up(setup, {**own, **named})

    _tests(channel, nonce, line, start)


def _proxy(line: _Line, name: str) -> Callable[..., Any]:
    def candidate(*args: Any, **kwargs: Any) -> Any:
        return line.call(name, args, kwargs)

    candidate.__name__ = candidate.__qualname__ = name
    return candidate


def _watched(line: _Line, name: str, function: Any) -> Any:
    """Wrap a function so that a result equal to everything is noticed."""
    if isinstance(function, type) or not callable(function):
        return function

    def candidate(*args: Any, **kwargs: Any) -> Any:
        value = function(*args, **kwargs)
        if value == _Other() and not isinstance(value, _Other):
            raise line._break(f"{name} returned a value that is equal to anything")
        return value

    candidate.__name__ = candidate.__qualname__ = name
    return candidate


class _Other:
    """Equal to nothing but itself."""


def _set_up(setup: str, given: dict[str, Any]) -> dict[str, Any]:
    defined = execute("", "tests", TESTS)
    defined.update(given)
    exec(compile(setup, TESTS, "exec", dont_inherit=True), defined)  # noqa: S102
    defined.update(given)
    return defined


def _tests(
    channel: Channel, nonce: bytes, line: _Line, start: Callable[[], dict[str, Any]]
) -> None:
    try:
        defined = start()
    except BaseException as error:  # the setup's or the candidate's own failure is the answer
        channel.send(b"E", nonce, codec.encode(_described(error, line)))
        return
    channel.send(b"L", nonce)
    while True:
        _, _, body = channel.receive()
        test, code = codec.decode(body)
        line.clear()
        outcome, detail = _outcome(code, dict(defined), line)
        channel.send(b"t", nonce, codec.encode((test, outcome, detail)))


def _outcome(code: str, namespace: dict[str, Any], line: _Line) -> tuple[str, str]:
    outcome, detail = "pass", ""
    try:
        exec(compile(code, TESTS, "exec", dont_inherit=True), namespace)  # noqa: S102
    except AssertionError as error:
        outcome, detail = "fail", _said(error, line, "assertion failed")
    except MemoryError as error:
        outcome, detail = "oom", _said(error, line, "out of memory")
    except BaseException as error:  # an outcome, whatever it is
        outcome, detail = "error", _said(error, line, "")
    if line.broken:  # also where the test caught it
        return "protocol", line.broken[:DETAIL]
    return outcome, detail


def _said(error: BaseException, line: _Line, what: str) -> str:
    name = type(error).__name__
    message = errors.described(error, TESTS)[2]
    whose = "" if error is line.raised else " (in the test)" if not what else ""
    parts = [what or f"{name}: {message}{whose}"]
    if what and message:
        parts = [f"{what}: {message}"]
    if line.last is not None and error is not line.raised:
        parts.append(_call_text(*line.last))
    return _plain("; ".join(part for part in parts if part))


def _plain(text: str) -> str:
    return text[:DETAIL].encode("utf-8", "replace").decode("utf-8")


def _call_text(name: str, args: Iterable[Any], kwargs: dict[str, Any], value: Any) -> str:
    import reprlib

    short = reprlib.Repr()
    short.maxstring = short.maxother = 120
    try:
        inside = [short.repr(a) for a in args] + [f"{k}={short.repr(v)}" for k, v in kwargs.items()]
        call = f"{name}({', '.join(inside)})"
        return call if value is _NOTHING else f"{call} returned {short.repr(value)}"
    except Exception:  # such as an integer with too many digits to print
        return f"{name}(…)"


def _described(error: BaseException, line: _Line) -> tuple[str, str, str, int]:
    found = errors.described(error, FILE)
    return (found[0], found[1], line.broken or found[2], found[3])
