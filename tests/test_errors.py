"""One tree of errors; each knows its exit code, and messages say what would be right."""

from __future__ import annotations

import pickle

import pytest

from archon import errors
from archon.errors import ArchonError, BudgetExceeded, ConfigError, ModelError, did_you_mean


@pytest.mark.parametrize("name", [n for n in errors.__all__ if n[0].isupper()])
def test_every_error_is_in_the_tree(name: str) -> None:
    thing = getattr(errors, name)
    if isinstance(thing, type):
        assert issubclass(thing, ArchonError)
        assert f" {name} " in f" {errors.__doc__} ".replace("\n", " ")


def test_exit_codes_tell_mistakes_from_failures() -> None:
    assert ConfigError("x").exit_code == errors.BudgetRefused("x").exit_code == 2
    assert ModelError("x").exit_code == errors.NodeError("x").exit_code == 1


def test_a_place_is_put_in_front_once() -> None:
    error = errors.ModelNotFound("unknown").at("a.yaml:3")
    assert isinstance(error, errors.ModelNotFound)
    assert str(error) == "a.yaml:3: unknown"
    assert str(error.at("b.yaml:9")) == "a.yaml:3: unknown"


@pytest.mark.parametrize(
    ("kind", "again"),
    [("transient", True), ("malformed", True), ("fatal", False), ("content", False)],
)
def test_a_model_error_knows_whether_again_may_help(kind: errors.FailureKind, again: bool) -> None:
    assert ModelError("x", kind=kind).retryable is again


def test_near_misses_are_named() -> None:
    assert did_you_mean("genrate", ["generate", "rank"]) == "; did you mean 'generate'?"
    assert did_you_mean("zzz", ["b", "a"]) == "; known: a, b"
    assert did_you_mean("x", []) == ""


def test_limits_are_data() -> None:
    assert BudgetExceeded("x", limit="usd").limit == "usd"
    assert pickle.loads(pickle.dumps(ConfigError("x", where="a:1"))).args
