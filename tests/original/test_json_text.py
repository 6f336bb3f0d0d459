"""Strict JSON: what is read, and where what is not JSON is wrong."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon import ConfigError
from archon.original.json_text import Document
from archon.original.repairing import repaired

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(values, st.sampled_from([None, 1, 4]))
def test_what_the_standard_library_writes_is_read(value: Any, indent: int | None) -> None:
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError:
        return
    assert Document(text).data == json.loads(text)


@given(st.text(st.sampled_from('{}[]",: \n\\tru1eE-.0nNaN/'), max_size=40))
def test_any_text_is_read_as_the_standard_library_does_or_refused_in_one_line(text: str) -> None:
    try:
        expected = json.loads(text, parse_constant=_refuse, object_pairs_hook=_no_twins)
    except ValueError:
        with pytest.raises(ConfigError) as caught:
            Document(text)
        assert "\n" not in str(caught.value)
        return
    if math.inf in _numbers(expected) or -math.inf in _numbers(expected):
        return
    assert Document(text).data == expected


def _refuse(word: str) -> None:
    raise ValueError(word)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("twice")
    return dict(pairs)


def _numbers(value: Any) -> list[Any]:
    if isinstance(value, (list, dict)):
        inner = value.values() if isinstance(value, dict) else value
        return [number for item in inner for number in _numbers(item)]
    return [value]


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("", "1:1", "a value is expected, got the end of the text"),
        ('{"a": 1', "1:1", "the object that begins here has no '}'"),
        ('{\n "a": [1, 2\n', "2:7", "the list that begins here has no ']'"),
        ('{"a": 1, "b": 2, "a": 3}', "1:18", "the key 'a' stands here twice"),
        ('{"a": NaN}', "1:7", "NaN is no JSON value; write a number"),
        ('{"a": -Infinity}', "1:7", "-Infinity is no JSON value"),
        ('{"a": None}', "1:7", "None is no JSON value; write null"),
        ('{"a": 1e999}', "1:7", "1e999 is too large"),
        ('{"a": 01}', "1:8", "',' or '}' is expected"),
        ("{'a': 1}", "1:2", "a key stands in quotes"),
        ('{"a" 1}', "1:6", "':' is expected after 'a'"),
        ('{"a": 1,}', "1:8", "a comma before '}'"),
        ('{"a": "b\n"}', "1:7", "this string has no end on its line"),
        ('{"a": "\\ud800"}', "1:7", "half of a character"),
        ("{} {}", "1:4", "text after the end of the data: '{}'"),
        ("[" * 40 + "]" * 40, "1:34", "nested deeper than 32 levels"),
        ("9" * 500, "1:1", "a number of 500 digits"),
        ("\r\n\r\n!", "3:1", "a value is expected, got '!'"),
    ],
)
def test_mistakes_have_their_line_and_column(text: str, place: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Document(text, "f.json")
    assert caught.value.where == f"f.json:{place}"
    assert what in caught.value.message


def test_a_byte_order_mark_is_passed_over() -> None:
    assert Document('\ufeff{"a": 1}').data == {"a": 1}


def test_every_part_has_its_place() -> None:
    document = Document('{\n  "a": [1,\n    {"b": 2}]\n}', "f.json")
    inner = document.data["a"]
    assert document.where(document.data) == "f.json:1:1"
    assert document.where(document.data, "a") == "f.json:2:3"
    assert document.where(inner, 1) == "f.json:3:5"
    assert document.where(inner[1], "b") == "f.json:3:6"
    assert document.where(inner[1], "missing") == "f.json:3:5"


@pytest.mark.parametrize(
    ("text", "whole", "fixes"),
    [
        ('{"a": "x"y"z", "b": 1}', {"a": "x", "b": 1}, ["line 1, column 10: dropped 'y\"z\"'"]),
        ('{"a": [1, 2,],\n}', {"a": [1, 2]},
         ["line 1, column 12: dropped ','", "line 1, column 14: dropped ','"]),
        ('{"a": "x"\n "b": "y"}', {"a": "x", "b": "y"}, ["line 1, column 10: put in ','"]),
        ('{"a": 1}', {"a": 1}, []),
    ],
)  # fmt: skip
def test_what_one_plausible_change_mends_is_mended(text: str, whole: Any, fixes: list[str]) -> None:
    document, made = repaired(text)
    assert document.data == whole
    assert [str(fix) for fix in made] == fixes


@pytest.mark.parametrize("text", ["{", '{"a": NaN}', '{"a": 1, "a": 2}', "not at all", ""])
def test_what_is_not_plain_is_never_mended(text: str) -> None:
    with pytest.raises(ConfigError):
        repaired(text)


@given(st.text(max_size=60))
def test_mending_ends_whatever_the_text(text: str) -> None:
    try:
        document, _ = repaired(text)
    except ConfigError:
        return
    json.dumps(document.data)
