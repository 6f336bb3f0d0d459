"""The shipped weights of the nano family: size, loading, chat format, whether they are stale."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from archon.backends.torch_config import head_of, nominal_price, takes_effort  # noqa: E402
from archon.backends.torch_files import flops_per_token  # noqa: E402
from archon.backends.torch_heads import Heads  # noqa: E402
from archon.nano import judged  # noqa: E402
from archon.nano.answering import asked, speaker  # noqa: E402
from archon.nano.cells import Place  # noqa: E402
from archon.nano.examples.mixing import FAMILIES  # noqa: E402
from archon.nano.measure import MIDDLE  # noqa: E402
from archon.nano.members import MEMBERS, Member  # noqa: E402
from archon.nano.separating import auc  # noqa: E402
from archon.nano.vocabulary import FILE  # noqa: E402

Ask: TypeAlias = Callable[[list[str]], list[str]]

WEIGHTS = Path(__file__).resolve().parents[2] / "archon" / "weights"
HEADS = {"lines": "LlamaForTokenClassification", "answers": "LlamaForSequenceClassification"}
GENERATORS = [name for name in MEMBERS if not MEMBERS[name].head]
each = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(WEIGHTS / "nano", local_files_only=True)


@pytest.fixture(scope="module")
def ask(tokenizer: Any) -> Ask:
    """Greedy replies of `nano-math`, through the public chat interface only."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        WEIGHTS / "nano-math", local_files_only=True, dtype=torch.float32
    ).eval()

    def reply(messages: list[str]) -> list[str]:
        chats = [[{"role": "user", "content": message}] for message in messages]
        texts = tokenizer.apply_chat_template(chats, add_generation_prompt=True, tokenize=False)
        inputs = tokenizer(texts, padding=True, return_tensors="pt")
        with torch.inference_mode():
            out = model.generate(**inputs, do_sample=False, max_new_tokens=120)
        fresh = out[:, inputs["input_ids"].shape[1] :]
        said: list[str] = tokenizer.batch_decode(fresh, skip_special_tokens=True)
        return said

    return reply


def config(member: Member) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((WEIGHTS / member.name / "config.json").read_text())
    return found


def test_the_family_is_small() -> None:
    sizes = [path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()]
    assert sum(sizes) <= 20 * 2**20


@each
def test_the_files_are_complete(member: Member) -> None:
    names = {path.name for path in (WEIGHTS / member.name).iterdir()}
    needed = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert needed | {"chat_template.jinja"} <= names
    head = {"lines": "steps", "answers": "outcome"}.get(member.kind, "")
    assert config(member)["architectures"] == [HEADS.get(member.kind, "LlamaForCausalLM")]
    assert head_of(WEIGHTS / member.name) == head
    assert takes_effort(WEIGHTS / member.name)


