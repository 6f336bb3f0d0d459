from __future__ import annotations

from typing import Any

from archon.layers import Best
from archon.types import Note


def test_argmax_ties_in_listing_order_and_unscored_loses(drive: Any, candidates: Any) -> None:
    scores = [None, Note("score", score=-1.0), Note("score", score=0.5), Note("score", score=0.5)]
    four = candidates("a", "b", "c", "d", notes=scores)
    assert drive(Best(), None, four).ids == ["gen:2"]
    out = drive(Best(keep=4), None, four)
    assert out.ids == ["gen:2", "gen:3", "gen:1", "gen:0"]
    assert out.warnings == ["1 of 4 candidates have no score"]


def test_by_node(drive: Any, candidates: Any) -> None:
    two = candidates("a", "b")
    a = two[0].with_note(Note("score", score=1, node="rank"))
    a = a.with_note(Note("score", score=0, node="verify"))
    b = two[1].with_note(Note("score", score=0.5, node="rank"))
    assert drive(Best(by="rank"), None, (a, b)).ids == ["gen:0"]
    assert drive(Best(), None, (a, b)).ids == ["gen:1"]
