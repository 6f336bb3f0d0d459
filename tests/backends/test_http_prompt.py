"""What a server shows of a prompt's tokens is read from its end, and never guessed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.backends.http_prompt import prefix_tokens
from archon.tokens import Token


def entry(text: str, logprob: float, *others: tuple[str, float], id: int = 7) -> dict[str, Any]:  # noqa: A002
    rows = [(text, logprob), *others]
    return {
        str(id + 100 * i): {"logprob": p, "rank": i + 1, "decoded_token": t}
        for i, (t, p) in enumerate(rows)
    }


PROMPT = [
    None,
    entry("user", -9.0),
    entry(":", -0.5),
    entry(" The", -1.5, (" A", -0.25), (" No", -4.0), id=11),
    entry(" sum", -0.125, id=12),
]


def test_the_tokens_that_make_up_the_prefix_are_returned() -> None:
    first = Token(" The", -1.5, ((" A", -0.25), (" The", -1.5)), 11)
    second = Token(" sum", -0.125, ((" sum", -0.125),), 12)
    assert prefix_tokens(PROMPT, " The sum", 2) == (first, second)
    assert prefix_tokens(PROMPT, "The sum", 2) == (first, second), "it began one token earlier"
    assert prefix_tokens(PROMPT, " sum", 2) == (second,)


@pytest.mark.parametrize(
    "shown",
    [
        None,
        [],
        {},
        [None],
        PROMPT[:-1],
        [*PROMPT[:-1], {}],
        [*PROMPT[:-1], {"x": {"logprob": None, "decoded_token": " sum"}}],
        [*PROMPT[:-1], {"x": {"logprob": -1.0, "decoded_token": 5}}],
        [*PROMPT[:-1], {"x": "sum"}],
        [*PROMPT, entry("<end>", -1.0)],
    ],
)
def test_what_does_not_add_up_is_nothing(shown: Any) -> None:
    assert prefix_tokens(shown, " The sum", 2) == ()


json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
)


@given(json, st.text(max_size=5), st.integers(0, 3))
def test_nothing_that_a_server_says_breaks_it(shown: Any, prefix: str, top: int) -> None:
    for token in prefix_tokens(shown, prefix, top):
        assert len(token.top) <= top


@given(st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=6), st.data())
def test_any_end_of_a_prompt_is_found_again(pieces: list[str], data: st.DataObject) -> None:
    whole = "".join(pieces)
    prefix = whole[data.draw(st.integers(0, len(whole) - 1)) :]
    found = prefix_tokens([None, *(entry(piece, -1.0) for piece in pieces)], prefix, 1)
    assert "".join(token.text for token in found).endswith(prefix)
    assert [token.text for token in found] == pieces[len(pieces) - len(found) :]
    assert "".join(token.text for token in found[1:]) != prefix
