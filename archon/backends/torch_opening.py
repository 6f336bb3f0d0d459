"""How a reply begins: what is given of it, and where the model goes on."""

from __future__ import annotations

from dataclasses import dataclass

from archon.backends.torch_text import Speech
from archon.errors import ModelError
from archon.model import Request

__all__ = ["Opening", "banned", "forced", "opened"]


@dataclass(frozen=True, slots=True)
class Opening:
    """The beginning of a reply.

    Attributes:
        ids: everything the model reads before it writes.
        given: how many of them belong to the reply.
        head: text with which the reply begins and which is not decoded again.
        before: tokens of that text, if there is any.
        tokens: tokens of the reply after it.
        again: characters of the given text that the model writes again.
        allowed: the only tokens with which it may begin; empty for all.
    """

    ids: tuple[int, ...]
    given: int = 0
    head: str = ""
    before: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()
    again: int = 0
    allowed: tuple[int, ...] = ()


def opened(speech: Speech, request: Request) -> Opening:
    """Return how the reply to a request begins.

    A text is no place in a sequence of tokens: where it ends, the model may have been about to
    write a longer token. So the last token of a prefix is taken back, and the reply begins with
    any token whose text begins with its text. Tokens (`prefix_tokens`) are gone on from exactly
    where they end, and so is a prefix whose own tokens are to be shown (`echo`).

    Raises:
        ModelError: when there is no prompt, or tokens are given that the model does not have.
    """
    effort = request.model.effort
    ids = tuple(speech.prompt(request.messages, request.prefix, effort))
    tokens = request.prefix_tokens
    if wrong := [token for token in tokens if not 0 <= token < speech.size]:
        raise ModelError(
            f"'prefix_tokens' has {wrong[0]}, but tokens of {request.model.model!r} are numbered"
            f" from 0 to {speech.size - 1}",
            billed=False,
        )
    if not request.prefix:
        return Opening(ids + tokens, len(tokens), tokens=tokens)
    given = len(ids) - _common(ids, tuple(speech.prompt(request.messages, "", effort)))
    if tokens or request.echo or not given:
        return Opening(ids + tokens, given + len(tokens), request.prefix, ids, tokens)
    last = speech.text(ids[-1:], ids[:-1])
    allowed = tuple(t for t in speech.beginning_with(ids[-1]) if t not in banned(speech, request))
    if len(allowed) < 2 or not last or not request.prefix.endswith(last):
        return Opening(ids, given, request.prefix, ids)
    head = request.prefix[: len(request.prefix) - len(last)]
    return Opening(ids[:-1], given - 1, head, ids[:-1], (), len(last), allowed)


def banned(speech: Speech, request: Request) -> tuple[int, ...]:
    """Return the tokens that a request suppresses.

    Raises:
        ModelError: for a text that is not one token.
    """
    found = []
    for text in request.hooks.suppressed:
        ids = speech.named(text)
        if len(ids) != 1:
            raise ModelError(
                f"only single tokens can be suppressed: {text!r} is {len(ids)} tokens of"
                f" {request.model.model!r}",
                billed=False,
            )
        found += ids
    return tuple(found)


def forced(speech: Speech, request: Request) -> tuple[tuple[int, int], ...]:
    """Return places and tokens that a request forces; where texts overlap, the later one wins."""
    found: dict[int, int] = {}
    for place, text in request.hooks.forced:
        found |= {place + number: token for number, token in enumerate(speech.named(text))}
    return tuple(sorted(found.items()))


def _common(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    pairs = enumerate(zip(a, b, strict=False))
    return next((place for place, (x, y) in pairs if x != y), min(len(a), len(b)))
