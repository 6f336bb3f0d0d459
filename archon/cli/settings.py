"""Settings of a layer as words: names, types, defaults, descriptions."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AliasChoices
from pydantic_core import PydanticUndefined

from archon.base import Node
from archon.model import Model

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from archon.base import Layer
    from archon.types import Json

__all__ = ["settings_of"]

_WORDS: dict[object, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    types.NoneType: "none",
    Any: "anything",
}
_SIGNS = ((Ge, "ge", "≥"), (Gt, "gt", ">"), (Le, "le", "≤"), (Lt, "lt", "<"))


def settings_of(cls: type[Layer]) -> list[dict[str, Json]]:
    """Return the settings of a layer in their order, as YAML names them."""
    return [
        {
            "name": _alias(field) or name,
            "type": " ".join([type_words(field.annotation), *_limits(field)]),
            "required": field.is_required(),
            "default": _plain(field),
            "about": field.description or "",
        }
        for name, field in cls.model_fields.items()
    ]


def _alias(field: FieldInfo) -> str:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return alias if isinstance(alias, str) else ""


def _plain(field: FieldInfo) -> Json:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return None
    plain = (str, int, float, bool, list, dict, types.NoneType)
    return value if isinstance(value, plain) else str(value)


def _limits(field: FieldInfo) -> list[str]:
    return [
        f"{sign} {getattr(limit, name)}"
        for limit in field.metadata
        for kind, name, sign in _SIGNS
        if isinstance(limit, kind)
    ]


def type_words(annotation: Any) -> str:
    """Return a type in words.

    >>> type_words(int | None), type_words(dict[str, str])
    ('integer | none', 'mapping of text')
    """
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_words(args[0])
    if origin is Literal:
        return " | ".join(map(str, args))
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(map(type_words, args)))
    if origin in (list, tuple):
        return f"list of {type_words(args[0])}" if args else "list"
    if origin is dict:
        return f"mapping of {type_words(args[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return "model"
    if isinstance(annotation, type) and issubclass(annotation, Node):
        return "layer or stages"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))
