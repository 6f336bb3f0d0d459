"""What the engine reads once, what may be done to tokens, and what happens when memory is short."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import archon
from archon.backends.fake import Fake
from archon.errors import ConfigError, ModelError
from archon.gateway import Gateway, Spending
from archon.model import Draw, Model, Price, Request
from archon.pool import Pool
from archon.tokens import Hooks
from archon.types import Reply
from tests.backends.tiny_models import (
    CONTEXT,
    NAME,
    Own,
    ask,
    draws,
    make_tiny,
    replies,
    run,
    serving,
)

torch = pytest.importorskip("torch")

from archon.backends.torch import Torch  # noqa: E402
from archon.backends.torch_batch import Batch  # noqa: E402
from archon.backends.torch_device import Local, Memory, dtype_of  # noqa: E402
from archon.backends.torch_serving import Serving  # noqa: E402

pytestmark = pytest.mark.usefixtures("here")
GREEDY = Model(NAME, max_tokens=12, temperature=0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    make_tiny(path / "tiny")
    make_tiny(path / "other")
    return path


@pytest.fixture
def backend() -> Iterator[Torch]:
    made = Torch(Local("cpu"))
    yield made
    run(made.close())


async def one(backend: Torch, request: Request) -> Reply:
    return replies(await backend.complete(request, draws(1)))[0]


# what is read


def test_what_requests_share_is_read_once(backend: Torch) -> None:
    """Of 8 prompts with 100 tokens in common, together and later, each token is read once."""
    shared = "what is " * 40

    async def work() -> None:
        await one(backend, ask("warm", GREEDY))
        reader = serving(backend).reader
        own = Own(Path("tiny"))
        asked = [ask(f"{shared}{n} {n * 7}", GREEDY) for n in range(8)]
        prompts = [own.prompt(request) for request in asked]
        before, known = reader.prefilled, reader.reused
        outcomes = await asyncio.gather(*(backend.complete(r, draws(2)) for r in asked))
        # By hand: the beginnings of all eight, as a set.
        distinct = {tuple(ids[: n + 1]) for ids in prompts for n in range(len(ids))}
        warm = own.prompt(ask("warm"))
        already = {tuple(warm[: n + 1]) for n in range(len(warm))}
        # What fewer than 16 tokens share may be read by each.
        assert 0 <= reader.prefilled - before - len(distinct - already) <= 16 * 8
        assert reader.prefilled - before + reader.reused - known == sum(map(len, prompts))
        used = [r.usage.input_tokens for o in outcomes for r in replies(o)]
        assert used == [len(ids) for ids in prompts for _ in range(2)]
        before = reader.prefilled
        later = await one(backend, ask(f"{shared}and later", GREEDY))
        assert later.paid is not None
        assert reader.prefilled - before == later.paid.input_tokens
        assert (later.paid.input_tokens or 0) < 16
        before = reader.prefilled
        await one(backend, asked[3])
        assert reader.prefilled - before == 1

    run(work())


def test_without_reuse_everything_is_read() -> None:
    async def work() -> None:
        backend = Torch(Local("cpu", reuse=False))
        first = await one(backend, ask("what is " * 10, GREEDY))
        second = await one(backend, ask("what is " * 10, GREEDY))
        assert first.paid is None
        assert second.paid is None
        assert serving(backend).reader.prefilled == 2 * (first.usage.input_tokens or 0)
        assert serving(backend).tree.bytes == 0
        await backend.close()

    run(work())


def test_a_tree_of_steps_reads_each_step_once(backend: Torch) -> None:
    """3 levels of 3 branches: every node is written once and none is read again."""
    model = Model(NAME, max_tokens=5)

    async def grow(tokens: tuple[int, ...], level: int) -> list[Reply]:
        if level == 3:
            return []
        request = ask("what is " * 20, model, tokens=True, prefix_tokens=tokens)
        steps = replies(await backend.complete(request, draws(3)))
        below = await asyncio.gather(
            *(grow(step.tokens, level + 1) for step in steps if step.finish == "length")
        )
        return [*steps, *(step for branch in below for step in branch)]

    steps = run(grow((), 0))
    prompt = len(Own(Path("tiny")).prompt(ask("what is " * 20)))
    assert len(steps) > 12
    paid = [step.paid or step.usage for step in steps]
    inner = len({step.usage.input_tokens for step in steps})
    assert inner == 3
    read = sum(p.input_tokens or 0 for p in paid)
    # The prompt once, and the last token of each node that was gone on from.
    assert prompt <= read <= prompt + len(steps)
    assert sum(s.usage.input_tokens or 0 for s in steps) > 10 * read


def test_used_and_paid(home: Path, backend: Torch) -> None:
    """Used is the whole prompt for each draw; paid is what the model did, and operations follow."""
    model = Model(NAME, max_tokens=4, price=Price(input=10, output=100, flops=7.0))

    async def work() -> None:
        gateway = Gateway(Pool(home / "pool.db"), {"local": backend})
        outcomes = await gateway.draw(ask("metered", model), draws(3), Spending(mode="off"))
        size = len(Own(Path("tiny")).prompt(ask("metered")))
        for number, reply in enumerate(replies(outcomes)):
            used, paid = reply.usage, reply.paid or reply.usage
            out = used.output_tokens or 0
            assert used.input_tokens == size
            assert used.microusd == 10 * size + 100 * out
            assert used.flops == 7 * (size + out)
            assert paid.input_tokens == (size if number == 0 else 0)
            assert paid.output_tokens == out
            assert paid.microusd == 10 * (size if number == 0 else 0) + 100 * out
            assert paid.flops == 7 * ((size if number == 0 else 0) + out)
            assert paid.seconds == used.seconds
        greedy = model.model_copy(update={"temperature": 0.0})
        copies = replies(await gateway.draw(ask("metered", greedy), draws(3), Spending(mode="off")))
        assert [(c.paid or c.usage).output_tokens == 0 for c in copies] == [False, True, True]
        gateway.pool.close()

    run(work())


# going on


def test_stop_at_a_step_and_go_on(backend: Torch) -> None:
    async def work() -> None:
        whole = await one(backend, ask("steps", GREEDY, tokens=True))
        text = whole.text
        stop = next(c for n, c in enumerate(text) if n and c != "�" and text.index(c) == n)
        model = GREEDY.model_copy(update={"stop": (stop, "never")})
        step = await one(backend, ask("steps", model, tokens=True))
        assert step.text == whole.text[: whole.text.index(stop)]
        assert (step.finish, step.stop) == ("stop", stop)
        assert whole.tokens[: len(step.tokens)] == step.tokens
        left = GREEDY.model_copy(update={"max_tokens": 12 - len(step.tokens)})
        rest = await one(backend, ask("steps", left, tokens=True, prefix_tokens=step.tokens))
        assert (rest.text, rest.tokens) == (whole.text, whole.tokens)
        assert rest.stop == ""

    run(work())


def test_a_prefix_ends_at_a_text_boundary(backend: Torch) -> None:
    """The last token of a prefix is written again, by a token that begins with its text."""
    own = Own(Path("tiny"))
    words = {own.tokenizer.decode([i]): i for i in range(5, len(own.tokenizer))}
    long = "wrong" if "wrong" in words else max(words, key=len)

    async def work() -> None:
        for cut in range(1, len(long)):
            request = ask("heal", GREEDY, prefix=long[:cut], tokens=True)
            reply = await one(backend, request)
            assert reply.text.startswith(long[:cut])
            lead = own.prompt(request)
            ids = own.tokenizer.encode(long[:cut], add_special_tokens=False)
            start = own.tokenizer.convert_ids_to_tokens(ids[-1])
            pieces = own.tokenizer.convert_ids_to_tokens(range(5, len(own.tokenizer)))
            may = [5 + n for n, piece in enumerate(pieces) if piece.startswith(start)]
            logs = own.logs([*lead, *ids[:-1]])[-1]
            best = max(may, key=lambda i: float(logs[i]))
            assert reply.tokens[0] == (best if len(may) > 1 else reply.tokens[0])
            exact = await one(backend, ask("heal", GREEDY, prefix_tokens=tuple(ids), tokens=True))
            assert exact.tokens[: len(ids)] == tuple(ids)
            after = own.logs([*lead, *ids])[-1]
            assert exact.tokens[len(ids)] == int(after.argmax())

    run(work())


def test_hooks(backend: Torch) -> None:
    own = Own(Path("tiny"))

    async def work() -> None:
        free = await one(backend, ask("hooks", GREEDY, tokens=True))
        first = free.tokens[0]
        text = own.tokenizer.decode([first])
        if own.tokenizer.encode(text, add_special_tokens=False) == [first]:
            held = await one(
                backend, ask("hooks", GREEDY, tokens=True, hooks=Hooks(suppressed=(text, "<end>")))
            )
            assert first not in held.tokens
            assert held.finish == "length"
        hooks = Hooks(forced=((0, "yes"), (3, "no")))
        said = own.tokenizer.encode("yes"), own.tokenizer.encode("no")
        steered = await one(backend, ask("hooks", GREEDY, tokens=True, logprobs=2, hooks=hooks))
        assert list(steered.tokens[: len(said[0])]) == said[0]
        if len(said[0]) <= 3:
            assert list(steered.tokens[3 : 3 + len(said[1])]) == said[1]
        lead = own.prompt(ask("hooks"))
        logs = own.logs([*lead, *steered.tokens])
        assert steered.logprobs[0].logprob == pytest.approx(
            float(logs[len(lead) - 1, said[0][0]]), abs=1e-4
        )
        # Hot at first, greedy after: draws differ in their first token and follow it greedily.
        hot = ask("hooks", GREEDY, tokens=True, hooks=Hooks(first_temperature=5.0))
        draws_ = replies(await backend.complete(hot, draws(8)))
        assert len({reply.tokens[:1] for reply in draws_}) > 3
        for reply in draws_[:3]:
            if len(reply.tokens) > 1:
                after = own.logs([*lead, *reply.tokens])
                for place in range(1, len(reply.tokens)):
                    assert reply.tokens[place] == int(after[len(lead) + place - 1].argmax())

    run(work())


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ({"hooks": Hooks(suppressed=("what is",))}, "'what is' is 3 tokens"),
        ({"prefix_tokens": (1, 10**6)}, "numbered from 0"),
        ({"schema": "{}"}, "schema"),
        ({"prefix_tokens": tuple([9] * CONTEXT)}, f"context of {CONTEXT}"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    backend: Torch, rest: dict[str, Any], said: str
) -> None:
    [error] = run(backend.complete(ask("wrong", GREEDY, **rest), draws(1)))
    assert isinstance(error, ModelError)
    assert said in str(error) or "single tokens" in str(error)
    assert not error.billed
    assert serving(backend).net.forwards == 0


def test_wrong_settings_are_errors_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"'dtype' must be one of .*did you mean 'float16'"):
        Torch(Local("cpu")).check(Model(NAME, params={"dtype": "flaot16"}))
    Torch(Local("cpu")).check(Model(NAME, params={"dtype": "bfloat16"}))
    with pytest.raises(ConfigError, match="unknown device 'gpu'"):
        Torch(Local("gpu"))
    monkeypatch.setenv("ARCHON_DEVICE_MEMORY", "lots")
    with pytest.raises(ConfigError, match="ARCHON_DEVICE_MEMORY must be a size"):
        Torch()
    monkeypatch.setenv("ARCHON_DEVICE_MEMORY", "1.5GiB")
    monkeypatch.setenv("ARCHON_DEVICE_CACHE", "200 MB")
    assert Local.from_environment() == Local("", 1_610_612_736, 200_000_000)
    monkeypatch.setenv("ARCHON_DEVICE_THREADS", "3")
    assert Local.from_environment().threads == 3
    monkeypatch.setenv("ARCHON_DEVICE_THREADS", "0")
    with pytest.raises(ConfigError, match="ARCHON_DEVICE_THREADS must be a number from 1 on"):
        Torch()
    with pytest.raises(ValueError, match="max_tokens"):
        Model(NAME, max_tokens=0)
    with pytest.raises(ConfigError, match="first_temperature"):
        Hooks(first_temperature=-1)
    with pytest.raises(ConfigError, match="forced"):
        Hooks(forced=((-1, "a"),))
    if not torch.cuda.is_available():
        [error] = run(Torch(Local("cuda:7")).complete(ask("hi"), draws(1)))
        assert "no device 'cuda:7'" in str(error)


@pytest.mark.parametrize(
    ("wanted", "small", "used"), [(None, True, 1), (3, True, 3), (None, False, 2)]
)
def test_threads_are_those_of_one_model(
    home: Path, monkeypatch: pytest.MonkeyPatch, wanted: int | None, small: bool, used: int
) -> None:
    """What one model is computed with leaves other threads as they are."""
    seen = set()
    advance = Serving.advance

    def watched(self: Serving) -> None:
        seen.add(torch.get_num_threads())
        advance(self)

    monkeypatch.setattr(Serving, "advance", watched)
    if not small:
        monkeypatch.setattr("archon.backends.torch_threads.SMALL", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        backend = Torch(Local("cpu", threads=wanted))
        run(one(backend, ask("hello", GREEDY)))
        run(backend.close())
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert (seen, torch.get_num_threads(), later) == ({used}, 2, [2])
    finally:
        torch.set_num_threads(before)


def test_abilities_pass_the_gateway(home: Path, backend: Torch) -> None:
    """Through the gateway a request gets what its backend declares, or a refusal."""

    async def work() -> None:
        pool = Pool(home / "abilities.db")
        gateway = Gateway(pool, {"local": backend, "fake": Fake()})
        request = ask("hello", GREEDY, logprobs=2, tokens=True)
        [paid] = await gateway.draw(request, draws(1), Spending())
        [pooled] = await gateway.draw(request, draws(1), Spending())
        assert isinstance(paid, Reply)
        assert isinstance(pooled, Reply)
        assert pooled.pooled
        assert (pooled.logprobs, pooled.tokens) == (paid.logprobs, paid.tokens)
        assert len(paid.logprobs[0].top) == 2
        for rest, ability in (
            ({"logprobs": 1}, "logprobs"), ({"echo": True}, "echo"), ({"tokens": True}, "tokens"),
            ({"prefix_tokens": (7,)}, "continue_from_tokens"),
            ({"hooks": Hooks(suppressed=("a",))}, "hooks"),
        ):  # fmt: skip
            with pytest.raises(ConfigError, match=f"has no '{ability}'"):
                await gateway.draw(
                    Request(Model("fake/a"), request.messages, **rest), draws(1), Spending()
                )
        keys = {
            gateway.key(ask("hello", GREEDY, **rest))
            for rest in (
                {}, {"logprobs": 1}, {"logprobs": 2}, {"echo": True}, {"tokens": True},
                {"prefix_tokens": (7,)}, {"hooks": Hooks(suppressed=("a",))},
                {"hooks": Hooks(first_temperature=1)}, {"hooks": Hooks(forced=((0, "a"),))},
            )
        }  # fmt: skip
        assert len(keys) == 9
        pool.close()

    run(work())


def test_prompts_that_begin_alike_are_looked_at_together(
    backend: Torch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of such prompts say what each says alone, whoever comes and goes."""
    lead = "what is the sum of 12 and 7 " * 6
    asked = [ask(lead + f"{n} " * (n + 1), GREEDY, tokens=True, logprobs=2) for n in range(6)]
    asked.append(ask(lead, GREEDY, tokens=True, logprobs=2))
    found: list[int] = []
    real = Batch._common

    def common(self: Batch) -> int:
        found.append(real(self))
        return found[-1]

    monkeypatch.setattr(Batch, "_common", common)

    async def work() -> None:
        alone = [await one(backend, request) for request in asked]
        assert not any(found)
        together = await asyncio.gather(*(backend.complete(r, draws(1)) for r in asked))
        assert max(found) >= 40
        for expected, outcomes in zip(alone, together, strict=True):
            [reply] = replies(outcomes)
            assert reply.tokens == expected.tokens
            for mine, other in zip(reply.logprobs, expected.logprobs, strict=True):
                assert mine.logprob == pytest.approx(other.logprob, abs=1e-4)
        found.clear()
        stranger = [ask("yes", GREEDY), *asked[:2]]
        await asyncio.gather(*(backend.complete(r, draws(1)) for r in stranger))
        assert found[0] == 0

    run(work())


