"""The seconds that a provider asks to wait."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

__all__ = ["retry_after"]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read the headers `retry-after-ms` and `retry-after`, a number or a date.

    Zero, the past and nonsense say nothing: in a `ModelError`, zero means again at once.

    >>> retry_after({"retry-after": "7"}), retry_after({"retry-after": "0"}), retry_after({})
    (7.0, None, None)
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    if (seconds := _number(value)) is not None:
        return seconds
    try:
        left = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return left if left > 0 else None


def _number(value: str | None) -> float | None:
    try:
        seconds = float(value) if value is not None else 0.0
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None
