"""Contract tests for layers, backends and benchmarks of one's own (needs hypothesis).

    from archon.testing import check_layer

    def test_my_layer():
        check_layer(MyLayer(model="fake/any"))

Each contract is a named function in `archon.testing.layers` and can be run by itself. A broken
one raises AssertionError that says what the layer did. The suite of archon runs the same
functions over everything that is registered.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archon.testing.backends import BACKEND_CONTRACTS, check_backend
    from archon.testing.benchmarks import BENCHMARK_CONTRACTS, check_benchmark
    from archon.testing.examples import MODEL, example_of, variants_of
    from archon.testing.layers import LAYER_CONTRACTS, check_layer
    from archon.testing.playing import Played, play, play_async

__all__ = [
    "BACKEND_CONTRACTS",
    "BENCHMARK_CONTRACTS",
    "LAYER_CONTRACTS",
    "MODEL",
    "Played",
    "check_backend",
    "check_benchmark",
    "check_layer",
    "example_of",
    "play",
    "play_async",
    "variants_of",
]

# Imported when first asked for: `archon.testing.provider` needs no hypothesis and starts at once.
_HOMES = {
    "backends": ("BACKEND_CONTRACTS", "check_backend"),
    "benchmarks": ("BENCHMARK_CONTRACTS", "check_benchmark"),
    "examples": ("MODEL", "example_of", "variants_of"),
    "layers": ("LAYER_CONTRACTS", "check_layer"),
    "playing": ("Played", "play", "play_async"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
