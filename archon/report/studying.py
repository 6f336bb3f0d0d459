"""A report on a study: the data of it, and its page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from html import escape
from pathlib import Path

from archon.errors import ConfigError
from archon.redaction import redact
from archon.report.building import saved, version_of
from archon.report.shell import filled
from archon.report.study_view import view_of_study
from archon.report.study_words import sayings, sharing, warnings
from archon.report.trimming import tidy
from archon.report.wording import when
from archon.search.insight import Insight
from archon.search.record import Record, find_study, no_study, read_record, record_of
from archon.search.study import Study
from archon.types import Json

__all__ = ["StudyReport", "report_on_study"]

_FRAME_HEIGHT = 640


def report_on_study(study: Study | str | Path) -> StudyReport:
    """Report on a study: what it found, what it cost, and what it shows about techniques.

    Args:
        study: what `archon.optimize` returned, the name of a study, or its folder. One that has
            not ended is reported as it was last recorded.

    Returns:
        A report: `save` writes its page, a notebook shows it.

    Raises:
        ConfigError: for a study that is not known, or whose record cannot be read.
    """
    if isinstance(study, Study):
        return StudyReport(record_of(study))
    folder = find_study(str(study))
    if folder is None:
        raise ConfigError(f"no study {str(study)!r}{no_study(str(study))}")
    return StudyReport(read_record(folder))


@dataclass(frozen=True, eq=False)
class StudyReport:
    """A report on a study.

    Attributes:
        record: the study's.
    """

    record: Record

    @cached_property
    def insight(self) -> Insight:
        """What the record shows beside the winner."""
        return Insight(self.record)

    @cached_property
    def html(self) -> str:
        """The whole page."""
        import time

        return filled(
            "study.html.jinja", title=f"Study {self.record.name}", made=when(time.time()),
            version=version_of(), view=view_of_study(self.insight),
        )  # fmt: skip

    def save(self, path: str | Path = "report.html") -> Path:
        """Write the page, whole or not at all.

        Raises:
            ConfigError: when the file cannot be written.
        """
        return saved(self.html, path)

    def to_json(self) -> Json:
        """Return what the page says as plain data; single scores of items are left out."""
        insight = self.insight
        found: Json = {
            "archon": version_of(),
            "verdict": [saying.text for saying in sayings(self.record)],
            "warnings": warnings(insight),
            "sharing": sharing(self.record),
            "importance": [asdict(share) for share in insight.importances],
            "effects": [asdict(effect) for effect in insight.effects],
            "interactions": [asdict(effect) for effect in insight.interactions],
            "study": self.record.model_dump(mode="json", exclude={"scores", "scored"}),
        }
        return _redacted(tidy(found))

    def _repr_html_(self) -> str:
        """Show the page in a frame, which keeps its style to itself."""
        return (
            f'<iframe title="archon report" sandbox="allow-scripts"'
            f' srcdoc="{escape(self.html, quote=True)}" width="100%"'
            f' height="{_FRAME_HEIGHT}"></iframe>'
        )


def _redacted(value: Json) -> Json:
    """Return JSON data without API keys in its texts."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _redacted(part) for name, part in value.items()}
    return [_redacted(part) for part in value] if isinstance(value, list) else value
