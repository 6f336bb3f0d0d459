"""Between messages and tokens of a local model."""

from __future__ import annotations

import re
import secrets
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from archon.errors import ModelError
from archon.types import Message

__all__ = ["Speech"]

_TAIL = 8
"""Tokens of the prompt that are decoded before a continuation, so that no space is lost."""
_RECENT = 32
"""Prompts whose tokens are kept: the branches of a tree, or samples asked for one by one, send the
same messages again."""


class Speech:
    """Renders, tokenises and decodes with the tokenizer and chat template of a folder.

    What stands in a message can never become a control token. Wherever a special token's text
    occurs in a message, that piece alone is taken out before the chat template is rendered and
    tokenised apart, as plain text; everything else is tokenised in one go, exactly as
    `apply_chat_template` does, so that harmless messages give the tokens the model was trained
    on. A message that begins or ends with a part of a special token is treated the same way:
    otherwise it could be completed by the text beside it.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        added = self._tokenizer.added_tokens_decoder.values()
        specials = {token.content for token in added if token.special}
        self._specials = sorted(specials | set(self._tokenizer.all_special_tokens), key=len)[::-1]
        self._find = re.compile("|".join(map(re.escape, self._specials)) or "(?!)")
        self._written: list[tuple[str, int]] | None = None
        self._recent = lru_cache(_RECENT)(self._rendered)
        self._ends = lru_cache(_RECENT)(self._thinking_ends)

    @property
    def end(self) -> int | None:
        """The token that ends a text, if the tokenizer names one."""
        end: int | None = self._tokenizer.eos_token_id
        return end

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return len(self._tokenizer)

    @property
    def longest(self) -> int:
        """The most tokens the tokenizer says the model takes."""
        return int(min(self._tokenizer.model_max_length, 10**9))

    @property
    def chats(self) -> bool:
        """Whether there is a chat template."""
        return bool(self._tokenizer.chat_template)

    @property
    def pad(self) -> int:
        """The token that fills up what is shorter than others."""
        return int(self._tokenizer.pad_token_id or 0)

    def pair(self, first: str, second: str) -> tuple[list[int], list[int]]:
        """Return the tokens of two texts as one, and to which of them each belongs.

        The second list is empty where the model is not told.
        """
        encoded = self._tokenizer(first, second, split_special_tokens=True, verbose=False)
        return encoded["input_ids"], encoded.get("token_type_ids") or []

    def thinking_ends(self, effort: str | None) -> int | None:
        """Return the token at which a reply under this effort turns from thinking to answer.

        A chat template may open a reply in another way when it is told an effort: then the model
        thinks first, and its answer begins at the token that opens a reply otherwise.
        """
        return self._ends(effort) if effort else None

    def _thinking_ends(self, effort: str) -> int | None:
        usual, opened = self._opening({}), self._opening({"reasoning_effort": effort})
        return usual[-1] if usual and usual != opened else None

    def _opening(self, settings: dict[str, str]) -> list[int]:
        """Return the tokens that the template puts in front of a reply."""
        chat = [{"role": "user", "content": "a"}]
        parts = [
            self._tokenizer.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=opened, **settings
            )
            for opened in (False, True)
        ]
        opening: list[int] = self._tokenizer.encode(
            parts[1].removeprefix(parts[0]), add_special_tokens=False
        )
        return opening

    def prompt(
        self, messages: Sequence[Message], prefix: str = "", effort: str | None = None
    ) -> list[int]:
        """Return the tokens after which the model writes its reply, or goes on after `prefix`.

        Raises:
            ModelError: fatal, when the model has no chat template or its template refuses.
        """
        return list(self._recent(tuple(messages), prefix, effort))

    def _rendered(
        self, messages: tuple[Message, ...], prefix: str, effort: str | None
    ) -> tuple[int, ...]:
        if not self._tokenizer.chat_template:
            raise ModelError(
                "this model has no chat template: it cannot answer messages", billed=False
            )
        mark = secrets.token_hex(8)
        held: list[str] = []
        chat = [{"role": m.role, "content": self._hold(m.content, mark, held)} for m in messages]
        opening = self._hold(prefix, mark, held)
        settings = {"reasoning_effort": effort} if effort else {}
        try:
            text: str = self._tokenizer.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=True, **settings
            )
        except Exception as error:
            # Templates are programs of strangers: they raise whatever they like.
            raise ModelError(f"the model's chat template refuses the messages: {error}") from error
        return tuple(token for ids in self._pieces(text + opening, mark, held) for token in ids)

    def _hold(self, text: str, mark: str, held: list[str]) -> str:
        """Put a mark in place of each piece of `text` that is or could become a special token."""

        def hold(piece: str) -> str:
            held.append(piece)
            return f"{mark}{len(held) - 1}."

        start, end = self._edges(text)
        if start + end >= len(text):
            return hold(text) if text and start + end else text
        body = text[start : len(text) - end]
        body = self._find.sub(lambda found: hold(found.group()), body)
        first = hold(text[:start]) if start else ""
        return first + body + (hold(text[len(text) - end :]) if end else "")

    def _edges(self, text: str) -> tuple[int, int]:
        """Return how many characters at either end could belong to a special token's text."""
        first = last = 0
        for special in self._specials:
            sizes = range(1, len(special))
            first = max([first, *(n for n in sizes if text.startswith(special[-n:]))])
            last = max([last, *(n for n in sizes if text.endswith(special[:n]))])
        return first, last

    def _pieces(self, text: str, mark: str, held: list[str]) -> Iterator[list[int]]:
        for place, piece in enumerate(re.split(rf"{mark}(\d+)\.", text)):
            if place % 2:
                yield self.plain(held[int(piece)])
            elif piece:
                # What is too long is refused by the engine; transformers would warn besides.
                yield self._tokenizer.encode(piece, add_special_tokens=False, verbose=False)

    def plain(self, text: str) -> list[int]:
        """Return the tokens of a text in which nothing is a control token."""
        ids: list[int] = self._tokenizer.encode(
            text, add_special_tokens=False, split_special_tokens=True, verbose=False
        )
        return ids

    def text(self, ids: Sequence[int], before: Sequence[int] = ()) -> str:
        """Return the text of generated tokens that follow the tokens `before`."""
        if not before:
            return self._decode(ids)
        lead = before[-_TAIL:]
        known, whole = self._decode(lead), self._decode([*lead, *ids])
        return whole[len(known) :] if whole.startswith(known) else self._decode(ids)

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def stops(self, ids: Sequence[int], stop: Sequence[str]) -> bool:
        """Whether a stop string occurs near the end of the tokens."""
        # A token is at least one byte, so the tail of this length holds any new occurrence.
        size = max(len(word.encode()) for word in stop) + _TAIL
        tail = self._decode(ids[-size:])
        return any(word in tail for word in stop)

    def cut(
        self, ids: Sequence[int], stop: Sequence[str], after: int = 0
    ) -> tuple[int, int, str] | None:
        """Look for the first stop string in the text of tokens.

        Args:
            ids: the tokens.
            stop: what is looked for.
            after: characters at the beginning that are no part of it.

        Returns:
            The characters from there to the end of the text, the tokens that it took to say it,
            and which it is; None if there is none.
        """
        text = self._decode(ids)
        found = [(place, word) for word in stop if (place := text.find(word, after)) >= 0]
        if not found:
            return None

        def complete(size: int) -> bool:
            part = self._decode(ids[:size])
            return any(part.find(word, after) >= 0 for word in stop)

        place, word = min(found)
        return len(text) - place, bisect_left(range(len(ids)), True, key=complete), word

    def piece(self, token: int) -> str:
        """Return the text of one token, control tokens included."""
        text: str = self._tokenizer.decode([token], skip_special_tokens=False)
        return text

    def named(self, text: str) -> list[int]:
        """Return the tokens of a text that a program wrote: it may name a control token."""
        vocabulary: dict[str, int] = self._tokenizer.get_added_vocab()
        return [vocabulary[text]] if text in vocabulary else self.plain(text)

    def beginning_with(self, token: int) -> list[int]:
        """Return the tokens whose text begins with that of a token, itself among them."""
        if self._written is None:
            size = len(self._tokenizer)
            special = set(self._tokenizer.get_added_vocab().values())
            words = self._tokenizer.convert_ids_to_tokens(range(size))
            pairs = [(w, i) for i, w in enumerate(words) if w and i not in special]
            self._written = sorted(pairs)
        start: str = self._tokenizer.convert_ids_to_tokens(token)
        first = bisect_left(self._written, (start, -1))
        found = takewhile(
            lambda pair: pair[0].startswith(start), islice(self._written, first, None)
        )
        return sorted(i for _, i in found)
