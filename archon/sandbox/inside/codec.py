"""Values that cross between sandboxes: built-in types only, by value, within limits.

What is decoded is built from nothing but exact built-in types (and a few of the standard library
that hold only such), so that no comparison ever runs code that came from elsewhere. Encoding is
lenient where it costs nothing: an instance of a subclass crosses as the plain value below it.

A value is a tag byte and its content; lengths are four bytes, big-endian. Integers are two's
complement and floats are their eight bytes, so that both take linear time and lose nothing.
"""

from __future__ import annotations

import collections
import struct
import sys
from collections.abc import Callable, Iterable

TYPE_CHECKING = False  # `typing` is not loaded for a name
if TYPE_CHECKING:
    import decimal
    import fractions
    from typing import Any

__all__ = ["DEPTH", "NODES", "SIZE", "CannotCross", "Malformed", "decode", "encode"]

DEPTH = 64
NODES = 100_000
SIZE = 1 << 20
"""Bytes of one encoded value."""

_LENGTH = struct.Struct(">I")
_FLOAT = struct.Struct(">d")
_COMPLEX = struct.Struct(">dd")
_EXPONENT = 10_000
"""Largest exponent of a decimal: the integer of a larger one would take for ever to make."""
_DECIMAL_TEXT = 12_000


class CannotCross(ValueError):
    """A value has a type or a size that does not cross."""


class Malformed(ValueError):
    """Bytes are not an encoded value."""


class _Encoder:
    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.nodes = 0
        self.size = 0

    def put(self, *parts: bytes) -> None:
        for part in parts:
            self.size += len(part)
            self.parts.append(part)
        if self.size > SIZE:
            raise CannotCross(f"it takes more than {SIZE:,} bytes")

    def value(self, value: Any, depth: int) -> None:
        self.nodes += 1
        if self.nodes > NODES:
            raise CannotCross(f"it has more than {NODES:,} parts")
        if depth > DEPTH:
            raise CannotCross(f"it is nested more than {DEPTH} deep")
        writer = _WRITERS.get(type(value)) or _writer(type(value))
        writer(self, value, depth)

    def sized(self, tag: bytes, content: bytes) -> None:
        self.put(tag, _LENGTH.pack(len(content)), content)

    def items(self, tag: bytes, values: Iterable[Any], count: int, depth: int) -> None:
        if count > NODES:
            raise CannotCross(f"it has more than {NODES:,} parts")
        self.put(tag, _LENGTH.pack(count))
        for value in values:
            self.value(value, depth + 1)

    def pairs(self, tag: bytes, mapping: Any, depth: int) -> None:
        count = dict.__len__(mapping)
        if count > NODES:
            raise CannotCross(f"it has more than {NODES:,} parts")
        self.put(tag, _LENGTH.pack(count))
        for key, value in dict.items(mapping):
            self.value(key, depth + 1)
            self.value(value, depth + 1)


def _writer(kind: type) -> Callable[[_Encoder, Any, int], None]:
    """Return the writer of a type that is none of the usual ones."""
    late = (
        ("fractions", "Fraction", _put_fraction),
        ("decimal", "Decimal", _put_decimal),
        ("numpy", "generic", _put_scalar),
    )
    for module, name, writer in late:  # there are values of it only if it has been imported
        if hasattr(sys.modules.get(module), name):
            _WRITERS[getattr(sys.modules[module], name)] = writer
    for base in kind.__mro__:  # the plain value below a subclass
        if base in _WRITERS:
            return _WRITERS[base]
    name = str(type.__getattribute__(kind, "__name__"))[:80]
    raise CannotCross(f"a value of type {name!r} does not cross")


