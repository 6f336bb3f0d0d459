"""Writes the parts of the documentation that the code already says: `make docs`.

A page keeps its own words; what stands between the lines `<!-- generated -->` and
`<!-- /generated -->` is replaced. The tests compare, so a page cannot go stale.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from annotated_types import Ge, Gt, Le, Lt
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

import archon
from archon.base import LAYERS, Layer, ModelLayer, Node
from archon.cli import app

DOCS = Path(__file__).parent
BEGIN, END = "<!-- generated -->\n", "<!-- /generated -->"
PICTURED = "ensemble-rank-fuse"
COMMON = tuple(ModelLayer.model_fields)


def layers() -> str:
    """Return a section for every layer that comes with archon."""
    own = [cls for cls in LAYERS.all().values() if cls.__module__.startswith("archon.layers")]
    return "\n".join(_layer(cls) for cls in own)


def _layer(cls: type[Layer]) -> str:
    lines = [f"## {cls.kind}", "", inspect.cleandoc(cls.__doc__ or ""), ""]
    if steps := list(getattr(cls, "templates", {})):
        lines += [f"Prompts: {_codes(steps)}.", ""]
    lines += [_ports(cls), ""]
    common = COMMON if issubclass(cls, ModelLayer) else ()
    own = {name: field for name, field in cls.model_fields.items() if name not in common}
    if own:
        lines += ["| setting | values | default | meaning |", "|---|---|---|---|"]
        lines += [_setting(name, field) for name, field in own.items()]
        lines.append("")
    if common:
        lines += [f"Also {_codes(COMMON)}, as [every layer that asks models](#settings).", ""]
    return "\n".join(lines)


def _ports(cls: type[Layer]) -> str:
    said = [
        f"{word} {_codes(sorted(names))}"
        for word, names in (("needs", cls.needs), ("uses", cls.uses), ("gives", cls.gives))
        if names
    ]
    varies = cls.required is not Layer.required or cls.provided is not Layer.provided
    if not said:
        return "What it needs and gives depends on its settings."
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}{'; settings may change this' if varies else ''}."


def _setting(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"`{_default(field)}`"
    named = field.alias or _first_alias(field) or name
    values = _values(field.annotation, tuple(field.metadata))
    return f"| `{named}` | {values} | {default} | {_cell(field.description or '')} |"


def _first_alias(field: FieldInfo) -> object:
    """Return the name that a setting has in YAML, where Python needs another."""
    alias = field.validation_alias
    return alias.choices[0] if isinstance(alias, AliasChoices) else alias


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case "":
            return '""'
    return str(value)


def _values(annotation: Any, metadata: tuple[object, ...] = ()) -> str:
    """Return in words what a setting may be."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _values(args[0], args[1:])
    if origin in (Union, types.UnionType):
        return ", ".join(_values(arg, metadata) for arg in args)
    if origin is Literal:
        return ", ".join(f"`{arg}`" for arg in args)
    return _plain(annotation) + (_range(metadata) if annotation in (int, float) else "")


def _plain(annotation: Any) -> str:
    if annotation is type(None):
        return "`null`"
    words: Mapping[Any, str] = {bool: "true or false", int: "whole number", float: "number"}
    if annotation in words:
        return words[annotation]
    if annotation is archon.Model:
        return "model"
    if isinstance(annotation, type) and issubclass(annotation, Node):
        return "layer or stages"
    return "mapping" if get_origin(annotation) is dict else "text"


def _range(metadata: tuple[object, ...]) -> str:
    parts = []
    for item in metadata:
        match item:
            case Ge():
                parts.append(f"from {item.ge}")
            case Gt():
                parts.append(f"above {item.gt}")
            case Le():
                parts.append(f"to {item.le}")
            case Lt():
                parts.append(f"below {item.lt}")
    return "".join(f" {part}" for part in parts)


def commands() -> str:
    """Return a section for every command."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("archon", ["layers"])
    return "\n".join(_command(command, context) for command in group.commands.values())


def _command(command: Any, context: Any, path: str = "archon", depth: str = "##") -> str:
    if hasattr(command, "commands"):
        below = [
            _command(one, context, f"{path} {command.name}", f"{depth}#")
            for one in command.commands.values()
        ]
        title = f"{depth} {path} {command.name}"
        return "\n".join([title, "", _sentence(command.help), "", *below])
    params = [param for param in command.params if not param.hidden]
    arguments = [param for param in params if param.param_type_name == "argument"]
    options = [param for param in params if param not in arguments]
    words = [_metavar(param) if param.required else f"[{_metavar(param)}]" for param in arguments]
    lines = [f"{depth} {path} {command.name}", "", _sentence(command.help), "", "```text"]
    lines += [" ".join([path, command.name, *words, "[OPTIONS]"]), "```", ""]
    rows = [f"| `{_metavar(param)}` | {_cell(param.help or '')} | |" for param in arguments]
    rows += [_option(param, context) for param in options]
    return "\n".join([*lines, "| | | default |", "|---|---|---|", *rows, ""])


def _metavar(param: Any) -> str:
    return str(param.metavar or param.name.upper())


def _option(param: Any, context: Any) -> str:
    names = _codes([*param.opts, *param.secondary_opts])
    kind = param.metavar or _word(param.display_type(context))
    shown = param.default not in (None, False, "") and not callable(param.default)
    default = f"`{param.default}`" if shown else ""
    value = f" `{_cell(kind)}`" if kind else ""
    return f"| {names}{value} | {_cell(param.help or '')} | {default} |"


def _word(kind: str) -> str:
    """Return what stands for a value of some type."""
    plain = kind.strip("<>").removesuffix(" range")
    return {"bool": "", "str": "TEXT", "int": "N", "float": "X"}.get(plain, plain)


def _sentence(text: str | None) -> str:
    return inspect.cleandoc(text or "").split("\f")[0].strip()


def _codes(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def benchmarks() -> str:
    """Return a table of the benchmarks that come with archon."""
    from archon.cli.benchmarks import entries, needs, sizes

    lines = ["| benchmark | items | metric | needs | |", "|---|---|---|---|---|"]
    for entry in entries():
        name = f"`{entry['name']}`"
        cells = (name, sizes(entry), entry["metric"], needs(entry), entry["about"])
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines)


def measured() -> str:
    """Return what the models of the nano family are worth, as it was measured."""
    from archon.nano.cells import read, table

    _, cells = read(DOCS / "nano" / "results.json")
    return table(cells)


def picture() -> str:
    """Return the picture of the README."""
    return archon.load(PICTURED).draw().svg


def between(make: Callable[[], str]) -> Callable[[str], str]:
    """Return what puts generated text between the marks of a page."""

    def put(page: str) -> str:
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        return f"{before}{BEGIN}\n{make().strip()}\n\n{END}{after}"

    return put


PAGES: Mapping[str, Callable[[str], str]] = {
    "architecture.svg": lambda _: picture(),
    "benchmarks.md": between(benchmarks),
    "cli.md": between(commands),
    "layers.md": between(layers),
    "nano.md": between(measured),
}


def main() -> None:
    """Rewrite all pages."""
    for name, make in PAGES.items():
        path = DOCS / name
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(make(old), encoding="utf-8")
        print(path.relative_to(DOCS.parent), "as it was" if make(old) == old else "rewritten")


if __name__ == "__main__":
    main()
