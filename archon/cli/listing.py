"""`archon layers` and `archon models`: what there is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from archon.cli import common

if TYPE_CHECKING:
    from archon.base import Layer
    from archon.types import Json

__all__ = ["layers", "models"]

_NONE = "no local models; `hf download NAME` fetches one\n"
_FOR = {
    "text": "text",
    "steps": "scores of lines",
    "outcome": "scores",
    "pairs": "comparing",
    "embedding": "embeddings",
}
"""What weights of each kind are for."""


def layers(
    name: Annotated[
        str | None,
        typer.Argument(help="One layer in full.", autocompletion=common.complete_layers),
    ] = None,
    as_json: common.AsJson = False,
) -> None:
    """List the layers with their ports, or show the settings of one."""
    from archon.base import LAYERS

    if name is not None:
        _one_layer(LAYERS.get(name), as_json)
        return
    found = [_layer(cls) for cls in LAYERS.all().values()]
    if as_json:
        common.print_json(found)
        return
    table = common.table("layer", "needs", "uses", "gives", "about", left=5)
    for entry in found:
        shown = [_ports(entry, port) for port in ("needs", "uses", "gives")]
        table.add_row(entry["name"], *shown, entry["about"])
    common.console().print(table)


def _layer(cls: type[Layer]) -> dict[str, Json]:
    about = (cls.__doc__ or "").strip().partition("\n")[0]
    ports: dict[str, Json] = {
        port: sorted(getattr(cls, port)) for port in ("needs", "uses", "gives")
    }
    # Where the settings decide, the class alone says too little.
    own = vars(cls)
    varies = [
        port
        for port, method in (("needs", "required"), ("gives", "provided"))
        if method in own or ("flow" in own and not ports[port])
    ]
    return {"name": cls.kind, "about": about, **ports, "by_settings": varies}


def _ports(entry: dict[str, Json], port: str) -> str:
    names = ", ".join(entry[port])
    if port in entry["by_settings"]:
        return f"{names} or as set" if names else "as set"
    return names


def _one_layer(cls: type[Layer], as_json: bool) -> None:
    from archon.cli.settings import settings_of

    entry, settings = _layer(cls), settings_of(cls)
    if as_json:
        common.print_json({**entry, "settings": settings})
        return
    typer.echo(f"{cls.kind}: {_dedented(cls.__doc__ or '')}\n")
    for port in ("needs", "uses", "gives"):
        typer.echo(f"{port}: {_ports(entry, port) or 'nothing'}")
    table = common.table("setting", "type", "default", "about", left=4)
    for setting in settings:
        default = "required" if setting["required"] else _shown(setting["default"])
        table.add_row(setting["name"], setting["type"], default, setting["about"])
    out = common.console()
    out.print()
    out.print(table, markup=False)


def _dedented(doc: str) -> str:
    import inspect

    return inspect.cleandoc(doc)


def _shown(value: Json) -> str:
    if value is None:
        return "none"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text or "empty"


def models(
    local: Annotated[
        bool,
        typer.Option("--local", help="Local models alone: sizes, problems, what fits in memory."),
    ] = False,
    as_json: common.AsJson = False,
) -> None:
    """List backends, local models, and which providers have a key in the environment."""
    if local:
        _on_disk(as_json)
        return
    from archon.backends import BACKENDS

    data: dict[str, Json] = {
        "backends": sorted(BACKENDS.all()),
        "local": _local_models(),
        "providers": _providers(),
    }
    if as_json:
        common.print_json(data)
        return
    out = common.console()
    found = common.table("local model", "where", left=2)
    for entry in data["local"]:
        found.add_row(entry["name"], entry["path"])
    if data["local"]:
        out.print(found)
    else:
        typer.echo(_NONE)
    table = common.table("provider", "key", "variable", left=3)
    for provider in sorted(data["providers"], key=lambda entry: not entry["present"]):
        shown = "set" if provider["present"] else "missing"
        table.add_row(f"{provider['name']}/…", shown, " or ".join(provider["variables"]))
    out.print(table)
    typer.echo(
        "Any provider that LiteLLM knows can be named; `api_key_env` names another variable."
    )


def _on_disk(as_json: bool) -> None:
    from dataclasses import asdict

    from archon.backends.torch_disk import BESIDE, devices, on_disk

    places, found = devices(), on_disk()
    if as_json:
        listed = [model.to_json(places[0]) for model in found]
        common.print_json({"devices": [asdict(place) for place in places], "models": listed})
        return
    table = common.table(
        "local model", "for", "stored as", "on disk", "parameters", "context", "needs", "fits",
        left=3,
    )  # fmt: skip
    for model in found:
        needs = _size(model.needs(places[0]))
        fits = "yes" if model.fits(places[0]) else "no"
        table.add_row(
            model.name, _FOR[model.kind], model.dtype or "unknown", _size(model.bytes),
            _count(model.parameters), _count(model.context, exact=True), needs,
            "unusable" if model.problem else fits,
        )  # fmt: skip
    if found:
        common.console().print(table)
    else:
        typer.echo(_NONE)
    for model in found:
        if model.problem:
            typer.echo(f"{model.name}: {model.problem}")
    for place in places:
        typer.echo(f"{place.name}: {_size(place.memory)} of memory, {_size(place.free)} free")
    typer.echo(
        f"A model needs its weights as they are computed on {places[0].name}, times {BESIDE} for"
        " what it keeps beside them."
    )


def _size(size: int) -> str:
    """Return bytes in words.

    >>> _size(2_147_483), _size(15_231_000_000)
    ('2.1 MB', '15.2 GB')
    """
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def _count(number: int | None, *, exact: bool = False) -> str:
    """Return a large number in words.

    >>> _count(494_032_768), _count(7_615_616_512), _count(32768, exact=True), _count(None)
    ('494 M', '7.62 B', '32,768', 'unknown')
    """
    if number is None:
        return "unknown"
    if exact:
        return f"{number:,}"
    return f"{number / 1e9:,.3g} B" if number >= 1e9 else f"{number / 1e6:,.3g} M"


def _providers() -> list[dict[str, Json]]:
    from archon.backends.litellm_errors import KEYS

    return [
        {
            "name": provider,
            "variables": [" + ".join(group) for group in groups],
            "present": any(all(os.environ.get(name) for name in group) for group in groups),
        }
        for provider, groups in sorted(KEYS.items())
    ]


def _local_models() -> list[dict[str, Json]]:
    """Return the models that come with archon and those in Hugging Face's cache."""
    from archon.backends.torch_files import local_models

    return [{"name": f"local/{name}", "path": str(path)} for name, path in local_models()]
