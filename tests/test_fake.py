"""The fake backend: scripted, computed or seeded replies, faults, and honest usage."""

from __future__ import annotations

import asyncio

from archon.backends.fake import Fake, Script
from archon.errors import ModelError
from archon.model import Draw, Model, Outcome, Price, Request
from archon.types import Message, Reply

MODEL = Model("fake/a")


def _ask(fake: Fake, n: int = 1, *, text: str = "hi", model: Model = MODEL) -> list[Outcome]:
    async def work() -> list[Outcome]:
        request = Request(model, (Message("user", text),))
        return [(await fake.complete(request, (Draw(0, i),)))[0] for i in range(n)]

    return asyncio.run(work())


def _texts(script: Script, n: int) -> list[str]:
    return [o.text if isinstance(o, Reply) else str(o) for o in _ask(Fake(script), n)]


def test_a_script_is_a_function_a_list_or_chance() -> None:
    assert _texts(lambda request, draw: f"say {draw.number}", 2) == ["say 0", "say 1"]
    assert _texts(["a", "b"], 3)[:2] == ["a", "b"]
    assert "no more replies" in _texts(["a", "b"], 3)[2]
    assert _texts(None, 4) == _texts(None, 4)
    assert len(set(_texts(None, 8))) > 1


def test_faults_come_first_and_none_means_no_fault() -> None:
    busy = ModelError("busy", kind="transient")
    outcomes = _ask(Fake(["a", "b"], faults=[busy, None, busy]), 4)
    assert [isinstance(outcome, Reply) for outcome in outcomes] == [False, True, False, True]


def test_it_remembers_what_it_was_asked() -> None:
    fake = Fake()
    _ask(fake, 2, text="remember me")
    assert [draw.number for _, draw in fake.requests] == [0, 1]
    assert fake.requests[0][0].messages[0].content == "remember me"
    assert (fake.in_flight, fake.peak) == (0, 1)


def test_usage_and_price_are_metered() -> None:
    [reply] = _ask(Fake(["four" * 3], price=Price(input=1, output=1_000_000)), text="x" * 40)
    assert isinstance(reply, Reply)
    assert (reply.usage.calls, reply.usage.input_tokens, reply.usage.output_tokens) == (1, 10, 3)
    assert reply.usage.microusd == 3_000_010


def test_max_tokens_cuts_the_reply() -> None:
    [reply] = _ask(Fake(["x" * 100]), model=Model("fake/a", max_tokens=5))
    assert isinstance(reply, Reply)
    assert (reply.finish, reply.text, reply.usage.output_tokens) == ("length", "x" * 20, 5)


def test_a_scripted_reply_keeps_its_own_usage() -> None:
    mine = Reply.of("mine", finish="refusal")
    [reply] = _ask(Fake([mine]))
    assert isinstance(reply, Reply)
    assert (reply.finish, reply.text) == ("refusal", "mine")
