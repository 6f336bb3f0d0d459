"""Key-value caches whose rows can be chosen, moved and put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

__all__ = ["SPARE", "Columns", "Part", "gather", "supported"]

SPARE = 64
"""Columns that are added to the cache when it is full."""


class Columns(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values in a buffer with room, so that a step copies nothing."""

    def __init__(self, keys: Tensor, values: Tensor, used: int) -> None:
        super().__init__()
        self._keys, self._values, self.used = keys, values, used
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self.keys, self.values = keys[:, :, :used], values[:, :, :used]

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Put new columns behind those in use and return all."""
        end = self.used + key_states.shape[-2]
        if end > self._keys.shape[-2]:
            room = end - self._keys.shape[-2] + SPARE
            self._keys = functional.pad(self._keys, (0, 0, 0, room))
            self._values = functional.pad(self._values, (0, 0, 0, room))
        self._keys[:, :, self.used : end] = key_states
        self._values[:, :, self.used : end] = value_states
        self.used = end
        self.keys, self.values = self._keys[:, :, :end], self._values[:, :, :end]
        return self.keys, self.values

    @property
    def pair(self) -> tuple[Tensor, Tensor]:
        """Keys and values of the columns in use."""
        return self._keys[:, :, : self.used], self._values[:, :, : self.used]

    def get_seq_length(self) -> int:
        """Return how many columns are in use."""
        return self.used


@dataclass(slots=True)
class Part:
    """Some rows of some cache, to be copied into a new one."""

    layers: list[tuple[Tensor, Tensor]]
    index: Tensor
    start: Tensor

    @property
    def trim(self) -> int:
        """Leading columns that none of the rows uses."""
        return int(self.start.min())

    @property
    def width(self) -> int:
        """Columns that are copied."""
        return int(self.layers[0][0].shape[2]) - self.trim


def supported(config: Any) -> bool:
    """Whether every layer of a model keeps plain keys and values, as `Batch` needs."""
    plain = (DynamicLayer, DynamicSlidingWindowLayer)
    return all(type(layer) in plain for layer in DynamicCache(config=config).layers)


def gather(parts: list[Part], room: int) -> list[Columns]:
    """Copy rows of caches below each other, aligned to the right, with room for more columns."""
    width, rows = max(p.width for p in parts), sum(len(p.index) for p in parts)
    layers = []
    for number in range(len(parts[0].layers)):
        pair = []
        for side in (0, 1):
            sample = parts[0].layers[number][side]
            # Zeros, not whatever was there: a masked NaN would still spoil the row.
            buffer = sample.new_zeros(rows, sample.shape[1], width + room, sample.shape[3])
            at = 0
            for part in parts:
                source = part.layers[number][side][:, :, part.trim :]
                end = at + len(part.index)
                buffer[at:end, :, width - part.width : width] = source[part.index]
                at = end
            pair.append(buffer)
        layers.append(Columns(pair[0], pair[1], width))
    return layers
