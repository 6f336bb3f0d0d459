"""A model with its sampling settings, and one request to it."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, Protocol, runtime_checkable

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from archon.errors import ModelNotFound, did_you_mean
from archon.plain import canonical
from archon.tokens import Hooks
from archon.types import Json, Message, Reply, Usage

__all__ = [
    "Ability",
    "Backend",
    "Draw",
    "Embedder",
    "Model",
    "ModelRef",
    "Outcome",
    "Price",
    "Request",
    "Scorer",
    "address",
]

Ability = Literal[
    "continue_from_prefix",
    "logprobs",
    "echo",
    "tokens",
    "continue_from_tokens",
    "hooks",
    "score",
    "embed",
    "seeded",
    "verdicts",
    "schema",
]
"""What a backend may do with a model beyond chat.

The first six belong to fields of `Request`: `prefix`; `logprobs` of what is written, and with
`echo` of the prefix too; `tokens`; `prefix_tokens`; `hooks`.
"""

_NAME = re.compile(r"^[A-Za-z0-9_.\-]+(//?[^\s/]+)?(/[^\s/]+)*$")
_ENV_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


class Price(BaseModel):
    """What tokens cost: US dollars per million, and operations for each where they are known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    flops: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="operations per token: twice the parameters"
    )

    def microusd(self, input_tokens: int | None, output_tokens: int | None) -> int | None:
        """Return the price of a call in micro-dollars, rounded up; unknown tokens, unknown price.

        >>> Price(input=5, output=15).microusd(100, 10)
        650
        """
        if input_tokens is None or output_tokens is None:
            return None
        return -int(-(self.input * input_tokens + self.output * output_tokens) // 1)

    def operations(self, input_tokens: int | None, output_tokens: int | None) -> int | None:
        """Return the floating-point operations of a call, or None if something is unknown."""
        if self.flops is None or input_tokens is None or output_tokens is None:
            return None
        return math.ceil(self.flops * (input_tokens + output_tokens))


class Model(BaseModel):
    """A model's name and how it is sampled.

    `Model("openai/gpt-4o", temperature=0.7)`. The part before the first slash chooses the
    backend: `local/` runs weights here with torch, `fake/` is the scripted one for tests, all
    others go to the provider of that name. A setting left out is the provider's default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    temperature: float | None = Field(None, ge=0, le=10, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=1)
    min_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1, le=10_000_000)
    stop: tuple[str, ...] = ()
    effort: Literal["minimal", "low", "medium", "high"] | None = None
    params: dict[str, Any] = Field(default_factory=dict, description="sent as they are")
    protocol: Literal["chat", "completion"] = Field(
        "chat", description="completion sends the messages as one plain text, for base models"
    )
    system_role: bool = Field(
        True, description="false: a system message goes in front of the first user turn instead"
    )
    base_url: str | None = None
    api_key_env: str | None = Field(None, description="name of the variable that holds the key")
    headers: dict[str, str] = Field(default_factory=dict, repr=False)  # may hold keys
    price: Price | None = Field(None, description="US dollars per million tokens, if not listed")
    profile: str = Field("", description="which templates it gets; empty: by its name")
    fallbacks: tuple[str, ...] = Field((), description="models to try when this one cannot answer")
    concurrency: int = Field(64, ge=1, le=100_000)
    rpm: int | None = Field(None, ge=1, description="requests per minute")
    tpm: int | None = Field(None, ge=1, description="tokens per minute, in and out")
    timeout: float = Field(600.0, gt=0, le=86_400, description="seconds for a call with retries")

    def __init__(self, model: str = "", **settings: Any) -> None:
        super().__init__(model=model, **settings)

    @field_validator("model")
    @classmethod
    def _named(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"a model is named like 'openai/gpt-4o' or 'local/nano', got {name!r}")
        return name

    @field_validator("api_key_env")
    @classmethod
    def _variable(cls, name: str | None) -> str | None:
        if name is not None and not _ENV_NAME.fullmatch(name):
            raise ValueError("this must be the NAME of an environment variable, never a key itself")
        return name

    def __hash__(self) -> int:
        return hash(self.signature)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Model:
        """Return a copy with other values, which must be valid; what was computed is not copied."""
        copy = super().model_copy(update=update, deep=deep)
        for name in ("settings", "signature"):
            copy.__dict__.pop(name, None)
        return copy

    @property
    def provider(self) -> str:
        """The part of the name that chooses the backend."""
        return self.model.partition("/")[0] if "/" in self.model else ""

    @property
    def template_profile(self) -> str:
        """Name of the set of templates this model is spoken to with."""
        if self.profile:
            return self.profile
        return "nano" if self.model.startswith("local/nano") else "default"

    @cached_property
    def settings(self) -> dict[str, Json]:
        """What shapes a reply: this, and not the limits or the key, enters the pool's key."""
        data = self.model_dump(
            mode="json",
            exclude_none=True,
            include={
                "model", "temperature", "top_p", "top_k", "min_p", "max_tokens", "stop",
                "effort", "params", "base_url",
            },
        )  # fmt: skip
        if self.protocol != "chat":
            data["protocol"] = self.protocol
        if not self.system_role:
            data["system_role"] = False
        return {name: value for name, value in data.items() if value not in ([], {})}

    @cached_property
    def signature(self) -> str:
        """Canonical text of `settings`."""
        return canonical(self.settings)

    def turns(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """Return the messages as this model takes them."""
        first = next((i for i, m in enumerate(messages) if m.role == "user"), None)
        said = [m.content for m in messages if m.role == "system"]
        if self.system_role or not said or first is None:
            return tuple(messages)
        texts = "\n\n".join([*said, messages[first].content])
        turns = (*messages[:first], Message("user", texts), *messages[first + 1 :])
        return tuple(m for m in turns if m.role != "system")

    def compact(self) -> dict[str, Json]:
        """Return the settings that differ from their defaults, for YAML and tables."""
        return self.model_dump(mode="json", exclude_defaults=True)


def _coerce(value: object, info: ValidationInfo) -> object:
    """Let a field take a model's name; in YAML also the short name given under `models`."""
    if not isinstance(value, str):
        return value
    known: Mapping[str, Model] = (info.context or {}).get("models", {})
    if value in known:
        return known[value]
    if "/" not in value:
        raise ModelNotFound(
            f"unknown model {value!r}{did_you_mean(value, known)}"
            + ("" if known else "; name one like 'openai/gpt-4o', or add it under `models`")
        )
    return Model(value)


ModelRef = Annotated[Model, BeforeValidator(_coerce)]
"""A field that takes a `Model`, its settings as a mapping, or just its name."""


PER_MESSAGE, PER_PROMPT = 16, 160
"""Tokens that chat templates add at most: around each message, and as a preamble of their own."""


class Draw(NamedTuple):
    """Which sample of a request: the asking node's place in its family, and the number there."""

    member: int
    number: int


_NO_HOOKS = Hooks()


@dataclass(frozen=True)
class Request:
    """Everything that shapes a reply, and nothing else.

    Attributes:
        prefix: text with which the reply must begin; it is continued.
        prefix_tokens: tokens of the reply so far, after `prefix`, as `Reply.tokens` gave them: they
            are gone on from exactly there, where a text may be cut into other tokens.
        logprobs: how many of the likeliest tokens are shown with each token of the reply; 0 shows
            nothing.
        echo: whether the tokens of the prefix are shown too.
        tokens: whether the reply names its tokens.
        hooks: what is done to single tokens.
        schema: JSON schema of the reply, canonical text.
        verdicts: texts whose probabilities as the whole reply are wanted, if the backend can.
        seed: the independent replicate; sent to no provider.
        role: what belongs to a scorer shares no draw with layers.
        retry: 0, or the number of the re-ask after a reply that did not parse.
    """

    model: Model
    messages: tuple[Message, ...]
    prefix: str = ""
    schema: str = ""
    verdicts: tuple[str, ...] = ()
    seed: int = 0
    role: Literal["layer", "scorer"] = "layer"
    retry: int = 0
    prefix_tokens: tuple[int, ...] = ()
    logprobs: int = 0
    echo: bool = False
    tokens: bool = False
    hooks: Hooks = _NO_HOOKS

    @property
    def needs(self) -> tuple[Ability, ...]:
        """Return the abilities without which this request would not be answered as it is meant.

        What may be left out (`verdicts`), and what backends refuse themselves (`prefix`,
        `schema`), is not among them.
        """
        wanted: tuple[tuple[object, Ability], ...] = (
            (self.logprobs, "logprobs"),
            (self.echo, "echo"),
            (self.tokens, "tokens"),
            (self.prefix_tokens, "continue_from_tokens"),
            (self.hooks != _NO_HOOKS, "hooks"),
        )
        return tuple(ability for value, ability in wanted if value)

    def content(self, fingerprint: str = "") -> Json:
        """Return what is hashed, in the form in which the pool keeps it."""
        data: dict[str, Json] = {
            "model": self.model.settings,
            "messages": [[m.role, m.content] for m in self.messages],
        }
        extras = {
            "fingerprint": fingerprint,
            "prefix": self.prefix,
            "schema": self.schema,
            "verdicts": list(self.verdicts),
            "seed": self.seed,
            "role": "" if self.role == "layer" else self.role,
            "try": self.retry,
            "prefix_tokens": list(self.prefix_tokens),
            "logprobs": self.logprobs,
            "echo": self.echo,
            "tokens": self.tokens,
            "hooks": self.hooks.to_json(),
        }
        return data | {name: value for name, value in extras.items() if value}

    def key(self, fingerprint: str = "") -> str:
        """Return the pool's address of this request: SHA-256 of `content`, 32 hex digits."""
        return address(canonical(self.content(fingerprint)))

    @property
    def prompt_bytes(self) -> int:
        """Size of the prompt in bytes: no tokenizer makes more tokens of it than that."""
        texts = [m.content for m in self.messages]
        return sum(len(t.encode("utf-8", "replace")) for t in [*texts, self.prefix, self.schema])

    def upper(self, price: Price | None) -> Usage:
        """Return the most one draw of this request can use; unknown where nothing limits it."""
        tokens = self.prompt_bytes + PER_MESSAGE * len(self.messages) + PER_PROMPT
        tokens += len(self.prefix_tokens)
        output = self.model.max_tokens
        cost = price.microusd(tokens, output) if price else None
        flops = price.operations(tokens, output) if price else None
        return Usage(1, tokens, output, cost, 0.0, flops)


def address(content: str) -> str:
    """Return the pool's address of a request's content, given as canonical text."""
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


Outcome = Reply | Exception
"""What became of one draw: a reply, or the error as a value, so that its siblings survive."""


@runtime_checkable
class Backend(Protocol):
    """Where replies come from. Only `archon.gateway` calls one.

    `abilities` says what it can do beyond chat with a model, `batch_size` how many draws one
    request may ask for; both may be learnt on the way, so they are asked anew each time.
    """

    def abilities(self, model: Model) -> frozenset[Ability]:
        """Return what can be done with a model beyond chat."""

    def batch_size(self, model: Model) -> int:
        """Return how many draws of one request `complete` may be given at once, now."""

    def check(self, model: Model) -> None:
        """Raise ConfigError if a call cannot work: a missing key, package or weights.

        Called before the first call of a run; must not use the network.
        """

    def fingerprint(self, model: Model) -> str:
        """Return what identifies the weights where the name does not; empty for remote models."""

    def price(self, model: Model) -> Price | None:
        """Return the list price, or None if it is unknown."""

    async def complete(self, request: Request, draws: tuple[Draw, ...]) -> list[Outcome]:
        """Answer each draw once, in order, without retrying; errors are `ModelError` values."""

    async def close(self) -> None:
        """Free connections and threads."""


@runtime_checkable
class Scorer(Protocol):
    """A backend that declares `score` for a model: it grades texts without writing any."""

    async def score(self, model: Model, question: str, answers: Sequence[str]) -> list[float]:
        """Return how good each answer is, in [0, 1]; it depends on the texts alone.

        Raises:
            ModelError: when they cannot be scored.
        """


@runtime_checkable
class Embedder(Protocol):
    """A backend that declares `embed` for a model: it turns texts into vectors."""

    async def embed(self, model: Model, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of length 1 for each text; it depends on that text alone.

        Raises:
            ModelError: when they cannot be read.
        """
