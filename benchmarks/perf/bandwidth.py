"""How near decoding comes to the limit that memory sets: every step reads all weights once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

__all__ = ["Traffic", "copied_per_second", "traffic"]

_BYTES = 2**30
_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one decoding step must read.

    Attributes:
        weights: bytes of all weights that a token passes through.
        column: bytes of keys and values of one token of one row.
    """

    weights: int
    column: int

    def share(self, rows: int, context: float, step: float, per_second: float) -> float:
        """Return the share of the memory's bandwidth that a step uses.

        Args:
            rows: texts that are continued together.
            context: mean tokens of a row.
            step: seconds of a step.
            per_second: bytes that the memory can move.

        >>> Traffic(weights=1000, column=10).share(2, 25, 0.5, 6000)
        0.5
        """
        return (self.weights + rows * context * self.column) / step / per_second


def traffic(net: Any) -> Traffic:
    """Return what a step of a transformers model reads.

    An embedding is looked up, so only where the head shares its weights are they read as a whole.
    """
    config = net.config.get_text_config(decoder=True)
    size = next(net.parameters()).element_size()
    weights = sum(p.numel() * p.element_size() for p in net.parameters())
    if not config.tie_word_embeddings:
        table = net.get_input_embeddings().weight
        weights -= table.numel() * table.element_size()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Traffic(weights, 2 * config.num_hidden_layers * heads * width * size)


def copied_per_second(device: str, size: int = _BYTES, rounds: int = _ROUNDS) -> float:
    """Return the bytes a device's memory moves in a second, read and written, as a copy shows it.

    Args:
        device: of torch.
        size: bytes that are copied at once; many times what caches hold.
        rounds: copies, of which the fastest counts.
    """
    import torch

    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    fastest = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        target.copy_(source)
        if source.is_cuda:
            torch.cuda.synchronize()
        fastest = min(fastest, time.perf_counter() - began)
    return 2 * size / fastest
