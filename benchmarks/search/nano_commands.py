"""The commands of the nano ground: record it, and measure on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from archon.benchmarks.search import figure
from archon.benchmarks.search.curves import Curve
from archon.benchmarks.search.nano import BUDGETS, MARKS, Settings, goal, ours, rival
from archon.benchmarks.search.nano_ground import FILE, SPACE, Recording, recording
from archon.benchmarks.search.null import CASES, Case, claimed
from archon.benchmarks.search.rivals import RIVALS
from archon.errors import did_you_mean
from archon.writing import whole_file

__all__ = ["KEPT", "claims", "measure", "named_rivals", "record"]

KEPT = Path(__file__).parent / "results" / "nano-rivals.json"
"""Curves of the rivals, measured once."""

_WIDE = 180


def record(
    folder: Annotated[
        Path, typer.Option("--work", help="keeps the pool and the blocks that are done")
    ] = Path("build/nano-ground"),
    items: Annotated[int, typer.Option(min=1, help="of the test split")] = 1_000,
    out: Annotated[Path, typer.Option(help="the recording")] = FILE,
) -> None:
    """Evaluate every architecture of the nano ground on every item; goes on where it stopped."""
    from archon import benchmarks
    from archon.benchmarks.search.recording import Recorder
    from archon.search.files import read_search

    search = read_search(SPACE)
    table = search.space.table()
    benchmark = benchmarks.get(search.benchmark.name, **search.benchmark.options)
    recorder = Recorder(table, benchmark, folder / "pool.db", _step)
    Recording.of(table, recorder.outcomes(items, folder)).save(out)


def named_rivals(names: str) -> list[str]:
    """Return the names between commas.

    Raises:
        typer.BadParameter: for one that is no rival.
    """
    found = [name for name in names.split(",") if name]
    for name in found:
        if name not in RIVALS:
            raise typer.BadParameter(f"unknown rival {name!r}{did_you_mean(name, RIVALS)}")
    return found


def measure(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, no tables")] = False,
    names: Annotated[
        str, typer.Option("--rivals", help=f"also run again, of {', '.join(RIVALS)}")
    ] = "",
    draws: Annotated[int, typer.Option(min=1, help="draws of the items")] = 20,
    budgets: Annotated[str, typer.Option(help="calls of each race, by commas")] = "",
    race: Annotated[bool, typer.Option(help="run the races")] = True,
    keep: Annotated[bool, typer.Option("--keep", help="keep the rivals' curves")] = False,
    out: Annotated[Path | None, typer.Option(help="write the JSON to this file")] = None,
    drawn: Annotated[Path | None, typer.Option("--figure", help="draw to this .svg")] = None,
) -> None:
    """Race over recorded answers of the nano family, beside the kept curves of rivals."""
    again = named_rivals(names)
    settings = Settings(tuple(range(draws)), _step)
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else []
    curves = [Curve.from_json(data) for data in kept if data["name"] not in again]
    for name in again:
        curves += rival(name, settings)
    if keep:
        _write([each.to_json() for each in curves], KEPT)
    calls = [int(part) for part in budgets.split(",") if part] or list(BUDGETS)
    seen: dict[str, Any] = {}
    if race:
        ran, seen = ours(settings, calls)
        curves.append(ran)
    found: dict[str, Any] = {
        "draws": draws, "curves": [each.to_json() for each in curves], "races": seen,
        "goal": goal(curves),
    }  # fmt: skip
    if out is not None:
        _write(found, out)
    if drawn is not None:
        figure.draw(curves, drawn)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        _show(curves, found["goal"])


def claims(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, no table")] = False,
    studies: Annotated[int, typer.Option(min=1, help="of each case")] = 2_000,
    out: Annotated[Path | None, typer.Option(help="write the JSON to this file")] = None,
) -> None:
    """Count how often a winner is claimed: all equal, a baseline the best, and as it is."""
    found = []
    for case in CASES:
        found.append(_claimed(case, studies))
        if out is not None:
            _write(found, out)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    table = Table(title="studies that claim a winner, exact 95 % interval")
    for head in ("case", "studies", "claims", "%", "wrong", "%", "winner better", "test items"):
        table.add_column(head)
    for each in found:
        table.add_row(
            each["case"], str(each["studies"]), *_counted(each["claims"]),
            *_counted(each["wrong"]), str(each["better"]), str(each["test items"]),
        )  # fmt: skip
    Console().print(table)


def _claimed(case: Case, studies: int) -> dict[str, Any]:
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(case, total=studies)

        def step(done: int, count: int) -> None:
            progress.update(task, completed=done, description=f"{case}: {count} claims")

        return claimed(case, recording(), studies, step=step)


def _counted(found: dict[str, Any]) -> tuple[str, str]:
    return str(found["count"]), f"{100 * found['low']:.1f} to {100 * found['high']:.1f}"


def _write(found: object, path: Path) -> None:
    with whole_file(path) as file:
        file.write((json.dumps(found, indent=1) + "\n").encode())


def _step(what: str) -> None:
    Console(stderr=True).print(what, style="dim", highlight=False)


def _show(curves: Sequence[Curve], reached: dict[str, Any] | None) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    table = Table(title="mean regret in points, 95 % interval, by paid calls")
    heads = ("search", "items", "shared", *(f"{mark:,}" for mark in MARKS), "optimism", "seconds")
    for head in heads:
        table.add_column(head, justify="left" if head == "search" else "right")
    for each in curves:
        points = [each.regret.get(mark) for mark in MARKS]
        last = list(each.optimism.values())
        table.add_row(
            each.name, str(each.items or ""), "yes" if each.shared else "",
            *(f"{p.mean:.2f} [{p.low:.1f}, {p.high:.1f}]" if p else "" for p in points),
            f"{last[-1].mean:+.2f}" if last else "", f"{each.seconds:.1f}",
        )  # fmt: skip
    console.print(table)
    if reached is not None:
        console.print(
            f"the paper's method ends with {reached['paper']:.2f} points after"
            f" {reached['its calls']:,} calls; a race is as good after {reached['ours']} calls"
            f" (times fewer: {reached['times']})",
            highlight=False,
        )
