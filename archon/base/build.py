"""Architectures from plain data and back: the form that YAML, the search and tests share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from archon.base.node import LAYERS, Architecture, Layer, Node, as_architecture
from archon.base.places import Place, stages, unique
from archon.errors import ArchitectureError, ConfigError, did_you_mean
from archon.model import Model
from archon.types import Json

__all__ = ["Where", "dump", "parse", "read_entry", "read_model"]

Where = Callable[[object, object], str]
"""Gives `file:line` of a container, or of one key or index in it; empty if unknown."""

TOP_KEYS = ("name", "description", "metadata", "models", "stages", "nodes")
NESTED_KEYS = ("name", "description", "stages", "nodes")


def parse(data: Json, where: Where | None = None) -> Architecture:
    """Build an architecture from plain data, as `dump` writes it.

    Raises:
        ConfigError: with the place and what would be right.
    """
    return _Parser(where or (lambda container, key: "")).top(data)


def read_model(name: str, settings: Json, where: Where | None = None) -> Model:
    """Build the model that stands under a short name, from its settings or its full name."""
    parser = _Parser(where or (lambda container, key: ""))
    return parser.model(name, settings, {name: settings})


def read_entry(
    entry: Json, models: Mapping[str, Model], where: Where | None = None
) -> tuple[str, Node, tuple[str, ...] | None]:
    """Build one entry of stages or nodes.

    Args:
        entry: a layer, a list of stages or an architecture, as `parse` takes them in a list.
        models: those that it may name in short.
        where: gives the line of a part of it.

    Returns:
        Its id, or an empty text; its node; what it comes after, or None where it does not say.
    """
    parser = _Parser(where or (lambda container, key: ""))
    parser.models.update(models)
    return parser.entry(entry, [entry], 0)


class _Parser:
    def __init__(self, where: Where) -> None:
        self.where = where
        self.models: dict[str, Model] = {}

    def fail(self, message: str, container: object, key: object = None) -> NoReturn:
        raise ArchitectureError(message, where=self.where(container, key))

    def top(self, data: Json) -> Architecture:
        self.mapping(data, "an architecture", TOP_KEYS)
        models = data.get("models") or {}
        if not isinstance(models, Mapping):
            self.fail("`models` maps names to models", data, "models")
        for name, settings in models.items():
            self.models[str(name)] = self.model(name, settings, models)
        metadata = data.get("metadata") or {}
        if not isinstance(metadata, Mapping):
            self.fail("`metadata` is a mapping of whatever you want to keep", data, "metadata")
        architecture = replace(self.body(data), metadata=metadata)
        try:
            return architecture.check()
        except ConfigError as error:
            key = "stages" if "stages" in data else "nodes"
            raise error.at(self.where(data[key], 0)) from None

    def mapping(self, data: Json, what: str, known: Sequence[str]) -> None:
        if not isinstance(data, Mapping):
            self.fail(f"{what} is a mapping with {', '.join(known)}, got {_short(data)}", data)
        for key in data:
            if key not in known:
                self.fail(
                    f"unknown key {key!r} in {what}{did_you_mean(str(key), known)}", data, key
                )

    def model(self, name: str, settings: Json, models: Json) -> Model:
        try:
            return Model(settings) if isinstance(settings, str) else Model(**settings)
        except ValidationError as error:
            self.explain(error, Model, f"model {name!r}", settings, models, name)
        except TypeError:
            self.fail(f"model {name!r} is a name or a mapping of settings", models, name)

    def body(self, data: Json) -> Architecture:
        """Read `stages` or `nodes` of a mapping."""
        if ("stages" in data) == ("nodes" in data):
            self.fail("give either `stages` or `nodes`", data)
        key = "stages" if "stages" in data else "nodes"
        items = data[key]
        if not isinstance(items, Sequence) or isinstance(items, str) or not items:
            self.fail(f"`{key}` is a list with at least one layer", data, key)
        try:
            places = self.stages(items) if key == "stages" else self.nodes(items)
            return Architecture(places, name=str(data.get("name") or ""))
        except ConfigError as error:
            raise error.at(self.blame(error, items) or self.where(data, key)) from None

    def blame(self, error: ConfigError, items: Sequence[Json]) -> str:
        """Find the entry that a message of the whole graph is about, by the node's id."""
        ids = self.ids(items)
        match = re.match(r"'([^']+)'", error.message)
        return ids.get(match.group(1).partition("/")[0], "") if match else ""

    def ids(self, items: Sequence[Json]) -> dict[str, str]:
        found: dict[str, str] = {}
        for i, item in enumerate(items):
            entries = item if isinstance(item, list) else [item]
            for j, entry in enumerate(entries):
                place = self.where(item, j) if isinstance(item, list) else self.where(items, i)
                if isinstance(entry, Mapping):
                    kind = next((str(k) for k in entry if k not in ("id", "after")), "branch")
                    found[unique(str(entry.get("id") or kind), found)] = place
                else:
                    label = entry if isinstance(entry, str) else "branch"
                    found[unique(label, found)] = place
        return found

    def stages(self, items: Sequence[Json]) -> tuple[Place, ...]:
        places: list[Place] = []
        before: tuple[str, ...] = ()
        for i, item in enumerate(items):
            branches = item if isinstance(item, list) else [item]
            if not branches:
                self.fail("a stage needs at least one layer", items, i)
            stage: list[Place] = []
            for j, branch in enumerate(branches):
                container, key = (item, j) if isinstance(item, list) else (items, i)
                id_, node, after = self.entry(branch, container, key)
                if after is not None:
                    self.fail("`after` belongs to `nodes`, not to `stages`", container, key)
                taken = {place.id for place in [*places, *stage]}
                if id_ and id_ in taken:
                    self.fail(f"the node id {id_!r} is used twice", container, key)
                stage.append(Place(id_ or unique(node.label, taken), node, before))
            places += stage
            before = tuple(place.id for place in stage)
        return tuple(places)

    def nodes(self, items: Sequence[Json]) -> tuple[Place, ...]:
        places: dict[str, Place] = {}
        for i, item in enumerate(items):
            id_, node, after = self.entry(item, items, i)
            id_ = id_ or unique(node.label, places)
            if id_ in places:
                self.fail(f"the node id {id_!r} is used twice", items, i)
            places[id_] = Place(id_, node, after or ())
        return tuple(places.values())

    def entry(
        self, item: Json, container: object, key: object
    ) -> tuple[str, Node, tuple[str, ...] | None]:
        """Read one entry: its id, its node, and what it comes after."""
        if isinstance(item, str):
            return "", self.node(item, {}, container, key), None
        if isinstance(item, list):
            return "", Architecture(self.stages(item)), None
        if not isinstance(item, Mapping):
            self.fail(
                f"a layer is written `name: {{settings}}`, got {_short(item)}", container, key
            )
        kinds = [name for name in item if name not in ("id", "after")]
        if len(kinds) != 1:
            self.fail(
                f"an entry names exactly one layer, got {', '.join(map(str, kinds)) or 'none'}",
                container, key,
            )  # fmt: skip
        after = item.get("after")
        if after is not None:
            after = (after,) if isinstance(after, str) else tuple(map(str, after))
        return str(item.get("id") or ""), self.node(kinds[0], item[kinds[0]], item, kinds[0]), after

    def node(self, kind: object, settings: Json, container: object, key: object) -> Node:
        """Build a node of a kind; `container` and `key` are where it stands."""
        settings = {} if settings is None else settings
        if not isinstance(settings, Mapping):
            self.fail(f"settings of {kind!r} are a mapping, got {_short(settings)}", container, key)
        if kind == "architecture":
            self.mapping(settings, "an architecture", NESTED_KEYS)
            return self.body(settings)
        try:
            cls = LAYERS.get(str(kind))
        except ConfigError as error:
            self.fail(error.message, container, key)
        context = {"models": self.models, "build": self.nested}
        try:
            return cls.model_validate(dict(settings), context=context)
        except ValidationError as error:
            self.explain(error, cls, f"layer {cls.kind!r}", settings, container, key)

    def nested(self, value: Json) -> Node:
        """Build a node held by a layer: a list of stages, an architecture, or one layer."""
        if isinstance(value, list):
            return Architecture(self.stages(value))
        if isinstance(value, Mapping) and ("stages" in value or "nodes" in value):
            self.mapping(value, "an architecture", NESTED_KEYS)
            return self.body(value)
        return self.entry(value, value, None)[1]

    def explain(
        self,
        error: ValidationError,
        cls: type[BaseModel],
        what: str,
        settings: Json,
        parent: object,
        key: object,
    ) -> NoReturn:
        """Turn the first error of pydantic into one line with its place."""
        # A misspelt setting explains a missing one, so it comes first.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        loc = [part for part in first["loc"] if isinstance(part, (str, int))]
        cause = first.get("ctx", {}).get("error")
        place = self.deepest(settings, loc) or self.where(parent, key)
        if isinstance(cause, ConfigError):
            raise type(cause)(cause.message, where=cause.where or place) from None
        raise ArchitectureError(_explained(first, cls, what, loc), where=place) from None

    def deepest(self, settings: Json, loc: Sequence[str | int]) -> str:
        """Return the place of the innermost part of `loc` that stands in the file."""
        container, place = settings, ""
        for part in loc:
            inside = isinstance(container, Mapping) and part in container
            inside = inside or (isinstance(container, list) and part in range(len(container)))
            if not inside:
                break
            place = self.where(container, part)
            container = container[part]
        return place


