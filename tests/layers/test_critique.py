from __future__ import annotations

import re
from typing import Any

import pytest

from archon.errors import NodeError
from archon.layers import Critique, Fuse
from archon.model import Draw, Request

SHOWN = re.compile(r"^<<< \w+ answer (\w+)\n(.*?)\n>>>", re.MULTILINE | re.DOTALL)


def about(request: Request, draw: Draw) -> str:
    shown = SHOWN.findall(request.messages[-1].content)
    return "\n".join(f"[{label}]\nabout {text}, unlike [1]" for label, text in shown)


def test_one_call_for_all_and_each_critique_with_its_candidate(drive: Any, candidates: Any) -> None:
    out = drive(Critique(model="fake/m"), about, candidates("x", "y", "x"))
    assert len(out.requests) == 1
    assert [c.note("critique").text for c in out.state.candidates] == [
        "about x, unlike [1]", "about y, unlike [1]", "about x, unlike [1]",
    ]  # fmt: skip


def test_one_call_per_candidate(drive: Any, candidates: Any) -> None:
    def script(request: Request, draw: Draw) -> str:
        return "is x" if "\nx\n" in request.messages[-1].content else " "

    out = drive(Critique(model="fake/m", per="candidate"), script, candidates("x", "y"))
    assert [bool(c.note("critique")) for c in out.state.candidates] == [True, False]
    assert out.unparsed == 3


def test_groups(drive: Any, candidates: Any) -> None:
    texts = [str(i) for i in range(7)]
    out = drive(Critique(model="fake/m", group_size=3), about, candidates(*texts))
    assert len(out.requests) == 3
    assert [c.note("critique").text.split(",")[0] for c in out.state.candidates] == [
        f"about {text}" for text in texts
    ]


def test_unparsed_is_counted_and_policy(drive: Any, candidates: Any) -> None:
    two = candidates("x", "y")
    out = drive(Critique(model="fake/m"), lambda r, d: "[A] only one", two)
    assert (out.unparsed, out.ids, out.warnings != []) == (3, ["gen:0", "gen:1"], True)
    assert all(not c.notes for c in out.state.candidates)
    assert drive(Critique(model="fake/m", unparsed="drop"), lambda r, d: "?", two).ids == []
    with pytest.raises(NodeError, match="unparsed: fail"):
        drive(Critique(model="fake/m", unparsed="fail"), lambda r, d: "?", two)


def test_critiques_never_outlive_their_candidate(drive: Any, candidates: Any) -> None:
    def script(request: Request, draw: Draw) -> str:
        return about(request, draw) if "You review" in request.messages[-1].content else "fused"

    chain = Critique(model="fake/m") >> Fuse(model="fake/m") >> Fuse(model="fake/m")
    out = drive(chain, script, candidates("x", "y"))
    assert [c.notes for c in out.state.candidates] == [()]
    assert "about x" in out.prompts[1]
    assert "about" not in out.prompts[2]