def _int(value: int) -> bytes:
    return int.to_bytes(value, int.bit_length(value) // 8 + 1, "big", signed=True)


def _put_int(out: _Encoder, value: int, depth: int) -> None:
    if int.bit_length(value) > 8 * SIZE:
        raise CannotCross(f"it takes more than {SIZE:,} bytes")
    out.sized(b"i", _int(value))


def _put_text(out: _Encoder, value: str, depth: int) -> None:
    if str.__len__(value) > SIZE:
        raise CannotCross(f"it takes more than {SIZE:,} bytes")
    try:
        out.sized(b"s", str.encode(value, "utf-8"))
    except UnicodeEncodeError:
        raise CannotCross("a text has lone surrogates") from None


def _put_bytes(out: _Encoder, value: bytes, depth: int) -> None:
    out.sized(b"b", bytes.__getitem__(value, slice(0, SIZE + 1)))


def _put_bytearray(out: _Encoder, value: bytearray, depth: int) -> None:
    out.sized(b"B", bytes(bytearray.__getitem__(value, slice(0, SIZE + 1))))


def _put_range(out: _Encoder, value: range, depth: int) -> None:
    if len(value) > NODES:
        raise CannotCross(f"a range has more than {NODES:,} parts")
    out.items(b"r", (value.start, value.stop, value.step), 3, depth)


def _put_scalar(out: _Encoder, value: Any, depth: int) -> None:
    """Put a number of numpy as the Python number that it stands for."""
    plain = value.item()
    if _WRITERS.get(type(plain)) is None:
        raise CannotCross("a scalar of numpy that is no number or text does not cross")
    out.value(plain, depth)


def _put_fraction(out: _Encoder, value: fractions.Fraction, depth: int) -> None:
    out.items(b"R", (value.numerator, value.denominator), 2, depth)


def _put_decimal(out: _Encoder, value: decimal.Decimal, depth: int) -> None:
    import decimal

    text = decimal.Decimal.__str__(value).encode("ascii")
    if len(text) > _DECIMAL_TEXT:
        raise CannotCross(f"a decimal has more than {_DECIMAL_TEXT:,} characters")
    out.sized(b"M", text)


_WRITERS: dict[type, Callable[[_Encoder, Any, int], None]] = {
    type(None): lambda out, value, depth: out.put(b"N"),
    bool: lambda out, value, depth: out.put(b"T" if value else b"F"),
    int: _put_int,
    float: lambda out, value, depth: out.put(b"f", _FLOAT.pack(value)),
    complex: lambda out, value, depth: out.put(b"c", _COMPLEX.pack(value.real, value.imag)),
    str: _put_text,
    bytes: _put_bytes,
    bytearray: _put_bytearray,
    list: lambda out, value, depth: out.items(
        b"l", list.__iter__(value), list.__len__(value), depth
    ),
    tuple: lambda out, value, depth: out.items(
        b"t", tuple.__iter__(value), tuple.__len__(value), depth
    ),
    set: lambda out, value, depth: out.items(b"S", set.__iter__(value), set.__len__(value), depth),
    frozenset: lambda out, value, depth: out.items(
        b"Z", frozenset.__iter__(value), frozenset.__len__(value), depth
    ),
    dict: lambda out, value, depth: out.pairs(b"d", value, depth),
    collections.OrderedDict: lambda out, value, depth: out.pairs(b"O", value, depth),
    collections.Counter: lambda out, value, depth: out.pairs(b"C", value, depth),
    collections.deque: lambda out, value, depth: out.items(b"q", list(value), len(value), depth),
    range: _put_range,
}


def encode(value: Any) -> bytes:
    """Return the bytes of a value.

    Raises:
        CannotCross: for other types, lone surrogates, and what is above a limit.
    """
    out = _Encoder()
    try:
        out.value(value, 0)
    except RuntimeError as error:  # it changed while it was read
        raise CannotCross(str(error)) from None
    return b"".join(out.parts)


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.nodes = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise Malformed("it ends too early")
        part = self.data[self.at : end]
        self.at = end
        return part

    def length(self) -> int:
        count: int = _LENGTH.unpack(self.take(4))[0]
        if count > len(self.data) - self.at:  # every item takes at least a byte
            raise Malformed("a length is larger than what follows")
        return count

    def sized(self) -> bytes:
        return self.take(self.length())

    def items(self, depth: int) -> list[Any]:
        return [self.value(depth + 1) for _ in range(self.length())]

    def pairs(self, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        count = self.length()
        for _ in range(count):
            key = self.value(depth + 1)
            found[key] = self.value(depth + 1)
        if len(found) != count:
            raise Malformed("a key stands twice")
        return found

    def value(self, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > NODES or depth > DEPTH:
            raise Malformed("it is too large or too deep")
        reader = _READERS.get(self.take(1))
        if reader is None:
            raise Malformed("unknown tag")
        return reader(self, depth)


def _integer(source: _Decoder, depth: int) -> int:
    return int.from_bytes(source.sized(), "big", signed=True)


def _unique(found: Any, count: int) -> Any:
    if len(found) != count:
        raise Malformed("an item stands twice")
    return found


def _set(source: _Decoder, depth: int) -> set[Any]:
    items = source.items(depth)
    return set(_unique(set(items), len(items)))


def _frozenset(source: _Decoder, depth: int) -> frozenset[Any]:
    items = source.items(depth)
    return frozenset(_unique(frozenset(items), len(items)))


def _integers(source: _Decoder, depth: int, count: int) -> list[int]:
    items = source.items(depth)
    if len(items) != count or any(type(item) is not int for item in items):
        raise Malformed("these must be integers")
    return items


def _range(source: _Decoder, depth: int) -> range:
    start, stop, step = _integers(source, depth, 3)
    if step == 0:
        raise Malformed("a range without a step")
    found = range(start, stop, step)
    if found[NODES:]:
        raise Malformed("a range is too long")
    return found


def _fraction(source: _Decoder, depth: int) -> fractions.Fraction:
    above, below = _integers(source, depth, 2)
    if below <= 0 or max(above.bit_length(), below.bit_length()) > 1 << 16:
        raise Malformed("not a fraction")
    import fractions

    return fractions.Fraction(above, below)


def _decimal(source: _Decoder, depth: int) -> decimal.Decimal:
    text = source.sized()
    if len(text) > _DECIMAL_TEXT:
        raise Malformed("a decimal is too long")
    import decimal

    try:
        found = decimal.Decimal(text.decode("ascii"))
    except (decimal.InvalidOperation, UnicodeDecodeError):
        raise Malformed("not a decimal") from None
    if found.is_finite() and abs(found.adjusted()) > _EXPONENT:
        raise Malformed("a decimal's exponent is too large")
    return found


def _text(source: _Decoder, depth: int) -> str:
    return source.sized().decode("utf-8")


_READERS: dict[bytes, Callable[[_Decoder, int], Any]] = {
    b"N": lambda source, depth: None,
    b"T": lambda source, depth: True,
    b"F": lambda source, depth: False,
    b"i": _integer,
    b"f": lambda source, depth: _FLOAT.unpack(source.take(8))[0],
    b"c": lambda source, depth: complex(*_COMPLEX.unpack(source.take(16))),
    b"s": _text,
    b"b": lambda source, depth: source.sized(),
    b"B": lambda source, depth: bytearray(source.sized()),
    b"l": lambda source, depth: source.items(depth),
    b"t": lambda source, depth: tuple(source.items(depth)),
    b"S": _set,
    b"Z": _frozenset,
    b"d": lambda source, depth: source.pairs(depth),
    b"O": lambda source, depth: collections.OrderedDict(source.pairs(depth)),
    b"C": lambda source, depth: collections.Counter(source.pairs(depth)),
    b"q": lambda source, depth: collections.deque(source.items(depth)),
    b"r": _range,
    b"R": _fraction,
    b"M": _decimal,
}


def decode(data: bytes) -> Any:
    """Return the value of some bytes, which may be anything.

    Raises:
        Malformed: where they are not exactly one value within the limits.
    """
    if len(data) > SIZE:
        raise Malformed("it is too large")
    source = _Decoder(data)
    try:
        value = source.value(0)
    except (TypeError, ValueError, OverflowError) as error:  # unhashable keys, bad UTF-8
        raise Malformed(str(error)[:200]) from None
    if source.at != len(data):
        raise Malformed("something follows")
    return value
