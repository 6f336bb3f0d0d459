"""A report: the data of it, and its page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from archon.errors import ConfigError
from archon.report.browsing import Browser, browser_of
from archon.report.comparing import Kin, kin_of, verdicts, warnings
from archon.report.page import render
from archon.report.reading import Measured, Subject, subjects
from archon.session import Session, default_session
from archon.types import Json
from archon.writing import whole_file

__all__ = ["ITEMS", "Report", "report_on", "saved", "version_of"]

ITEMS = 1000
"""Items with every candidate and note, unless told otherwise."""
_FRAME_HEIGHT = 640


def report_on(*measured: Measured, items: int = ITEMS, session: Session | None = None) -> Report:
    """Report on evaluations: compared where they measured the same items, one beside the other.

    Args:
        measured: what `archon.evaluate` returned, or the names of runs as `archon runs` lists
            them; the unique beginning of a name is enough.
        items: so many items with all candidates, those first on which runs disagree or that went
            wrong; every item is listed with its scores.
        session: whose pool holds the runs; the default one otherwise.

    Returns:
        A report: `save` writes its page, a notebook shows it.

    Raises:
        ConfigError: for a run that is not known, or that is no evaluation.
    """
    if items < 0:
        raise ConfigError(f"items must be at least 0, got {items}")
    found = subjects(measured, (session or default_session()).pool)
    kins = kin_of(found)
    return Report(tuple(kins), browser_of(kins, items))


def saved(html: str, path: str | Path) -> Path:
    """Write a page, whole or not at all.

    Raises:
        ConfigError: when the file cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise ConfigError("is a folder; name a file, such as report.html", where=str(path))
    with whole_file(path) as file:
        file.write(html.encode())
    return path


def version_of() -> str:
    """Return archon's version."""
    try:
        return version("archon-itas")
    except PackageNotFoundError:  # run from a tree that was never installed
        return "unknown"


@dataclass(frozen=True, eq=False)
class Report:
    """A report on evaluations.

    Attributes:
        kins: the evaluations, by what they measured.
        browser: their items.
        made: when, in seconds since 1970.
        version: of archon.
    """

    kins: tuple[Kin, ...]
    browser: Browser = field(repr=False)
    made: float = field(default_factory=time.time)
    version: str = field(default_factory=version_of)

    @property
    def subjects(self) -> Sequence[Subject]:
        """All evaluations, in the order in which the tables show them."""
        return [subject for kin in self.kins for subject in kin.subjects]

    @cached_property
    def html(self) -> str:
        """The whole page."""
        return render(self, browser=True)

    def save(self, path: str | Path = "report.html") -> Path:
        """Write the page, whole or not at all.

        Raises:
            ConfigError: when the file cannot be written.
        """
        return saved(self.html, path)

    def to_json(self) -> Json:
        """Return what the page says as plain data."""
        return {
            "archon": self.version,
            "made": self.made,
            "warnings": warnings(self.kins),
            "sets": [_kin_json(kin) for kin in self.kins],
            "nodes": {
                subject.label: {path: _node_json(cost) for path, cost in nodes.items()}
                for subject, nodes in zip(self.subjects, self.browser.nodes, strict=True)
            },
            "items": {
                "total": self.browser.total,
                "listed": self.browser.listed,
                "detailed": self.browser.detailed,
                "list": self.browser.to_json(),
            },
        }

    def _repr_html_(self) -> str:
        """Show the page without its items in a frame, which keeps its style to itself."""
        page = escape(render(self, browser=False), quote=True)
        return (
            f'<iframe title="archon report" sandbox="allow-scripts" srcdoc="{page}" width="100%"'
            f' height="{_FRAME_HEIGHT}"></iframe>'
        )


def _kin_json(kin: Kin) -> Json:
    return {
        "benchmark": kin.first.benchmark,
        "benchmark_digest": kin.first.benchmark_digest,
        "split": kin.first.split,
        "verdicts": [asdict(verdict) for verdict in verdicts(kin)],
        "pairwise": kin.pairwise.to_json(),
        "runs": [
            {
                **subject.evaluation.to_json(rows=False),
                "label": subject.label,
                "status": subject.status,
                "started": subject.started,
                "ended": subject.ended,
            }
            for subject in kin.subjects
        ],
    }


def _node_json(cost: Json) -> Json:
    return {
        "kind": cost.kind, "items": cost.items, "used": cost.used.to_json(),
        "unparsed": cost.unparsed, "errors": cost.errors,
    }  # fmt: skip
