"""`archon report`: one HTML page on evaluations, with every item to look at, or on a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archon.cli import common
from archon.errors import ConfigError

if TYPE_CHECKING:
    from archon.report import Report, StudyReport

__all__ = ["report"]


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME…",
            help="Evaluations as `archon runs` lists them; the beginning of a name is enough."
            " Or one study: its name, or its folder.",
            show_default=False,
        ),
    ] = None,
    last: Annotated[
        int | None, typer.Option("--last", min=1, help="The newest so many, instead of names.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The page.")] = Path(
        "report.html"
    ),
    items: Annotated[
        int,
        typer.Option(
            "--items",
            min=0,
            help="So many with every candidate; the instructive ones first. Not for a study.",
        ),
    ] = 1000,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    as_json: common.AsJson = False,
) -> None:
    """Write one HTML page on evaluations or on a study: scores, costs, comparisons, every item.

    The page needs no network. That of evaluations holds questions and replies: share it as you
    would share them.
    """
    if bool(runs) == (last is not None):
        raise ConfigError(
            "name the runs to report on, or say --last N; `archon runs` lists them; a study goes by"
            " its own name"
        )
    made = _study(runs or []) or _evaluations(runs, last, items)
    if as_json:
        common.print_json(made.to_json())
        return
    path = made.save(out)
    size = path.stat().st_size / 1e6
    typer.echo(f"wrote {path} ({size:.1f} MB)", err=True)
    if open_it and typer.launch(path.resolve().as_uri()) != 0:
        typer.echo(f"archon: no browser could be opened; the page is {path}", err=True)


def _study(names: list[str]) -> StudyReport | None:
    """Return the report of a study; None where no name is one."""
    from archon.search.record import find_study

    found = [name for name in names if find_study(name) is not None]
    if not found:
        return None
    if len(names) > 1:
        raise ConfigError(
            f"{found[0]!r} is a study: a report is on one study, or on evaluations, not on both"
        )
    from archon.report import report_on_study

    return report_on_study(found[0])


def _evaluations(names: list[str] | None, last: int | None, items: int) -> Report:
    from archon.report import report_on
    from archon.report.reading import newest
    from archon.session import Session

    with Session() as session:
        chosen = names or newest(session.pool, last or 1)
        return report_on(*chosen, items=items, session=session)
