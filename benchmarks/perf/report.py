"""The measured figures as a table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from archon.benchmarks.perf.figures import Benchmark, Figure, Group, Line

__all__ = ["show"]

_WORDS = {
    "cpu_ms": "CPU ms",
    "extra_ms": "above floor",
    "per_second": "calls/s",
    "peak": "peak",
    "mb": "RSS MB",
    "cpu": "CPU s",
    "wall": "wall s",
    "first": "first, s",
    "disk_mb": "MB",
    "memory_ms": "memory ms",
    "disk_ms": "disk ms",
    "first_call_s": "first new call, s",
    "tokens_s": "tokens/s",
    "tokens_cpu_s": "tokens/CPU s",
    "step_ms": "ms a step",
    "share": "share of bandwidth",
}


def show(console: Console, found: Benchmark) -> None:
    """Print the tables of one benchmark and whether its targets were met."""
    console.print(f"\n[bold]{found.id}  {found.title}[/bold]")
    for group in found.groups:
        console.print(_table(group))
    for target in found.targets:
        sign = "[green]met[/green]   " if target.met else "[red]missed[/red]"
        relation = "at most" if target.at_most else "at least"
        console.print(
            f"{sign} {target.what}: {target.value:.3g} ({relation} {target.limit:g})",
            highlight=False,
            soft_wrap=True,
        )


def _table(group: Group) -> Table:
    table = Table(title=group.name, title_justify="left", title_style="none")
    table.add_column("client")
    for name in group.shown:
        table.add_column(_WORDS.get(name, name.replace("_", " ")), justify="right")
    for name in group.compared:
        table.add_column(f"{_WORDS.get(name, name)} / floor", justify="right")
    for line in group.lines:
        table.add_row(line.name, *_cells(group, line))
    return table


def _cells(group: Group, line: Line) -> list[str]:
    figures = line.figures()
    cells = [_cell(figures.get(name)) for name in group.shown]
    ratios = [line.ratio(group.floor, name) for name in group.compared]
    return cells + [_cell(ratio) for ratio in ratios]


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure.low == figure.high:
        return f"{figure.median:,.4g}"
    return f"{_short(figure.median)} [dim]{_short(figure.low)}-{_short(figure.high)}[/dim]"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
