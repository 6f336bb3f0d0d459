"""What the commands share: arguments, completion, numbers, tables and sessions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer
from typer.core import TyperGroup

from archon.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from archon.base import Architecture, Benchmark
    from archon.types import Json, Usage

__all__ = [
    "AnswerName",
    "Arch",
    "AsJson",
    "BenchmarkName",
    "Budgeted",
    "Level",
    "Limit",
    "ListsByDefault",
    "ModeName",
    "NewPool",
    "Options",
    "Sample",
    "Seed",
    "SplitOf",
    "amount",
    "benchmark_of",
    "complete_layers",
    "console",
    "dollars",
    "load_architecture",
    "print_json",
    "read_json",
    "replicate",
    "spent",
    "table",
]

WIDE = 200
"""Columns of a table that goes to a file or a pipe, where nothing needs to fit."""

ModeName: TypeAlias = Literal["reuse", "fresh", "only", "off"]
SplitName: TypeAlias = Literal["dev", "test"]
AnswerName: TypeAlias = Literal["text", "exact", "number", "choice", "json", "symbolic"]


class ListsByDefault(TyperGroup):
    """Commands below a command, of which `list` is meant where none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` in front of options that name no command."""
        helps = ctx.help_option_names
        if not args or (args[0].startswith("-") and args[0] not in helps):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def complete_architectures(incomplete: str) -> list[str]:
    """Return shipped architectures and the YAML and JSON files of the folder."""
    from archon.config import shipped

    files = (path.as_posix() for kind in ("*.y*ml", "*.json") for path in Path().glob(kind))
    names = [*shipped(), *files]
    return [name for name in names if name.startswith(incomplete)]


def complete_benchmarks(incomplete: str) -> list[str]:
    """Return benchmarks by name."""
    from archon.benchmarks import names

    return [name for name in names() if name.startswith(incomplete)]


def complete_layers(incomplete: str) -> list[str]:
    """Return layers by name."""
    from archon.base import LAYERS

    return [name for name in LAYERS.all() if name.startswith(incomplete)]


Arch: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="ARCH",
        help="A YAML file, a JSON file of the original Archon, or the name of an architecture that"
        " comes with archon.",
        autocompletion=complete_architectures,
        show_default=False,
    ),
]
BenchmarkName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--benchmark", "-b",
        help="As in `archon benchmarks`, or a file of your own, its YAML header, or hf:owner/name.",
        autocompletion=complete_benchmarks,
    ),
]  # fmt: skip
Options: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--option", "-o", metavar="NAME=VALUE",
        help="Of the benchmark, such as path=data/gsm8k, judge=openai/gpt-4o or dev=0.2.",
    ),
]  # fmt: skip
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Level: TypeAlias = Annotated[
    str | None, typer.Option("--level", help="The benchmark's level, such as 3 or mixed.")
]
Limit: TypeAlias = Annotated[
    int | None, typer.Option("--limit", "-n", min=1, help="The first so many items.")
]
Sample: TypeAlias = Annotated[
    int | None,
    typer.Option("--sample", min=1, help="So many items, of every group its share, by the seed."),
]
SplitOf: TypeAlias = Annotated[
    SplitName, typer.Option("--split", help="dev for choosing, test for the last word.")
]
Seed: TypeAlias = Annotated[
    int | None, typer.Option("--seed", help="Names an independent replicate; 0 if left out.")
]
Budgeted: TypeAlias = Annotated[
    str | None, typer.Option("--budget", help="Such as usd=1,calls=200,tokens=9000,seconds=60.")
]


NewPool: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--new-pool", help="Go on with a new pool where the file is damaged; it is kept beside."
    ),
]


def replicate(mode: ModeName | None, seed: int | None, default: ModeName) -> tuple[ModeName, int]:
    """Return mode and seed; a seed that is named asks for the replies under that seed.

    Raises:
        ConfigError: for a seed beside `fresh`, which draws its own.
    """
    if seed is None:
        return mode or default, 0
    if mode == "fresh":
        raise ConfigError("--mode fresh draws a new seed; leave out --seed, or choose reuse")
    return mode or "reuse", seed


def load_architecture(name: str) -> Architecture:
    """Return the architecture of an argument, checked; what is odd in it is told on stderr."""
    from archon.config import load

    architecture = load(name).check()
    for message in architecture.lint():
        typer.echo(f"archon: {name}: {message}", err=True)
    return architecture


def benchmark_of(
    name: str | None, level: str | None, options: list[str] | None = None
) -> Benchmark:
    """Return a benchmark by name or by a file of the user's own.

    Raises:
        ConfigError: without a name, for an unknown one, and for options that it does not have.
    """
    from archon import benchmarks
    from archon.benchmarks import own

    if name is None:
        raise ConfigError(
            "say on which items: --benchmark NAME, as `archon benchmarks` lists them, or FILE"
        )
    given = dict(_option(text) for text in options or ())
    if level is not None:
        given["level"] = _value(level)
    return own.find(name, **given) or benchmarks.get(name, **given)


def _option(text: str) -> tuple[str, str | int | float]:
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise ConfigError(f"--option takes NAME=VALUE, got {text!r}")
    return name, _value(value)


def _value(text: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def console(*, err: bool = False) -> Console:
    """Return a console; what is not a terminal gets wide lines, so that nothing is cut."""
    from rich.console import Console

    stream = sys.stderr if err else sys.stdout
    return Console(stderr=err, width=None if stream.isatty() else WIDE, highlight=False)


def table(*columns: str, left: int = 1) -> Table:
    """Return an empty table whose first columns are text and whose others are numbers."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for position, name in enumerate(columns):
        text = position < left  # text may be folded, but no number is ever cut
        made.add_column(
            name, justify="left" if text else "right", overflow="fold", no_wrap=not text
        )
    return made


def amount(value: float | None, digits: int = 0) -> str:
    """Return a number for people; unknown is a question mark, never zero.

    >>> amount(12345), amount(1.5, 1), amount(None)
    ('12,345', '1.5', '?')
    """
    return "?" if value is None else f"{value:,.{digits}f}"


def dollars(value: float | None) -> str:
    """Return dollars, with more digits where they are few.

    >>> dollars(None), dollars(0), dollars(0.00012), dollars(12.5)
    ('?', '$0', '$0.00012', '$12.50')
    """
    if value is None:
        return "?"
    if value == 0:
        return "$0"
    return f"${value:,.2f}" if value >= 1 else f"${value:.2g}"


def spent(usage: Usage) -> str:
    """Return calls, tokens and dollars in one line."""
    return f"{amount(usage.calls)} calls, {amount(usage.tokens)} tokens, {dollars(usage.usd)}"


def print_json(data: Json) -> None:
    """Print data as JSON on stdout."""
    typer.echo(json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False))


def read_json(path: Path) -> Json:
    """Read a JSON file.

    Raises:
        ConfigError: with the line, when it is not there or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(error.strerror).lower(), where=str(path)) from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"not JSON: {error.msg}", where=f"{path}:{error.lineno}") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"not JSON: {error}", where=str(path)) from None
