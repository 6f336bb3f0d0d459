"""The components of an original file: what each type may say, and what of it has an effect."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NoReturn, TypeAlias, get_args

from archon.errors import ConfigError, did_you_mean
from archon.original.json_text import Document
from archon.types import Json

__all__ = ["TYPES", "Component", "Kind", "Original", "is_original", "read_original"]

Kind: TypeAlias = Literal[
    "generator", "fuser", "critic", "ranker", "verifier", "unit_test_generator",
    "unit_test_evaluator",
]  # fmt: skip
TYPES: tuple[Kind, ...] = get_args(Kind)

_EVERY = {
    "model": str, "model_type": str, "temperature": float, "max_tokens": int,
    "max_context_length": int, "samples": int,
}  # fmt: skip
_OWN: Mapping[Kind, Mapping[str, type]] = {
    "generator": {"no_system": bool},
    "fuser": {"length_control": bool},
    "critic": {},
    "ranker": {"top_k": int},
    "verifier": {"first_k": int},
    "unit_test_generator": {"unit_test_cap": int},
    "unit_test_evaluator": {
        "remove_unit_tests_from_prompt": bool, "top_k": int, "first_k": int, "first_pass": bool,
    },
}  # fmt: skip
"""What has an effect in the original, beside what every component has."""

_WORDS = {
    str: "text",
    float: "a number",
    int: "a whole number of at least 1",
    bool: "true or false",
}


@dataclass(frozen=True)
class Component:
    """One component as the file gives it.

    Attributes:
        kind: its `type`.
        fields: what has an effect in the original and is not null.
        idle: what has none: dead, misspelt or unknown fields.
        path: its place in the data, such as `layers[0][2]`.
        where: its place in the file, `file:line:column`.
    """

    kind: Kind
    fields: Mapping[str, Json]
    idle: Mapping[str, Json]
    path: str
    where: str

    @property
    def model(self) -> str:
        """The model's name in the file."""
        return str(self.fields["model"])

    @property
    def samples(self) -> int:
        """How many samples it asks for; 1 where the file is silent."""
        return int(self.fields.get("samples", 1))

    @property
    def max_tokens(self) -> int | None:
        """The most tokens of a reply, under either of its names."""
        given = self.fields.get("max_tokens", self.fields.get("max_context_length"))
        return None if given is None else int(given)

    @property
    def first(self) -> int | None:
        """How many passes end the work; `first_pass: true` is the older way to say 1."""
        given = self.fields.get("first_k")
        return 1 if given is None and self.fields.get("first_pass") else given

    @property
    def is_pairrm(self) -> bool:
        """Whether a small model that compares pairs does the ranking, and no chat model."""
        return self.kind == "ranker" and self.model.rpartition("/")[2].lower() == "pairrm"


@dataclass(frozen=True)
class Original:
    """An original file: its name and its layers.

    Attributes:
        name: as it stands in the file; empty if it has none.
        layers: the components of each.
        branches: values of `branches` other than 1, with their places.
        bare: places of layers that are a single component without a list around it.
        idle: fields at the top that have no effect.
    """

    name: str
    layers: tuple[tuple[Component, ...], ...]
    branches: tuple[tuple[Json, str], ...] = ()
    bare: tuple[str, ...] = ()
    idle: Mapping[str, Json] = field(default_factory=dict)

    def components(self) -> Iterator[Component]:
        """Yield every component in order."""
        for layer in self.layers:
            yield from layer


def is_original(data: Json) -> bool:
    """Return whether data looks like an architecture of the original, valid or not."""
    return isinstance(data, Mapping) and "layers" in data and not {"stages", "nodes"} & data.keys()


def read_original(document: Document) -> Original:
    """Return the layers and components of a document.

    Raises:
        ConfigError: with file, line and column, what is wrong and what would be right.
    """
    return _Reading(document).whole()


class _Reading:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.branches: list[tuple[Json, str]] = []
        self.bare: list[str] = []

    def fail(self, message: str, container: object, key: object = None) -> NoReturn:
        raise ConfigError(message, where=self.document.where(container, key))

    def whole(self) -> Original:
        data = self.document.data
        if not isinstance(data, Mapping) or "layers" not in data:
            self.fail(
                'this is no architecture of the original Archon: one is {"name": …, "layers": '
                f"[[component, …], …]}}, got {_short(data)}", data,
            )  # fmt: skip
        name = data.get("name") or ""
        if not isinstance(name, str):
            self.fail(f"`name` is text, got {_short(name)}", data, "name")
        layers = data["layers"]
        if not isinstance(layers, list) or not layers:
            self.fail(f"`layers` is a list of at least one layer, got {_short(layers)}",
                      data, "layers")  # fmt: skip
        read = tuple(self.layer(layers, i) for i in range(len(layers)))
        idle = {key: value for key, value in data.items() if key not in ("name", "layers")}
        return Original(name, read, tuple(self.branches), tuple(self.bare), idle)

    def layer(self, layers: list[Json], i: int) -> tuple[Component, ...]:
        """Read a layer: a list, `{branches, models}`, or a bare component."""
        given, path = layers[i], f"layers[{i}]"
        holder: object = layers
        key: object = i
        if isinstance(given, Mapping) and "models" in given:
            self.legacy(given)
            holder, key, given = given, "models", given["models"]
        elif isinstance(given, Mapping):
            self.bare.append(self.document.where(given))
            return (self.component(given, path),)
        if not isinstance(given, list) or not given:
            self.fail(
                f"a layer is a list of at least one component, got {_short(given)}", holder, key
            )
        for j, component in enumerate(given):
            if not isinstance(component, Mapping):
                self.fail(f"a component is an object, got {_short(component)}", given, j)
        return tuple(self.component(item, f"{path}[{j}]") for j, item in enumerate(given))

    def legacy(self, given: Mapping[str, Json]) -> None:
        """Check what stands beside `models` in a layer of the older form."""
        known = ("branches", "models")
        for key, value in given.items():
            if key not in known:
                self.fail(f"unknown key {key!r} in a layer{did_you_mean(key, known)}", given, key)
            if key == "branches" and value != 1:
                self.branches.append((value, self.document.where(given, key)))

    def component(self, given: Mapping[str, Json], path: str) -> Component:
        kind = given.get("type")
        if kind not in TYPES:
            if "type" not in given:
                self.fail("a component needs a `type`: one of " + ", ".join(TYPES), given)
            hint = did_you_mean(kind, TYPES) if isinstance(kind, str) else ""
            self.fail(f"unknown component type {_short(kind)}{hint}", given, "type")
        known = {**_EVERY, **_OWN[kind]}
        fields = {
            name: self.checked(given, name, known[name])
            for name, value in given.items()
            if name in known and value is not None
        }
        if not fields.get("model"):
            self.fail(f"a {kind} needs a `model`", given, "model")
        idle = {key: value for key, value in given.items() if key not in known and key != "type"}
        return Component(kind, fields, idle, path, self.document.where(given))

    def checked(self, given: Mapping[str, Json], name: str, kind: type) -> Json:
        value = given[name]
        if kind is float:
            good = isinstance(value, (int, float)) and not isinstance(value, bool)
            good = good and math.isfinite(value) and value >= 0
        elif kind is int:
            good = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        else:
            good = isinstance(value, kind)
        if not good:
            self.fail(f"`{name}` is {_WORDS[kind]}, got {_short(value)}", given, name)
        return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
