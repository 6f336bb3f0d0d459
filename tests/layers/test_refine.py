from __future__ import annotations

from typing import Any

from archon.errors import ModelError
from archon.layers import Refine
from archon.model import Draw, Request
from archon.types import Note, State, Task


def test_each_candidate_is_rewritten_from_its_own_critique(drive: Any, candidates: Any) -> None:
    def script(request: Request, draw: Draw) -> str:
        prompt = request.messages[-1].content
        return next(
            word for word in ("too long", "too short", "Look for mistakes") if word in prompt
        )

    notes = [Note("critique", text="too long"), Note("critique", text="too short"), None]
    out = drive(Refine(model="fake/m"), script, candidates("a", "b", "c", notes=notes))
    assert out.texts == ["too long", "too short", "Look for mistakes"]
    assert [c.parents for c in out.state.candidates] == [("gen:0",), ("gen:1",), ("gen:2",)]
    assert all(not c.notes for c in out.state.candidates)


def test_equal_candidates_get_different_draws(drive: Any, candidates: Any) -> None:
    out = drive(Refine(model="fake/m"), lambda r, d: str(d.number), candidates("a", "a"))
    assert out.texts == ["0", "1"]


def test_a_failed_rewrite_is_dropped_and_system_reaches_it(drive: Any, candidates: Any) -> None:
    def script(request: Request, draw: Draw) -> Any:
        bad = "\nb\n" in request.messages[-1].content
        return ModelError("down") if bad else request.messages[0].content

    task = Task.of("Q?", system="Be brief.")
    out = drive(Refine(model="fake/m"), script, State(task, candidates("a", "b")))
    assert out.texts == ["Be brief."]
