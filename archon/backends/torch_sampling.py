"""Sampling for many rows at once, each with its own settings and chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from archon.model import Model

__all__ = ["Knobs", "Seat", "State", "pick", "seated"]


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

    @property
    def filters(self) -> bool:
        """Whether some tokens are excluded."""
        return self.top_k > 0 or self.top_p < 1 or self.min_p > 0


@dataclass(frozen=True, slots=True)
class Seat:
    """How one row is continued.

    Attributes:
        knobs: sampling settings.
        limit: most tokens.
        chance: uniform numbers, one per token, or none if nothing is drawn.
        first: the temperature of the first token.
        opening: the only tokens that may come first; empty for all.
        banned: tokens that never come.
        forced: tokens that are written in their places, whatever the model says.
        top: how many of the likeliest tokens are shown with each; None shows nothing.
    """

    knobs: Knobs
    limit: int
    chance: np.ndarray[Any, np.dtype[np.float64]]
    first: float = 1.0
    opening: tuple[int, ...] = ()
    banned: tuple[int, ...] = ()
    forced: tuple[tuple[int, int], ...] = field(default=())
    top: int | None = None


@dataclass(slots=True)
class State:
    """What belongs to each row: one entry of every tensor."""

    start: Tensor
    count: Tensor
    limit: Tensor
    done: Tensor
    ended: Tensor
    temperature: Tensor
    first: Tensor
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
        for name in (f.name for f in fields(State)):
            columns = [getattr(part, name) for part in parts]
            if name in ("tokens", "chance"):
                width = max(c.shape[1] for c in columns)
                columns = [functional.pad(c, (0, width - c.shape[1])) for c in columns]
            joined.append(torch.cat(columns))
        return State(*joined)


def seated(seats: Sequence[Seat], logits: Tensor, start: int) -> State:
    """Return new rows, whose first own column is `start`."""
    device, rows = logits.device, len(seats)
    width = max(seat.limit for seat in seats)
    # Apple's devices have no double precision.
    exact = np.float32 if device.type == "mps" else np.float64
    # One more than the limit: what a finished row still draws goes into the last.
    chance = np.zeros((rows, width + 1), dtype=exact)
    tokens = torch.full((rows, width + 1), -1, dtype=torch.long)
    for row, seat in enumerate(seats):
        chance[row, : len(seat.chance)] = seat.chance
        for place, token in seat.forced:
            if place < seat.limit:
                tokens[row, place] = token

    def column(values: Sequence[float], dtype: torch.dtype = torch.float) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    knobs = [seat.knobs for seat in seats]
    none = torch.zeros(rows, dtype=torch.bool, device=device)
    return State(
        start=torch.full((rows,), start, device=device),
        count=torch.zeros(rows, dtype=torch.long, device=device),
        limit=column([seat.limit for seat in seats], torch.long),
        done=none,
        ended=none.clone(),
        temperature=column([knob.temperature for knob in knobs]),
        first=column([seat.first for seat in seats]),
        top_k=column([knob.top_k for knob in knobs], torch.long),
        top_p=column([knob.top_p for knob in knobs]),
        min_p=column([knob.min_p for knob in knobs]),
        tokens=tokens.to(device),
        chance=torch.from_numpy(chance).to(device),
        logits=logits,
    )


def pick(
    logits: Tensor,
    chance: Tensor,
    state: Any,
    *,
    heat: Tensor | None = None,
    warm: bool = True,
    filtered: bool = True,
) -> Tensor:
    """Return one token for each row of `logits`.

    The token is where `chance` (uniform on [0, 1)) falls in the row's own distribution, in the
    order of the vocabulary, so that nothing depends on the other rows. Equal logits: the first.

    Args:
        logits: shape (rows, vocabulary).
        chance: shape (rows).
        state: has `temperature`, `top_k`, `top_p` and `min_p` of each row.
        heat: temperatures in place of the state's.
        warm: False where no row has a temperature above 0.
        filtered: False where no row excludes tokens.
    """
    best = logits.argmax(-1)
    if not warm:
        return best
    heat = state.temperature if heat is None else heat
    drawn = heat > 0
    top = logits.gather(1, best.unsqueeze(1))
    weight = ((logits - top) / torch.where(drawn, heat, 1.0).unsqueeze(1)).exp()
    if filtered:
        limited = (state.top_k > 0) | (state.top_p < 1) | (state.min_p > 0)
        rows = limited.nonzero().squeeze(1)
        weight[rows] = _filter(weight[rows], state, rows)
    # Single precision would misplace rare tokens at the end of a large vocabulary; Apple's
    # devices have no other.
    exact = torch.float32 if weight.device.type == "mps" else torch.float64
    edges = weight.cumsum(-1, dtype=exact)
    target = chance.to(exact).unsqueeze(1) * edges[:, -1:]
    token = torch.searchsorted(edges, target, right=True).squeeze(1)
    return torch.where(drawn, token.clamp_(max=logits.shape[1] - 1), best)


def _filter(weight: Tensor, state: Any, rows: Tensor) -> Tensor:
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