def _explained(first: Any, cls: type[BaseModel], what: str, loc: list[Any]) -> str:
    field = str(loc[-1]) if loc else ""
    if first["type"] == "extra_forbidden":
        known = Model.model_fields if len(loc) > 1 else cls.model_fields
        return f"{what} has no setting {field!r}{did_you_mean(field, known)}"
    if first["type"] == "missing":
        return f"{what} needs the setting {field!r}"
    message = str(first["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return (
        f"{what}, {'.'.join(map(str, loc)) or 'settings'}: {message}, got {_short(first['input'])}"
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def dump(node: Node) -> dict[str, Json]:
    """Return plain data that `parse` reads back: models by short names, then stages or nodes."""
    names: dict[Model, str] = {}
    for model in node.models():
        if model not in names:
            short = re.sub(r"[^a-z0-9]+", "-", model.model.rpartition("/")[2].lower()).strip("-")
            names[model] = unique(short or "model", set(names.values()))
    architecture = as_architecture(node)
    data = _dump_body(architecture, names)
    front: dict[str, Json] = {"name": data.pop("name")} if "name" in data else {}
    if architecture.metadata:
        front["metadata"] = dict(architecture.metadata)
    if names:
        front["models"] = {name: _dump_model(model) for model, name in names.items()}
    return front | data


def _dump_model(model: Model) -> Json:
    compact = model.compact()
    return compact["model"] if list(compact) == ["model"] else compact


def _dump_body(architecture: Architecture, names: Mapping[Model, str]) -> dict[str, Json]:
    data: dict[str, Json] = {"name": architecture.name} if architecture.name else {}
    taken: set[str] = set()
    entries: dict[str, Json] = {}
    for place in architecture.places:
        entry = _dump_node(place.node, names)
        if place.id != unique(place.node.label, taken):
            entry = {
                "id": place.id,
                **(entry if isinstance(entry, dict) else {"architecture": {"stages": entry}}),
            }
        taken.add(place.id)
        entries[place.id] = entry
    grouped = stages(architecture.places)
    if grouped is None:
        data["nodes"] = [
            _as_entry(entries[p.id]) | ({"after": list(p.after)} if p.after else {})
            for p in architecture.places
        ]
        return data
    data["stages"] = [
        [entries[place.id] for place in stage]
        if len(stage) > 1 or isinstance(entries[stage[0].id], list)
        else entries[stage[0].id]
        for stage in grouped
    ]
    return data


def _as_entry(entry: Json) -> dict[str, Json]:
    return dict(entry) if isinstance(entry, dict) else {"architecture": {"stages": entry}}


def _dump_node(node: Node, names: Mapping[Model, str]) -> Json:
    """Return a layer as `{kind: settings}`, an unnamed chain as a list, else an architecture."""
    if isinstance(node, Layer):
        return {node.kind: {k: _dump_value(v, names) for k, v in node.settings().items()}}
    assert isinstance(node, Architecture)
    body = _dump_body(node, names)
    if not node.name and "stages" in body:
        return body["stages"]
    return {"architecture": body}


def _dump_value(value: object, names: Mapping[Model, str]) -> Json:
    match value:
        case Model():
            return names[value]
        case Node():
            return _dump_node(value, names)
        case BaseModel():
            return value.model_dump(mode="json", exclude_defaults=True)
        case tuple() | list():
            return [_dump_value(item, names) for item in value]
        case Mapping():
            return {key: _dump_value(item, names) for key, item in value.items()}
    return value
