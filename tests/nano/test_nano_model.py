"""The shipped weights of ``local/nano``: size, loading, chat format and behaviour."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from archon.benchmarks.arithmetic import Problem, problems
from archon.layers.verify import CORRECT, INCORRECT
from archon.nano.data import CHECK_PROMPT, VERDICT_PROMPT
from archon.nano.working import answer_of

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

Ask: TypeAlias = Callable[[list[str]], list[str]]

WEIGHTS = Path(__file__).resolve().parents[2] / "archon" / "weights" / "nano"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(WEIGHTS, local_files_only=True)


@pytest.fixture(scope="module")
def model() -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(
        WEIGHTS, local_files_only=True, dtype=torch.float32
    ).eval()


@pytest.fixture(scope="module")
def ask(tokenizer: Any, model: Any) -> Ask:
    """Greedy replies to a list of user messages, through the public chat interface only."""

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


def test_the_folder_is_small_and_complete() -> None:
    sizes = {path.name: path.stat().st_size for path in WEIGHTS.iterdir()}
    assert sum(sizes.values()) <= 8 * 1024 * 1024
    needed = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert needed | {"generation_config.json", "README.md"} <= set(sizes)


def test_weights_are_float16_and_finite() -> None:
    from safetensors.torch import load_file

    tensors = load_file(WEIGHTS / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
    assert 0.5e6 < sum(tensor.numel() for tensor in tensors.values()) < 4e6


def test_special_tokens_and_padding(tokenizer: Any, model: Any) -> None:
    assert tokenizer.padding_side == "left"
    assert tokenizer.eos_token_id == model.generation_config.eos_token_id
    assert tokenizer.pad_token_id == model.generation_config.pad_token_id
    assert tokenizer.eos_token_id != tokenizer.pad_token_id
    assert len(tokenizer) <= model.config.vocab_size


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
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert ids.count(tokenizer.eos_token_id) == 1
    assert tokenizer.decode(ids) == text


def test_easy_questions_get_right_workings(ask: Ask) -> None:
    asked = list(islice(problems(1, "test"), 40))
    replies = ask([one.question for one in asked])
    good = [answer_of(reply) == one.answer for one, reply in zip(asked, replies, strict=True)]
    assert sum(good) >= 28


def test_padding_does_not_change_a_greedy_reply(ask: Ask) -> None:
    short, long = (next(problems(level, "test")).question for level in (1, 5))
    assert ask([short, long])[0] == ask([short])[0]


def easy_candidates() -> tuple[list[Problem], list[str], list[str]]:
    """Easy problems with a right and a wrong working each."""
    asked = list(islice(problems(1, "test"), 40))
    right = ["\n".join([*one.steps, f"#### {one.answer}"]) for one in asked]
    wrong = []
    for one, text in zip(asked, right, strict=True):
        head, _, _ = text.rpartition(f" = {one.answer}\n")
        wrong.append(f"{head} = {one.answer + 10}\n#### {one.answer + 10}")
    return asked, right, wrong


def test_a_check_derives_the_answer_again(ask: Ask) -> None:
    asked, right, wrong = easy_candidates()
    for candidates in (right, wrong):
        prompts = [
            CHECK_PROMPT.format(question=one.question, candidate=candidate)
            for one, candidate in zip(asked, candidates, strict=True)
        ]
        checks = zip(asked, ask(prompts), strict=True)
        assert sum(answer_of(said) == one.answer for one, said in checks) >= 24


def test_the_verdict_says_whether_the_check_agrees(ask: Ask) -> None:
    asked, right, wrong = easy_candidates()
    for candidates, verdict in ((right, CORRECT), (wrong, INCORRECT)):
        prompts = [
            VERDICT_PROMPT.format(question=one.question, candidate=candidate, reasoning=reasoning)
            for one, candidate, reasoning in zip(asked, candidates, right, strict=True)
        ]
        assert ask(prompts).count(verdict) >= 36
