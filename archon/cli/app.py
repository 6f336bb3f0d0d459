"""The application: its commands, and how errors and Ctrl-C end it.

Commands import what they need when they run, so that `archon --help` loads neither a model
library nor LangGraph.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from archon.cli import (
    benchmarks,
    comparing,
    curves,
    evaluating,
    importing,
    listing,
    planning,
    pool,
    records,
    reporting,
    running,
    sampling,
    sandboxing,
    schema,
    searching,
    showing,
    starter,
)
from archon.cli.stopping import INTERRUPTED
from archon.errors import ArchonError

__all__ = ["app", "main"]


class _Group(TyperGroup):
    """Ends a command's error in one line on stderr and the exit code that it names."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ArchonError as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"archon: {error}", err=True)
            stopped = getattr(error, "limit", "") == "stopped"
            raise typer.Exit(INTERRUPTED if stopped else error.exit_code) from None
        except KeyboardInterrupt:
            typer.echo("archon: stopped", err=True)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="archon",
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        import archon

        typer.echo(f"archon {archon.__version__}")
        raise typer.Exit


@app.callback()
def archon(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Compose, run and measure architectures of LLM inference-time techniques."""


app.command("run")(running.run)
app.command("plan")(planning.plan)
app.command("show")(showing.show)
app.command("eval")(evaluating.evaluate)
app.command("compare")(comparing.compare)
app.command("search")(searching.search)
app.command("sample")(sampling.sample)
app.command("curves")(curves.curves)
app.command("report")(reporting.report)
app.command("sandbox")(sandboxing.sandbox)
app.command("layers")(listing.layers)
app.command("models")(listing.models)
app.add_typer(benchmarks.benchmarks, name="benchmarks")
app.command("runs")(records.runs)
app.add_typer(pool.pool, name="pool")
app.command("schema")(schema.schema)
app.command("import")(importing.import_)
app.command("init")(starter.init)


def main() -> None:
    """Run the command line; the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show it must not crash
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="archon")
