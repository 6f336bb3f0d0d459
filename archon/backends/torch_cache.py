"""Keys and values of tokens that were read: rows under each other, and pieces cut from them.

All layers lie in one tensor of shape (layers, rows, heads, columns, size), so that choosing,
moving and copying rows is one operation and not one for each layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

__all__ = ["SPARE", "Form", "Segment", "Store", "form_of"]

SPARE = 64
"""Columns that are added to a store when it is full."""


@dataclass(frozen=True, slots=True)
class Form:
    """What the keys and values of one token of a model look like."""

    layers: int
    heads: int
    key_size: int
    value_size: int
    dtype: torch.dtype
    device: torch.device

    @property
    def token_bytes(self) -> int:
        """Memory that one token takes."""
        size = self.key_size + self.value_size
        return self.layers * self.heads * size * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Segment:
    """Keys and values of consecutive tokens: tensors (layers, heads, tokens, size)."""

    keys: Tensor
    values: Tensor

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return int(self.keys.shape[2])

    @property
    def bytes(self) -> int:
        """Memory that they take."""
        return self.keys.nbytes + self.values.nbytes

    def part(self, begin: int, end: int) -> Segment:
        """Return some of the tokens, as a view."""
        return Segment(self.keys[:, :, begin:end], self.values[:, :, begin:end])

    def copy(self) -> Segment:
        """Return a copy that holds no other tokens in memory."""
        return Segment(self.keys.clone(), self.values.clone())


class Store:
    """Keys and values of rows that share one axis of columns, with room for more.

    A forward pass writes new columns behind those in use; they count only when it has come to its
    end (`Net.forward`), so that a pass that failed can be made again.
    """

    def __init__(self, form: Form, rows: int, columns: int, *, used: int = 0) -> None:
        shape = (form.layers, rows, form.heads, columns)
        # Zeros, not whatever was there: a masked NaN would still spoil the row.
        self.keys = torch.zeros(*shape, form.key_size, dtype=form.dtype, device=form.device)
        self.values = torch.zeros(*shape, form.value_size, dtype=form.dtype, device=form.device)
        self.used = used
        self.cache = Cache(layers=[_Layer(self, number) for number in range(form.layers)])

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.keys.shape[1])

    def reserve(self, more: int) -> None:
        """Make room for more columns."""
        lacking = self.used + more - self.keys.shape[3]
        if lacking > 0:
            self.keys = _wider(self.keys, lacking + SPARE)
            self.values = _wider(self.values, lacking + SPARE)

    def put(self, row: int, end: int, path: Sequence[Segment], tokens: int) -> None:
        """Copy the first `tokens` tokens of a path into a row, so that they end before `end`."""
        column = end - tokens
        for segment in path:
            count = min(segment.size, end - column)
            if count <= 0:
                break
            self.keys[:, row, :, column : column + count] = segment.keys[:, :, :count]
            self.values[:, row, :, column : column + count] = segment.values[:, :, :count]
            column += count

    def segment(self, row: int, begin: int, end: int) -> Segment:
        """Return a copy of some columns of a row."""
        return Segment(self.keys[:, row, :, begin:end], self.values[:, row, :, begin:end]).copy()

    def take(self, other: Store, index: Tensor | slice, trim: int = 0) -> None:
        """Fill the first rows with rows of another store, from column `trim` on."""
        span = slice(self.used - (other.used - trim), self.used)
        keys = other.keys[:, index, :, trim : other.used]
        self.keys[:, : keys.shape[1], :, span] = keys
        self.values[:, : keys.shape[1], :, span] = other.values[:, index, :, trim : other.used]


class _Layer(DynamicLayer):  # type: ignore[misc]
    """One layer of a store, as transformers' models know it."""

    def __init__(self, store: Store, number: int) -> None:
        super().__init__()
        self._store, self._number = store, number
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Put new columns behind those in use and return all."""
        store, number = self._store, self._number
        end = store.used + key_states.shape[-2]
        keys, values = store.keys[number], store.values[number]
        keys[:, :, store.used : end] = key_states
        values[:, :, store.used : end] = value_states
        return keys[:, :, :end], values[:, :, :end]

    def get_seq_length(self) -> int:
        """Return how many columns are in use."""
        return self._store.used


def form_of(model: Any) -> Form | None:
    """Return what a model keeps for each token, or None if it is not the same in every layer."""
    plain = (DynamicLayer, DynamicSlidingWindowLayer)
    if any(type(layer) not in plain for layer in DynamicCache(config=model.config).layers):
        return None
    device = next(model.parameters()).device
    with torch.inference_mode():
        ids = torch.zeros(1, 1, dtype=torch.long, device=device)
        layers: Any = model(input_ids=ids, use_cache=True).past_key_values.layers
    sides = [(layer.keys, layer.values) for layer in layers]
    shapes = {(k.shape[1], k.shape[3], v.shape[1], v.shape[3], k.dtype) for k, v in sides}
    if len(shapes) != 1:
        return None
    [(heads, key_size, value_heads, value_size, dtype)] = shapes
    if heads != value_heads:
        return None
    return Form(len(sides), heads, key_size, value_size, dtype, device)


def _wider(tensor: Tensor, more: int) -> Tensor:
    return torch.nn.functional.pad(tensor, (0, 0, 0, more))
