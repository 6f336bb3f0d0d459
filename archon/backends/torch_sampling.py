"""Sampling for many rows at once, each with its own settings and chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from archon.model import Model

__all__ = ["Knobs", "State", "pick"]


@dataclass(frozen=True, slots=True)
class Knobs:
    """Sampling settings of one row; a temperature of 0 takes the likeliest token."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    @classmethod
    def of(cls, model: Model) -> Knobs:
        """Return a model's settings, with the defaults of what is not given."""
        heat = 1.0 if model.temperature is None else model.temperature
        return cls(heat, model.top_k or 0, model.top_p or 1.0, model.min_p or 0.0)


@dataclass(slots=True)
class State:
    """What belongs to each row: one entry of every tensor."""

    start: Tensor
    count: Tensor
    limit: Tensor
    done: Tensor
    ended: Tensor
    temperature: Tensor
    top_k: Tensor
    top_p: Tensor
    min_p: Tensor
    tokens: Tensor
    chance: Tensor
    logits: Tensor

    def select(self, index: Tensor) -> State:
        """Return some of the rows."""
        return State(*(getattr(self, f.name)[index] for f in fields(self)))

    @staticmethod
    def cat(parts: Sequence[State]) -> State:
        """Put rows below each other; shorter token rows are filled up."""
        if len(parts) == 1:
            return parts[0]
        joined = []
        for field in fields(State):
            columns = [getattr(part, field.name) for part in parts]
            if field.name in ("tokens", "chance"):
                width = max(c.shape[1] for c in columns)
                columns = [functional.pad(c, (0, width - c.shape[1])) for c in columns]
            joined.append(torch.cat(columns))
        return State(*joined)


def pick(logits: Tensor, chance: Tensor, state: State) -> Tensor:
    """Return one token for each row of `logits`.

    The token is where `chance` (uniform on [0, 1)) falls in the row's own distribution, in the
    order of the vocabulary, so that nothing depends on the other rows.
    """
    best = logits.argmax(-1)
    warm = state.temperature > 0
    if not bool(warm.any()):
        return best
    heat = torch.where(warm, state.temperature, 1.0).unsqueeze(1)
    top = logits.gather(1, best.unsqueeze(1))
    weight = ((logits - top) / heat).exp()
    filtered = (state.top_k > 0) | (state.top_p < 1) | (state.min_p > 0)
    if bool(filtered.any()):
        rows = filtered.nonzero().squeeze(1)
        weight[rows] = _filter(weight[rows], state, rows)
    # Single precision would misplace rare tokens at the end of a large vocabulary; Apple's
    # devices have no other.
    exact = torch.float32 if weight.device.type == "mps" else torch.float64
    edges = weight.cumsum(-1, dtype=exact)
    target = chance.to(exact).unsqueeze(1) * edges[:, -1:]
    drawn = torch.searchsorted(edges, target, right=True).squeeze(1)
    return torch.where(warm, drawn.clamp_(max=logits.shape[1] - 1), best)


def _filter(weight: Tensor, state: State, rows: Tensor) -> Tensor:
    """Set to zero what top_k, then top_p of what is left, then min_p excludes."""
    ordered, order = weight.sort(stable=True, dim=-1, descending=True)
    rank = torch.arange(weight.shape[1], device=weight.device)
    top_k = state.top_k[rows].unsqueeze(1)
    ordered = ordered.masked_fill((rank >= top_k) & (top_k > 0), 0.0)
    before = ordered.cumsum(-1) - ordered
    top_p = state.top_p[rows].unsqueeze(1)
    out = (before >= top_p * ordered.sum(-1, keepdim=True)) & (top_p < 1)
    out |= ordered < state.min_p[rows].unsqueeze(1) * ordered[:, :1]
    ordered = ordered.masked_fill(out, 0.0)
    return torch.zeros_like(weight).scatter_(1, order, ordered)
