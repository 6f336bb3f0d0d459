"""Tiny models with random weights, and what is asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from archon.model import Draw, Model, Outcome, Request
from archon.types import Message, Reply

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from archon.backends.torch import Torch  # noqa: E402
from archon.backends.torch_serving import Serving  # noqa: E402

T = TypeVar("T")
NAME = "local/./tiny"
CONTEXT = 256
END = 1
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def make_tiny(folder: Path, *, width: int = 32, layers: int = 2, kind: str = "llama") -> Path:
    """Write a model of some kind, with a tokenizer that knows a few words and every byte."""
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
    elif kind == "qwen2":
        model = transformers.Qwen2ForCausalLM(
            transformers.Qwen2Config(
                **common,
                hidden_size=width,
                intermediate_size=2 * width,
                num_hidden_layers=layers,
                num_attention_heads=4,
                num_key_value_heads=1,
                max_position_embeddings=CONTEXT,
                initializer_range=0.2,
                tie_word_embeddings=True,
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


def ask(text: str = "what is the sum", model: Model | None = None, **rest: Any) -> Request:
    """Return a request of one turn."""
    return Request(model or Model(NAME, max_tokens=12), (Message("user", text),), **rest)


def draws(count: int, member: int = 0) -> tuple[Draw, ...]:
    """Return the first draws."""
    return tuple(Draw(member, index) for index in range(count))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine."""
    return asyncio.run(work)


def replies(outcomes: Sequence[Outcome]) -> list[Reply]:
    """Return outcomes, none of which may be an error."""
    for outcome in outcomes:
        assert isinstance(outcome, Reply), outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Reply)]


def serving(backend: Torch) -> Serving:
    """Return the only model that a backend has loaded, at work."""
    (engine,) = backend._engines.values()
    assert engine.serving is not None
    return engine.serving


class Own:
    """transformers' own answers with the weights of a folder, in single precision."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
        self.model: Any = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32
        ).eval()

    def prompt(self, request: Request) -> list[int]:
        """Return the tokens of a chat."""
        text = "".join(f"<{m.role}>{m.content}<end>" for m in request.messages) + "<assistant>"
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def greedy(self, prompts: Sequence[list[int]], tokens: int) -> list[list[int]]:
        """Return what `generate` says to each prompt, without the token that ends it."""
        width = max(map(len, prompts))
        rows = [[0] * (width - len(ids)) + ids for ids in prompts]
        mask = [[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts]
        whole = self.model.generate(
            input_ids=torch.tensor(rows),
            attention_mask=torch.tensor(mask),
            do_sample=False,
            max_new_tokens=tokens,
            pad_token_id=0,
        )
        said = [row[width:].tolist() for row in whole]
        return [ids[: ids.index(END)] if END in ids else ids for ids in said]

    def logs(self, ids: Sequence[int]) -> Any:
        """Return the log-probabilities after each token, shape (tokens, vocabulary)."""
        with torch.inference_mode():
            return self.model(torch.tensor([list(ids)])).logits[0].log_softmax(-1)
