"""The engine says what transformers says, token for token, and as often."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archon.model import Draw, Model, Request
from archon.tokens import Hooks
from archon.types import Reply
from tests.backends.tiny_models import Own, ask, draws, make_tiny, replies, run

torch = pytest.importorskip("torch")
stats = pytest.importorskip("scipy.stats")

from archon.backends.torch import Torch  # noqa: E402
from archon.backends.torch_device import Local  # noqa: E402

pytestmark = pytest.mark.usefixtures("here")
TOKENS = 8
WORDS = ("what", "is", "the", "sum", "of", "12", "and", "7", "yes", "no", "wrong", "é", "∑", "x")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    for kind in ("llama", "qwen2"):
        make_tiny(path / kind, kind=kind)
    return path


@pytest.fixture
def backend() -> Iterator[Torch]:
    made = Torch(Local("cpu"))
    yield made
    run(made.close())


def questions(model: Model, count: int) -> list[Request]:
    """Return different questions of 1 to 24 words; every fourth begins like the one before."""
    chance = np.random.default_rng(11)
    texts: list[str] = []
    for number in range(count):
        words = " ".join(chance.choice(WORDS, int(chance.integers(1, 25))))
        texts.append(f"{texts[-1]} {words}" if number % 4 == 3 else f"{number} {words}")
    return [ask(text, model, tokens=True) for text in texts]


def said(outcomes: list[Reply]) -> list[list[int]]:
    return [list(reply.tokens) for reply in outcomes]


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_greedy_is_transformers_own_for_a_hundred_prompts_of_each_kind(
    home: Path, kind: str, backend: Torch
) -> None:
    name, own = f"local/./{kind}", Own(home / kind)
    asked = questions(Model(name, max_tokens=TOKENS, temperature=0), 104)
    prompts = [own.prompt(request) for request in asked]
    expected = [
        ids for at in range(0, 104, 26) for ids in own.greedy(prompts[at : at + 26], TOKENS)
    ]
    # A temperature of almost 0 says the same, and each draw has a row of its own.
    forked = questions(Model(name, max_tokens=TOKENS, temperature=1e-6), 104)

    async def work() -> None:
        batched = await asyncio.gather(*(backend.complete(r, draws(1)) for r in asked))
        assert said([r for o in batched for r in replies(o)]) == expected
        # Now everything is in the tree.
        again = [replies(await backend.complete(request, draws(1)))[0] for request in asked]
        assert said(again) == expected
        assert all(r.paid is not None and (r.paid.input_tokens or 0) <= 2 for r in again)
        forks = await asyncio.gather(*(backend.complete(r, draws(3)) for r in forked))
        assert [said(replies(o)) for o in forks] == [[ids] * 3 for ids in expected]

    run(work())

    async def alone() -> None:
        fresh = Torch(Local("cpu", reuse=False))
        for request, ids in zip(asked, expected, strict=True):
            assert said(replies(await fresh.complete(request, draws(1)))) == [ids]
        await fresh.close()

    run(alone())


def test_a_reply_is_gone_on_from_where_it_stopped(home: Path, backend: Torch) -> None:
    own, model = Own(home / "llama"), Model("local/./llama", max_tokens=12, temperature=0)
    asked = questions(model, 24)
    expected = own.greedy([own.prompt(request) for request in asked], 12)

    async def go_on(request: Request, ids: list[int]) -> None:
        short = model.model_copy(update={"max_tokens": 5})
        first = replies(await backend.complete(ask(request.messages[0].content, short, tokens=True),
                                               draws(1)))[0]  # fmt: skip
        assert list(first.tokens) == ids[:5]
        if len(ids) <= 5:
            return
        more = ask(request.messages[0].content, model, tokens=True, prefix_tokens=first.tokens)
        rest = replies(await backend.complete(more, draws(1)))[0]
        assert list(rest.tokens)[: len(ids)] == ids
        assert rest.text.startswith(first.text.rstrip("�"))
        # The five tokens were read when they were written.
        assert rest.paid is not None
        assert rest.paid.input_tokens == 1

    async def work() -> None:
        await asyncio.gather(*(go_on(r, ids) for r, ids in zip(asked, expected, strict=True)))

    run(work())


@pytest.mark.parametrize(
    ("settings", "hooks"),
    [({}, Hooks()), ({"temperature": 0.7, "top_k": 40}, Hooks()), ({"temperature": 0.2},
     Hooks(first_temperature=1.5))],
)  # fmt: skip
def test_samples_are_as_frequent_as_they_are_likely(
    home: Path, backend: Torch, settings: dict[str, float], hooks: Hooks
) -> None:
    count = 20_000
    model = Model("local/./llama", max_tokens=1, **settings)
    request = ask("which one", model, tokens=True, hooks=hooks)
    own = Own(home / "llama")
    logs = own.logs(own.prompt(request))[-1].double().numpy()
    logs = logs / (hooks.first_temperature or settings.get("temperature", 1.0))
    if "top_k" in settings:
        logs[np.argsort(logs)[: -int(settings["top_k"])]] = -np.inf
    likely = np.exp(logs - logs.max())
    wanted = count * likely / likely.sum()
    drawn = np.zeros(len(wanted))
    for reply in replies(run(backend.complete(request, draws(count)))):
        # The token that ends a reply is not named.
        drawn[reply.tokens[0] if reply.tokens else 1] += 1
    assert drawn[wanted == 0].sum() == 0
    rare = wanted < 5
    bins = [(drawn[~rare], wanted[~rare])]
    if wanted[rare].sum() > 0:
        bins.append((np.array([drawn[rare].sum()]), np.array([wanted[rare].sum()])))
    distance = sum(((d - w) ** 2 / w).sum() for d, w in bins)
    freedom = sum(len(d) for d, _ in bins) - 1
    assert distance < stats.chi2.ppf(0.999, freedom)


def test_log_probabilities_are_those_of_the_model(home: Path, backend: Torch) -> None:
    own = Own(home / "llama")
    model = Model("local/./llama", max_tokens=6, temperature=1.3, top_k=50)

    async def work() -> None:
        asked = [
            ask("so " * n, model, logprobs=n, tokens=True, echo=echo, prefix="yes no"[: 6 * echo])
            for n in (1, 3, 5)
            for echo in (False, True)
        ]
        plain = ask("another", model)
        *shown, _ = await asyncio.gather(
            *(backend.complete(request, draws(3)) for request in [*asked, plain])
        )
        for request, outcomes in zip(asked, shown, strict=True):
            lead = own.prompt(request)
            given = own.tokenizer.encode(request.prefix, add_special_tokens=False)
            for reply in replies(outcomes):
                ids = [token.id for token in reply.logprobs if token.id is not None]
                assert len(ids) == len(reply.logprobs)
                assert ids[: len(given)] == given
                assert tuple(i for i in ids[len(given) :] if i != 1) == reply.tokens
                logs = own.logs([*lead, *ids])[len(lead) - 1 : -1]
                for token, row in zip(reply.logprobs, logs, strict=True):
                    assert token.logprob == pytest.approx(float(row[token.id]), abs=1e-4)
                    best = row.topk(request.logprobs)
                    assert [p for _, p in token.top] == pytest.approx(
                        best.values.tolist(), abs=1e-4
                    )
                    assert token.top[0][0] == own.tokenizer.decode([int(best.indices[0])])

    run(work())


def tie(own: Own, request: Request, one: Reply, other: Reply, chance: Any) -> float:
    """Return how far the chance of the first token that differs is from a border between tokens."""
    pairs = zip(one.tokens, other.tokens, strict=False)
    shorter = min(len(one.tokens), len(other.tokens))
    place = next((n for n, (a, b) in enumerate(pairs) if a != b), shorter)
    logs = own.logs([*own.prompt(request), *one.tokens[:place]])[-1].double()
    edges = (logs / (request.model.temperature or 1.0)).softmax(-1).cumsum(-1)
    return float((edges - chance[place]).abs().min())


def test_only_ties_may_depend_on_the_batch(home: Path, backend: Torch) -> None:
    """What is different in company must have been drawn on the border between two tokens."""
    from archon.backends.torch_job import Job

    own = Own(home / "llama")
    model = Model("local/./llama", max_tokens=16, temperature=1.2)
    asked = [ask("a tie " * (n % 5 + 1) + str(n), model, tokens=True) for n in range(16)]

    async def work() -> None:
        together = await asyncio.gather(*(backend.complete(r, draws(2)) for r in asked))
        fresh = Torch(Local("cpu", reuse=False))
        for request, outcomes in zip(asked, together, strict=True):
            for draw, one in zip(draws(2), replies(outcomes), strict=True):
                [other] = replies(await fresh.complete(request, (draw,)))
                if one.tokens != other.tokens:
                    print_ = fresh.fingerprint(model)
                    loop = asyncio.get_running_loop()
                    job = Job(request, (draw,), print_, loop, loop.create_future())
                    assert tie(own, request, one, other, job.chance(draw, 16)) < 1e-5
        await fresh.close()

    run(work())


def test_a_tie_goes_to_the_first_token() -> None:
    from archon.backends.torch_sampling import pick

    flat = torch.zeros(2, 5)
    flat[1, 0] = -math.inf
    state = type("S", (), {name: torch.zeros(2) for name in ("temperature", "top_k", "min_p")})
    state.top_p = torch.ones(2)  # type: ignore[attr-defined]
    assert pick(flat, torch.tensor([0.9, 0.9]), state).tolist() == [0, 1]


def test_a_fork_is_no_other_text(backend: Torch) -> None:
    """Samples that share a prompt in the batch are those that have it alone."""
    request = ask("fork " * 20, Model("local/./qwen2", max_tokens=10))

    async def work() -> None:
        forked = replies(await backend.complete(request, draws(12)))
        for number, reply in enumerate(forked):
            [alone] = replies(await backend.complete(request, (Draw(0, number),)))
            assert alone.text == reply.text

    run(work())
