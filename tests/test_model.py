"""A request's key holds everything that shapes a reply, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from archon.model import Model, Price, Request
from archon.types import Message

ASK = Request(Model("openai/gpt-4o"), (Message("user", "hi"),))


def _with(**settings: Any) -> Request:
    return replace(ASK, model=Model("openai/gpt-4o", **settings))


@pytest.mark.parametrize(
    "other",
    [
        _with(temperature=0.5), _with(top_p=0.5), _with(max_tokens=9), _with(stop=("x",)),
        _with(effort="low"), _with(params={"a": 1}), _with(base_url="http://localhost:1"),
        replace(ASK, model=Model("openai/gpt-4o-mini")),
        replace(ASK, messages=(Message("system", "hi"),)),
        replace(ASK, messages=(Message("user", "hi "),)),
        replace(ASK, prefix="x"), replace(ASK, schema="{}"), replace(ASK, seed=1),
        replace(ASK, role="scorer"), replace(ASK, retry=1), replace(ASK, verdicts=("yes",)),
    ],
)  # fmt: skip
def test_what_shapes_a_reply_is_in_the_key(other: Request) -> None:
    assert other.key() != ASK.key()


@pytest.mark.parametrize(
    "other",
    [
        _with(api_key_env="MY_KEY"), _with(headers={"x": "secret"}), _with(timeout=5),
        _with(concurrency=2), _with(rpm=9), _with(fallbacks=("a/b",)), _with(profile="mine"),
        _with(price=Price(input=1, output=1)),
    ],
)  # fmt: skip
def test_limits_and_credentials_are_not_in_the_key(other: Request) -> None:
    assert other.key() == ASK.key()
    assert "secret" not in str(other.content())
    assert "MY_KEY" not in str(other.content())


def test_weights_are_in_the_key() -> None:
    assert ASK.key("digest-1") != ASK.key("digest-2")


def test_the_key_does_not_change_between_versions() -> None:
    # A changed key would silently orphan every reply that anybody has paid for.
    assert ASK.key() == "6403aedec21f9f5284e197a612b5a919"


@pytest.mark.parametrize("name", ["", "/x", "x/", "a b", "a/b c", "a/b\n"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="a model is named like"):
        Model(name)


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -1}, {"temperature": float("nan")}, {"max_tokens": 0}, {"top_p": 0},
        {"timeout": 0}, {"concurrency": 0}, {"effort": "huge"}, {"api_key_env": "sk-abc-123"},
    ],
)  # fmt: skip
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Model("a/b", **settings)


def test_the_upper_bound_holds_by_bytes() -> None:
    request = Request(Model("a/b", max_tokens=7), (Message("user", "ü" * 100),))
    upper = request.upper(Price(input=1, output=2))
    assert upper.input_tokens is not None
    assert upper.input_tokens >= 200
    assert upper.output_tokens == 7
    assert upper.microusd == upper.input_tokens + 14
    assert ASK.upper(Price(input=1, output=1)).microusd is None


def test_prices_are_rounded_up() -> None:
    assert Price(input=0.1, output=0).microusd(1, 0) == 1
    assert Price(input=1, output=1).microusd(None, 0) is None
