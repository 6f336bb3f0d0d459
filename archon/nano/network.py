"""The network of the family: a small Llama; how it is made, and how it is kept."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from archon.nano.members import Member
from archon.nano.vocabulary import MOST_TOKENS
from archon.writing import whole_file

__all__ = ["configured", "fresh", "marked_config", "nominal_usd", "write"]

NOMINAL_USD_PER_FLOP = 1e-6 / 1e7
"""A made-up rate: a model of 5 million parameters would cost 1 dollar per million tokens."""


def configured(member: Member, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """The shape of a model: tied embeddings, rotary positions."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=member.width,
        intermediate_size=member.width * 14 // 5,
        num_hidden_layers=member.layers,
        num_attention_heads=member.heads,
        num_key_value_heads=member.heads,
        max_position_embeddings=MOST_TOKENS,
        initializer_range=0.05,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def fresh(member: Member, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """An untrained network, the same one for the same seed."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(configured(member, tokenizer))


def nominal_usd(parameters: int) -> float:
    """The nominal price of a token: two operations for every parameter, at a made-up rate."""
    return 2 * parameters * NOMINAL_USD_PER_FLOP


def marked_config(member: Member, parameters: int, tokens: int) -> dict[str, Any]:
    """What archon adds to a model's `config.json`."""
    price = nominal_usd(parameters)
    return {
        "archon_examples": member.examples,
        "archon_trained_tokens": tokens,
        "archon_nominal_price": {
            "input_cost_per_token": price,
            "output_cost_per_token": price,
            "note": "nominal: in proportion to the operations per token; nobody charges it",
        },
    }


def write(
    model: Any, tokenizer: PreTrainedTokenizerFast, member: Member, tokens: int, out: Path
) -> None:
    """Write a model (float16) with its tokenizer as Hugging Face files.

    Args:
        model: a Llama with any head.
        tokenizer: of the family.
        member: what it is.
        tokens: of training so far.
        out: folder; made if need be.
    """
    half = copy.deepcopy(model).half()
    if isinstance(half, LlamaForCausalLM):
        half.generation_config = GenerationConfig(
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            max_new_tokens=256,
        )
    half.save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)  # it is written for the owner alone
    tokenizer.save_pretrained(out)
    count = sum(weight.numel() for weight in half.parameters())
    config = json.loads((out / "config.json").read_text())
    config |= marked_config(member, count, tokens)
    with whole_file(out / "config.json") as file:
        file.write((json.dumps(config, indent=2) + "\n").encode())
