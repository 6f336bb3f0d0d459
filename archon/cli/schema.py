"""`archon schema`: the JSON schemas of architecture and search files, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from archon.cli import common

if TYPE_CHECKING:
    from archon.types import Json

__all__ = ["schema"]


def schema(
    search: Annotated[bool, typer.Option("--search", help="That of search files.")] = False,
) -> None:
    """Print the JSON schema of architecture files, made from the registered layers.

    Put `# yaml-language-server: $schema=FILE` on top of a YAML file. For search files the editor
    must be told of the tags as well (`yaml.customTags`).
    """
    if search:
        from archon.search.file_schema import json_schema

        common.print_json(json_schema())
    else:
        common.print_json(build())


def build() -> Json:
    """Return the schema: every layer with its settings, models, stages and nodes, nested."""
    from archon.base import LAYERS
    from archon.model import Model

    layers = LAYERS.all()
    definitions: dict[str, Json] = {"ModelSettings": _model_schema(Model)}
    for kind, cls in layers.items():
        definitions[f"layer-{kind}"] = _model_schema(cls)
    definitions |= _shapes(list(layers))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "archon architecture",
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "description": {"type": "string"},
            "models": {
                "type": "object",
                "description": "models by short name",
                "additionalProperties": {
                    "anyOf": [{"type": "string"}, {"$ref": "#/$defs/ModelSettings"}]
                },
            },
            "stages": {"$ref": "#/$defs/stages"},
            "nodes": {"$ref": "#/$defs/nodes"},
        },
        "oneOf": [{"required": ["stages"]}, {"required": ["nodes"]}],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/$defs/{name}"}


def _shapes(kinds: list[str]) -> dict[str, Json]:
    """Return what layers stand in: entries, stages, nodes, nested architectures."""
    settings: dict[str, Json] = {
        kind: {"anyOf": [_ref(f"layer-{kind}"), {"type": "null"}]} for kind in kinds
    }
    entry = {**settings, "id": {"type": "string"}, "architecture": _ref("architecture")}
    after = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    one = [{"required": [kind]} for kind in [*kinds, "architecture"]]
    stages: Json = {
        "type": "array",
        "minItems": 1,
        "description": "each is a layer, or a list of parallel layers",
        "items": {"anyOf": [_ref("entry"), {"type": "array", "items": _ref("branch")}]},
    }
    body = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "description": {"type": "string"},
            "stages": _ref("stages"),
            "nodes": _ref("nodes"),
        },
        "oneOf": [{"required": ["stages"]}, {"required": ["nodes"]}],
        "additionalProperties": False,
    }
    return {
        "entry": {
            "anyOf": [
                {"enum": kinds},
                {
                    "type": "object",
                    "properties": entry,
                    "oneOf": one,
                    "additionalProperties": False,
                },
            ]
        },
        "branch": {"anyOf": [_ref("entry"), _ref("stages")]},
        "stages": stages,
        "nodes": {
            "type": "array",
            "minItems": 1,
            "items": {
                "anyOf": [
                    {"enum": kinds},
                    {
                        "type": "object",
                        "properties": {**entry, "after": after},
                        "oneOf": one,
                        "additionalProperties": False,
                    },
                ]
            },
        },
        "architecture": body,
        "node": {"anyOf": [_ref("entry"), _ref("stages"), _ref("architecture")]},
        "model": {
            "anyOf": [
                {"type": "string", "description": "a short name, or one like openai/gpt-4o"},
                _ref("ModelSettings"),
            ]
        },
    }


def _model_schema(cls: Any) -> Json:
    """Return the schema of a pydantic model, its models and nodes as references."""
    from pydantic.json_schema import GenerateJsonSchema
    from pydantic_core import CoreSchema

    from archon.base import Node
    from archon.model import Model

    class Generator(GenerateJsonSchema):
        def model_schema(self, schema: Any) -> Json:
            if schema["cls"] is Model and cls is not Model:
                return {_HELD: "model"}
            return super().model_schema(schema)

        def is_instance_schema(self, schema: Any) -> Json:
            # Nodes are nested YAML; anything else that pydantic cannot describe is left open.
            held = schema["cls"]
            return {_HELD: "node"} if isinstance(held, type) and issubclass(held, Node) else {}

        def handle_invalid_for_json_schema(self, schema: CoreSchema, error_info: str) -> Json:
            return {}

    return _inlined(cls.model_json_schema(schema_generator=Generator))


_HELD = "x-archon"
"""Stands where a reference into the whole file will be: pydantic follows its own only."""


def _inlined(data: Json) -> Json:
    """Put a schema's own definitions in their places: references then mean the whole file's."""
    own = data.pop("$defs", {})

    def walk(value: Json) -> Json:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        if _HELD in value:
            return _ref(value[_HELD]) | {k: v for k, v in value.items() if k != _HELD}
        name = str(value.get("$ref", "")).removeprefix("#/$defs/")
        if name in own:
            return walk(own[name] | {k: v for k, v in value.items() if k != "$ref"})
        return {key: walk(item) for key, item in value.items()}

    return walk(data)
