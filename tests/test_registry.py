"""One door for built-ins and strangers."""

from __future__ import annotations

import pytest

from archon.base import LAYERS
from archon.errors import ConfigError
from archon.registry import Registry


def test_names_are_found_sorted_and_near_misses_named() -> None:
    registry: Registry[type] = Registry("archon.nothing", "thing")
    registry.add("two", int)
    registry.add("one", str)
    assert list(registry.all()) == ["one", "two"]
    assert registry.get("one") is str
    with pytest.raises(ConfigError, match=r"unknown thing 'on'; did you mean 'one'\?"):
        registry.get("on")


def test_a_name_belongs_to_one_thing() -> None:
    registry: Registry[type] = Registry("archon.nothing", "thing")
    registry.add("one", str)
    registry.add("one", str)
    with pytest.raises(ConfigError, match="'one' is registered twice"):
        registry.add("one", int)


def test_what_is_registered_cannot_be_changed_from_outside() -> None:
    with pytest.raises(TypeError):
        LAYERS.all()["mine"] = object  # type: ignore[index]


def test_built_in_layers_come_through_the_entry_point() -> None:
    known = LAYERS.all()
    assert {"generate", "fuse", "critique", "rank", "verify", "vote", "loop"} <= set(known)
    assert all(cls.kind == kind for kind, cls in known.items())
    assert all(cls.__doc__ for cls in known.values())
