"""Every contract over every registered backend that works here without a key."""

from __future__ import annotations

import importlib.util
from importlib.resources import files

import pytest

from archon.backends import BACKENDS
from archon.model import Model
from archon.testing import BACKEND_CONTRACTS

MODELS = {"fake": Model("fake/any", max_tokens=64), "local": Model("local/nano", max_tokens=24)}


def _backends() -> list[object]:
    here = all(map(importlib.util.find_spec, ("torch", "transformers")))
    here = here and files("archon.weights").joinpath("nano").is_dir()
    skip = pytest.mark.skipif(not here, reason="needs the extra `local` and the weights")
    return [pytest.param(name, marks=[skip] * (name == "local"), id=name) for name in MODELS]


@pytest.mark.parametrize("contract", BACKEND_CONTRACTS)
@pytest.mark.parametrize("name", _backends())
def test_contract(name: str, contract: str) -> None:
    BACKEND_CONTRACTS[contract](BACKENDS.get(name), MODELS[name])
