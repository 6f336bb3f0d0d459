"""The page of a study in a real browser; skipped where no Chromium is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archon.report import report_on_study
from archon.search import importance
from tests.report.chromium import Chromium, Page
from tests.report.studied import Studied
from tests.report.test_browser import CHECK
from tests.report.test_study import FOUND


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A page on a study of 32 architectures, half of them on few items."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importance, "HALVES", 2)
        patch.setattr(importance, "SHUFFLES", 1)
        yield _page(tmp_path_factory.mktemp("study") / "study.html")


def _page(path: Path) -> Path:
    made = Studied(seen=lambda row: 180 if row % 2 else 20, failed={9: "no answer at all"}).make()
    report = report_on_study(made)
    report = type(report)(report.record.model_copy(update={"found": FOUND}))
    return report.save(path)


@pytest.fixture
def page(browser: Chromium, study: Path) -> Iterator[Page]:
    made = browser.open(study)
    yield made
    assert made.errors == []
    assert [a for a in made.requests if not a.startswith("data:")] == [study.as_uri()]
    made.close()


def test_its_tables_sort(page: Page) -> None:
    table = "[...document.querySelectorAll('table')].find(t => t.caption.textContent ==="
    table += " 'Architectures by posterior mean')"
    column = f"[...{table}.querySelectorAll('tbody tr')].map(r => Number(r.cells[4].dataset.sort))"
    before = page(column)
    page(f"[...{table}.querySelectorAll('thead button')][4].click()")
    assert page(column) == sorted(before, reverse=True)
    assert before != sorted(before, reverse=True)


def test_every_cost_has_its_chart(page: Page) -> None:
    shown = "[...document.querySelectorAll('#front figure')].filter(f => f.checkVisibility())"
    assert page(f"{shown}.map(f => f.className)") == ["calls"]
    page("document.getElementById('unit-front-usd').click()")
    assert page(f"{shown}.map(f => f.className)") == ["usd"]
    assert page("document.querySelectorAll('svg.parallel path.line.best').length") == 10
    dashed = "getComputedStyle(document.querySelector('svg.parallel path.faint')).strokeDasharray"
    assert page(dashed) != "none"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nobody_is_shut_out(browser: Chromium, study: Path, dark: bool, width: int) -> None:
    page = browser.open(study, dark=dark, width=width)
    page("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    result = page(CHECK)
    assert result["found"] == []
    assert result["texts"] > 200
    assert page("document.scrollingElement.scrollWidth") <= width
    page.close()
