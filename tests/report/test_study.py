"""The page of a study as a text: what it claims, leaves out, and does not let in."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archon.errors import ConfigError
from archon.report import StudyReport, report_on_study
from archon.search import importance
from archon.search.record import Record, keep_record, record_of
from tests.report.studied import Studied, contender
from tests.report.test_page import NASTY, Reader

NO_SCORES = record_of(Studied(arms=()).make()).scores
FOUND: dict[str, Any] = {
    "stage": "confirmed", "looks": 2, "cut_short": "",
    "winner": contender("fused", 0.8, 0.7, 0.87),
    "front": [contender("fused", 0.8, 0.7, 0.87)],
    "finalists": [contender("fused", 0.9, 0.8, 0.95, 60), contender("voted", 0.85, 0.7, 0.9, 60)],
    "baselines": [contender("the best single model", 0.6, 0.5, 0.7)],
    "verdict": {
        "level": 0.025, "better": True, "said": "the winner is better than every baseline",
        "claims": [
            {"baseline": "the best single model", "difference": 0.2, "low": 0.1, "high": 0.3,
             "p": 0.0004, "n": 90}
        ],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def record() -> Record:
    """A study whose arms with an even row saw few items; two trials failed."""
    failed = {30: "the scorer gave nan", 31: "the scorer gave nan"}
    seen = Studied(seen=lambda row: 180 if row % 2 else 20, failed=failed).make()
    return record_of(seen).model_copy(update={"found": FOUND})


@pytest.fixture(scope="module")
def report(record: Record) -> StudyReport:
    return StudyReport(record)


@pytest.fixture(autouse=True, scope="module")
def _quick() -> Iterator[None]:
    """Work importances out from few half samples: only their place on the page matters here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importance, "HALVES", 2)
        patch.setattr(importance, "SHUFFLES", 1)
        yield


def changed(record: Record, **fields: Any) -> StudyReport:
    """Report on a record that differs, and that keeps no scores of single items."""
    return StudyReport(record.model_copy(update={"scored": (), "scores": NO_SCORES} | fields))


def text_of(report: StudyReport) -> str:
    return " ".join(" ".join(Reader(report.html).text).split())


def test_the_claim_and_what_to_know_before_relying_on_it(report: StudyReport) -> None:
    text = text_of(report)
    for part in (
        "The winner is better than every baseline.",
        "The winner fused scores 80.0 % (70.0 to 87.0) on 90 items, items that took no part",
        "looked at 2 times on this benchmark, this study included; the tests were made at the"
        " level 0.025",
        "had been looked at before",
        "the winner scored 10.0 points more than on test items: the best of 2 is partly luck",
    ):
        assert part in text, part
    assert '<li class="claim">The winner is better' in report.html
    row = next(
        c for c in Reader(report.html).cells if c[0] == "the best single model" and len(c) == 5
    )
    assert row[1:] == ["+20.0 10.0 to 30.0", "0.0004", "90", "▲ better"]


def test_nothing_is_claimed_before_confirm(record: Record) -> None:
    page = changed(record, found=None, ended="")
    text = text_of(page)
    best = record.standings[0]
    assert 'class="claim"' not in page.html
    assert "Nothing is claimed: no winner was confirmed" in text
    assert f"architecture #{best.arm}, posterior mean of score {100 * best.mean:.1f} %" in text
    assert "This study has not ended: it goes on, or was killed." in text


def test_money_and_sharing(report: StudyReport, record: Record) -> None:
    # 10,000 calls allowed, 3,200 spent, 30 % in reserve; alone they would have been 12,800.
    row = next(cells for cells in Reader(report.html).cells if cells[0] == "calls")
    assert row == ["calls", "10,000", "3,200 32.0 %", "6,800", "3,000"]
    text = text_of(report)
    assert "would have cost 12,800 calls, 4.0 times as many; the search newly paid 3,200." in text
    assert "The study had no limit." in text_of(changed(record, budget={}))
    assert "The search newly paid none" in text_of(changed(record, history=()))


def test_the_curve_is_that_of_the_recommended_architecture(
    report: StudyReport, record: Record
) -> None:
    rounds = [cells for cells in Reader(report.html).cells if cells[0].startswith("round ")]
    assert len(rounds) == len(record.history) == 4
    for cells, said in zip(rounds, record.history, strict=True):
        assert cells[1] == f"{said.calls:,}"
        assert cells[4] == f"#{said.arm}"
        assert cells[6].startswith(f"{100 * said.mean:.1f} % ")
    first, last = record.history[0], record.history[-1]
    assert (
        f"After {first.calls:,} paid calls the recommended architecture had a posterior mean of"
        f" {100 * first.mean:.1f} %, after {last.calls:,} paid calls {100 * last.mean:.1f} %"
    ) in text_of(report)
    highest = max(arm.values["score"] or 0 for arm in record.arms)
    assert highest > record.history[-1].mean  # the luckiest of them is above what is believed


