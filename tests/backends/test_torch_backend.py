"""The local backend against a tiny random model, and against transformers' own answers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from archon.model import Draw, Model, Outcome, Request
from archon.types import Message, Reply

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from archon.backends.torch import Torch  # noqa: E402

T = TypeVar("T")
NAME = "local/./tiny"
CONTEXT = 256
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def make_tiny(folder: Path, *, width: int = 32, layers: int = 2, kind: str = "llama") -> Path:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "<end>", "<system>", "<user>", "<assistant>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(["what is the sum of the numbers", "yes no correct wrong"], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<end>",
        pad_token="<pad>",
        additional_special_tokens=["<system>", "<user>", "<assistant>"],
    )
    tokenizer.chat_template = TEMPLATE
    common = {"vocab_size": len(tokenizer), "bos_token_id": None, "eos_token_id": 1}
    torch.manual_seed(7)
    if kind == "llama":
        model = transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                **common,
                hidden_size=width,
                intermediate_size=2 * width,
                num_hidden_layers=layers,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=CONTEXT,
                initializer_range=0.2,
            )
        )
    else:
        model = transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                **common, n_embd=width, n_layer=layers, n_head=4, n_positions=CONTEXT,
                initializer_range=0.2,
            )
        )  # fmt: skip
    model.generation_config.eos_token_id = 1
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    make_tiny(path / "tiny")
    return path


@pytest.fixture(autouse=True)
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def ask(text: str = "what is the sum", model: Model | None = None, **rest: Any) -> Request:
    return Request(model or Model(NAME, max_tokens=12), (Message("user", text),), **rest)


def draws(count: int, member: int = 0) -> tuple[Draw, ...]:
    return tuple(Draw(member, index) for index in range(count))


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@pytest.fixture
def backend() -> Iterator[Torch]:
    made = Torch()
    yield made
    run(made.close())


def replies(outcomes: list[Outcome]) -> list[Reply]:
    for outcome in outcomes:
        assert isinstance(outcome, Reply), outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Reply)]


def texts(outcomes: list[Outcome]) -> list[str]:
    return [reply.text for reply in replies(outcomes)]
