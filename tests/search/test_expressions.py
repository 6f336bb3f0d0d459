from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.errors import ConfigError
from archon.search.expressions import ABSENT, Expression

VALUES: dict[str, Any] = {
    "n": 3, "kind": "tests", "some": ["x", "y"], "on": True, "gone": ABSENT,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("n == 3", True),
        ("n * len(some) <= 5", False),
        ("1 < n < 4", True),
        ("1 < n < 3", False),
        ("kind == 'tests' and on", True),
        ("kind != 'tests' or not on", False),
        ("'x' in some", True),
        ("kind in ['a', 'b']", False),
        ("kind not in ('a', 'b')", True),
        ("-n + 10 // 3 - 7 % 4 == -3", True),
        ("max(n, 7) == 7 and min(n, 7) == 3", True),
        ("gone > 1", None),
        ("gone == 1", None),
        ("not gone > 1", None),
        ("gone > 1 or n == 3", True),
        ("gone > 1 or n == 4", None),
        ("gone > 1 and n == 4", False),
        ("gone * 2 > 1", None),
        ("len(gone) > 1", None),
    ],
)
def test_three_values(text: str, holds: bool | None) -> None:
    assert Expression(text).holds(VALUES) is holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n ==", "not a condition"),
        ("", "not a condition"),
        ("__import__('os').system('true')", "cannot stand in a condition"),
        ("n.real", "cannot stand"),
        ("some[0]", "cannot stand"),
        ("(lambda: 1)()", "cannot stand"),
        ("open('x')", "cannot stand"),
        ("n ** 9 > 1", "cannot stand"),
        ("n if n else n", "cannot stand"),
        ("len()", "wrong arguments"),
        ("len(some, some)", "wrong arguments"),
        ("b'x' == n", "cannot stand"),
        ("n " + "+ 1" * 400, "at most 1000 characters"),
    ],
)
def test_what_is_no_condition(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"^f.yaml:3: .*{said}"):
        Expression(text, "f.yaml:3")


@pytest.mark.parametrize("text", ["kind > 1", "len(n) > 1", "n / 0 > 1", "-kind == 1", "n in 3"])
def test_values_that_do_not_fit_are_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"(kind = 'tests'|n = 3)"):
        Expression(text).holds(VALUES)


def test_names() -> None:
    assert Expression("len(some) * n < 3 and kind == 'n2'").names == {"some", "n", "kind"}


@given(st.text("na kind()+-*/%<>=!'\"[]0123.,&|^~:@{}", max_size=40))
def test_garbage_is_an_error_with_a_place_or_a_condition(text: str) -> None:
    error = None
    try:
        condition = Expression(text, "f.yaml:1")
        condition.holds(dict.fromkeys(condition.names, 1))
    except ConfigError as caught:
        error = caught
    assert error is None or error.where == "f.yaml:1"
