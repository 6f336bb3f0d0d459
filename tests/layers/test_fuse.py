from __future__ import annotations

from typing import Any

from archon.errors import ModelError
from archon.layers import Fuse
from archon.types import Note, State, Task


def chat() -> Task:
    messages = [
        {"role": "system", "content": "Answer in JSON."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "What is 6 * 7?"},
    ]
    return Task.of(messages, schema='{"type":"integer"}')


def test_system_message_turns_and_format_reach_the_author(drive: Any, candidates: Any) -> None:
    task = chat()
    out = drive(Fuse(model="fake/m"), lambda r, d: "42", State(task, candidates("41", "42")))
    [request] = out.requests
    assert request.messages[:3] == task.messages[:3]
    assert request.messages[-1].content.startswith("What is 6 * 7?")
    assert request.schema == task.schema
    assert out.state.task == task


def test_samples_parents_and_keep(drive: Any, candidates: Any) -> None:
    layer = Fuse(model="fake/m", samples=2, keep=True)
    out = drive(layer, lambda r, d: f"new {d.number}", candidates("a", "b"))
    assert out.texts == ["a", "b", "new 0", "new 1"]
    assert out.state.candidates[2].parents == ("gen:0", "gen:1")
    assert drive(Fuse(model="fake/m"), lambda r, d: "new", candidates("a")).texts == ["new"]


def test_length_control_works_without_critiques(drive: Any, candidates: Any) -> None:
    def prompt(length_control: bool) -> str:
        layer = Fuse(model="fake/m", length_control=length_control)
        [text] = drive(layer, lambda r, d: "x", candidates("a")).prompts
        return str(text)

    assert "not longer than the longest" in prompt(True)
    assert "not longer than the longest" not in prompt(False)


def test_critiques_are_used_when_present(drive: Any, candidates: Any) -> None:
    notes = [None, Note("critique", text="too short")]
    out = drive(Fuse(model="fake/m"), lambda r, d: "x", candidates("a", "b", notes=notes))
    assert out.prompts[0].count("too short") == 1
    assert out.prompts[0].count("review of answer") == 1


def test_a_failed_sample_is_dropped(drive: Any, candidates: Any) -> None:
    def script(request: Any, draw: Any) -> Any:
        return ModelError("down") if draw.number == 0 else "x"

    out = drive(Fuse(model="fake/m", samples=3), script, candidates("a"))
    assert out.texts == ["x", "x"]
