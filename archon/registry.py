"""Names of layers, backends and benchmarks: one door for built-ins and strangers.

A package offers its own by an entry point, exactly as archon's own folders do; it names a module,
which registers what it holds:

    [project.entry-points."archon.layers"]
    mine = "my_package.my_layers"
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Generic, TypeVar

from archon.errors import ConfigError, did_you_mean

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """Things by name, loaded from an entry-point group when first asked for.

    Args:
        group: the entry-point group, e.g. `archon.layers`.
        noun: what one is called in messages.
    """

    def __init__(self, group: str, noun: str) -> None:
        self.group = group
        self.noun = noun
        self._items: dict[str, T] = {}
        self._loaded = False

    def add(self, name: str, item: T) -> T:
        """Register under a name; the same thing twice (a module reloaded) replaces itself.

        Raises:
            ConfigError: when the name belongs to something else.
        """
        old = self._items.get(name)
        if old is not None and _identity(old) != _identity(item):
            raise ConfigError(
                f"{self.noun} {name!r} is registered twice: {_identity(old)} and {_identity(item)}"
            )
        self._items[name] = item
        return item

    def remove(self, name: str) -> None:
        """Take a name out, for tests that register one of their own."""
        self._items.pop(name, None)

    def all(self) -> Mapping[str, T]:
        """Return everything by name, sorted."""
        self._load()
        return MappingProxyType(dict(sorted(self._items.items())))

    def get(self, name: str) -> T:
        """Return one by name.

        Raises:
            ConfigError: for an unknown name, with the nearest known one.
        """
        if name not in self._items:
            self._load()
        if name not in self._items:
            raise ConfigError(f"unknown {self.noun} {name!r}{did_you_mean(name, self._items)}")
        return self._items[name]

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        for entry in entry_points(group=self.group):
            try:
                entry.load()
            except ImportError as error:
                raise ConfigError(
                    f"entry point {entry.name!r} of {self.group} cannot be loaded: {error}"
                ) from error


def _identity(item: object) -> str:
    module, name = getattr(item, "__module__", ""), getattr(item, "__qualname__", repr(item))
    return f"{module}.{name}"