# memory


@pytest.mark.parametrize("where", ["read", "join", "step"])
def test_out_of_memory_halves_the_batch(
    backend: Torch, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A device with room for 6 rows: the texts are those of one that has room for all."""
    asked = [ask(f"row {n}", Model(NAME, max_tokens=10), logprobs=1) for n in range(20)]

    async def work(torch_: Torch) -> list[Reply]:
        outcomes = await asyncio.gather(*(torch_.complete(r, draws(2)) for r in asked))
        return [reply for o in outcomes for reply in replies(o)]

    expected = run(work(backend))
    real_read, real_join, real_step = Serving._verdicts, Batch._with, Batch._feed
    failed = []

    def tight(number: int) -> None:
        if number > 6:
            failed.append(number)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def read(self: Serving, groups: Any) -> None:
        tight(sum(len(group.rows) for group in groups))
        real_read(self, groups)

    def join(self: Batch, prompts: Any) -> Any:
        tight(len(prompts) + self.rows)
        return real_join(self, prompts)

    def step(self: Batch, state: Any) -> None:
        self.unread = True
        tight(self.rows)
        real_step(self, state)

    monkeypatch.setattr(Serving, "_verdicts", read if where == "read" else real_read)
    monkeypatch.setattr(Batch, "_with", join if where == "join" else real_join)
    monkeypatch.setattr(Batch, "_feed", step if where == "step" else real_step)

    async def small() -> None:
        fresh = Torch(Local("cpu"))
        got = await work(fresh)
        assert [r.text for r in got] == [r.text for r in expected]
        assert [len(r.logprobs) for r in got] == [r.usage.output_tokens for r in got]
        assert 1 <= serving(fresh).room.rows <= 20
        await fresh.close()

    run(small())
    assert failed


def test_a_request_too_large_alone_is_told(backend: Torch, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    async def work() -> None:
        await one(backend, ask("warm"))
        with monkeypatch.context() as patch:
            patch.setattr(Batch, "_feed", full)
            outcomes = await backend.complete(ask("large"), draws(4))
        for outcome in outcomes:
            assert isinstance(outcome, ModelError)
            assert "memory is too small for this request alone: CUDA out of memory" in str(outcome)
        assert (await one(backend, ask("small"))).usage.calls == 1

    run(work())


def test_models_share_the_memory(home: Path) -> None:
    """There is room for one of two models: each gives way when it has done its work."""
    other = Model("local/./other", max_tokens=12)

    async def work() -> None:
        free = Torch(Local("cpu"))
        expected = [(await one(free, ask(str(n)))).text for n in range(4)]
        weights = sum(p.numel() for p in serving(free).net._model.parameters()) * 4
        await free.close()
        size = weights + 10**6
        backend = Torch(Local("cpu", memory=int(1.5 * size), cache=10**6))
        for n in range(2):
            first = await one(backend, ask(str(n)))
            await one(backend, ask(str(n), other))
            assert first.text == expected[n]
            assert backend._memory.held <= 1.5 * size
            assert sum(e.serving is not None for e in backend._engines.values()) == 1
        both = await asyncio.gather(
            *(backend.complete(ask(str(n), m), draws(2)) for n in range(4)
              for m in (other, Model(NAME, max_tokens=12)))
        )  # fmt: skip
        assert [replies(o)[0].text for o in both[1::2]] == expected
        assert backend._memory.held <= 1.5 * size
        await backend.close()
        assert backend._memory.held == 0
        tight = Torch(Local("cpu", memory=size // 2, cache=10**6))
        [error] = await tight.complete(ask("hi"), draws(1))
        assert "ARCHON_DEVICE_MEMORY" in str(error)
        await tight.close()

    run(work())


class _Tenant:
    def __init__(self, memory: Memory, *, busy: bool) -> None:
        self.memory, self.busy, self.asked = memory, busy, 0

    def leave(self) -> None:
        self.asked += 1
        if not self.busy:
            self.memory._held.pop(self, None)
            self.memory._news.notify_all()


def test_the_idle_one_that_was_used_least_recently_gives_way() -> None:
    memory = Memory()
    busy, old, new = (_Tenant(memory, busy=working) for working in (True, False, False))
    for tenant in (busy, old, new):
        assert memory.enter(tenant, 3, 10, lambda: False)
    memory.used(old)
    last = _Tenant(memory, busy=False)
    assert memory.enter(last, 4, 10, lambda: False)
    assert (busy.asked, old.asked, new.asked) == (0, 0, 1)
    assert memory.held == 10
    assert not memory.enter(_Tenant(memory, busy=False), 9, 10, lambda: True)


def test_precision_by_device() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("mps")
    assert dtype_of("", cpu, "bfloat16") == torch.float32
    assert dtype_of("bfloat16", cpu, "float32") == torch.bfloat16
    assert dtype_of("", gpu, "bfloat16") == torch.bfloat16
    assert dtype_of("", gpu, None) == torch.float32


def test_half_precision_is_computed_as_asked(backend: Torch) -> None:
    model = GREEDY.model_copy(update={"params": {"dtype": "bfloat16"}})
    reply = run(one(backend, ask("half", model)))
    assert reply.text
    assert serving(backend).net.form.dtype == torch.bfloat16


# cancelling


def test_half_is_cancelled_at_random(backend: Torch) -> None:
    """The other half gets the texts it would have had, and nothing is left behind."""
    model = Model(NAME, max_tokens=40, temperature=1.5)
    asked = [ask(f"cancel {n} " * (n % 3 + 1), model) for n in range(40)]

    async def work() -> None:
        whole = await asyncio.gather(*(backend.complete(r, draws(1)) for r in asked))
        expected = [replies(outcomes)[0].text for outcomes in whole]
        chance = random.Random(5)
        calls = [asyncio.create_task(backend.complete(r, draws(3))) for r in asked]
        cut = chance.sample(range(40), 20)
        for number in cut:
            await asyncio.sleep(chance.random() * 0.004)
            calls[number].cancel()
        done = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 300)
        for number, outcome in enumerate(done):
            if isinstance(outcome, list):
                assert replies(outcome)[0].text == expected[number]
            else:
                assert number in cut
                assert isinstance(outcome, asyncio.CancelledError)
        (engine,) = backend._engines.values()
        assert (await one(backend, asked[0])).text == expected[0]
        for _ in range(200):
            if serving(backend).idle:
                break
            await asyncio.sleep(0.01)
        assert engine._jobs == set()
        assert serving(backend).idle

    run(work())


def test_memory_does_not_wait_for_the_garbage_collector(home: Path) -> None:
    """A step's store is few objects and much memory: too few to set the collector off in time."""

    def held() -> int:
        found = (o for o in gc.get_objects() if issubclass(type(o), torch.Tensor))
        return sum(tensor.nbytes for tensor in found)

    async def work() -> None:
        backend = Torch(Local("cpu", cache=400_000))
        model = Model(NAME, max_tokens=64)
        after = []
        for wave in range(3):
            asked = [ask(f"{wave} {n}", model) for n in range(24)]
            await asyncio.gather(*(backend.complete(each, draws(2)) for each in asked))
            after.append(held())
        assert after[-1] <= after[0] * 1.25
        await backend.close()

    gc.collect()
    gc.disable()
    try:
        run(work())
    finally:
        gc.enable()


@pytest.mark.slow
def test_ten_thousand_requests_leave_no_growth(home: Path) -> None:
    def objects() -> int:
        gc.collect()
        # By type: to ask some of torch's own objects for their class warns.
        return sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())

    async def work() -> None:
        backend = Torch(Local("cpu", cache=400_000))
        model = Model(NAME, max_tokens=2)

        async def thousand(start: int) -> None:
            for at in range(start, start + 1000, 250):
                await asyncio.gather(
                    *(backend.complete(ask(f"{n}", model), draws(1)) for n in range(at, at + 250))
                )
                assert serving(backend).tree.bytes <= 200_000

        await thousand(0)
        await thousand(1000)
        before = objects()
        for start in range(2000, 10_000, 1000):
            await thousand(start)
        assert objects() <= before * 1.1 + 50
        (engine,) = backend._engines.values()
        assert engine._jobs == set()
        assert not engine._inbox
        await backend.close()

    run(work())


def test_the_public_way_in(home: Path) -> None:
    """A session takes an engine with settings of its own."""
    layer = archon.layers.Generate(model=Model(NAME, max_tokens=6), samples=3)
    with archon.Session(pool=home / "own.db", backends={"local": Torch(Local("cpu"))}) as session:
        result = archon.run(layer, "what is the sum", session=session)
    assert len(result.candidates) == 3
    assert Draw(0, 0) == (0, 0)
