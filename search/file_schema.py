"""The JSON schema of search files, for editors."""

from __future__ import annotations

from typing import Any, get_args

from archon.search.files import Objective, SearchFile
from archon.search.reading import KEYS
from archon.types import Json

__all__ = ["json_schema"]


def json_schema() -> Json:
    """Return the JSON schema of search files, for editors; tags are taken off before.

    Inside `space` only the keys at its top are checked: a hole can stand for any value.
    """

    class _Described(SearchFile):
        space: Any = None

    schema: Json = _Described.model_json_schema()
    schema["properties"].pop("source", None)
    layers: Json = {"type": "array", "minItems": 1}
    kinds: dict[str, Json] = {
        "name": {"type": "string"}, "description": {"type": "string"},
        "stages": layers, "nodes": layers,
        "require": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    }  # fmt: skip
    body: Json = {
        "type": "object",
        "properties": {key: kinds.get(key, {"type": "object"}) for key in KEYS},
        "oneOf": [{"required": ["stages"]}, {"required": ["nodes"]}],
        "additionalProperties": False,
    }
    schema["properties"]["space"] = {"anyOf": [{"type": "string"}, body]}
    named = schema["properties"]
    for key in ("benchmark", "searcher", "budget"):
        named[key] = {"anyOf": [{"type": "string"}, named[key]]}
    named["objective"] = {"anyOf": [{"enum": _objectives()}, named["objective"]]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "archon search",
        "required": ["space", "benchmark"],
    }


def _objectives() -> list[str]:
    return list(get_args(Objective))
