"""Single tokens: what a reply shows of them, and what a request does to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from archon.errors import ConfigError

__all__ = ["Hooks", "Token"]

Json: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a reply, and how likely it was, at temperature 1 and with all tokens allowed.

    Attributes:
        text: what it says; characters that it holds only a part of are shown as U+FFFD.
        logprob: natural logarithm of its probability.
        top: the likeliest tokens in its place, likeliest first, with theirs.
        id: its number in the model's vocabulary, if it is known.
    """

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()
    id: int | None = None

    def to_json(self) -> Json:
        """Return a list of the fields."""
        return [self.text, self.logprob, [list(pair) for pair in self.top], self.id]

    @classmethod
    def from_json(cls, data: Json) -> Token:
        """Invert `to_json`."""
        text, logprob, top, number = data
        return cls(text, logprob, tuple((one, chance) for one, chance in top), number)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What happens to single tokens of a reply while it is written.

    Attributes:
        first_temperature: of the first token alone (Chen et al. 2024, "Flaming-hot Initiation with
            Regular Execution Sampling for Large Language Models", section 3).
        forced: texts by the place of a token, counted from 0 where the model begins to write: from
            there on the reply says this text, whatever the model would have said. It counts as
            written by the model.
        suppressed: texts of single tokens that are never written, such as `</think>`
            (Muennighoff et al. 2025, "s1: Simple test-time scaling", section 3).

    Raises:
        ConfigError: for a negative temperature or place, or an empty text.
    """

    first_temperature: float | None = None
    forced: tuple[tuple[int, str], ...] = ()
    suppressed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        heat = self.first_temperature
        if heat is not None and not 0 <= heat <= 10:
            raise ConfigError(f"'first_temperature' must be from 0 to 10, got {heat!r}")
        for place, text in self.forced:
            if place < 0 or not text:
                raise ConfigError(
                    "'forced' has a place from 0 on and a text that is not empty, got"
                    f" {(place, text)!r}"
                )
        if not all(self.suppressed):
            raise ConfigError("'suppressed' names tokens by their text: none may be empty")

    def to_json(self) -> Mapping[str, Json]:
        """Return the fields that say something."""
        data = {
            "first_temperature": self.first_temperature,
            "forced": [list(pair) for pair in self.forced],
            "suppressed": list(self.suppressed),
        }
        return {name: value for name, value in data.items() if value not in (None, [])}
