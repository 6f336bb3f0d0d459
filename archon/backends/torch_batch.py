"""Rows that one model continues together, whatever their prompts, lengths and settings.

The prompts lie apart, each once (`torch_attention.Shared`). What the rows write shares one axis of
columns: every row's next token goes into the same new column, and columns before a row's start
are masked. So rows join and leave at any step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archon.backends.torch_attention import Shared
from archon.backends.torch_cache import SPARE, Segment, Store
from archon.backends.torch_net import Net
from archon.backends.torch_reading import shared_size
from archon.backends.torch_sampling import Seat, State, pick, seated

__all__ = ["Batch", "Prompt", "Shown"]

ALIKE = 16
"""Fewer tokens that all prompts have in common are not worth a product of their own."""

Shown = tuple[float, list[tuple[int, float]]]
"""The log-probability of a token, and the likeliest in its place with theirs."""


@dataclass(eq=False, slots=True)
class Prompt:
    """A prompt that was read.

    Attributes:
        ids: its tokens.
        path: keys and values of its tokens.
        logits: after its last token, shape (vocabulary).
    """

    ids: tuple[int, ...]
    path: list[Segment]
    logits: Tensor

    @property
    def size(self) -> int:
        """How many tokens it has."""
        return len(self.ids)


@dataclass(slots=True)
class _Pending:
    """What one step has to show of some rows, still on the device."""

    rows: list[int]
    own: Tensor
    top: list[int]
    values: Tensor
    ids: Tensor


class Batch:
    """Continues rows with one model.

    Args:
        net: the model.
        share: whether prompts that begin alike are looked at together there.

    Attributes:
        unread: whether tokens were drawn that the model has not read, since memory ran out.
    """

    def __init__(self, net: Net, *, share: bool = True) -> None:
        self._net, self._together = net, share
        self._ends = torch.tensor(sorted(net.ends), device=net.device, dtype=torch.long)
        self._clear()

    def _clear(self) -> None:
        self._store: Store | None = None
        self._prompts = Store(self._net.form, 0, 0)
        self._sizes: list[int] = []
        self._ids: list[tuple[int, ...]] = []
        self._groups: list[int] = []
        self._seats: list[Seat] = []
        self._state: State | None = None
        self._shared: Shared | None = None
        self._last: Tensor | None = None
        self._pending: list[_Pending] = []
        self._fresh = self.unread = False

    @property
    def rows(self) -> int:
        """How many rows there are, finished ones included."""
        return len(self._groups)

    @property
    def prompt_width(self) -> int:
        """Tokens of the longest prompt."""
        return max(self._sizes, default=0)

    @torch.inference_mode()
    def join(self, prompts: Sequence[Prompt], which: Sequence[int], seats: Sequence[Seat]) -> None:
        """Add rows: row i continues prompt `which[i]` as `seats[i]` says."""
        assert not self.unread
        old = self._store
        used = 0 if old is None else old.used
        room = used + _spare([*self._seats, *seats])
        store = Store(self._net.form, self.rows + len(seats), room, used=used)
        merged = self._with(prompts)
        index = torch.tensor(which, device=self._net.device)
        logits = torch.stack([prompt.logits for prompt in prompts])[index]
        states = [seated(seats, logits, used)]
        if old is not None and self._state is not None:
            store.take(old, slice(None))
            states.insert(0, self._state)
        # Nothing was changed so far: if memory ran out, the rows that are here are as they were.
        self._store, self._state, self._prompts = store, State.cat(states), merged
        self._groups += [len(self._sizes) + place for place in which]
        self._sizes += [prompt.size for prompt in prompts]
        self._ids += [prompt.ids for prompt in prompts]
        self._seats += seats
        self._fresh = True
        self._share()

    def _with(self, prompts: Sequence[Prompt]) -> Store:
        """Return a store of the prompts that are here and of new ones, aligned to the left."""
        width = max(self.prompt_width, *(prompt.size for prompt in prompts))
        here = len(self._sizes)
        merged = Store(self._net.form, here + len(prompts), width, used=width)
        if here:
            merged.keys[:, :here, :, : self._prompts.used] = self._prompts.keys
            merged.values[:, :here, :, : self._prompts.used] = self._prompts.values
        for place, prompt in enumerate(prompts):
            merged.put(here + place, prompt.size, prompt.path, prompt.size)
        return merged

    @torch.inference_mode()
    def keep(self, rows: Sequence[int]) -> None:
        """Drop every row but these."""
        if not rows:
            self._clear()
            return
        assert self._state is not None
        assert self._store is not None
        index = torch.tensor(rows, device=self._net.device)
        state = self._state.select(index)
        trim = int(state.start.min())
        seats, used = [self._seats[row] for row in rows], self._store.used - trim
        store = Store(self._net.form, len(rows), used + _spare(seats), used=used)
        store.take(self._store, index, trim)
        state.start = state.start - trim
        self._state, self._store = state, store
        self._groups = [self._groups[row] for row in rows]
        self._seats = seats
        if self._last is not None:
            self._last = self._last[index]
        self._forget_prompts()
        self._share()

    def _forget_prompts(self) -> None:
        """Drop prompts without rows, once they are many: it copies all others."""
        alive = sorted(set(self._groups))
        if 2 * len(alive) > len(self._sizes):
            return
        width = max(self._sizes[group] for group in alive)
        index = torch.tensor(alive, device=self._net.device)
        kept = Store(self._net.form, len(alive), width, used=width)
        kept.keys = self._prompts.keys[:, index, :, :width]
        kept.values = self._prompts.values[:, index, :, :width]
        place = {group: number for number, group in enumerate(alive)}
        self._prompts, self._sizes = kept, [self._sizes[group] for group in alive]
        self._ids = [self._ids[group] for group in alive]
        self._groups = [place[group] for group in self._groups]

    def _share(self) -> None:
        """Prepare what every step needs, until rows join or leave."""
        assert self._state is not None
        prompts = self._prompts
        self._shared = Shared(
            prompts.keys, prompts.values, self._sizes, self._groups, self._state.start,
            self._common(),
        )  # fmt: skip
        seats, device = self._seats, self._net.device
        self._warm = any(seat.knobs.temperature > 0 or seat.first > 0 for seat in seats)
        self._filtered = any(seat.knobs.filters for seat in seats)
        self._forced = any(seat.forced for seat in seats)
        banned = [(row, token) for row, seat in enumerate(seats) for token in seat.banned]
        self._banned = torch.tensor(banned, device=device).T if banned else None
        self._showing = [row for row, seat in enumerate(seats) if seat.top is not None]

    def _common(self) -> int:
        """Return with how many tokens the prompts of all rows begin alike, if that is worth it."""
        alive = [self._ids[group] for group in set(self._groups)]
        size = shared_size(alive) if self._together and len(alive) > 1 else 0
        return size if size >= ALIKE else 0

    @torch.inference_mode()
    def step(self) -> bool:
        """Draw one token for each row and read it; False when every row has finished."""
        assert self._state is not None
        if not self.unread:
            self._draw(self._state)
            # Looking at the device makes it wait: there it is done now and then only.
            if self._net.device.type == "cpu" and bool(self._state.done.all()):
                return False
        self._feed(self._state)
        return True

    def _draw(self, state: State) -> None:
        place = state.count.unsqueeze(1)
        token = pick(
            self._steered(state.logits),
            state.chance.gather(1, place).squeeze(1),
            state,
            heat=torch.where(state.count == 0, state.first, state.temperature),
            warm=self._warm,
            filtered=self._filtered,
        )
        if self._forced:
            forced = state.tokens.gather(1, place).squeeze(1)
            token = torch.where(forced >= 0, forced, token)
        if self._showing:
            self._show(state.logits, token)
        live = ~state.done
        # From here on nothing can run out of memory half-way.
        state.tokens.scatter_(1, place, token.unsqueeze(1))
        state.count += live
        state.ended |= live & torch.isin(token, self._ends)
        state.done |= state.ended | (state.count >= state.limit)
        self._last, self._fresh = token, False

    def _steered(self, logits: Tensor) -> Tensor:
        """Return logits without the tokens that are not allowed."""
        opening = (
            [(row, seat.opening) for row, seat in enumerate(self._seats) if seat.opening]
            if self._fresh
            else []
        )
        if self._banned is None and not opening:
            return logits
        logits = logits.clone()
        if self._banned is not None:
            logits[self._banned[0], self._banned[1]] = float("-inf")
        assert self._state is not None
        for row, allowed in opening:
            if int(self._state.count[row]) == 0:
                index = torch.tensor(allowed, device=logits.device)
                kept = logits[row, index]
                logits[row] = float("-inf")
                logits[row, index] = kept
        return logits

    def _show(self, logits: Tensor, token: Tensor) -> None:
        rows, top = self._showing, [self._seats[row].top or 0 for row in self._showing]
        index = torch.tensor(rows, device=logits.device)
        logs = logits[index].log_softmax(-1)
        best = logs.topk(min(max(top), logs.shape[1]), -1)
        own = logs.gather(1, token[index].unsqueeze(1)).squeeze(1)
        self._pending.append(_Pending(rows, own, top, best.values, best.indices))

    def _feed(self, state: State) -> None:
        assert self._store is not None
        assert self._shared is not None
        assert self._last is not None
        self.unread = True
        positions = self._shared.size + (self._store.used - state.start)
        logits = self._net.forward(
            self._last.unsqueeze(1), positions.unsqueeze(1), self._store, self._shared
        )
        state.logits = logits[:, -1]
        self.unread = False

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

    def segment(self, row: int, count: int) -> Segment | None:
        """Return keys and values of the first `count` tokens that a row wrote, if they are read."""
        assert self._state is not None
        assert self._store is not None
        start = int(self._state.start[row])
        if count < 1 or start + count > self._store.used:
            return None
        return self._store.segment(row, start, start + count)

    def shown(self) -> list[dict[int, Shown]]:
        """Return what the steps since the last call show, by row; rows must not have changed."""
        steps = []
        for step in self._pending:
            values, ids, own = step.values.tolist(), step.ids.tolist(), step.own.tolist()
            steps.append(
                {
                    row: (own[n], list(zip(ids[n], values[n], strict=True))[: step.top[n]])
                    for n, row in enumerate(step.rows)
                }
            )
        self._pending = []
        return steps


def _spare(seats: Sequence[Seat]) -> int:
    """Return for how many more columns to make room: what is never written costs time too."""
    return min(SPARE, max(seat.limit for seat in seats))
