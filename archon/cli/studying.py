"""A study on the command line: live progress, what it found, the best one as a file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from archon.cli import common
from archon.cli.stopping import Stopping
from archon.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from archon.base import Benchmark
    from archon.search import SearchFile
    from archon.search.study import Contender, Finding, Study, StudyProgress

__all__ = ["Wanted", "study"]


@dataclass(frozen=True)
class Wanted:
    """What the command line says beside the search file."""

    benchmark: Benchmark | None
    budget: str | None
    trials: int | None
    searcher: str | None
    seed: int
    name: str
    join: bool
    replay: bool
    export: Path | None
    new_pool: bool
    as_json: bool


def study(search: SearchFile, wanted: Wanted) -> None:
    """Run a study to its end, or to Ctrl-C, and print it."""
    from archon.search import optimize
    from archon.session import Session
    from archon.store import home

    name = wanted.name or search.name or (Path(search.source).stem if search.source else "study")
    if wanted.join and not (home() / "studies" / name / "study.json").exists():
        raise ConfigError(f"--join: there is no study {name!r} yet; leave out --join to begin it")
    settings: dict[str, Any] = {"seed": wanted.seed}
    if wanted.trials is not None:
        settings["trials"] = wanted.trials
    with (
        Session(new_pool=wanted.new_pool) as session,
        Board(sys.stderr.isatty()) as board,
        Stopping(session) as stopping,
    ):
        found = optimize(
            search, wanted.benchmark, budget=wanted.budget, searcher=wanted.searcher, name=name,
            mode="only" if wanted.replay else None, session=session, progress=board.tell,
            **settings,
        )  # fmt: skip
    if wanted.export is not None and found.standings:
        _export(found, wanted.export)
    if wanted.as_json:
        common.print_json(found.to_json())
    else:
        _print(found)
    stopping.leave("the same command goes on")


def _export(found: Study, path: Path) -> None:
    from archon.writing import whole_file

    with whole_file(path) as out:
        out.write(found.to_yaml().encode())
    typer.echo(f"archon: wrote {path}", err=True)


class Board:
    """The state of a study, on a terminal.

    Args:
        live: whether anybody looks; nothing is shown otherwise.
    """

    def __init__(self, live: bool) -> None:
        self._wanted = live
        self._live: Live | None = None

    def __enter__(self) -> Board:
        if self._wanted:
            from rich.live import Live

            self._live = Live(
                console=common.console(err=True), transient=True, refresh_per_second=4
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        if self._live is not None:
            self._live.stop()
        return False

    def tell(self, progress: StudyProgress) -> None:
        """Show how far the study is."""
        if self._live is not None:
            self._live.update(view(progress))


def view(progress: StudyProgress) -> RenderableType:
    """Return the state of a study as a table of two columns."""
    table = common.table("", progress.stage, left=2)
    for name, value in lines(progress).items():
        table.add_row(name, value)
    return table


def lines(progress: StudyProgress) -> dict[str, str]:
    """Return the state of a study, line by line."""
    best, spent = progress.best, progress.spent
    found = {
        "trials": f"{progress.trials:,} of {progress.arms:,} architectures"
        + (f", {progress.failed} failed" if progress.failed else ""),
        "best so far": "?" if best is None else (
            f"{_points(best.mean)} (95 % {_points(best.mean - 1.96 * best.sd)} to"
            f" {_points(best.mean + 1.96 * best.sd)}): {progress.best_name}"
        ),
        "out of the race": f"{progress.dropped:,}, less than 5 % likely to be within a point",
        "spent": f"{spent.calls:,} calls, {common.dollars(spent.usd)}"
        + ("" if progress.room is None else f"; {100 * progress.room:.0f} % of the budget left,")
        + ("" if progress.room is None else f" {100 * progress.reserve:.0f} % are the reserve"),
        "without sharing": f"{progress.alone:,} calls",
    }  # fmt: skip
    if progress.recent:
        found["last failure"] = progress.recent
    return found


def _points(value: float) -> str:
    return f"{100 * value:.1f}"


def _print(found: Study) -> None:
    out = common.console()
    tried, whole = len(found.books.arms), len(found.books.table)
    typer.echo(
        f"{found.name}: {len(found.trials):,} trials of {tried:,} of {whole:,} architectures;"
        f" the search ended: {found.ended}"
    )
    typer.echo(
        f"newly spent: {common.spent(found.spent)}; without sharing the trials alone would have"
        f" taken {found.alone:,} calls"
    )
    failed = [told for told in found.trials if told.state == "failed"]
    if failed:
        typer.echo(f"trials that failed: {len(failed)}, the last one because {failed[-1].reason}")
    for note in found.notes:
        typer.echo(f"archon: {note}", err=True)
    if found.found is None:
        if found.standings:
            best = found.standings[0]
            typer.echo(
                f"best so far, not confirmed: {found.best}, posterior mean {_points(best.mean)}"
            )
        else:
            typer.echo("nothing was measured")
        return
    _found(found.found, out)
    typer.echo("the winner as YAML:")
    typer.echo(found.to_yaml(), nl=False)


def _found(found: Finding, out: Any) -> None:
    table = common.table("", "architecture", "items", "score", "95 %", "calls", "dollars", left=2)
    front = [
        c for c in found.front if c.architecture.digest() != found.winner.architecture.digest()
    ]
    for kind, one in [("winner", found.winner), *(("front", c) for c in front)]:
        table.add_row(kind, *_cells(one, one.name))
    for one in found.baselines:
        table.add_row(one.name, *_cells(one, one.note))
    out.print(table)
    typer.echo(found.verdict["said"])
    how = "by folds" if found.stage == "crossed" else "on test items that took no part in choosing"
    typer.echo(
        f"scores are {how}; these items were looked at {found.looks} times on this benchmark"
    )
    if found.winner.note:
        typer.echo(f"winner: {found.winner.note}")


def _cells(one: Contender, name: str) -> list[str]:
    span = one.interval()
    return [
        name, str(len(one.known)), _points(one.mean) if one.known else "?",
        "?" if span is None else f"{_points(span.low)} to {_points(span.high)}",
        common.amount(one.costs.get("calls"), 1), common.dollars(one.costs.get("usd")),
    ]  # fmt: skip
