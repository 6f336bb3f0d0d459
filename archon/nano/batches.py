"""Turns training groups into tensors: one row per group, its branches hidden from each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from transformers import PreTrainedTokenizerFast

from archon.nano.data import Group

_IGNORE = -1


@dataclass(frozen=True, slots=True)
class Row:
    """One group as tokens: ``branch`` 0 is the prefix, ``target`` the next token to learn."""

    ids: list[int]
    positions: list[int]
    branch: list[int]
    target: list[int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded rows with their attention mask (batch, 1, time, time), True where attended."""

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    target: torch.Tensor


def row_of(group: Group, tokenizer: PreTrainedTokenizerFast) -> Row:
    """The tokens of one group."""
    pieces = [group.prefix, *(text for branch in group.branches for text in branch)]
    encoded: list[list[int]] = tokenizer(pieces).input_ids
    prefix = encoded[0]
    row = Row(list(prefix), list(range(len(prefix))), [0] * len(prefix), [_IGNORE] * len(prefix))
    for number in range(len(group.branches)):
        prompt, reply = encoded[1 + 2 * number], encoded[2 + 2 * number]
        size = len(prompt) + len(reply)
        row.ids.extend(prompt + reply)
        row.positions.extend(range(len(prefix), len(prefix) + size))
        row.branch.extend([number + 1] * size)
        row.target.extend([_IGNORE] * (len(prompt) - 1) + reply + [_IGNORE])
    return row


def batch_of(rows: list[Row]) -> Batch:
    """Pad rows on the right and build the mask that keeps branches apart."""
    width = max(len(row.ids) for row in rows)

    def padded(lists: list[list[int]], fill: int) -> torch.Tensor:
        return torch.tensor([one + [fill] * (width - len(one)) for one in lists])

    branch = padded([row.branch for row in rows], -1)
    keys, queries = branch[:, None, :], branch[:, :, None]
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    mask = ((keys == 0) | (keys == queries)) & causal
    return Batch(
        padded([row.ids for row in rows], 0),
        padded([row.positions for row in rows], 0),
        mask[:, None],
        padded([row.target for row in rows], _IGNORE),
    )


def batches(
    groups: Iterator[Group], tokenizer: PreTrainedTokenizerFast, tokens: int, seed: int
) -> Iterator[Batch]:
    """Batches of about ``tokens`` tokens, rows of like length together, until the groups end."""
    shuffle = torch.Generator().manual_seed(seed)
    while True:
        rows = sorted(
            (row_of(group, tokenizer) for group in islice(groups, 512)),
            key=lambda row: len(row.ids),
        )
        if not rows:
            return
        ready: list[list[Row]] = [[]]
        for row in rows:
            if ready[-1] and (len(ready[-1]) + 1) * len(row.ids) > tokens:
                ready.append([])
            ready[-1].append(row)
        for place in torch.randperm(len(ready), generator=shuffle).tolist():
            yield batch_of(ready[place])
