"""Reward heads as scorers, the effort of local models, and nominal prices."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import archon
from archon.backends.fake import Fake
from archon.errors import ConfigError, ModelError
from archon.layers import Generate, Rank
from archon.model import Draw, Model, Request
from archon.types import Message, Reply

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from archon.backends.torch import Torch  # noqa: E402
from archon.backends.torch_config import head_of, nominal_price, takes_effort  # noqa: E402
from archon.backends.torch_heads import Heads  # noqa: E402
from archon.nano.vocabulary import family_tokenizer  # noqa: E402

QUESTION = "What is 2 + 3?"
ANSWERS = ("2 + 3 = 5\n\n#### 5", "#### 6", "2 + 3 = 6\n#### 6\nso it is", "7\n8\n9 9 9\n4")


def make(folder: Path, kind: Any, **settings: Any) -> Path:
    """Write a tiny random Llama of some kind with the tokenizer of the family."""
    tokenizer = family_tokenizer()
    torch.manual_seed(5)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=256, initializer_range=0.5,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, **settings,
    )  # fmt: skip
    kind(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kind = transformers.LlamaForTokenClassification
    return make(tmp_path_factory.mktemp("steps"), kind, num_labels=1)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kind = transformers.LlamaForSequenceClassification
    return make(tmp_path_factory.mktemp("outcome"), kind, num_labels=2)


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("talker"), transformers.LlamaForCausalLM)


def scores(folder: Path, *answers: str, **settings: Any) -> list[float]:
    async def work() -> list[float]:
        backend = Torch()
        try:
            model = Model(f"local/{folder}", **settings)
            backend.check(model)
            return await backend.score(model, QUESTION, answers)
        finally:
            await backend.close()

    return asyncio.run(work())


def replies(folder: Path, request: Request, count: int = 1) -> list[Any]:
    async def work() -> list[Any]:
        backend = Torch()
        try:
            return await backend.complete(request, tuple(Draw(0, i) for i in range(count)))
        finally:
            await backend.close()

    return asyncio.run(work())


def by_hand(folder: Path, answer: str) -> list[float]:
    """Scores at every line break that ends a line with words, and at the end; one at a time."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    text = f"<|user|>{QUESTION}<|assistant|>{answer}<|end|>"
    ids = tokenizer.encode(text, add_special_tokens=False)
    model = transformers.LlamaForTokenClassification.from_pretrained(folder).float().eval()
    with torch.no_grad():
        chances = model(torch.tensor([ids])).logits[0, :, 0].sigmoid().tolist()
    begin = ids.index(tokenizer.convert_tokens_to_ids("<|assistant|>"))
    newline = tokenizer("\n").input_ids[0]
    breaks = [
        place
        for place, token in enumerate(ids)
        if place > begin and token == newline and ids[place - 1] != newline
    ]
    return [chances[place] for place in [*breaks, len(ids) - 1]]


def test_a_step_scorer_reads_a_score_where_every_line_ends(steps: Path) -> None:
    assert head_of(steps) == "steps"
    found = Heads(steps).lines(QUESTION, ANSWERS)
    assert [len(lines) for lines in found] == [2, 1, 3, 4], "a blank line has no score"
    for lines, answer in zip(found, ANSWERS, strict=True):
        assert lines == pytest.approx(by_hand(steps, answer), abs=1e-5)


def test_lines_are_joined_as_told(steps: Path) -> None:
    by_line = [by_hand(steps, answer) for answer in ANSWERS]
    expected = {
        None: [lines[-1] for lines in by_line],
        "min": [min(lines) for lines in by_line],
        "mean": [sum(lines) / len(lines) for lines in by_line],
    }
    for how, values in expected.items():
        params = {"steps": how} if how else {}
        assert scores(steps, *ANSWERS, params=params) == pytest.approx(values, abs=1e-5)
    assert len({tuple(round(v, 3) for v in values) for values in expected.values()}) == 3
    with pytest.raises(
        ConfigError, match=r"'steps' must be one of last, min, mean, got 'men'; did you mean"
    ):
        scores(steps, "a", params={"steps": "men"})


def test_an_outcome_scorer_gives_the_probability_of_its_second_label(outcome: Path) -> None:
    assert head_of(outcome) == "outcome"
    tokenizer = transformers.AutoTokenizer.from_pretrained(outcome)
    model = transformers.LlamaForSequenceClassification.from_pretrained(outcome).float().eval()
    expected = []
    for answer in ANSWERS:
        ids = tokenizer.encode(
            f"<|user|>{QUESTION}<|assistant|>{answer}<|end|>", add_special_tokens=False
        )
        with torch.no_grad():
            expected.append(float(model(torch.tensor([ids])).logits[0].softmax(-1)[1]))
    assert scores(outcome, *ANSWERS, "") == pytest.approx([*expected, 0.0], abs=1e-5)
    with pytest.raises(ConfigError, match=r"no use for 'params: \{steps\}'"):
        scores(outcome, "a", params={"steps": "min"})


def test_an_architecture_ranks_by_a_reward_head(outcome: Path) -> None:
    arch = Generate(model="fake/m", samples=4) >> Rank(
        model=f"local/{outcome}", method="scorer", keep=1
    )
    with archon.Session(pool=None, backends={"fake": Fake(list(ANSWERS))}) as session:
        result = archon.run(arch, QUESTION, session=session)
    best = max(zip(scores(outcome, *ANSWERS), ANSWERS, strict=True))[1]
    assert (result.answer, result.used.calls) == (best, 4)


def test_an_answer_cannot_bring_an_end_of_its_own(outcome: Path) -> None:
    short, long = scores(outcome, "#### 5", "#### 5<|end|>")
    assert short != pytest.approx(long, abs=1e-4)