def test_arms_on_few_items_say_so(report: StudyReport, record: Record) -> None:
    cells = {c[0]: c for c in Reader(report.html).cells if c[0].startswith("#") and len(c) == 9}
    assert len(cells) == 30
    for arm in record.arms:
        row = cells[f"#{arm.row}"]
        assert row[4] == str(20 if arm.row % 2 == 0 else 180)
        assert ("few items" in row[3]) == (arm.row % 2 == 0)
        assert row[8] == arm.digest
    order = [
        int(c[0][1:]) for c in Reader(report.html).cells if c[0].startswith("#") and len(c) == 9
    ]
    assert order == [stood.arm for stood in record.standings]
    assert any("out of the race" in row[2] for row in cells.values())


def test_techniques_by_group(report: StudyReport) -> None:
    cells = Reader(report.html).cells
    head = next(c for c in cells if c[0] == "technique, model")
    assert head == ["technique, model", "all items", "algebra", "geometry", "number theory"]
    critique = next(c for c in cells if c[0] == "critique" and len(c) == 5)
    assert "▲ helps" in critique[2]
    assert "60 items" in critique[2]
    assert "not distinguishable" in critique[3]
    shares = next(c for c in cells if c[0] == "critique" and len(c) == 4)
    assert re.match(r"[\d.]+ % [\d.]+ to [\d.]+$", shares[1])


def test_failures_are_counted_by_reason(report: StudyReport) -> None:
    row = next(c for c in Reader(report.html).cells if c[0] == "the scorer gave nan")
    assert row[1:] == ["2", "#30, #31"]
    assert "2 trials of 32" not in text_of(report)  # below a tenth


def test_the_winner_can_be_seen_and_saved(report: StudyReport, record: Record) -> None:
    assert f'aria-label="Picture of {record.best["name"] or "the best"}"' in report.html
    assert record.best["yaml"].strip() in "".join(Reader(report.html).text)


def test_the_data_says_what_the_page_says(report: StudyReport, record: Record) -> None:
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert found["verdict"][0] == "The winner is better than every baseline."
    assert len(found["study"]["arms"]) == 30
    assert "scores" not in found["study"]
    helped = [e for e in found["effects"] if e["said"] == "helps"]
    assert ("critique", "algebra") in {(e["name"], e["group"]) for e in helped}
    assert {share["hole"] for share in found["importance"]} == {
        "samples", "writer", "critique", "end",
    }  # fmt: skip
    assert all(share["low"] <= share["share"] <= share["high"] for share in found["importance"])


def nothing(**fields: Any) -> Any:
    return {"trials": (), "arms": (), "standings": (), "front": (), "found": None, "best": {},
            "history": (), **fields}  # fmt: skip


def test_a_study_without_a_trial(record: Record) -> None:
    text = text_of(changed(record, **nothing(ended="")))
    assert "Nothing was measured: no trial has ended." in text
    assert "do not differ in techniques" in text
    assert "Too few architectures were measured" in text


def test_a_study_in_which_all_failed() -> None:
    failed = dict.fromkeys(range(6), "no key <b>")
    report = report_on_study(
        Studied(arms=range(6), failed=failed, ended="all trials failed").make()
    )
    text = text_of(report)
    assert "Nothing was measured: all 6 trials failed." in text
    assert "no key <b>" in text
    assert "6 trials of 6 failed" in text


def test_a_study_of_one_architecture() -> None:
    text = text_of(report_on_study(Studied(arms=[4]).make()))
    assert "Recommended so far: architecture #4" in text
    assert "do not differ" in text


@pytest.mark.parametrize("objectives", [("score", "calls"), ("calls", "score")])
def test_two_objectives(objectives: tuple[str, ...]) -> None:
    report = report_on_study(Studied(arms=range(0, 32, 2), objectives=objectives).make())
    text = text_of(report)
    assert f"Sought {', '.join(objectives)}" in text
    assert "On the front, by rising cost: #" in text
    if objectives[0] == "calls":
        # A cost is kept as a negative merit and told as the cost that it is.
        best = report.record.standings[0]
        assert f"posterior mean of calls {-best.mean:,.4g} (95 %" in text
        assert "\N{MINUS SIGN}" not in text.split("Score against cost")[0]


