"""`archon pool verify` and `archon pool prune`."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archon.cli import common, pool_files
from archon.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from archon.upkeep import Checked, Pruned, Which

__all__ = ["prune", "verify"]

_TOLD = 100
"""Findings that are shown one by one."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhdw])")

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def seconds_of(age: str) -> float:
    """Return an age in seconds.

    >>> seconds_of("30d"), seconds_of("1.5h")
    (2592000.0, 5400.0)
    """
    match = _AGE.fullmatch(age)
    if match is None:
        raise ConfigError(f"--older-than is an age like 30d, 12h or 2w, got {age!r}")
    return float(match[1]) * _SECONDS[match[2]]


def verify(
    dry_run: DryRun = False,
    given: pool_files.PoolFile = None,
    as_json: common.AsJson = False,
) -> None:
    """Check the file, every reply and every key; damaged replies go to quarantine.

    What is in quarantine is asked for again when it is needed. The exit code is 1 if anything was
    found.
    """
    from archon import upkeep

    path = pool_files.needed(given)
    with pool_files.watching() as watch:
        done = upkeep.verify(path, dry_run=dry_run, watch=watch)
    if as_json:
        common.print_json(done.to_json())
    else:
        _print_checked(done, path)
    if done.findings:
        raise typer.Exit(1)


def _print_checked(done: Checked, path: Path) -> None:
    for finding in done.findings[:_TOLD]:
        typer.echo(str(finding))
    if len(done.findings) > _TOLD:
        typer.echo(f"and {len(done.findings) - _TOLD:,} more")
    typer.echo(
        f"{done.replies:,} replies to {done.requests:,} requests checked,"
        f" {len(done.findings):,} findings, {done.quarantined:,} replies moved to quarantine,"
        f" {done.removed:,} requests removed"
    )
    if done.alone:
        typer.echo(f"{done.alone:,} replies have no request: they are used, but not exported")
    if done.structure:
        typer.echo(
            "the file itself is damaged and was left as it is:"
            f" `archon pool import {path} --pool NEW.db` saves what can be read"
        )


def prune(
    model: Annotated[str | None, typer.Option("--model", help="Replies of this model.")] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="Such as 30d, 12h, 2w.")
    ] = None,
    keep_runs: Annotated[
        int, typer.Option("--keep-runs", min=0, help="Keep what the newest so many runs paid for.")
    ] = 0,
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Damaged replies in quarantine.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: DryRun = False,
    given: pool_files.PoolFile = None,
    as_json: common.AsJson = False,
) -> None:
    """Take out replies by model and age, or those in quarantine; what was paid stays known.

    A reply goes if --model, --older-than and --keep-runs all apply to it, as far as they are
    given. It is paid for again when it is needed.
    """
    from archon import upkeep

    which = _which(model, older_than, keep_runs, quarantine)
    path = pool_files.needed(given)
    with upkeep.reading(path) as db:
        pruned = upkeep.foresee(db, which)
    anything = bool(pruned.replies or pruned.quarantine)
    if anything and not dry_run:
        _agree(pruned, yes)
        pruned = upkeep.prune(path, which)
        _compact(path)
    if as_json:
        common.print_json({**pruned.to_json(), "dry_run": dry_run})
        return
    for name, count in pruned.models.items():
        typer.echo(f"{name or 'unknown'}: {count:,} replies")
    typer.echo(f"{'would take' if dry_run else 'took'} out {_counted(pruned)}")


def _which(model: str | None, older_than: str | None, keep_runs: int, quarantine: bool) -> Which:
    from archon.upkeep import Which

    before = None if older_than is None else time.time() - seconds_of(older_than)
    replies = model is not None or before is not None
    if not (replies or quarantine):
        raise ConfigError(
            "say what to take out: --model, --older-than or --quarantine;"
            " --older-than 0d is every reply"
        )
    return Which(model, before, keep_runs, replies, quarantine)


def _counted(pruned: Pruned) -> str:
    size = pool_files.size_words(pruned.bytes)
    damaged = f" and {pruned.quarantine:,} in quarantine" if pruned.quarantine else ""
    return f"{pruned.replies:,} replies ({size}){damaged}"


def _somebody_there() -> bool:
    """Return whether there is anybody to answer."""
    return sys.stdin.isatty()


def _agree(pruned: Pruned, yes: bool) -> None:
    """Ask, where there is somebody to answer.

    Raises:
        ConfigError: if there is nobody.
        typer.Exit: if the answer is no.
    """
    if yes:
        return
    if not _somebody_there():
        raise ConfigError(f"this would take out {_counted(pruned)}; say --yes, or --dry-run")
    for name, count in pruned.models.items():
        typer.echo(f"{name or 'unknown'}: {count:,} replies", err=True)
    if not typer.confirm(f"Take out {_counted(pruned)}?", err=True):
        typer.echo("nothing was taken out", err=True)
        raise typer.Exit(1)


def _compact(path: Path) -> None:
    from archon.upkeep import compact

    try:
        compact(path)
    except StoreError as error:  # the replies are out all the same
        typer.echo(f"archon: the file keeps its size for now: {error}", err=True)
