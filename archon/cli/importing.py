"""`archon import`: architectures of the original Archon as YAML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archon.cli import common
from archon.errors import ConfigError

if TYPE_CHECKING:
    from archon.original import Choices, Imported, ImportedSearch
    from archon.original.folders import Tried
    from archon.types import Json

__all__ = ["import_"]


def import_(
    path: Annotated[
        Path,
        typer.Argument(help="A JSON file of the original Archon, or a folder of them."),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write YAML files into this folder.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what an import would give; write nothing.")
    ] = False,
    models: Annotated[
        Path | None,
        typer.Option(metavar="MAP", help="A YAML file with models to use in place of others."),
    ] = None,
    all_models: Annotated[
        str, typer.Option(metavar="NAME", help="One model in place of every other.")
    ] = "",
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Leave retired models as they are.")
    ] = False,
    intended: Annotated[
        bool,
        typer.Option(
            "--intended", help="Do what the authors evidently meant, where the original does not."
        ),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Mend broken JSON where only one change is plausible."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that are there and differ.")
    ] = False,
    as_json: common.AsJson = False,
) -> None:
    """Turn architectures and search configurations of the original Archon into YAML.

    One file goes to stdout unless --out names a folder. In a folder every JSON file is tried;
    what cannot be imported is listed at the end, and the exit code is 2.
    """
    from archon.original import Choices

    choices = Choices(_map(models), all_models, keep_models, intended, repair)
    if not path.exists():
        raise ConfigError("no such file or folder", where=str(path))
    if check and out is not None:
        raise ConfigError("--check writes nothing: leave out --out, or --check")
    target = None if out is None else _Target(out, path, force)
    if path.is_dir():
        if target is None and not check:
            raise ConfigError("a folder needs --out DIR for the YAML files, or --check")
        tried = _folder(path, choices, target)
    else:
        tried = _file(path, choices, target)
    _tell_unused(choices, tried)
    if as_json:
        common.print_json(_data(tried, target))
    elif path.is_dir():
        _print_folder(path, tried)
    else:
        _print_file(path, tried, target, check)
    if tried.failed:
        raise typer.Exit(2)


class _Target:
    """The folder that YAML files go to."""

    def __init__(self, out: Path, path: Path, force: bool) -> None:
        if out.exists() and not out.is_dir():
            raise ConfigError("--out names a folder, and this is a file", where=str(out))
        self.out, self.force = out, force
        self.folder = path if path.is_dir() else path.parent
        self.written: dict[Path, Path] = {}

    def keep(self, path: Path, imported: Imported | ImportedSearch) -> None:
        """Write one import; a file that says the same already stays as it is.

        Raises:
            ConfigError: when another file is there, or it cannot be written.
        """
        from archon.original.folders import yaml_path
        from archon.writing import whole_file

        file = yaml_path(path, self.folder, self.out)
        text = imported.yaml.encode()
        if file in self.written.values():
            raise ConfigError(f"{file} was written for another file", where=str(path))
        if file.exists() and not self.force and file.read_bytes() != text:
            raise ConfigError("another file is there already; --force replaces it", where=str(file))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(str(error.strerror).lower(), where=str(file.parent)) from None
        with whole_file(file) as out:
            out.write(text)
        self.written[path] = file


def _map(path: Path | None) -> dict[str, Json]:
    from archon.config import read_yaml

    if path is None:
        return {}
    data = read_yaml(path).data
    if not isinstance(data, dict):
        raise ConfigError(
            "a map of models is written `old-name: new-name`, one line each", where=str(path)
        )
    return {str(name): other for name, other in data.items()}


def _file(path: Path, choices: Choices, target: _Target | None) -> Tried:
    from archon.original import import_document, read_document
    from archon.original.folders import try_all

    tried = try_all([path], choices, target.keep if target else _keep_nothing)
    for error in tried.failed.values():
        raise error
    if tried.skipped:
        import_document(read_document(path)[0])  # says what it should be
    return tried


def _keep_nothing(path: Path, imported: Imported | ImportedSearch) -> None:
    """Write nothing."""


def _folder(path: Path, choices: Choices, target: _Target | None) -> Tried:
    import sys

    from rich.progress import track

    from archon.original.folders import json_files, try_all

    files = json_files(path)
    if not files:
        raise ConfigError("there are no JSON files in this folder", where=str(path))
    shown: Iterable[Path] = files
    if sys.stderr.isatty():
        shown = track(files, "importing", console=common.console(err=True), transient=True)
    tried = try_all(shown, choices, target.keep if target else _keep_nothing)
    if not tried.imported and not tried.searches and not tried.failed:
        raise ConfigError(
            f"none of {len(files)} JSON files is an architecture of the original"
            " (none has `layers`)", where=str(path),
        )  # fmt: skip
    return tried


def _tell_unused(choices: Choices, tried: Tried) -> None:
    known = {name for imported in tried.imported.values() for name in imported.known}
    for name in choices.models:
        if name not in known:
            typer.echo(f"archon: --models: {name!r} is in none of these files", err=True)


def _data(tried: Tried, target: _Target | None) -> Json:
    written = target.written if target else {}
    imported = [
        {**one.to_json(), "written": str(written[path]) if path in written else None}
        for path, one in tried.imported.items()
    ]
    searches = [
        {**found.to_json(), "written": str(written[path]) if path in written else None}
        for path, found in tried.searches.items()
    ]
    failed = [{"file": str(path), "error": str(error)} for path, error in tried.failed.items()]
    skipped = [str(path) for path in tried.skipped]
    return {"imported": imported, "searches": searches, "failed": failed, "skipped": skipped}


def _print_file(path: Path, tried: Tried, target: _Target | None, check: bool) -> None:
    imported: Imported | ImportedSearch = tried.imported.get(path) or tried.searches[path]
    for remark in imported.remarks:
        typer.echo(f"archon: {path}: {remark}", err=True)
    if target is not None:
        typer.echo(f"archon: wrote {target.written[path]}", err=True)
    elif check:
        _print_table(tried.imported.values(), path.parent)
        if tried.searches:
            typer.echo(f"{path}: a search configuration, which imports")
    else:
        typer.echo(imported.yaml, nl=False)


def _print_folder(path: Path, tried: Tried) -> None:
    _print_table(tried.imported.values(), path)
    for text, count in _common_remarks(tried.imported.values()).most_common():
        files = "1 file" if count == 1 else f"{count} files"
        typer.echo(f"archon: {files}: {text}", err=True)
    for file, found in tried.searches.items():
        for remark in found.remarks:
            typer.echo(f"archon: {file}: {remark}", err=True)
    for error in tried.failed.values():
        typer.echo(f"archon: {error}", err=True)
    for skipped in tried.skipped:
        typer.echo(f"archon: {skipped}: skipped, it has no `layers`", err=True)
    counts = {
        "imported": len(tried.imported),
        "search configurations imported": len(tried.searches),
        "failed": len(tried.failed),
        "skipped": len(tried.skipped),
    }
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    typer.echo(f"archon: {said}", err=True)


def _common_remarks(imports: Iterable[Imported]) -> Counter[str]:
    """Return in how many files each thing was remarked; stand-ins one by one."""
    from archon.original.translating import RETIRED_REMARK

    texts: Counter[str] = Counter()
    for imported in imports:
        said = {remark.partition(": ")[2] for remark in imported.remarks}
        texts.update(text for text in said if not text.startswith(RETIRED_REMARK))
        texts.update(f"{old} is retired -> {new}" for old, new in imported.retired.items())
    return texts


def _print_table(imports: Collection[Imported], folder: Path) -> None:
    if not imports:
        return
    table = common.table("file", "name", "layers", "digest", "calls", "remarks", left=4)
    for imported in imports:
        architecture = imported.architecture
        table.add_row(
            Path(imported.file).relative_to(folder).as_posix(), architecture.name, imported.shape,
            architecture.digest(), common.amount(architecture.bound().calls),
            common.amount(len(imported.remarks)),
        )  # fmt: skip
    common.console().print(table, markup=False)
