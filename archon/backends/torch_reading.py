"""Reads texts, each token that several have in common once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from archon.backends.torch_attention import Causal
from archon.backends.torch_cache import Segment, Store
from archon.backends.torch_net import Net
from archon.backends.torch_tree import PrefixTree

__all__ = ["Reader", "Text", "shared_size"]

Ids = tuple[int, ...]

READ_TOKENS = 2**14
"""Most tokens, padding included, that are read together."""
CHUNK = 2**11
"""Most tokens of one text that are read at once."""
_LOGITS = 2**25
"""Most logits that are held at once."""
_SHARED = 16
"""What fewer tokens in common are not worth a pass of their own."""


@dataclass(eq=False, slots=True)
class Text:
    """A text to be read, and what came of it.

    Attributes:
        ids: its tokens.
        shown: of how many tokens at its end the log-probabilities are wanted.
        top: how many of the likeliest tokens in each of these places.
        path: keys and values of its tokens, once they are known.
        reused: how many tokens were known before.
        logits: after its last token, shape (vocabulary).
        logprobs: for each token shown, its own and the likeliest as (token, log-probability).
    """

    ids: Ids
    shown: int = 0
    top: int = 0
    path: list[Segment] = field(default_factory=list)
    reused: int = 0
    logits: Tensor | None = None
    logprobs: list[tuple[float, list[tuple[int, float]]]] = field(default_factory=list)

    @property
    def known(self) -> int:
        """How many tokens have been read."""
        return sum(segment.size for segment in self.path)

    def ended(self, net: Net) -> float:
        """Return the log-probability that the reply ends after this text, which was read."""
        assert self.logits is not None
        ends = torch.tensor(sorted(net.ends), device=self.logits.device, dtype=torch.long)
        return float(self.logits.log_softmax(-1)[ends].logsumexp(0))


@dataclass(frozen=True, slots=True)
class _Piece:
    """Tokens up to `end` that are to be read now, for all the texts that begin with them."""

    texts: list[Text]
    begin: int
    end: int

    @property
    def first(self) -> Text:
        return self.texts[0]

    @property
    def count(self) -> int:
        """Columns it takes: to show a token, the one before it must be read again."""
        return max(self.end - self.begin, self.shown + 1 if self.shown else 0)

    @property
    def shown(self) -> int:
        """How many of its tokens are to be shown."""
        first = len(self.first.ids) - self.first.shown
        return max(0, self.end - max(self.begin, first))


class Reader:
    """Reads texts with a model, from the tree as far as they are there.

    Args:
        net: the model.
        tree: what was read before; what is read now is added to it.
        reuse: whether anything is taken from it, and shared between texts.

    Attributes:
        prefilled: tokens that the model read, padding left out.
        reused: tokens that it need not read.
    """

    def __init__(self, net: Net, tree: PrefixTree, *, reuse: bool = True) -> None:
        self._net, self._tree, self._reuse = net, tree, reuse
        self.prefilled = self.reused = 0

    @torch.inference_mode()
    def read(self, texts: Sequence[Text]) -> None:
        """Fill in what comes of the texts, which must differ from each other."""
        for text in texts:
            # The last token is read in any case: what follows it must be known.
            most = len(text.ids) - (text.shown + 1 if text.shown else 1)
            if self._reuse and not text.path and most > 0:
                text.path = self._tree.match(text.ids, most)
            text.reused = text.known
            self.reused += text.known
        waiting = list(texts)
        while waiting:
            for group in _groups(self._pieces(waiting), self._net.vocabulary):
                self._read(group)
            waiting = [text for text in waiting if text.logits is None]

    def _pieces(self, waiting: Iterable[Text]) -> list[_Piece]:
        """Return what is to be read next: of texts that go on alike only what they share."""
        alike: dict[object, list[Text]] = {}
        for text in waiting:
            shares = self._reuse and not text.shown
            key = text.ids[: text.known + 1] if shares else text
            alike.setdefault(key, []).append(text)
        pieces = []
        for texts in alike.values():
            begin = texts[0].known
            end = shared_size([text.ids for text in texts])
            if len(texts) > 1 and end - begin >= _SHARED:
                pieces.append(_Piece(texts, begin, min(end, begin + CHUNK)))
            else:
                pieces += [self._rest(text, begin) for text in texts]
        return pieces

    def _rest(self, text: Text, begin: int) -> _Piece:
        most = CHUNK
        if text.shown:
            most = max(1, min(CHUNK, _LOGITS // self._net.vocabulary - 1))
        return _Piece([text], begin, min(len(text.ids), begin + most))

    def _read(self, pieces: Sequence[_Piece]) -> None:
        width = max(piece.end for piece in pieces)
        count = max(piece.count for piece in pieces)
        store = Store(self._net.form, len(pieces), width, used=width - count)
        rows = []
        for row, piece in enumerate(pieces):
            ids = piece.first.ids[: piece.end]
            # Shorter ones read a little again where others have more to read.
            again = ids[max(0, piece.end - count) :]
            rows.append([0] * (count - len(again)) + list(again))
            store.put(row, width - count, piece.first.path, max(0, piece.end - count))
        device = self._net.device
        start = torch.tensor([width - piece.end for piece in pieces], device=device)
        column = torch.arange(width - count, width, device=device)
        shown = max(piece.shown for piece in pieces)
        logits = self._net.forward(
            torch.tensor(rows, device=device),
            column - start.unsqueeze(1),
            store,
            Causal(start, width - count, width),
            keep=shown + 1,
        )
        for row, piece in enumerate(pieces):
            self._learn(piece, store.segment(row, width - piece.end + piece.begin, width))
            if piece.shown:
                self._show(piece, logits[row])
            for text in piece.texts:
                if piece.end == len(text.ids):
                    text.logits = logits[row, -1]

    def _learn(self, piece: _Piece, new: Segment) -> None:
        self.prefilled += new.size
        for number, text in enumerate(piece.texts):
            text.path.append(new)
            if number:
                text.reused += new.size
                self.reused += new.size
        if self._reuse and not piece.shown:
            self._tree.add(piece.first.ids[: piece.end], new)

    def _show(self, piece: _Piece, logits: Tensor) -> None:
        """Note the log-probabilities of the last tokens of a piece."""
        text, count = piece.first, piece.shown
        logs = logits[-count - 1 :].log_softmax(-1)
        ids = torch.tensor(text.ids[piece.end - count : piece.end], device=logs.device)
        own = logs[:-1].gather(1, ids.unsqueeze(1)).squeeze(1).tolist()
        best = logs[:-1].topk(min(text.top, logs.shape[1]), -1) if text.top else None
        for place in range(count):
            top: list[tuple[int, float]] = []
            if best is not None:
                top = list(
                    zip(best.indices[place].tolist(), best.values[place].tolist(), strict=True)
                )
            text.logprobs.append((own[place], top))


def shared_size(texts: Sequence[Ids]) -> int:
    """Return how many tokens all texts have in common at their beginning."""
    first, last = min(texts), max(texts)  # whatever these two share, those between them share too
    for place, (a, b) in enumerate(zip(first, last, strict=False)):
        if a != b:
            return place
    return min(len(first), len(last))


def _groups(pieces: Iterable[_Piece], vocabulary: int) -> list[list[_Piece]]:
    """Put pieces together that have about as many tokens to read, before and now."""
    groups: list[list[_Piece]] = []
    for piece in sorted(pieces, key=lambda p: (p.shown > 0, p.count, p.end)):
        group = groups[-1] if groups else []
        size = len(group) + 1
        fits = (
            bool(group)
            and piece.count <= 2 * group[0].count + 16
            and piece.end <= 2 * group[0].end + 64
            and group[0].end <= 2 * piece.end + 64
            and piece.count * size <= READ_TOKENS
            and (piece.shown > 0) == (group[0].shown > 0)
            and (not piece.shown or (piece.count + 1) * size * vocabulary <= _LOGITS)
        )
        if fits:
            group.append(piece)
        else:
            groups.append([piece])
    return groups
