"""One HTML page on evaluations, with every item to look at, or on a study.

A page says what was measured and what can be claimed. It is a single file that asks nothing of the
network and shows nothing of what models wrote except as text. Its tables and charts need no script.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archon.report.building import Report, report_on

if TYPE_CHECKING:
    from archon.report.studying import StudyReport, report_on_study

__all__ = ["Report", "StudyReport", "report_on", "report_on_study"]


def __getattr__(name: str) -> object:
    # A report on evaluations needs nothing of the search.
    if name in ("StudyReport", "report_on_study"):
        from archon.report import studying

        return getattr(studying, name)
    raise AttributeError(f"module 'archon.report' has no attribute {name!r}")
