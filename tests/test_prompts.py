"""What models and users say enters a template as a value, never as its source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.errors import ConfigError
from archon.prompts import check, render


@given(st.text(max_size=50))
def test_values_are_never_source(text: str) -> None:
    assert render("<{{ x }}>", x=text) == f"<{text}>".strip()


def test_template_syntax_in_a_value_stays_text() -> None:
    assert render("{{ x }}", x="{{ 7 * 7 }}{% for %}") == "{{ 7 * 7 }}{% for %}"


def test_a_template_cannot_reach_the_machine() -> None:
    with pytest.raises(ConfigError):
        render("{{ x.__class__.__mro__[1].__subclasses__() }}", x="a")


def test_bad_templates_are_one_line() -> None:
    with pytest.raises(ConfigError, match="template line 2"):
        check("a\n{% if %}")
    with pytest.raises(ConfigError, match="'y' is undefined; it may use: x"):
        render("{{ y }}", x=1)
