"""Values cross whole or not at all, and nothing but built-in types comes out."""

from __future__ import annotations

import collections
import decimal
import fractions
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.sandbox.inside import codec
from archon.sandbox.inside.codec import CannotCross, Malformed, decode, encode

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), TEXT, st.binary(),
    st.fractions(), st.decimals(), st.integers(0, 50).map(range), st.binary().map(bytearray),
)  # fmt: skip
KEYS = st.one_of(st.none(), st.booleans(), st.integers(), TEXT, st.binary(), st.tuples(TEXT))
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.lists(inner).map(collections.deque),
        st.sets(KEYS),
        st.frozensets(KEYS),
        st.dictionaries(KEYS, inner),
        st.dictionaries(KEYS, inner).map(collections.OrderedDict),
        st.dictionaries(KEYS, st.integers()).map(collections.Counter),
    ),
    max_leaves=20,
)


def same(a: Any, b: Any) -> bool:
    """Equal with equal types all the way down; NaN equals NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack(">d", a) == struct.pack(">d", b)
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, decimal.Decimal):
        return str(a) == str(b)
    if isinstance(a, (list, tuple, collections.deque)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(same, a.items(), b.items()))
    return bool(a == b)


@given(VALUES)
def test_a_value_comes_out_as_it_went_in(value: Any) -> None:
    assert same(decode(encode(value)), value)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_or_malformed(data: bytes) -> None:
    try:
        value = decode(data)
    except Malformed:
        return
    decode(encode(value))


@given(VALUES, st.data())
def test_damaged_bytes_are_a_value_or_malformed(value: Any, data: st.DataObject) -> None:
    good = bytearray(encode(value))
    place = data.draw(st.integers(0, len(good) - 1))
    good[place] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(good))
    except Malformed:
        return


@given(VALUES, st.data())
def test_a_cut_value_is_malformed(value: Any, data: st.DataObject) -> None:
    good = encode(value)
    with pytest.raises(Malformed):
        decode(good[: data.draw(st.integers(0, len(good) - 1))])
    with pytest.raises(Malformed):
        decode(good + b"N")


class Int(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


class Text(str):
    def encode(self, *args: Any) -> bytes:
        raise AssertionError("code of the value was run")

    def __len__(self) -> int:
        return 0


def test_a_subclass_crosses_as_the_plain_value_below_it() -> None:
    assert type(decode(encode(Int(5)))) is int
    assert decode(encode(Int(5))) != 6
    assert decode(encode(Text("abc"))) == "abc"
    pair = collections.namedtuple("pair", "a b")
    assert decode(encode(pair(1, 2))) == (1, 2)
    counts = collections.defaultdict(int, a=1)
    assert type(decode(encode(counts))) is dict


def test_a_scalar_of_numpy_crosses_as_a_number_and_an_array_does_not() -> None:
    import numpy as np

    values = [np.int64(3), np.float64(0.1), np.float32(0.5), np.bool_(True), np.str_("a")]
    crossed = decode(encode(values))
    assert crossed == [3, 0.1, 0.5, True, "a"]
    assert [type(value) for value in crossed] == [int, float, float, bool, str]
    for value in (np.arange(3), np.longdouble(1), np.datetime64("2020", "D")):
        with pytest.raises(CannotCross):
            encode(value)


@pytest.mark.parametrize(
    "value",
    [object(), print, (x for x in [1]), int, [object()], {"a": lambda: 0}, "\ud800", Ellipsis,
     range(10**18), 1 << 9_000_000, "a" * (1 << 21), bytes(1 << 21), [0] * 100_001,
     decimal.Decimal("1" * 20_000)],
    ids=str.split("object function generator type inside in-a-dict surrogate ellipsis "
                  "long-range large-int long-text long-bytes many-items long-decimal"),
)  # fmt: skip
def test_other_values_do_not_cross(value: Any) -> None:
    with pytest.raises(CannotCross):
        encode(value)


def test_depth_is_limited_on_both_sides() -> None:
    deep: list[Any] = []
    for _ in range(codec.DEPTH):
        deep = [deep]
    assert decode(encode(deep)) == deep
    with pytest.raises(CannotCross, match="nested"):
        encode([deep])
    wire = b"l\0\0\0\1" * 100_000 + b"N"
    with pytest.raises(Malformed):
        decode(wire)


def nested_lists(count: int) -> bytes:
    return b"l" + struct.pack(">I", count)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"X",
        nested_lists(0xFFFFFFFF),
        b"i" + struct.pack(">I", 5) + b"1",
        b"S" + struct.pack(">I", 2) + b"TT",
        b"d" + struct.pack(">I", 2) + b"TNTN",
        b"S" + struct.pack(">I", 1) + nested_lists(0),
        b"s" + struct.pack(">I", 3) + b"\xed\xa0\x80",
        b"r" + struct.pack(">I", 3) + encode(0) + encode(10**18) + encode(1),
        b"r" + struct.pack(">I", 3) + encode(0) + encode(1) + encode(0),
        b"R" + struct.pack(">I", 2) + encode(1) + encode(0),
        b"M" + struct.pack(">I", 9) + b"1E9999999",
        b"M" + struct.pack(">I", 3) + b"abc",
        b"N" * 2,
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode(data)


def test_sizes_are_limited() -> None:
    with pytest.raises(Malformed):
        decode(b"b" + struct.pack(">I", codec.SIZE + 1) + bytes(codec.SIZE + 1))
    with pytest.raises(Malformed):
        decode(nested_lists(codec.NODES + 1) + b"N" * (codec.NODES + 1))


def test_numbers_lose_nothing() -> None:
    for value in (0.1, -0.0, math.inf, 5e-324, 2**4000, -(2**63), fractions.Fraction(1, 3)):
        assert same(decode(encode(value)), value)
