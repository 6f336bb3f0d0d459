"""Instances of layers to try: the least settings that work, and one for each choice they offer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from archon.base import LAYERS, Layer, Node, Port, as_architecture
from archon.errors import ConfigError
from archon.model import Model

__all__ = ["EXAMPLES", "MODEL", "example_of", "front_of", "variants_of"]

MODEL = Model("fake/any", max_tokens=256)
"""The model of every example; the fake backend serves any name."""

EXAMPLES: dict[str, Mapping[str, Any]] = {"call": {"function": "archon.testing.examples:echo"}}
"""Settings of layers that cannot be made from their fields' types alone, by kind.

A class may say them itself instead, as a class attribute `example: ClassVar[Mapping[str, Any]]`.
"""


def echo(question: str, text: str | None = None) -> str | float:
    """Answer with the question, or score a text: a function for layers that want one."""
    return question if text is None else 0.5


def example_of(cls: type[Layer], **settings: Any) -> Layer:
    """Return a layer with the least settings that work, and those given.

    Models become a fake one, nested nodes a small `generate`; what else is required comes from
    the class attribute `example` or from `EXAMPLES`.

    Raises:
        ConfigError: naming the field for which an example is missing.
    """
    given = {**EXAMPLES.get(cls.kind, {}), **getattr(cls, "example", {}), **settings}
    for name, field in cls.model_fields.items():
        if name not in given and field.is_required():
            given[name] = _value(cls, name, field)
    return cls(**given)


def _value(cls: type[Layer], name: str, field: FieldInfo) -> object:
    kinds = (field.annotation, *get_args(field.annotation))
    if any(isinstance(kind, type) and issubclass(kind, Model) for kind in kinds):
        return (MODEL,) if get_origin(field.annotation) in (tuple, list) else MODEL
    if any(isinstance(kind, type) and issubclass(kind, Node) for kind in kinds):
        small = example_of(LAYERS.get("generate"))
        return (small,) if get_origin(field.annotation) in (tuple, list) else small
    raise ConfigError(
        f"layer {cls.kind or cls.__name__!r} needs {name!r} to be tried"
        "; give it a class attribute `example: ClassVar = {...}`"
    )


def variants_of(cls: type[Layer]) -> Iterator[tuple[str, Layer]]:
    """Yield the example and, for every setting that offers choices, one with each other choice."""
    plain = example_of(cls)
    yield "plain", plain
    for name, field in cls.model_fields.items():
        for choice in _choices(field.annotation):
            if choice == getattr(plain, name):
                continue
            try:
                layer = example_of(cls, **{name: choice})
                as_architecture(layer)
            except (ValidationError, ConfigError):
                continue  # a choice that needs another setting beside it
            yield f"{name}={choice}", layer


def _choices(annotation: object) -> tuple[object, ...]:
    if annotation is bool:
        return (False, True)
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    parts = [_choices(part) for part in get_args(annotation) if get_origin(annotation) is not None]
    is_union = type(None) in get_args(annotation)
    return tuple(choice for part in parts for choice in part) if is_union else ()


def front_of(layer: Layer) -> list[Layer]:
    """Return registered layers that, put before `layer`, give the ports it needs."""
    front: list[Layer] = []
    for port in sorted(layer.required()):
        if not any(port in known.provided() for known in front):
            front += _giver(port)
    return sorted(front, key=lambda known: "candidates" not in known.provided())


def _giver(port: Port) -> list[Layer]:
    for cls in LAYERS.all().values():
        if port not in cls.gives:
            continue
        layer = example_of(cls)
        if not layer.required() - {"candidates"} and (port != "candidates" or not cls.needs):
            need = _giver("candidates") if layer.required() else []
            return [*need, layer]
    raise ConfigError(f"no registered layer gives {port!r}")
