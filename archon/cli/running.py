"""`archon run`: one question, the answer on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archon.cli import common
from archon.cli.stopping import Stopping
from archon.errors import ConfigError

if TYPE_CHECKING:
    from archon.base import NodeRecord
    from archon.result import Result
    from archon.types import Json, Task, Usage

__all__ = ["metered", "run"]


def run(
    arch: common.Arch,
    question: Annotated[
        str | None, typer.Argument(help="The question; `-` or nothing reads it from stdin.")
    ] = None,
    system: Annotated[str, typer.Option(help="A system message to put in front.")] = "",
    messages: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Chat messages, a JSON list.")
    ] = None,
    answer: Annotated[
        common.AnswerName,
        typer.Option(help="How answers are read and compared."),
    ] = "text",
    json_schema: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON schema that the answer must follow.")
    ] = None,
    budget: common.Budgeted = None,
    seed: common.Seed = None,
    mode: Annotated[
        common.ModeName | None,
        typer.Option(help="How the pool is used: fresh, or reuse where a seed is given."),
    ] = None,
    show_prompts: Annotated[
        bool, typer.Option("--show-prompts", help="Print the first prompts and send nothing.")
    ] = False,
    trace: Annotated[bool, typer.Option("--trace", help="Print what each node did.")] = False,
    trace_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the whole trace as JSON.")
    ] = None,
    new_pool: common.NewPool = False,
    as_json: common.AsJson = False,
) -> None:
    """Run an architecture on a question."""
    architecture = common.load_architecture(arch)
    task = _task(question, messages, system, answer, json_schema)
    used_mode, used_seed = common.replicate(mode, seed, "fresh")
    if show_prompts:
        from archon.cli.prompts import show_prompts as show

        show(architecture, task, used_seed, as_json=as_json)
        return
    from archon.cli.live import run_live
    from archon.session import Session

    with Session(new_pool=new_pool) as session, Stopping(session) as stopping:
        result = run_live(
            architecture, task, session, budget=budget, seed=used_seed, mode=used_mode
        )
    if trace_file is not None:
        _write(trace_file, result)
    if as_json:
        common.print_json(result.to_json())
    else:
        _print(result, trace)
    stopping.leave(f"the same command with --seed {result.seed} goes on")
    if result.answer is None:
        raise typer.Exit(1)


def _task(
    question: str | None,
    messages: Path | None,
    system: str,
    answer: common.AnswerName,
    json_schema: Path | None,
) -> Task:
    from archon.plain import canonical
    from archon.types import Task

    turns: list[Json] = []
    if messages is not None:
        data = common.read_json(messages)
        if not isinstance(data, list):
            raise ConfigError("messages are a JSON list", where=str(messages))
        turns = data
    if question == "-" or (question is None and not turns):
        question = _stdin()
    if question is not None:
        turns = [*turns, {"role": "user", "content": question}]
    schema = "" if json_schema is None else canonical(common.read_json(json_schema))
    return Task.of(turns, system=system, answer=answer, schema=schema)


def _stdin() -> str:
    if sys.stdin.isatty():
        raise ConfigError("there is no question: give it as an argument, or on stdin")
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def _write(path: Path, result: Result) -> None:
    try:
        path.write_text(json.dumps(result.to_json(), ensure_ascii=False, indent=2), "utf-8")
    except OSError as error:
        raise ConfigError(str(error.strerror).lower(), where=str(path)) from None


def _print(result: Result, trace: bool) -> None:
    if result.answer is not None:
        typer.echo(result.answer)
    if trace:
        _print_trace(result)
    notes = [f"{common.spent(result.used)}, {result.seconds:.1f} s"]
    if result.paid.calls != result.used.calls:
        notes.append(f"newly paid: {common.spent(result.paid)}")
    elif work := metered(result.used, result.paid):
        notes.append(work)
    if result.answer is None:
        notes.append(f"no answer: {result.reason}")
    if result.cut_short and result.cut_short != "stopped":
        notes.append(f"cut short: the budget of {result.cut_short} is used up")
    notes += [f"{record.path}: {text}" for record in result.trace for text in record.warnings]
    typer.echo("archon: " + "\narchon: ".join(notes), err=True)


def metered(used: Usage, paid: Usage) -> str:
    """Say how much of the prompts was read, and with how many operations, where that is known.

    >>> from archon.types import Usage
    >>> metered(Usage(8, 1600, 300, flops=5_500_000_000), Usage(8, 200, 300, flops=1_440_000_000))
    '200 of 1,600 prompt tokens read, the others shared; 1.44 GFLOPs'
    """
    parts = []
    whole, read = used.input_tokens, paid.input_tokens
    if whole is not None and read is not None and read < whole:
        parts.append(f"{read:,} of {whole:,} prompt tokens read, the others shared")
    if paid.flops:
        parts.append(f"{paid.flops / 1e9:,.3g} GFLOPs")
    return "; ".join(parts)


def _print_trace(result: Result) -> None:
    from rich.tree import Tree

    tree = Tree(f"run {result.run}, seed {result.seed}")
    branches = {"": tree}
    for record in sorted(result.trace, key=lambda record: record.path.count("/")):
        above = record.path.rpartition("/")[0]
        parent = branches.get(above)
        if parent is None:
            parent = branches[above] = tree.add(above)
        branches[record.path] = parent.add(_line(record))
    common.console(err=True).print(tree, markup=False)


def _line(record: NodeRecord) -> str:
    after = () if record.after is None else record.after.candidates
    parts = [
        f"{record.path}: {record.status}",
        f"{len(after)} candidates",
        common.spent(record.used),
        f"{record.seconds:.1f} s",
    ]
    if record.unparsed:
        parts.append(f"{record.unparsed} unparsed")
    if record.errors:
        parts.append(f"{len(record.errors)} failed: {record.errors[0]}")
    return ", ".join(parts)
