"""The page of evaluations: what stands where, and what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from markupsafe import Markup

from archon.report.browsing import FLAGS, Browser
from archon.report.comparing import Kin, verdicts, warnings
from archon.report.reading import Subject
from archon.report.shell import filled
from archon.report.view import view_of
from archon.report.wording import count, when

__all__ = ["render"]

_SAID_AT_ONCE = 10
"""Verdicts that stand open; the rest unfolds."""


class Content(Protocol):
    """What a page shows: `archon.report.Report`."""

    @property
    def kins(self) -> Sequence[Kin]:
        """The evaluations, by what they measured."""

    @property
    def browser(self) -> Browser:
        """Their items."""

    @property
    def made(self) -> float:
        """When, in seconds since 1970."""

    @property
    def version(self) -> str:
        """Of archon."""

    @property
    def subjects(self) -> Sequence[Subject]:
        """All evaluations, in the order of the tables."""


def render(report: Content, *, browser: bool) -> str:
    """Return the page.

    Args:
        report: what it is on.
        browser: with the item browser and its data; without, the tables and charts alone.
    """
    index, parts = report.browser.packed() if browser else ("", ())
    kins = report.kins
    ends = [0]
    for kin in kins:
        ends.append(ends[-1] + len(kin.subjects))
    nodes = report.browser.nodes
    return filled(
        "page.html.jinja",
        ["page.js", *(["items.js", "details.js"] if browser else [])],
        title=_title(report),
        views=[view_of(kin, nodes[ends[n] : ends[n + 1]]) for n, kin in enumerate(kins)],
        verdicts=[verdicts(kin) for kin in kins],
        at_once=_SAID_AT_ONCE,
        warnings=warnings(kins),
        version=report.version,
        made=when(report.made),
        browser=browser and report.browser.total > 0,
        flags=FLAGS,
        index=Markup(index),  # noqa: S704 (base64)
        parts=list(map(Markup, parts)),
        left_out=_left_out(report),
        total=report.browser.total,
        labels=[subject.label for subject in report.subjects],
    )


def _title(report: Content) -> str:
    return "; ".join(dict.fromkeys(kin.name for kin in report.kins))


def _left_out(report: Content) -> list[str]:
    """Return what of the items is not in the page, in sentences."""
    found = report.browser
    said = [
        f"{subject.label} was measured without trails: its candidates were not kept."
        for subject, nodes in zip(report.subjects, found.nodes, strict=True)
        if subject.pool is not None and subject.evaluation.rows and not nodes
    ]
    if found.listed < found.total:
        some = f"{found.listed:,} of {count(found.total, 'item')}"
        said.append(f"The list holds {some}, first those with disagreement or a wrong answer.")
    if found.detailed < found.listed:
        some = f"{found.detailed:,} of {count(found.listed, 'item')}"
        said.append(
            f"Candidates and notes of {some} are in this page, those on which runs disagree or"
            " that went wrong first. More: archon report --items N."
        )
    return said
