"""What decides a study, kept beside it: who resumes it with other settings is told which differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archon.errors import ConfigError, StoreError
from archon.plain import canonical
from archon.search.files import SearchFile
from archon.search.parts import Parts
from archon.types import Json
from archon.writing import whole_file

__all__ = ["keep_settings", "read_settings", "settings_of"]

FILE = "study.json"


def settings_of(
    search: SearchFile,
    *,
    benchmark: str,
    parts: Parts,
    space: str,
    guests: Sequence[str],
    searcher: Json,
) -> dict[str, Json]:
    """Return everything that decides what a study does, as JSON.

    Money and pace are not among it: a study goes on with a larger budget or more trials at once.

    Args:
        search: what the study was told.
        benchmark: the benchmark's digest.
        parts: its items.
        space: digest of the space.
        guests: digests of the seeds that are not of the space.
        searcher: its name and settings.
    """
    return {
        "seed": search.seed,
        "searcher": searcher,
        "objective": list(search.objective),
        "limits": search.limits.model_dump(mode="json", exclude_none=True),
        "seeds": list(search.seeds),
        "seeds_outside": list(guests),
        "all_draws": search.all_draws,
        "power_ranking": {k: v.model_dump(mode="json") for k, v in search.power_ranking.items()},
        "benchmark": {"name": search.benchmark.name, "digest": benchmark,
                      "options": {k: str(v) for k, v in search.benchmark.options.items()}},
        "items": {**parts.sizes(), "dev_digest": parts.dev.digest(),
                  "printed_digest": parts.printed.digest()},
        "space": space,
    }  # fmt: skip


def keep_settings(folder: Path, settings: dict[str, Json], about: dict[str, Json]) -> bool:
    """Write a new study's settings, or compare those of an old one; return whether it is new.

    Args:
        folder: the study's.
        settings: what must not differ.
        about: what may: versions, the file it was read from.

    Raises:
        ConfigError: naming the first setting that differs, with both values.
    """
    path = folder / FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with whole_file(path, private=True) as out:
            text = json.dumps({"settings": settings, "about": about}, indent=2) + "\n"
            out.write(text.encode())
        return True
    old = read_settings(folder)
    for name, value in _flat(settings).items():
        before = _flat(old).get(name, "nothing")
        if before != value:
            raise ConfigError(
                f"the study {folder.name!r} was begun with {name} {before}, now it is {value}; give"
                " the new one a name of its own (--name), or take back the change",
                where=str(path),
            )
    return False


def read_settings(folder: Path) -> dict[str, Any]:
    """Return a study's settings.

    Raises:
        StoreError: when the file cannot be read.
    """
    try:
        found: dict[str, Any] = json.loads((folder / FILE).read_bytes())["settings"]
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"{folder / FILE}: cannot be read ({error})") from None
    return found


def _flat(value: Json, path: str = "") -> dict[str, str]:
    """Return every leaf as text under its path."""
    if isinstance(value, dict) and value:
        made: dict[str, str] = {}
        for name, part in value.items():
            made |= _flat(part, f"{path}.{name}" if path else str(name))
        return made
    return {path: canonical(value)}
