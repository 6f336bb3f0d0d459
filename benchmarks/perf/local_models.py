"""Weights to measure on: the embedded model, and random numbers in the shape of real ones.

A random model never ends a reply by itself, and its tokens are words that no tokenizer can cut
otherwise: `w000017 w000004`. What it wrote is therefore read again as the same tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["NANO", "SHAPES", "Shape", "embedded", "random_weights", "word"]

NANO = "local/nano-math"
"""What is measured where no larger model is at hand: it comes with archon."""
CONTEXT = 4096
END = "<end>"
_TEMPLATE = "{% for m in messages %}{{ m.content }} {% endfor %}"


@dataclass(frozen=True, slots=True)
class Shape:
    """The architecture of a model without its weights.

    Attributes:
        kind: the model type, as in `config.json`.
        settings: the sizes, in transformers' words.
        dtype: what the weights are stored in.
    """

    kind: str
    settings: Mapping[str, Any]
    dtype: str = "bfloat16"


SHAPES: dict[str, Shape] = {
    "qwen2-0.5b": Shape(
        "qwen2",
        {
            "vocab_size": 151_936, "hidden_size": 896, "intermediate_size": 4864,
            "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
            "tie_word_embeddings": True,
        },
    ),
    "qwen2-1.5b": Shape(
        "qwen2",
        {
            "vocab_size": 151_936, "hidden_size": 1536, "intermediate_size": 8960,
            "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2,
            "tie_word_embeddings": True,
        },
    ),
}  # fmt: skip
"""Shapes of Qwen2.5's two smallest models (Qwen Team 2024, "Qwen2.5 Technical Report", table 1)."""


def word(number: int) -> str:
    """Return the word of a token; all are of one length, so none begins with another."""
    return f"w{number:06d}"


def embedded() -> Shape:
    """Return the shape of the embedded model."""
    from transformers import AutoConfig

    from archon.backends.torch_files import folder_of

    config: Any = AutoConfig.from_pretrained(folder_of(NANO), local_files_only=True)
    names = (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "head_dim",
        "num_attention_heads", "num_key_value_heads", "tie_word_embeddings",
    )  # fmt: skip
    return Shape(config.model_type, {name: getattr(config, name) for name in names}, "float16")


def random_weights(shape: Shape, folder: Path) -> Path:
    """Write random weights of a shape with their tokenizer into a folder; the same every time."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    words = int(shape.settings["vocab_size"])
    config: Any = AutoConfig.for_model(
        shape.kind,
        **shape.settings,
        max_position_embeddings=CONTEXT,
        bos_token_id=None,
        pad_token_id=0,
        eos_token_id=None,
    )
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, shape.dtype))
    # One more than there are: no logit can choose it.
    model.generation_config.eos_token_id = words
    model.save_pretrained(folder)
    _words(words).save_pretrained(folder)
    return folder


def _words(count: int) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({**{word(i): i for i in range(count)}, END: count}))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=END,
        model_max_length=CONTEXT,
    )
    tokenizer.chat_template = _TEMPLATE
    return tokenizer
