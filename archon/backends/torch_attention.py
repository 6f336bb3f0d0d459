"""Attention of rows that share their prompts.

Samples of one prompt see the same keys and values there. They are kept once, and all rows of a
prompt are multiplied with them together: a matrix product in place of one product of a vector for
each row (Juravsky et al. 2024, "Hydragen: High-Throughput LLM Inference with Shared Prefixes",
section 3). What a row wrote itself lies in its own columns. The softmax runs over both.

transformers calls `attend` for every layer of a model whose attention is set to `NAME`; what is
to be seen there is said beforehand, by `planned`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["NAME", "Causal", "Shared", "attend", "planned"]

NAME = "archon"
"""How transformers knows this attention."""

_now = threading.local()
_MASKED = float("-inf")
_CROWD = 1.5
"""How much larger a bucket may be than what is in it."""


@dataclass(slots=True)
class Causal:
    """Rows that read several tokens at once, each the columns from its start to itself.

    Attributes:
        start: the first column of each row, shape (rows).
        begin: the column of the first token that is read now.
        end: the column after the last.
    """

    start: Tensor
    begin: int
    end: int
    _masks: dict[int | None, Tensor] = field(default_factory=dict)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, how: _How) -> Tensor:
        """Return what the tokens see, of shape (rows, tokens, heads, size)."""
        groups = query.shape[1] // key.shape[1]
        if groups > 1:
            key, value = (part.repeat_interleave(groups, 1) for part in (key, value))
        mask = self._mask(how.window)
        if how.plain:
            seen = functional.scaled_dot_product_attention(
                query, key, value, attn_mask=mask, scale=how.scale
            )
        else:
            scores = how.capped(query @ key.transpose(-1, -2) * how.scale)
            seen = how.weights(scores.masked_fill(~mask, _MASKED), value.dtype) @ value
        return seen.transpose(1, 2)

    def _mask(self, window: int | None) -> Tensor:
        if window not in self._masks:
            column = torch.arange(self.end, device=self.start.device)
            place = column[self.begin :, None]
            mask = (column <= place) & (column >= self.start[:, None, None])
            if window is not None:
                mask &= place - column < window
            # Padding sees itself, or it would be a mean over nothing.
            self._masks[window] = (mask | (column == place)).unsqueeze(1)
        return self._masks[window]


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Prompts that have about as many rows: `rows` names them prompt by prompt, filled up.

    Prompts that have none any more are in no bucket.
    """

    begin: int
    end: int
    most: int
    rows: Tensor


