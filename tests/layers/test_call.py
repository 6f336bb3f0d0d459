from __future__ import annotations

from typing import Any

import pytest

from archon.base import Context, parse
from archon.base import as_architecture as whole
from archon.errors import ConfigError, NodeError
from archon.layers import Call
from archon.model import Model
from archon.types import Candidate


def shout(texts: list[str]) -> list[str]:
    return [text.upper() for text in texts]


def size(text: str) -> int:
    if text == "boom":
        raise RuntimeError("no")
    return len(text)


async def ask(question: str, ctx: Context) -> str:
    return (await ctx.ask(Model("fake/m"), question)).text


class Runnable:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def ainvoke(self, value: Any) -> Any:
        self.seen.append(value)
        return {"messages": [{"role": "assistant", "content": "hello"}]}


def test_source_score_and_transform(drive: Any, candidates: Any) -> None:
    out = drive(Call(function=ask, calls=1), lambda r, d: "42", ())
    assert (out.texts, len(out.requests), out.records[0].used.calls) == (["42"], 1, 1)
    out = drive(Call(function=shout, as_="transform"), None, candidates("a", "b"))
    assert out.texts == ["A", "B"]
    out = drive(Call(function=size, as_="score"), None, candidates("a", "boom", "ccc"))
    assert [c.score() for c in out.state.candidates] == [1.0, None, 3.0]
    assert out.records[0].errors == ["RuntimeError: no"]


def test_scores_are_finite_numbers(drive: Any, candidates: Any) -> None:
    for value in (float("nan"), float("inf"), "0.5", True, None):
        layer = Call(function=lambda text, value=value: value, as_="score", at_least=0)
        assert drive(layer, None, candidates("a")).state.candidates[0].score() is None


def test_runnables_and_candidates(drive: Any, candidates: Any) -> None:
    runnable = Runnable()
    assert drive(Call(function=runnable), None, ()).texts == ["hello"]
    assert runnable.seen == [{"messages": [{"role": "user", "content": "What is 6 * 7?"}]}]

    def second(candidates: list[Candidate]) -> Candidate:
        return candidates[1]

    out = drive(Call(function=second, as_="transform"), None, candidates("a", "b"))
    assert out.ids == ["gen:1"]


def test_declared_calls_are_the_most(drive: Any) -> None:
    with pytest.raises(NodeError, match="calls: 0"):
        drive(Call(function=ask), lambda r, d: "42", ())


def test_on_error_and_most(drive: Any, candidates: Any) -> None:
    with pytest.raises(NodeError, match="on_error: fail"):
        drive(Call(function=size, as_="score", on_error="fail"), None, candidates("boom", "a"))
    out = drive(Call(function=lambda: ["a", "b", "c"], most=2), None, ())
    assert (out.texts, len(out.warnings)) == (["a", "b"], 1)


def test_by_name_and_back() -> None:
    layer = Call(function="statistics:mean", as_="score")
    arch = parse({"stages": [{"call": {"function": "json:dumps"}}]})
    assert parse(arch.dump()).dump() == arch.dump()
    assert layer.settings() == {"function": "statistics:mean", "as": "score"}
    named = whole(Call(function=test_by_name_and_back))
    assert named.dump()["stages"][0]["call"]["function"].endswith(":test_by_name_and_back")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module_:f", "cannot import"),
        ("json:dump5", "did you mean 'dump"),
        ("json.dumps", "module:name"),
        ("json:__name__", "neither a function"),
    ],
)
def test_what_cannot_be_imported(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse({"stages": [{"call": {"function": name}}]})


def test_an_object_without_a_path_runs_but_cannot_be_loaded_again(drive: Any) -> None:
    layer = Call(function=lambda question: question)
    assert drive(layer, None, ()).texts == ["What is 6 * 7?"]
    with pytest.raises(ConfigError, match="without an import path"):
        parse(whole(layer).dump())
