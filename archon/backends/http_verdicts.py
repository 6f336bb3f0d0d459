"""Probabilities of tokens and verdicts, from the alternatives that a server shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice

from archon.model import Request
from archon.tokens import Token
from archon.types import Json

__all__ = ["shown_tokens", "verdict_probs"]

_FARTHEST = 32
"""Tokens after which verdicts that still begin alike are given up."""

Position = tuple[str, float, dict[str, float]]
"""The token that was generated, its logprob, and the logprobs of all that are shown there."""


def verdict_probs(request: Request, logprobs: Json) -> tuple[tuple[str, float], ...]:
    """Return each verdict's probability among them, or nothing if the server shows too little.

    A token counts for the one verdict that begins with it. As long as verdicts begin alike
    (`[Correct]` and `[Incorrect]` both with a bracket), the generated token is followed, and the
    next position decides. As with local weights, the probabilities sum up to one.
    """
    wanted = {text: text.removeprefix(request.prefix).strip() for text in request.verdicts}
    weights = _weights(list(wanted.values()), _positions(logprobs))
    total = sum(weights.values())
    if not total > 0:
        return ()
    return tuple((text, weights[rest] / total) for text, rest in wanted.items())


def shown_tokens(logprobs: Json, top: int) -> tuple[Token, ...]:
    """Return what a server shows of each token, with at most `top` alternatives, likeliest first.

    Nothing where it shows nothing, or something odd.
    """
    found = []
    for token, logprob, shown in _positions(logprobs, None):
        best = sorted(shown.items(), key=lambda one: -one[1])[:top]
        found.append(Token(token, float(logprob), tuple((t, float(p)) for t, p in best)))
    return tuple(found)


def _weights(verdicts: Sequence[str], positions: Iterator[Position]) -> dict[str, float]:
    weights = dict.fromkeys(verdicts, 0.0)
    said, reached = "", 1.0
    for token, logprob, shown in positions:
        for text, chance in shown.items():
            begun = _begun((said + text).strip(), verdicts)
            if len(begun) == 1:
                weights[begun[0]] += reached * math.exp(min(0.0, chance))
        said += token
        reached *= math.exp(min(0.0, logprob))
        if said.strip() and len(_begun(said.strip(), verdicts)) < 2:
            break
    return weights


def _begun(text: str, verdicts: Sequence[str]) -> list[str]:
    return [verdict for verdict in verdicts if text and verdict.startswith(text)]


def _positions(logprobs: Json, most: int | None = _FARTHEST) -> Iterator[Position]:
    """Read both forms: that of chats, and that of the older completions; stop at the first oddity.

    What is odd here makes a reply no worse: its probabilities are only not known.
    """
    if not isinstance(logprobs, dict):
        return
    content = logprobs.get("content")
    entries = _chat(content) if isinstance(content, list) else _plain(logprobs)
    for entry in islice(entries, most):
        token, logprob, shown = entry
        if not isinstance(token, str) or not _number(logprob):
            return
        alternatives = {t: p for t, p in shown if isinstance(t, str) and _number(p)}
        alternatives.setdefault(token, logprob)
        yield token, logprob, alternatives


_Raw = tuple[Json, Json, list[tuple[Json, Json]]]


def _chat(content: list[Json]) -> Iterator[_Raw]:
    for entry in content:
        if not isinstance(entry, dict):
            return
        top = entry.get("top_logprobs")
        shown = [
            (one.get("token"), one.get("logprob"))
            for one in (top if isinstance(top, list) else [])
            if isinstance(one, dict)
        ]
        yield entry.get("token"), entry.get("logprob"), shown


def _plain(logprobs: dict[str, Json]) -> Iterator[_Raw]:
    columns = [logprobs.get(name) for name in ("tokens", "token_logprobs", "top_logprobs")]
    if not all(isinstance(column, list) for column in columns):
        return
    for token, logprob, top in zip(*columns, strict=False):
        yield token, logprob, list(top.items()) if isinstance(top, dict) else []


def _number(value: Json) -> bool:
    return isinstance(value, (int, float)) and -1e6 < value < 1e6