@each
def test_weights_are_float16_and_finite(member: Member) -> None:
    from safetensors.torch import load_file

    tensors = load_file(WEIGHTS / member.name / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
    assert 0.8e6 < sum(tensor.numel() for tensor in tensors.values()) < 1.5e6


@each
def test_no_model_is_stale(member: Member) -> None:
    """What a model was trained on is what its members, templates and wordings now give."""
    assert config(member)["archon_examples"] == member.examples
    assert config(member)["archon_trained_tokens"] >= member.tokens
    kept = json.loads((WEIGHTS / member.name / "tokenizer.json").read_text())
    assert kept["model"]["vocab"] == json.loads(FILE.read_text())["model"]["vocab"]


@each
def test_prices_are_in_proportion_to_the_operations(member: Member) -> None:
    folder = WEIGHTS / member.name
    price, flops = nominal_price(folder), flops_per_token(f"local/{member.name}")
    assert price is not None
    assert flops is not None
    assert price.input == price.output == pytest.approx(flops * 1e-7, rel=1e-3)
    assert "nominal" in config(member)["archon_nominal_price"]["note"]


def test_the_general_model_is_the_cheapest() -> None:
    prices = {name: nominal_price(WEIGHTS / name) for name in GENERATORS}
    assert min(prices, key=lambda name: prices[name].output) == "nano"  # type: ignore[union-attr]


def test_special_tokens_and_padding(tokenizer: Any) -> None:
    assert tokenizer.padding_side == "left"
    for name in GENERATORS:
        made = transformers.GenerationConfig.from_pretrained(WEIGHTS / name)
        assert tokenizer.eos_token_id == made.eos_token_id
        assert tokenizer.pad_token_id == made.pad_token_id
    assert tokenizer.eos_token_id != tokenizer.pad_token_id


@pytest.mark.parametrize("text", ["12 + 34 = 46\n#### 46", "héllo 世界  🙂\n\n\ttab", "a  b ", ""])
def test_any_text_survives_the_tokenizer(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_every_digit_is_one_token(tokenizer: Any) -> None:
    assert len(tokenizer("9876543210").input_ids) == 10


def test_chat_template(tokenizer: Any) -> None:
    messages = [
        {"role": "system", "content": "ignored"},
        {"role": "user", "content": "How many?"},
        {"role": "assistant", "content": "#### 4"},
        {"role": "user", "content": "Again?"},
    ]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert text == "<|user|>How many?<|assistant|>#### 4<|end|><|user|>Again?<|assistant|>"
    thinking = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=False, reasoning_effort="high"
    )
    assert thinking == text.removesuffix("<|assistant|>") + "<|think|>"


def test_padding_does_not_change_a_greedy_reply(ask: Ask) -> None:
    family = FAMILIES["arithmetic"]
    short, long = (next(family.stream(level, "test", 0)).question for level in (1, 5))
    assert ask([short, long])[0] == ask([short])[0]


def accuracy(name: str, benchmark: str, *, think: bool = False) -> float:
    """Share of right answers to 40 test problems of the middle level, two samples each."""
    found = asked(
        speaker(WEIGHTS / name), FAMILIES[benchmark], MIDDLE[benchmark], 40, 2, think=think
    )
    return sum(one.share for one in found) / len(found)


@pytest.mark.parametrize(
    ("benchmark", "home", "other"),
    [
        ("arithmetic", "nano-math", "nano-code"),
        ("listfn", "nano-code", "nano-math"),
        ("constraints", "nano", "nano-math"),
    ],
)
def test_each_generator_is_best_at_home(benchmark: str, home: str, other: str) -> None:
    at_home = accuracy(home, benchmark)
    assert 0.3 < at_home < 0.85
    assert at_home > accuracy(other, benchmark) + 0.1


@pytest.mark.parametrize(
    ("head", "benchmark"), [("nano-prm", "arithmetic"), ("nano-orm", "listfn")]
)
def test_reward_heads_tell_right_from_wrong_answers_of_their_generator(
    head: str, benchmark: str
) -> None:
    """Imperfectly: above 0.65 on 60 problems, where the page has the figure on 500."""
    trunk = speaker(WEIGHTS / MEMBERS[head].trunk)
    found = asked(trunk, FAMILIES[benchmark], MIDDLE[benchmark], 60, 2)
    judge = Heads(WEIGHTS / head)
    scores, truths = [], []
    for one in found:
        for answer, lines in zip(
            one.answers,
            judge.lines(one.question, [answer.text or "?" for answer in one.answers]),
            strict=True,
        ):
            assert all(0 < line < 1 for line in lines)
            scores.append(lines[-1])
            truths.append(answer.right)
    area = auc(scores, truths)
    assert area is not None
    assert area > 0.65


def test_the_judge_tells_right_from_wrong_and_fuses_to_the_better() -> None:
    """On 50 problems, where the page has the figures on 500."""
    found = asked(speaker(WEIGHTS / "nano-math"), FAMILIES["arithmetic"], 2, 50, 4)
    voice, place = speaker(WEIGHTS / "nano-judge"), Place("nano-judge", "verify", "arithmetic", 2)
    cells = [*judged.verify(voice, found, place), *judged.fuse(voice, found, place)]
    values = {cell.what: cell.value for cell in cells}
    assert values["AUC"] > 0.65
    assert values["fusion of 4 minus their mean"] > 0
