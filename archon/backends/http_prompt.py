"""What vLLM shows of the tokens of a prompt, by which the end of a given beginning is read."""

from __future__ import annotations

from collections.abc import Iterator

from archon.tokens import Token
from archon.types import Json

__all__ = ["prefix_tokens"]


def prefix_tokens(shown: Json, prefix: str, top: int) -> tuple[Token, ...]:
    """Return what is known of the tokens of the prefix, which end the prompt.

    Args:
        shown: `prompt_logprobs` of a reply: for each token of the prompt an object whose first
            entry is the token itself, the others those that were likelier.
        prefix: with what the prompt ends.
        top: alternatives of each token at most.

    Returns:
        The tokens in order; nothing where the server shows nothing, or something odd, or where
        their texts do not add up to the prefix.
    """
    if not isinstance(shown, list):
        return ()
    found: list[Token] = []
    left = prefix
    for token in _backwards(shown, top):
        if not left:
            break
        # The first one may begin before the prefix does.
        if not (left.endswith(token.text) or token.text.endswith(left)):
            return ()
        left = left[: max(0, len(left) - len(token.text))]
        found.append(token)
    return () if left else tuple(reversed(found))


def _backwards(shown: list[Json], top: int) -> Iterator[Token]:
    for entry in reversed(shown):
        if not isinstance(entry, dict) or not entry:
            return
        rows = [(number, *_pair(one)) for number, one in entry.items()]
        if not all(isinstance(text, str) and _number(chance) for _, text, chance in rows):
            return
        number, text, chance = rows[0]
        best = sorted(((t, float(p)) for _, t, p in rows), key=lambda one: -one[1])[:top]
        yield Token(text, float(chance), tuple(best), int(number) if number.isdecimal() else None)


def _pair(one: Json) -> tuple[Json, Json]:
    return (one.get("decoded_token"), one.get("logprob")) if isinstance(one, dict) else (None, None)


def _number(value: Json) -> bool:
    return isinstance(value, int | float) and -1e6 < value < 1e6
