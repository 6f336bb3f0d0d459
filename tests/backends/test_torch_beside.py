"""Prompts are read in a thread of their own where a core would idle; nothing else may change."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from archon.errors import ModelError
from archon.model import Model, Outcome
from tests.backends.tiny_models import NAME, ask, draws, replies, run, serving

torch = pytest.importorskip("torch")

from archon.backends import torch_engine  # noqa: E402
from archon.backends.torch import Torch  # noqa: E402
from archon.backends.torch_cache import Segment  # noqa: E402
from archon.backends.torch_device import Local  # noqa: E402
from archon.backends.torch_reading import Text  # noqa: E402
from archon.backends.torch_threads import use_threads  # noqa: E402
from archon.backends.torch_tree import PrefixTree  # noqa: E402

pytestmark = pytest.mark.usefixtures("here")
LONG = Model(NAME, max_tokens=150, temperature=5.0)
SECONDS = 30.0
"""After which a test that waits has failed."""


def backend(monkeypatch: pytest.MonkeyPatch, *, spare: bool) -> Torch:
    """A backend on a machine that has a core to spare, or not."""
    monkeypatch.setattr(torch_engine, "use_threads", lambda *_: use_threads(1, 0) or spare)
    return Torch(Local("cpu"))


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Torch]:
    made = backend(monkeypatch, spare=True)
    run(made.complete(ask("warm"), draws(1)))
    yield made
    run(made.close())


def texts(outcomes: Sequence[Outcome]) -> list[str]:
    return [reply.text for reply in replies(list(outcomes))]


class Held:
    """A reader that waits before it reads."""

    def __init__(self, made: Torch, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.threads: list[str] = []
        reader = serving(made).reader
        read: Callable[[Sequence[Text]], None] = reader.read

        def held(wanted: Sequence[Text]) -> None:
            self.threads.append(threading.current_thread().name)
            self.begun.set()
            assert self.go.wait(SECONDS)
            read(wanted)

        monkeypatch.setattr(reader, "read", held)


async def until(seen: Callable[[], bool]) -> None:
    """Wait for what another thread does and does not tell."""
    for _ in range(round(SECONDS / 0.001)):
        if seen():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come to pass")


async def began(held: Held) -> None:
    assert await asyncio.to_thread(held.begun.wait, SECONDS)


def test_replies_are_those_of_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [Model(NAME, max_tokens=20), Model(NAME, max_tokens=9, temperature=0)]
    asked = [ask("what is " + "1 + 2 " * i, model) for i in range(12) for model in models]

    async def work(made: Torch) -> list[list[str]]:
        async def later(place: int) -> list[Outcome]:
            await asyncio.sleep(0.004 * place)
            return await made.complete(asked[place], draws(3))

        found = await asyncio.gather(*(later(place) for place in range(len(asked))))
        await made.close()
        return [texts(outcomes) for outcomes in found]

    both = [run(work(backend(monkeypatch, spare=spare))) for spare in (True, False)]
    assert both[0] == both[1]


def test_a_batch_goes_on_while_a_prompt_is_read(
    beside: Torch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        alone = texts(await beside.complete(ask("second " * 5), draws(2)))
        await until(lambda: serving(beside).idle)
        first = asyncio.create_task(beside.complete(ask("first", LONG), draws(4)))
        await until(lambda: bool(serving(beside)._rows))
        held = Held(beside, monkeypatch)
        second = asyncio.create_task(beside.complete(ask("second " * 5), draws(2)))
        await began(held)
        assert len(texts(await asyncio.wait_for(first, SECONDS))) == 4
        assert not second.done()
        assert not serving(beside).idle
        held.go.set()
        assert texts(await asyncio.wait_for(second, SECONDS)) == alone
        assert all("reads" in name for name in held.threads)

    run(work())


@pytest.mark.parametrize("spare", [True, False])
def test_memory_that_ran_out_while_reading_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, spare: bool
) -> None:
    made = backend(monkeypatch, spare=spare)

    async def work() -> None:
        await made.complete(ask("warm"), draws(1))
        reader = serving(made).reader
        read: Callable[[Sequence[Text]], None] = reader.read
        failed: list[int] = []

        def full(wanted: Sequence[Text]) -> None:
            if not failed:
                failed.append(len(wanted))
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            read(wanted)

        monkeypatch.setattr(reader, "read", full)
        asked = [ask(f"n {n} and {n * 7}") for n in range(6)]
        calls = asyncio.gather(*(made.complete(one, draws(2)) for one in asked))
        found = await asyncio.wait_for(calls, SECONDS)
        assert failed
        assert all(len(texts(outcomes)) == 2 for outcomes in found)
        await made.close()

    run(work())


def test_what_is_cancelled_while_it_is_read_is_dropped(
    beside: Torch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        held = Held(beside, monkeypatch)
        call = asyncio.create_task(beside.complete(ask("cancelled", LONG), draws(4)))
        await began(held)
        call.cancel()
        held.go.set()
        assert texts(await asyncio.wait_for(beside.complete(ask("other"), draws(1)), SECONDS))
        await until(lambda: serving(beside).idle)

    run(work())


def test_closed_while_reading(beside: Torch, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        held = Held(beside, monkeypatch)
        call = asyncio.create_task(beside.complete(ask("closed", LONG), draws(1)))
        await began(held)
        threading.Timer(0.05, held.go.set).start()
        await beside.close()
        (outcome,) = await asyncio.wait_for(call, SECONDS)
        assert isinstance(outcome, ModelError)
        assert "closed" in str(outcome)
        assert not [t for t in threading.enumerate() if t.name.startswith("archon reads")]

    run(work())


def test_a_fault_while_reading_ends_what_waits_and_no_more(
    beside: Torch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("no such thing")

        with monkeypatch.context() as patch:
            patch.setattr(serving(beside).reader, "read", broken)
            outcomes = await beside.complete(ask("broken"), draws(2))
        assert all("no such thing" in str(outcome) for outcome in outcomes)
        assert texts(await beside.complete(ask("whole"), draws(1)))

    run(work())


def test_a_core_is_spare_where_a_small_model_leaves_one() -> None:
    def spare(here: int, wanted: int | None, weights: int) -> Any:
        found = []

        def look() -> None:
            torch.set_num_threads(here)
            found.append((use_threads(wanted, weights), torch.get_num_threads()))

        before = torch.get_num_threads()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        torch.set_num_threads(before)
        return found[0]

    small, large = 1_000_000, 10**9
    assert spare(2, None, small) == (True, 1)
    assert spare(2, None, large) == (False, 2)
    assert spare(2, 1, small) == (False, 1)  # somebody wants one and no more
    assert spare(1, None, small) == (False, 1)


def test_a_tree_for_several_threads() -> None:
    """Threads add and look up at once, in a tree that is too small for all."""

    def piece(ids: Sequence[int]) -> Segment:
        numbers = torch.tensor([float(token) for token in ids])[None, None, :, None]
        return Segment(numbers.clone(), numbers.clone())

    tree, faults = PrefixTree(3000), []

    def work(seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        try:
            for _ in range(400):
                ids = torch.randint(0, 2, (12,), generator=random).tolist()
                tree.add(ids, piece(ids))
                known = [float(x) for part in tree.match(ids, 12) for x in part.keys.flatten()]
                assert known == ids[: len(known)]
        except Exception as error:  # told by the thread that asserts
            faults.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert tree.bytes == sum(node.segment.bytes for node in tree._recent if node.segment)
    assert tree.bytes <= 3000
