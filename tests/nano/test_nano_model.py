"""The shipped weights of ``local/nano``: size, loading, chat format and behaviour."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from archon.benchmarks.arithmetic import parse_key, problems
from archon.nano.data import CHECK_PROMPT, CORRECT, INCORRECT, VERDICT_PROMPT
from archon.nano.working import ALL_OK, WRONG, check

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

WEIGHTS = Path(__file__).resolve().parents[2] / "archon" / "weights" / "nano"


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.AutoTokenizer.from_pretrained(WEIGHTS, local_files_only=True)


@pytest.fixture(scope="module")
def model():
    return transformers.AutoModelForCausalLM.from_pretrained(
        WEIGHTS, local_files_only=True, dtype=torch.float32
    ).eval()


@pytest.fixture(scope="module")
def ask(tokenizer, model):
    """Greedy replies to a list of user messages, through the public chat interface only."""

    def reply(messages: list[str]) -> list[str]:
        chats = [[{"role": "user", "content": message}] for message in messages]
        texts = tokenizer.apply_chat_template(chats, add_generation_prompt=True, tokenize=False)
        inputs = tokenizer(texts, padding=True, return_tensors="pt")
        with torch.inference_mode():
            out = model.generate(**inputs, do_sample=False, max_new_tokens=120)
        fresh = out[:, inputs["input_ids"].shape[1] :]
        return tokenizer.batch_decode(fresh, skip_special_tokens=True)

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


def test_special_tokens_and_padding(tokenizer, model) -> None:
    assert tokenizer.padding_side == "left"
    assert tokenizer.eos_token_id == model.generation_config.eos_token_id
    assert tokenizer.pad_token_id == model.generation_config.pad_token_id
    assert tokenizer.eos_token_id != tokenizer.pad_token_id
    assert len(tokenizer) <= model.config.vocab_size


@pytest.mark.parametrize("text", ["12 + 34 = 46\n#### 46", "héllo 世界  🙂\n\n\ttab", "a  b ", ""])
def test_any_text_survives_the_tokenizer(tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_every_digit_is_one_token(tokenizer) -> None:
    assert len(tokenizer("9876543210").input_ids) == 10


def test_chat_template(tokenizer) -> None:
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


def test_easy_questions_get_right_workings(ask) -> None:
    asked = list(islice(problems(1, "test"), 40))
    replies = ask([one.question for one in asked])
    good = [
        check(parse_key(one.key), reply).endswith(ALL_OK)
        for one, reply in zip(asked, replies, strict=True)
    ]
    assert sum(good) >= 34


def test_padding_does_not_change_a_greedy_reply(ask) -> None:
    short, long = (next(problems(level, "test")).question for level in (1, 5))
    assert ask([short, long])[0] == ask([short])[0]


def test_verify_steps(ask) -> None:
    asked = list(islice(problems(1, "test"), 40))
    right = ["\n".join([*one.steps, f"#### {one.answer}"]) for one in asked]
    wrong = []
    for one, text in zip(asked, right, strict=True):
        other = str(one.answer + 10)
        head, _, _ = text.rpartition(f" = {one.answer}\n")
        wrong.append(f"{head} = {other}\n#### {other}")
    hits = 0
    for candidates, verdict, end in ((right, CORRECT, ALL_OK), (wrong, INCORRECT, WRONG)):
        pairs = list(zip(asked, candidates, strict=True))
        checks = ask([CHECK_PROMPT.format(question=p.question, candidate=c) for p, c in pairs])
        hits += sum(said.endswith(end) for said in checks)
        verdicts = ask(
            [
                VERDICT_PROMPT.format(question=p.question, candidate=c, reasoning=said)
                for (p, c), said in zip(pairs, checks, strict=True)
            ]
        )
        assert set(verdicts) <= {CORRECT, INCORRECT}
        assert verdicts.count(verdict) >= 30
    assert hits >= 64
