"""`archon search`: run a search; or what its space holds and costs, and samples of it."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archon.cli import common
from archon.errors import ConfigError

if TYPE_CHECKING:
    from archon.search import SearchFile
    from archon.search.counting import Count, Estimate
    from archon.types import Json

__all__ = ["search"]


def complete_searches(incomplete: str) -> list[str]:
    """Return search files that come with archon and the YAML files of the folder."""
    from archon.search.files import shipped_searches

    names = [*shipped_searches(), *(path.as_posix() for path in Path().glob("*.y*ml"))]
    return [name for name in names if name.startswith(incomplete)]


def search(
    file: Annotated[
        str,
        typer.Argument(
            metavar="SEARCH",
            help="A search file, or the name of one that comes with archon, such as paper.",
            autocompletion=complete_searches,
            show_default=False,
        ),
    ],
    benchmark: common.BenchmarkName = None,
    option: common.Options = None,
    level: common.Level = None,
    budget: common.Budgeted = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Architectures to try at most.")] = None,
    searcher: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who proposes, such as race, tpe or random.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of all chance; that of the file if left out.")
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="Of the study; that of the file if left out.")
    ] = "",
    join: Annotated[
        bool, typer.Option("--join", help="Help with a study that exists already; begin none.")
    ] = False,
    replay: Annotated[
        bool, typer.Option("--replay", help="Search what the pool has recorded; make no call.")
    ] = False,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the best architecture as YAML.")
    ] = None,
    new_pool: common.NewPool = False,
    count: Annotated[
        bool, typer.Option("--count", help="How many architectures there are, and what they cost.")
    ] = False,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Print so many, drawn by chance, as YAML.")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --sample 1: write its picture.")
    ] = None,
    question_tokens: Annotated[
        int, typer.Option(min=1, help="How long a question is taken to be, for --count.")
    ] = 2000,
    as_json: common.AsJson = False,
) -> None:
    """Search a space for the best architecture within a budget, and say whether it holds.

    The same command again goes on where it was, after Ctrl-C, a crash or with a larger budget;
    started several times, all of them work on the one study. `--count` and `--sample` look at the
    space and pay for nothing.
    """
    from archon.search import read_search

    if count and sample is not None:
        raise ConfigError("--count and --sample are two questions: ask one of them")
    if svg is not None and sample != 1:
        raise ConfigError("--svg draws one architecture: use it with --sample 1")
    found = read_search(file)
    chance = found.seed if seed is None else seed
    if sample is not None:
        _sample(found, sample, chance, svg, as_json)
        return
    if not count:
        from archon.cli.studying import Wanted, study

        given = None if benchmark is None else common.benchmark_of(benchmark, level, option)
        if given is None and (level is not None or option):
            raise ConfigError("--level and --option are the benchmark's: name it by --benchmark")
        study(found, Wanted(given, budget, trials, searcher, chance, name, join, replay, export,
                            new_pool, as_json))  # fmt: skip
        return
    with _bar() as tell:
        counted = found.space.count(
            limits=found.limits.max, seed=chance, question_tokens=question_tokens, progress=tell
        )
    if as_json:
        holes = [_column(column) for column in found.space.columns]
        common.print_json({"search": found.name, "holes": holes, **counted.to_json()})
    else:
        _print(found, counted, question_tokens)


def _column(column: object) -> Json:
    from archon.search import Column

    assert isinstance(column, Column)
    data: dict[str, Json] = {"name": column.name, "kind": column.kind}
    if column.kind == "real":
        return data | {"low": column.low, "high": column.high, "log": column.log}
    return data | {"levels": list(column.levels)}


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None] | None]:
    """Give what progress is told to; a bar where somebody looks at a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress

    with Progress(console=common.console(err=True), transient=True) as bars:
        bar = bars.add_task("counting", total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def _sample(found: SearchFile, number: int, seed: int, svg: Path | None, as_json: bool) -> None:
    from archon.config import dumps

    rng = random.Random(seed)
    rows: list[Json] = []
    for _ in range(number):
        assignment = found.space.random(rng)
        architecture = found.space.architecture(assignment)
        if svg is not None:
            path = svg if svg.suffix else svg.with_suffix(".svg")
            typer.echo(f"wrote {architecture.draw().save(path)}", err=True)
        bound = architecture.bound()
        if as_json:
            rows.append({
                "digest": architecture.digest(), "holes": assignment, "bound": bound.to_json(),
                "architecture": architecture.dump(),
            })  # fmt: skip
            continue
        typer.echo(f"--- # {architecture.digest()}: at most {bound.calls:,} calls")
        for name, value in assignment.items():
            typer.echo(f"# {name}: {value}")
        typer.echo(dumps(architecture, headers=False), nl=False)
    if as_json:
        common.print_json(rows)


def _print(found: SearchFile, counted: Count, question_tokens: int) -> None:
    columns = found.space.columns
    typer.echo(f"{found.name or found.source}: {len(columns)} holes")
    typer.echo(f"assignments: {_amount(counted.assignments)}")
    if counted.architectures is not None:
        typer.echo(f"architectures: {counted.architectures:,}")
    if counted.fitting is not None:
        what = "" if counted.complete else "assignments "
        typer.echo(f"{what}within the limits of kind max: {_amount(counted.fitting)}")
    if counted.alone is not None and counted.shared is not None:
        times = counted.alone / max(counted.shared, 1)
        typer.echo(
            f"calls of all of them for one item: {counted.alone:,} alone, {counted.shared:,} shared"
            f" ({times:.2f} times fewer)"
        )
    whose = "" if counted.complete else f", of a sample of {counted.listed:,}"
    typer.echo(f"one item with a question of {question_tokens:,} tokens, at most{whose}:")
    table = common.table("", "calls", "reasks", "tokens", "dollars")
    for name, ends in (("the cheapest", counted.least), ("the dearest", counted.most)):
        amounts = (common.amount(ends[key]) for key in ("calls", "reasks", "tokens"))
        table.add_row(name, *amounts, common.dollars(ends["usd"]))
    common.console().print(table)


def _amount(estimate: Estimate) -> str:
    """Return a number for people, with its interval where it is an estimate."""
    if estimate.value == float("inf"):
        return "no end: a hole is continuous"
    if estimate.exact:
        return f"{estimate.value:,.0f}"
    return f"about {estimate.value:,.4g} (95 %: {estimate.low:,.4g} to {estimate.high:,.4g})"
