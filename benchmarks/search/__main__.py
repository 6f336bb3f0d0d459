"""`python -m archon.benchmarks.search`: measure and print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from archon.benchmarks.search import figure, truths
from archon.benchmarks.search.ablation import CALLS, ablate
from archon.benchmarks.search.curves import MARKS, Curve, first_below
from archon.benchmarks.search.itas import Settings, fronts, ours, rival
from archon.benchmarks.search.losses import losses
from archon.benchmarks.search.nano_commands import claims as count_claims
from archon.benchmarks.search.nano_commands import measure as measure_nano
from archon.benchmarks.search.nano_commands import named_rivals
from archon.benchmarks.search.nano_commands import record as record_nano
from archon.benchmarks.search.rivals import RIVALS
from archon.search.race import Plan
from archon.writing import whole_file

__all__ = ["APP", "KEPT", "report"]

APP = typer.Typer(help="Measure how well architectures are found.", no_args_is_help=True)

KEPT = Path(__file__).parent / "results" / "itas-rivals.json"
"""Curves of the rivals, measured once."""

APP.command("nano")(measure_nano)
APP.command("record-nano")(record_nano)
APP.command("claims")(count_claims)

_BUDGETS = (25_000, 50_000, 100_000, 150_000)
_FRONT = 100_000
_WIDE = 160


@APP.command("truth")
def write_truth() -> None:
    """Simulate the true scores of all tasks and write them where they are committed."""
    truths.write()


@APP.command("itas")
def measure(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, no tables")] = False,
    quick: Annotated[bool, typer.Option(help="one draw, 25,000 calls: a minute or two")] = False,
    names: Annotated[
        str, typer.Option("--rivals", help=f"also run again, of {', '.join(RIVALS)}")
    ] = "",
    draws: Annotated[int, typer.Option(min=1, help="draws of the items of every task")] = 10,
    budgets: Annotated[str, typer.Option(help="calls of each race, by commas")] = "",
    pareto: Annotated[bool, typer.Option(help="also races for a front")] = True,
    out: Annotated[Path | None, typer.Option(help="write the JSON to this file")] = None,
    drawn: Annotated[Path | None, typer.Option("--figure", help="draw to this .svg")] = None,
) -> None:
    """Race on the published space of 9,576 architectures, beside the kept curves of rivals."""
    again = named_rivals(names)
    calls = [int(part) for part in budgets.split(",") if part] or list(_BUDGETS)
    settings = Settings(draws=tuple(range(1 if quick else draws)), step=_step)
    found = report(settings, calls[:1] if quick else calls, again, pareto and not quick)
    _written(found, out)
    if drawn is not None:
        figure.draw([Curve.from_json(data) for data in found["curves"]], drawn)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        _show(found)


def report(
    settings: Settings, budgets: list[int], again: list[str], pareto: bool
) -> dict[str, Any]:
    """Return races at these budgets, rivals run again or kept, and the front, as plain data."""
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else []
    curves = [Curve.from_json(data) for data in kept if data["name"] not in again]
    for name in again:
        curves += rival(name, settings)
    seen: dict[str, Any] = {}
    whole: Curve | None = None
    for calls in budgets:
        one, seen[str(calls)] = ours(Plan(calls), settings)
        if whole is not None:
            regret, optimism = whole.regret | one.regret, whole.optimism | one.optimism
            one = Curve(one.name, None, True, regret, optimism, one.seconds)
        whole = one
    curves += [whole] if whole is not None else []
    return {
        "tasks": list(settings.tasks),
        "draws": len(settings.draws),
        "curves": [each.to_json() for each in curves],
        "races": seen,
        "hypervolume": fronts(Plan(_FRONT), settings).mean if pareto else None,
    }


@APP.command("ablation")
def take_out(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, no table")] = False,
    draws: Annotated[int, typer.Option(min=1, help="draws of the items of every task")] = 10,
    calls: Annotated[int, typer.Option(min=1, help="of each race")] = CALLS,
    out: Annotated[Path | None, typer.Option(help="write the JSON to this file")] = None,
) -> None:
    """Race with one part taken out at a time, on the same items of the reported tasks."""
    settings = Settings(draws=tuple(range(draws)), step=_step)
    found: dict[str, Any] = {"tasks": list(settings.tasks), "calls": calls}
    for number, variants in enumerate(ablate(settings, calls), 1):
        found |= {"draws": number, "variants": variants}
        _written(found, out)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    rows = [
        [each["part"], each["name"], *(_cell(p) for p in each["path"].values()),
         *(_cell(each[key]) for key in ("regret", "more", "optimism"))]
        for each in found["variants"]
    ]  # fmt: skip
    ways = [f"{int(mark):,}" for mark in found["variants"][0]["path"]]
    heads = ["part", "race", *ways, f"{calls:,}", "more than the race", "optimism"]
    _table(f"mean regret in points, {8 * draws} runs", heads, rows)


@APP.command("losses")
def lose(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, no table")] = False,
    draws: Annotated[int, typer.Option(min=1, help="draws of the items of every task")] = 10,
    calls: Annotated[int, typer.Option(min=1, help="of each race")] = CALLS,
    out: Annotated[Path | None, typer.Option(help="write the JSON to this file")] = None,
) -> None:
    """Say where a race loses, on the tuning tasks."""
    settings = Settings(truths.TUNING, tuple(range(draws)), _step)
    found: dict[str, Any] = {"tasks": list(settings.tasks), "calls": calls}
    for number, lost in enumerate(losses(settings, calls), 1):
        found |= {"draws": number, "losses": lost}
        _written(found, out)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    rows = [[each["what"], _cell(each["regret"])] for each in found["losses"]]
    _table(f"mean regret in points, {8 * draws} runs", ["what", "regret"], rows)


def _step(what: str) -> None:
    Console(stderr=True).print(what, style="dim", highlight=False)


def _written(found: dict[str, Any], out: Path | None) -> None:
    if out is not None:
        with whole_file(out) as file:
            file.write((json.dumps(found, indent=1) + "\n").encode())


def _cell(point: dict[str, float]) -> str:
    return f"{point['mean']:.2f} [{point['low']:.2f}, {point['high']:.2f}]"


def _table(title: str, heads: list[str], rows: list[list[str]]) -> None:
    table = Table(title=title)
    for head in heads:
        table.add_column(head)
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDE)


def _show(found: dict[str, Any]) -> None:
    console = _console()
    table = Table(title="mean regret in points, 95 % interval, by paid calls")
    for name in ("search", "items", "shared", *(f"{mark:,}" for mark in MARKS), "optimism", "≤ 2"):
        table.add_column(name, justify="left" if name == "search" else "right")
    for each in [Curve.from_json(data) for data in found["curves"]]:
        points = [each.regret.get(mark) for mark in MARKS]
        cells = [f"{p.mean:.2f} [{p.low:.1f}, {p.high:.1f}]" if p else "" for p in points]
        last = list(each.optimism.values())
        first = first_below(each, 2.0)
        table.add_row(
            each.name, str(each.items or ""), "yes" if each.shared else "", *cells,
            f"{last[-1].mean:+.2f}" if last else "", f"{first:,}" if first else "never",
        )  # fmt: skip
    console.print(table)
    if found["hypervolume"] is not None:
        console.print(f"true hypervolume at {_FRONT:,} calls: {found['hypervolume']:.1f} %")


if __name__ == "__main__":
    APP()
