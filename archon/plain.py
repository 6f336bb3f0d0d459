"""Plain values in the one form in which they are stored, hashed and compared."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any

__all__ = ["canonical", "clean_text", "finite", "normal_text", "normalises"]


# Made once: `json.dumps` makes a new encoder for each call that is not in its own default form.
_ENCODER = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
)


def canonical(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, no NaN."""
    return _ENCODER.encode(value)


MOST_MARKS = 64
"""Combining marks in a row above which a text is compared as it stands; writing needs a few."""


def normalises(text: str) -> bool:
    """Return whether Unicode normalisation of `text` takes linear time.

    CPython sorts a run of combining marks by insertion, so a long one would take minutes.
    """
    if text.isascii():
        return True
    run = 0
    for char in text:
        run = run + 1 if unicodedata.combining(char) else 0
        if run > MOST_MARKS:
            return False
    return True


def normal_text(text: str) -> str:
    """Return `text` in the form in which texts are compared: NFC, LF, stripped."""
    if normalises(text):
        text = unicodedata.normalize("NFC", text)
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def clean_text(text: str) -> str:
    """Return `text` with lone surrogates replaced, so that it can be stored and sent as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def finite(value: object, what: str = "score") -> float:
    """Let only finite real numbers through: the one gate every score passes.

    Raises:
        ValueError: for NaN, infinities, booleans, strings and anything that is not a number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{what} must be a real number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{what} must be finite, got an integer too large for a float") from None
    if not math.isfinite(number):
        raise ValueError(f"{what} must be finite, got {value!r}")
    return number
