"""Rows that one transformer continues together, whatever their lengths and settings.

All rows share one time axis. A row's prompt is aligned to the right, so that every row's next
token goes into the same new column of the key-value cache; columns before a row's start are
masked. Rows can therefore join and leave at any step: those that stay, and those that come, are
copied into one cache, again aligned to the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from transformers.cache_utils import Cache, DynamicCache

from archon.backends.torch_cache import SPARE, Columns, Part, gather
from archon.backends.torch_sampling import Knobs, State, pick

__all__ = ["Batch", "Prefill"]

_LOGITS = 2**25
"""Most logits that are held at once when verdicts are scored."""


@dataclass(slots=True)
class Prefill:
    """Prompts the model has read: one row each."""

    layers: list[tuple[Tensor, Tensor]]
    start: Tensor
    logits: Tensor


class Batch:
    """Continues rows with one model.

    Args:
        model: a transformers model for causal language modelling.
        ends: tokens that end a reply.
        context: the most tokens a row may have.
    """

    def __init__(self, model: Any, ends: Sequence[int], context: int) -> None:
        self._model = model
        self._device = next(model.parameters()).device
        self._ends = torch.tensor(sorted(ends), device=self._device)
        self._last = context - 1
        self._layers: list[Columns] = []
        self._state: State | None = None
        self.forwards = 0

    @property
    def rows(self) -> int:
        """How many rows there are, finished ones included."""
        return 0 if self._state is None else len(self._state.start)

    @property
    def width(self) -> int:
        """Columns of the cache in use."""
        return self._layers[0].used if self._layers else 0

    @torch.inference_mode()
    def read(self, prompts: Sequence[Sequence[int]]) -> Prefill:
        """Read prompts of similar length, one row each."""
        width = max(map(len, prompts))
        start = torch.tensor([width - len(p) for p in prompts], device=self._device)
        ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
        column = torch.arange(width, device=self._device)
        cache = DynamicCache()
        output = self._forward(
            ids.to(self._device),
            mask=column >= start.unsqueeze(1),
            positions=(column - start.unsqueeze(1)).clamp_(min=0),
            cache=cache,
            logits_to_keep=1,
        )
        # Made without a configuration, the cache has plain layers only.
        layers: Any = [(layer.keys, layer.values) for layer in cast("Any", cache.layers)]
        return Prefill(layers, start, output[:, -1].float())

    @torch.inference_mode()
    def score(
        self, read: Prefill, which: Sequence[int], texts: Sequence[Sequence[int]]
    ) -> list[float]:
        """Return the log-probability of each text as the whole reply to prompt `which[i]`."""
        step = max(1, _LOGITS // (read.logits.shape[1] * (max(map(len, texts)) + 1)))
        scores: list[float] = []
        for at in range(0, len(texts), step):
            scores += self._score(read, which[at : at + step], texts[at : at + step])
        return scores

    def _score(
        self, read: Prefill, which: Sequence[int], texts: Sequence[Sequence[int]]
    ) -> list[float]:
        width = max(map(len, texts))
        ids = torch.tensor([[*text, *[0] * (width - len(text))] for text in texts])
        ids = ids.to(self._device)
        size = torch.tensor([len(text) for text in texts], device=self._device)
        index = torch.tensor(which, device=self._device)
        start, logits = read.start[index], read.logits[index].unsqueeze(1)
        if width:
            layers = gather([Part(read.layers, index, torch.zeros_like(start))], width)
            used = layers[0].used
            column = torch.arange(used + width, device=self._device)
            output = self._forward(
                ids,
                mask=column >= start.unsqueeze(1),
                positions=column[used:] - start.unsqueeze(1),
                cache=Cache(layers=list(layers)),
            )
            logits = torch.cat([logits, output.float()], 1)
        logs = logits.log_softmax(-1)
        said = logs[:, :width].gather(2, ids.unsqueeze(2)).squeeze(2)
        said = said.masked_fill(torch.arange(width, device=self._device) >= size.unsqueeze(1), 0)
        last = logs[torch.arange(len(texts), device=self._device), size]
        total: list[float] = (said.sum(1) + last[:, self._ends].logsumexp(1)).tolist()
        return total

    def _forward(
        self, ids: Tensor, *, mask: Tensor, positions: Tensor, cache: Cache, **rest: Any
    ) -> Tensor:
        self.forwards += 1
        output: Tensor = self._model(
            input_ids=ids,
            attention_mask=mask,
            # Rows that are already at the end go on until the next sweep.
            position_ids=positions.clamp(max=self._last),
            past_key_values=cache,
            use_cache=True,
            **rest,
        ).logits
        return output

    @torch.inference_mode()
    def join(
        self,
        read: Prefill,
        which: Sequence[int],
        knobs: Sequence[Knobs],
        limits: Sequence[int],
        chance: Tensor,
    ) -> None:
        """Add rows: row i continues prompt `which[i]` for at most `limits[i]` tokens.

        Args:
            read: the prompts.
            which: the prompt of each row.
            knobs: settings of each row.
            limits: most tokens of each row.
            chance: uniform numbers of each row, one per token.
        """
        index = torch.tensor(which, device=self._device)
        state = self._fresh(read, index, knobs, limits, chance)
        parts = [Part(read.layers, index, state.start)]
        states = [state]
        if self._state is not None:
            everything = torch.arange(self.rows, device=self._device)
            mine = [layer.pair for layer in self._layers]
            parts.insert(0, Part(mine, everything, self._state.start))
            states.insert(0, self._state)
        self._rebuild(parts, states)

    def _fresh(
        self,
        read: Prefill,
        index: Tensor,
        knobs: Sequence[Knobs],
        limits: Sequence[int],
        chance: Tensor,
    ) -> State:
        device, rows = self._device, len(index)
        none = torch.zeros(rows, dtype=torch.bool, device=device)

        def column(name: str) -> Tensor:
            return torch.tensor([getattr(knob, name) for knob in knobs], device=device)

        return State(
            start=read.start[index],
            count=torch.zeros(rows, dtype=torch.long, device=device),
            limit=torch.tensor(limits, device=device),
            done=none,
            ended=none.clone(),
            temperature=column("temperature").float(),
            top_k=column("top_k"),
            top_p=column("top_p").float(),
            min_p=column("min_p").float(),
            # One more than the limit: what a finished row still draws goes into the last.
            tokens=torch.zeros(rows, chance.shape[1] + 1, dtype=torch.long, device=device),
            chance=functional.pad(chance, (0, 1)).to(device),
            logits=read.logits[index],
        )

    @torch.inference_mode()
    def keep(self, rows: Sequence[int]) -> None:
        """Drop every row but these."""
        if not rows:
            self._layers, self._state = [], None
            return
        assert self._state is not None
        index = torch.tensor(rows, device=self._device)
        state = self._state.select(index)
        mine = [layer.pair for layer in self._layers]
        self._rebuild([Part(mine, index, state.start)], [state])

    def _rebuild(self, parts: list[Part], states: list[State]) -> None:
        width = max(part.width for part in parts)
        for part, state in zip(parts, states, strict=True):
            state.start = part.start - part.trim + width - part.width
        self._layers = gather(parts, SPARE)
        self._state = State.cat(states)

    @torch.inference_mode()
    def step(self) -> bool:
        """Draw one token for each row and read it; False when every row has finished."""
        state = self._state
        assert state is not None
        place = state.count.unsqueeze(1)
        token = pick(state.logits, state.chance.gather(1, place).squeeze(1), state)
        state.tokens.scatter_(1, place, token.unsqueeze(1))
        live = ~state.done
        state.count += live
        state.ended |= live & torch.isin(token, self._ends)
        state.done |= state.ended | (state.count >= state.limit)
        if bool(state.done.all()):
            return False
        used = self.width
        column = torch.arange(used + 1, device=self._device)
        output = self._forward(
            token.unsqueeze(1),
            mask=column >= state.start.unsqueeze(1),
            positions=used - state.start.unsqueeze(1),
            cache=Cache(layers=list(self._layers)),
        )
        state.logits = output[:, -1].float()
        return True

    def finished(self) -> tuple[list[bool], list[bool], list[int]]:
        """Return for each row whether it is done, whether by an end token, and its length."""
        state = self._state
        assert state is not None
        return state.done.tolist(), state.ended.tolist(), state.count.tolist()

    def tokens(self, row: int, count: int) -> list[int]:
        """Return the first `count` tokens of a row."""
        assert self._state is not None
        ids: list[int] = self._state.tokens[row, :count].tolist()
        return ids
