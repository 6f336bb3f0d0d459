"""`archon pool export` and `import`, and what all commands of the pool share."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TypeAlias, TypeVar

import typer

from archon.cli import common
from archon.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from archon.upkeep import Export, Imported

__all__ = ["PoolFile", "export", "import_", "located", "needed", "size_words", "there", "watching"]

T = TypeVar("T")
_TOLD = 20
"""Refused lines that are shown one by one."""

PoolFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--pool", metavar="FILE", help="Another pool than the one in ARCHON_HOME."),
]


def located(given: Path | None) -> Path:
    """Return the pool's file, the one in `ARCHON_HOME` if none is given.

    Raises:
        ConfigError: for a name that SQLite cannot take.
    """
    from archon.store import home

    path = home() / "pool.db" if given is None else given
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ConfigError(f"the name of a pool must be UTF-8, got {str(path)!r}") from None
    return path


def there(path: Path) -> bool:
    """Return whether there is a pool, and say so if not."""
    if not path.exists():
        typer.echo(f"there is no pool yet at {path}", err=True)
        return False
    if not path.is_file():
        raise ConfigError("not a file", where=str(path))
    return True


def needed(given: Path | None) -> Path:
    """Return the pool's file, which must be there.

    Raises:
        ConfigError: if it is not and was named.
        typer.Exit: if nothing was named and there is none yet.
    """
    path = located(given)
    if given is not None and not path.exists():
        raise ConfigError("no such pool", where=str(path))
    if not there(path):
        raise typer.Exit
    return path


def size_words(size: float) -> str:
    """Return bytes for people.

    >>> size_words(0), size_words(2048), size_words(5_000_000)
    ('0 B', '2.0 kB', '5.0 MB')
    """
    if size < 1000:
        return f"{size:.0f} B"
    power = 1 if size < 1e6 else 2 if size < 1e9 else 3
    return f"{size / 1000**power:,.1f} {('kB', 'MB', 'GB')[power - 1]}"


def _seen() -> bool:
    """Return whether anybody looks at a terminal."""
    return sys.stderr.isatty()


@contextmanager
def watching() -> Iterator[Callable[[Iterable[T], int, str], Iterable[T]]]:
    """Give what passes rows on and shows on a terminal how far it is."""
    if not _seen():
        yield lambda rows, total, what: rows
        return
    from rich.progress import Progress

    with Progress(console=common.console(err=True), transient=True) as bars:
        yield lambda rows, total, what: bars.track(rows, total=total or None, description=what)


def export(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to; stdout if left out.")
    ] = None,
    model: Annotated[str, typer.Option("--model", help="Only replies of this model.")] = "",
    run: Annotated[str, typer.Option("--run", help="Only what this run paid for.")] = "",
    given: PoolFile = None,
) -> None:
    """Write replies with their requests as lines of JSON; a file is whole or not there."""
    from archon import upkeep

    path = located(given)
    if not path.is_file():
        raise ConfigError("there is no pool to export", where=str(path))
    with upkeep.reading(path) as db, _target(file) as out:
        found = upkeep.Export(db, model, run)
        _write(found, out)
    said = f"{found.lines:,} replies"
    if file is not None:
        typer.echo(f"wrote {said} to {file}", err=True)
    if found.left_out:
        raise StoreError(
            f"{path}: {found.left_out:,} replies are damaged or without their request and were left"
            " out; `archon pool verify` names them"
        )


def _write(found: Export, out: BinaryIO) -> None:
    with watching() as watch:
        for line in watch(found, found.total() + 1, "replies"):
            out.write(f"{line}\n".encode())
    out.flush()


@contextmanager
def _target(file: Path | None) -> Iterator[BinaryIO]:
    """Give a file that takes the place of another only when it is whole."""
    from archon.upkeep import is_database

    if file is None:
        yield sys.stdout.buffer
        return
    if is_database(file):
        raise ConfigError("this is a database, perhaps a pool; name another file", where=str(file))
    try:
        if file.exists() and not file.is_file():  # such as a pipe: there is nothing to replace
            with file.open("wb") as out:
                yield out
            return
        with _replacing(file.resolve()) as out:
            yield out
    except OSError as error:
        raise ConfigError((error.strerror or str(error)).lower(), where=str(file)) from None


@contextmanager
def _replacing(file: Path) -> Iterator[BinaryIO]:
    number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(number, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(file)
    except BaseException:  # Ctrl-C too: no half of a file stays
        Path(name).unlink(missing_ok=True)
        raise


def import_(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="An export, another pool.db, or - for stdin.")
    ],
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave out lines that are not right.")
    ] = False,
    given: PoolFile = None,
    as_json: common.AsJson = False,
) -> None:
    """Add replies from an export or another pool; nothing is charged.

    What is there stays. A line that is not right ends it, and then nothing is imported. Of a
    damaged pool, all that can be read is taken.
    """
    from archon import upkeep

    path = located(given)
    with _items(file) as (items, lenient), watching() as watch:
        refuse = _teller() if keep_going or lenient else _stop
        done = upkeep.import_replies(path, watch(items, 0, "replies"), refuse)
    if as_json:
        common.print_json(done.to_json())
    else:
        typer.echo(_told(done))


@contextmanager
def _items(name: str) -> Iterator[tuple[Iterable[Any], bool]]:
    """Give what stands in a file, and whether it may be damaged."""
    from archon import upkeep

    path = Path(name)
    if name == "-":
        yield upkeep.read_lines(sys.stdin.buffer, "stdin"), False
    elif upkeep.is_database(path):
        yield upkeep.read_pool(path), True
    else:
        try:
            file = path.open("rb")
        except OSError as error:
            raise ConfigError((error.strerror or str(error)).lower(), where=name) from None
        with file:
            yield upkeep.read_lines(file, name), False


def _stop(error: ConfigError) -> None:
    raise ConfigError(
        f"{error.message}; nothing was imported (--keep-going leaves such lines out)",
        where=error.where,
    )


def _teller() -> Callable[[ConfigError], None]:
    count = 0

    def tell(error: ConfigError) -> None:
        nonlocal count
        count += 1
        if count <= _TOLD:
            typer.echo(f"archon: {error}", err=True)
        elif count == _TOLD + 1:
            typer.echo("archon: and more", err=True)

    return tell


def _told(done: Imported) -> str:
    return f"{done.new:,} new replies, {done.present:,} already there, {done.refused:,} refused"
