"""Every contract over every registered layer, and over every choice that its settings offer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from archon.base import LAYERS, Layer
from archon.testing import LAYER_CONTRACTS, variants_of


def _layers() -> Iterator[object]:
    for kind, cls in LAYERS.all().items():
        for variant, layer in variants_of(cls):
            yield pytest.param(layer, id=f"{kind}-{variant}")


@pytest.fixture
def _fewer(request: pytest.FixtureRequest) -> Iterator[None]:
    """Try the choices that settings offer on fewer states than the plain layer."""
    plain = "-plain-" in request.node.name
    settings.load_profile("archon" if plain else "archon-few")
    yield
    settings.load_profile("archon")


@pytest.mark.usefixtures("_fewer")
@pytest.mark.parametrize("contract", LAYER_CONTRACTS)
@pytest.mark.parametrize("layer", list(_layers()))
def test_contract(layer: Layer, contract: str) -> None:
    LAYER_CONTRACTS[contract](layer)