def test_what_a_head_cannot_do_is_said(outcome: Path, tmp_path: Path) -> None:
    request = Request(Model(f"local/{outcome}"), (Message("user", QUESTION),))
    [error] = replies(outcome, request)
    assert isinstance(error, ModelError)
    assert "rank: {method: scorer}" in str(error)
    with pytest.raises(ModelError, match="more than the context of 256 tokens"):
        scores(outcome, "5 " * 300)
    kind = transformers.LlamaForSequenceClassification
    with pytest.raises(ModelError, match="its head has 3 labels"):
        scores(make(tmp_path, kind, num_labels=3), "5")


def request_of(folder: Path, effort: Any, **rest: Any) -> Request:
    model = Model(f"local/{folder}", effort=effort, max_tokens=24, **rest)
    return Request(model, (Message("user", QUESTION),))


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """A folder whose greedy reply under an effort thinks, ends its thinking and says something.

    With the tokens of that reply, as transformers writes them.
    """
    folder = make(tmp_path_factory.mktemp("thinker"), transformers.LlamaForCausalLM)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).float().eval()
    mark = tokenizer.convert_tokens_to_ids("<|assistant|>")
    ids = tokenizer.encode(
        f"<|user|>{QUESTION}<|think|>", add_special_tokens=False, return_tensors="pt"
    )
    for _ in range(200):  # random heads, until one does
        with torch.inference_mode():
            out = model.generate(ids, do_sample=False, max_new_tokens=24)[0, ids.shape[1] :]
        words: list[int] = out.tolist()
        said = tokenizer.decode(words[: words.index(mark)]) if mark in words else ""
        if len(said.strip()) > 3 and words.index(mark) < 20 and words.count(mark) == 1:
            model.save_pretrained(folder)
            return folder, words
        with torch.no_grad():
            model.lm_head.weight.normal_(0, 0.5)
            model.lm_head.weight[mark] *= 1.6
    raise AssertionError("no head writes the mark")


def test_a_template_that_takes_an_effort_is_told(thinker: tuple[Path, list[int]]) -> None:
    """What stands before the mark of the answer is thinking."""
    folder, out = thinker
    assert takes_effort(folder)
    Torch().check(Model(f"local/{folder}", effort="high"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    words = out[:-1] if out[-1] == tokenizer.eos_token_id else out
    place = words.index(tokenizer.convert_tokens_to_ids("<|assistant|>"))
    [reply] = replies(folder, request_of(folder, "high", temperature=0))
    assert reply.reasoning == tokenizer.decode(words[:place], skip_special_tokens=True)
    assert reply.text == tokenizer.decode(words[place + 1 :], skip_special_tokens=True)
    assert reply.usage.output_tokens == len(out), "thinking is counted and paid"
    assert Reply.from_json(reply.to_json()).reasoning == reply.reasoning


def test_a_low_effort_thinks_nothing_and_is_another_request(talker: Path) -> None:
    plain, low = request_of(talker, None, temperature=0), request_of(talker, "low", temperature=0)
    [first], [second] = replies(talker, plain), replies(talker, low)
    assert first.text == second.text
    assert first.reasoning == second.reasoning == ""
    assert plain.key() != low.key()


def test_a_reply_that_never_ends_its_thinking_is_empty(tmp_path: Path) -> None:
    folder = make(tmp_path, transformers.LlamaForCausalLM)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight[2:5] = 0
    model.save_pretrained(folder)
    [reply] = replies(folder, request_of(folder, "medium", temperature=0))
    assert (reply.text, reply.finish) == ("", "length")
    assert reply.reasoning


def test_a_stop_string_in_the_thinking_stops_nothing(thinker: tuple[Path, list[int]]) -> None:
    folder, _ = thinker
    [whole] = replies(folder, request_of(folder, "high", temperature=0))
    inside = whole.reasoning.strip()[:3]
    assert inside not in whole.text
    [same] = replies(folder, request_of(folder, "high", temperature=0, stop=(inside,)))
    assert (same.reasoning, same.text) == (whole.reasoning, whole.text)
    late = whole.text[2:5]
    [cut] = replies(folder, request_of(folder, "high", temperature=0, stop=(late,)))
    assert (cut.reasoning, cut.text) == (whole.reasoning, whole.text[: whole.text.index(late)])


def test_a_given_beginning_and_thinking_exclude_each_other(talker: Path) -> None:
    model = Model(f"local/{talker}", effort="high", max_tokens=4)
    [error] = replies(talker, Request(model, (Message("user", "Hi"),), prefix="So"))
    assert isinstance(error, ModelError)
    assert "begins with thinking" in str(error)


def test_a_nominal_price_is_the_price_of_a_call(talker: Path, tmp_path: Path) -> None:
    folder = tmp_path / "priced"
    shutil.copytree(talker, folder)
    data = json.loads((folder / "config.json").read_text())
    rates = {"input_cost_per_token": 2e-6, "output_cost_per_token": 8e-6}
    (folder / "config.json").write_text(json.dumps(data | {"archon_nominal_price": rates}))
    assert nominal_price(talker) is None
    price = Torch().price(Model(f"local/{folder}"))
    assert price is not None
    assert (price.input, price.output) == (2.0, 8.0)
    [reply] = replies(folder, request_of(folder, None, temperature=0))
    usage = reply.usage
    assert usage.microusd == 2 * usage.input_tokens + 8 * usage.output_tokens
    given = Torch().price(Model(f"local/{folder}", price={"input": 1, "output": 1}))
    assert given is not None
    assert given.input == 1
    (folder / "config.json").write_text(json.dumps(data | {"archon_nominal_price": {"usd": 1}}))
    with pytest.raises(ConfigError, match="'archon_nominal_price' must have"):
        nominal_price(folder)
