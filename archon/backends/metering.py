"""What a provider says was used, read with suspicion, and divided among the draws it was for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from archon.model import Price
from archon.types import Json, Usage

__all__ = ["UNKNOWN", "Tokens", "counted", "shares", "tokens_of", "usages"]

MOST_TOKENS = 10_000_000
"""No call uses more: a number above it is no measurement."""


class Tokens(NamedTuple):
    """Tokens of one request; None where the provider reports nothing that can be believed."""

    input: int | None
    output: int | None


UNKNOWN = Tokens(None, None)


def counted(value: object) -> int | None:
    """Return a number of tokens, or None for what is none: a text, a negative, an absurd number.

    >>> counted(12), counted(-1), counted(True), counted("12"), counted(10**15)
    (12, None, None, None, None)
    """
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None


def tokens_of(usage: Json) -> Tokens:
    """Read a usage object of the OpenAI protocol."""
    if not isinstance(usage, dict):
        return UNKNOWN
    into, out = counted(usage.get("prompt_tokens")), counted(usage.get("completion_tokens"))
    if not into:
        # Some servers fill in zeros where they count nothing; no prompt has zero tokens.
        return Tokens(None, out or None)
    if out is not None:
        out += _apart(usage, into, out)
    return Tokens(into, out)


def _apart(usage: dict[str, Json], into: int, out: int) -> int:
    """Return reasoning tokens that are not part of the completion's (xAI counts them apart)."""
    details, total = usage.get("completion_tokens_details"), counted(usage.get("total_tokens"))
    if total is None or total <= into + out or not isinstance(details, dict):
        return 0
    missing = total - into - out
    return missing if counted(details.get("reasoning_tokens")) == missing else 0


def shares(total: int, weights: Sequence[int], most: int | None = None) -> list[int]:
    """Divide a total by weights into whole parts that sum up to it exactly.

    Args:
        total: what is divided.
        weights: of the parts; none may be negative.
        most: no part is larger, as far as the total allows that.

    >>> shares(10, [1, 1, 1])
    [3, 3, 4]
    >>> shares(4, [10, 2], most=2)
    [2, 2]
    """
    weights = [max(1, weight) for weight in weights]
    whole = sum(weights)
    ends = [total * weight // whole for weight in accumulate(weights)]
    parts = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    if most is None or total > most * len(parts):
        return parts
    spare = sum(max(0, part - most) for part in parts)
    parts = [min(part, most) for part in parts]
    for place, part in enumerate(parts):
        more = min(spare, most - part)
        parts[place] += more
        spare -= more
    return parts


def usages(
    tokens: Tokens, weights: Sequence[int], price: Price | None, most: int | None = None
) -> list[tuple[Usage, Usage | None]]:
    """Return for each draw of one request what it used by itself, and what was paid for it.

    A draw uses the whole prompt and its part of the output. A request pays for its prompt once:
    the first draw pays it, and the payments sum up to the price of the request exactly. Of a
    single draw, both are the same, and the second is None.

    Args:
        tokens: of the whole request.
        weights: how much each draw said, as the output is divided.
        price: list price, if it is known.
        most: the most output tokens of one draw.
    """
    if len(weights) == 1:
        return [(_usage(tokens.input, tokens.output, price), None)]
    outputs: Sequence[int | None] = [None] * len(weights)
    if tokens.output is not None:
        outputs = shares(tokens.output, weights, most)
    paid = _paid(tokens.input, outputs, price)
    return [(_usage(tokens.input, out, price), p) for out, p in zip(outputs, paid, strict=True)]


def _usage(into: int | None, out: int | None, price: Price | None) -> Usage:
    cost = price.microusd(into, out) if price else None
    flops = price.operations(into, out) if price else None
    return Usage(1, into, out, cost, 0.0, flops)


def _paid(into: int | None, outputs: Sequence[int | None], price: Price | None) -> list[Usage]:
    """Return payments; each is the growth of the price of all so far, so rounding never adds."""
    before, result = Usage(), []
    for place, out in enumerate(outputs):
        sofar = None if out is None or before.output_tokens is None else before.output_tokens + out
        after = _usage(into, sofar, price)
        result.append(
            Usage(
                1,
                into if place == 0 else 0,
                out,
                _minus(after.microusd, before.microusd),
                0.0,
                _minus(after.flops, before.flops),
            )
        )
        before = after
    return result


def _minus(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a - b