class Shared:
    """Rows that write one token each: what is seen are a prompt and the row's own columns.

    Args:
        keys: of the prompts, aligned to the left, shape (layers, prompts, heads, columns, size).
        values: of the prompts.
        sizes: how many tokens each prompt has.
        groups: the prompt of each row.
        start: the first own column of each row, shape (rows).
        common: with how many tokens the prompts of all rows begin alike: there one of them stands
            for all.
    """

    def __init__(
        self,
        keys: Tensor,
        values: Tensor,
        sizes: Sequence[int],
        groups: Sequence[int],
        start: Tensor,
        common: int = 0,
    ) -> None:
        self._keys, self._values, self._start = keys, values, start
        self._common, self._any = common, groups[0]
        device = keys.device
        self._buckets, order = _buckets(groups, len(sizes), device)
        padded = sum(len(bucket.rows) for bucket in self._buckets)
        alone = len(self._buckets) == 1 and padded == len(order) and order == sorted(order)
        self._place = None if alone else torch.tensor(order, device=device)
        self.size = torch.tensor([sizes[group] for group in groups], device=device)
        column = torch.arange(keys.shape[3], device=device)
        self._far = _bias(column < self.size.unsqueeze(1), keys.dtype)
        self._bias: dict[int | None, Tensor] = {}
        self._width = -1

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, how: _How) -> Tensor:
        """Return what the tokens see, of shape (rows, 1, heads, size)."""
        rows, heads, _, size = query.shape
        query = query.reshape(rows, key.shape[1], heads // key.shape[1], size) * how.scale
        keys, values, common = self._keys[layer], self._values[layer], self._common
        parts = [
            self._times(query, keys[:, :, common:].transpose(-1, -2)),
            query @ key.transpose(-1, -2),
        ]
        if common:
            parts.insert(0, _alike(query, keys[self._any, :, :common].transpose(-1, -2)))
        scores = how.capped(torch.cat(parts, -1)) + self._seen(key.shape[2], how.window)
        weights = how.weights(scores, value.dtype)
        split = keys.shape[2]
        seen = weights[..., split:] @ value
        seen = seen + self._times(weights[..., common:split], values[:, :, common:])
        if common:
            seen = seen + _alike(weights[..., :common], values[self._any, :, :common])
        return seen.reshape(rows, 1, heads, value.shape[3])

    def _times(self, rows: Tensor, prompts: Tensor) -> Tensor:
        """Multiply (rows, heads, n, a) with the (prompts, heads, a, b) that belong to them."""
        parts = []
        for bucket in self._buckets:
            count, most = bucket.end - bucket.begin, bucket.most
            mine = rows if self._place is None else rows[bucket.rows]
            _, heads, n, a = mine.shape
            mine = mine.reshape(count, most, heads, n, a).transpose(1, 2)
            product = mine.reshape(count, heads, most * n, a) @ prompts[bucket.begin : bucket.end]
            b = product.shape[-1]
            product = product.view(count, heads, most, n, b).transpose(1, 2)
            parts.append(product.reshape(count * most, heads, n, b))
        if self._place is None:
            return parts[0]
        return torch.cat(parts)[self._place]

    def _seen(self, width: int, window: int | None) -> Tensor:
        """Return 0 for what a row sees and minus infinity for what it does not."""
        if width != self._width:
            self._bias, self._width = {}, width
        if window not in self._bias:
            column = torch.arange(width, device=self._start.device)
            near = _bias(column >= self._start.unsqueeze(1), self._far.dtype)
            bias = torch.cat((self._far, near), 1)
            if window is not None:
                bias = bias.masked_fill(self._distance(column) >= window, _MASKED)
            self._bias[window] = bias[:, None, None]
        return self._bias[window]

    def _distance(self, column: Tensor) -> Tensor:
        """Return how far each column is from the newest token of each row."""
        mine = (column - self._start.unsqueeze(1)) + self.size.unsqueeze(1)
        prompt = torch.arange(self._far.shape[1], device=column.device).expand_as(self._far)
        places = torch.cat((prompt, mine), 1)
        return places[:, -1:] - places


Plan = Causal | Shared


@dataclass(frozen=True, slots=True)
class _How:
    """How a layer weighs what it sees."""

    scale: float
    window: int | None
    softcap: float | None
    sinks: Tensor | None

    @property
    def plain(self) -> bool:
        """Whether the weights are a softmax and nothing else."""
        return self.softcap is None and self.sinks is None

    def capped(self, scores: Tensor) -> Tensor:
        """Return scores held within bounds, where a model does so (Gemma 2)."""
        if self.softcap is None:
            return scores
        return (scores / self.softcap).tanh() * self.softcap

    def weights(self, scores: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the softmax; some models (gpt-oss) have a place that takes weight for nothing."""
        if self.sinks is None:
            return scores.softmax(-1, dtype=torch.float32).to(dtype)
        sink = self.sinks.view(1, scores.shape[1], -1, 1)
        sink = sink.expand(*scores.shape[:-1], 1)
        whole = torch.cat((scores, sink.to(scores.dtype)), -1).softmax(-1, dtype=torch.float32)
        return whole[..., :-1].to(dtype)


@contextmanager
def planned(plan: Plan) -> Iterator[None]:
    """Say what the models called by this thread are to see."""
    _now.plan = plan
    try:
        yield
    finally:
        _now.plan = None


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Do the attention of one layer, as transformers calls it; masks are the plan's."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    how = _How(scale, sliding_window, softcap, s_aux)
    plan: Plan = _now.plan
    return plan.attend(module.layer_idx, query, key, value, how), None


def _alike(rows: Tensor, one: Tensor) -> Tensor:
    """Multiply (rows, heads, n, a) with (heads, a, b), which is the same for all rows."""
    count, heads, n, a = rows.shape
    product = rows.transpose(0, 1).reshape(heads, count * n, a) @ one
    return product.view(heads, count, n, one.shape[2]).transpose(0, 1)


def _bias(seen: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, _MASKED)


def _buckets(
    groups: Sequence[int], count: int, device: torch.device
) -> tuple[list[_Bucket], list[int]]:
    """Put neighbouring prompts together, and say at which place each row is found afterwards."""
    members: list[list[int]] = [[] for _ in range(count)]
    for row, group in enumerate(groups):
        members[group].append(row)
    runs: list[list[int]] = []
    most = total = 0
    for group, rows in enumerate(members):
        most, total = max(most, len(rows)), total + len(rows)
        if runs and most * (len(runs[-1]) + 1) <= _CROWD * total:
            runs[-1].append(group)
        else:
            runs.append([group])
            most = total = len(rows)
    buckets, place, offset = [], [0] * len(groups), 0
    for run in runs:
        most = max(len(members[group]) for group in run)
        if not most:
            continue
        filled: list[int] = []
        for group in run:
            rows = members[group]
            for number, row in enumerate(rows):
                place[row] = offset + len(filled) + number
            filled += [*rows, *[rows[0] if rows else 0] * (most - len(rows))]
        buckets.append(_Bucket(run[0], run[-1] + 1, most, torch.tensor(filled, device=device)))
        offset += len(filled)
    return buckets, place