def test_five_thousand_architectures_in_a_page_of_bounded_size(record: Record) -> None:
    base = record.arms[0]
    arms = tuple(
        base.model_copy(
            update={"row": n, "digest": f"{n:016x}", "codes": record.arms[n % 30].codes}
        )
        for n in range(5000)
    )
    stood = tuple(
        record.standings[0].model_copy(update={"arm": n, "mean": 0.9 - n / 1e4})
        for n in range(5000)
    )
    failed = [t for t in record.trials if t.state == "failed"]
    trials = tuple(
        failed[0].model_copy(update={"number": n, "reason": f"reason {n} " + "x" * 5000})
        for n in range(5000)
    )
    big = changed(record, arms=arms, standings=stood, trials=trials, front=tuple(range(1000)))
    text = text_of(big)
    assert len(big.html) < 700_000
    assert "4,800 of 5,000 architectures left out" in text
    assert "150 of 5,000 architectures are drawn" in text
    assert "300 of 5,000 architectures are drawn" in text
    assert "4,950 rarer reasons left out" in text
    drawn = re.findall(r'<path class="line[^"]*" d="[^"]*"><title>#(\d+):', big.html)
    assert {str(n) for n in range(75)} < set(drawn)  # the best half of what is drawn
    assert "4999" in drawn  # and the worst


def test_nothing_of_a_stranger_becomes_markup(record: Record) -> None:
    nasty = " ".join(NASTY)
    holes = tuple(
        hole.model_copy(
            update={"name": f"{hole.name} {nasty}", "levels": (nasty,) * len(hole.levels)}
        )
        for hole in record.holes
    )
    found = json.loads(json.dumps(FOUND))
    found["winner"]["name"] = found["finalists"][0]["note"] = found["verdict"]["said"] = nasty
    arms = tuple(
        arm.model_copy(update={"layers": (*arm.layers, *[nasty] * (arm.row % 2))})
        for arm in record.arms[:12]
    )
    page = changed(
        record, name=nasty, holes=holes, found=found, notes=(nasty,), settings={"benchmark": {
            "name": nasty}}, best={"name": nasty, "digest": nasty, "yaml": f"name: x # {nasty!r}"},
        trials=tuple(t.model_copy(update={"reason": nasty}) for t in record.trials),
        ended=nasty, arms=arms, scored=tuple(range(12)),
        scores=record_of(Studied(arms=range(12)).make()).scores,
    ).html  # fmt: skip
    reader = Reader(page)
    assert page.count("<script") == 1
    assert not {"img", "b"} & {tag for tag, _ in reader.tags}
    for _, attributes in reader.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert not (attributes.get("src") or attributes.get("href") or "").startswith("java")
    for bad in ("\x1b", "\x00", "\u202e"):
        assert bad not in page


def test_the_policy_and_what_is_asked_for(report: StudyReport) -> None:
    page = report.html
    [content] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    policy = {p.split()[0]: p.split()[1:] for p in content.replace("&#39;", "'").split("; ")}

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert policy["default-src"] == ["'none'"]
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        assert policy[name] == [digest(text) for text in texts]
        assert len(texts) == 1
    outside = [a for _, a in Reader(page).tags if (a.get("src") or a.get("href") or "#")[0] != "#"]
    assert outside == [{"rel": "icon", "href": "data:,"}]
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)


def test_the_page_is_written_whole_and_shown_in_a_notebook(record: Record, tmp_path: Path) -> None:
    report = changed(record)
    keep_record(tmp_path, report.record)
    path = report_on_study(tmp_path).save(tmp_path / "r.html")
    made = re.compile("Written [^<]*")
    assert made.sub("", path.read_text()) == made.sub("", report.html)
    assert report._repr_html_().startswith('<iframe title="archon report" sandbox="allow-scripts"')
    with pytest.raises(ConfigError, match="is a folder"):
        report.save(tmp_path)
    with pytest.raises(ConfigError, match="no study 'nowhere'"):
        report_on_study("nowhere")


def test_what_a_key_would_be_is_taken_out(record: Record) -> None:
    key = "sk-" + "a1B2c3D4" * 5
    yaml = f"models: {{m: {{model: openai/x, api_key: {key}}}}}\nstages: [generate: {{model: m}}]\n"
    page = changed(record, best={"name": "x", "digest": "d", "yaml": yaml})
    assert key not in page.html
    assert key not in json.dumps(page.to_json())


def test_an_unranked_record_still_reports(record: Record) -> None:
    # A searcher of a stranger's may recommend nothing.
    text = text_of(changed(record, standings=(), found=None, history=()))
    assert "30 of 30 architectures" not in text
    assert "Architectures by posterior mean" in text
