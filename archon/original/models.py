"""Models of original files: names, replacements, what a model does not take, and its limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from archon.backends import BACKENDS
from archon.backends.prices import most_tokens
from archon.base.places import unique
from archon.errors import ConfigError, did_you_mean
from archon.model import Model
from archon.original.choices import Choices
from archon.original.components import Component
from archon.original.retired import RETIRED
from archon.types import Json

__all__ = ["Translated", "short_name", "translated"]

PROVIDERS: Mapping[str, str] = {
    "Together_API": "together_ai/",
    "OpenAI_API": "openai/",
    "Anthropic_API": "anthropic/",
    "Google_API": "gemini/",
    "Groq_API": "groq/",
    "Bedrock_API": "bedrock/",
    "vLLM": "local/",
}
"""What stands in front of a model's name here, by `model_type`."""

PAIRRM = "llm-blender/PairRM-hf"
"""The layout of PairRM whose weights are read here."""

TGI = "tgi"
"""The `model_type` whose `model` is the address of a server."""

_NO_TEMPERATURE = re.compile(r"^openai/(o\d|gpt-([5-9]|\d\d))(?!.*chat)")
_NO_SYSTEM = re.compile(r"^openai/o1-(mini|preview)")
_SCORERS = ("local", "fake")
"""Backends whose models score texts, and end a reply at their context by themselves."""

UNUSUAL_TOKENS = 32_768
"""`max_tokens` from which a limit that is not listed is worth a word."""


@dataclass(frozen=True)
class Translated:
    """A model as it stands here.

    Attributes:
        settings: name and sampling settings, as under `models` in YAML.
        source: provider and name in the file.
        was: the name here before a replacement; empty if there was none.
        retired: whether the replacement is the one of the list of retired models.
        remarks: what whoever imports should know.
    """

    settings: Mapping[str, Json]
    source: str
    was: str = ""
    retired: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def scores(self) -> bool:
        """Whether it can rank without being asked."""
        return str(self.settings["model"]).partition("/")[0] in _SCORERS


def translated(component: Component, choices: Choices) -> Translated:
    """Return the model of a component.

    Raises:
        ConfigError: for a provider that is not known here.
    """
    name, settings = _named(component)
    source = f"{component.fields.get('model_type') or 'local'} {component.model}"
    other, given = _replacement(component.model, name, choices)
    remarks: list[str] = []
    if other != name:
        settings = {}  # an address belongs to the old name
    if not component.is_pairrm:
        settings |= _sampling(component, other, remarks)
    if component.fields.get("no_system") or _NO_SYSTEM.match(other):
        settings["system_role"] = False
        remarks.append(
            f"{other} gets no system message: its text goes in front of the question, where the"
            " original dropped it"
        )
    was = name if other != name else ""
    retired = bool(was) and not choices.all_models and RETIRED.get(was) == other
    return Translated({"model": other, **settings, **given}, source, was, retired, tuple(remarks))


def short_name(name: str, taken: Mapping[str, object]) -> str:
    """Return what a model is called in a file where some names are taken."""
    last = re.sub(r"[^a-z0-9]+", "-", name.rpartition("/")[2].lower()).strip("-")
    return unique(last or "model", taken)


def _named(component: Component) -> tuple[str, dict[str, Json]]:
    """Return the model's name here, and settings that come with the name."""
    if component.is_pairrm:
        return f"local/{PAIRRM}", {}
    provider = component.fields.get("model_type", "")
    if provider == TGI:
        return f"openai/{TGI}", {"base_url": component.model}
    front = PROVIDERS.get(provider)
    if front is None and provider in BACKENDS.all():
        front = f"{provider}/"
    if front is None:
        known = [*PROVIDERS, TGI, *BACKENDS.all()]
        missing = f"a {component.kind} needs a `model_type`"
        wrong = f"unknown `model_type` {provider!r}"
        hint = did_you_mean(provider, known) if provider else f": one of {', '.join(known)}"
        raise ConfigError(
            f"{wrong if provider else missing}{hint}"
            + ("; an endpoint of your own is a backend here, registered under that name"
               if provider else ""),
            where=component.where,
        )  # fmt: skip
    return front + component.model.removeprefix(front), {}


def _replacement(plain: str, name: str, choices: Choices) -> tuple[str, dict[str, Json]]:
    """Return the model to use, and settings that were given with it."""
    if choices.all_models:
        return choices.all_models, {}
    for key in (name, plain):
        if key in choices.models:
            entry = choices.models[key]
            if isinstance(entry, str):
                return entry, {}
            rest = {key: value for key, value in entry.items() if key != "model"}
            return str(entry.get("model", name)), rest
    return (name if choices.keep_models else RETIRED.get(name, name)), {}


def _sampling(component: Component, name: str, remarks: list[str]) -> dict[str, Json]:
    """Return temperature and max_tokens as the model takes them."""
    settings: dict[str, Json] = {}
    temperature, tokens = component.fields.get("temperature"), component.max_tokens
    for field, value in (("temperature", temperature), ("max_tokens", tokens)):
        if value is None:
            remarks.append(
                f"a {component.kind} has no `{field}`, on which the original fails: the"
                " provider's default is used"
            )
    if temperature is not None and _NO_TEMPERATURE.match(name):
        remarks.append(f"{name} takes no temperature: {temperature} is left out")
    elif temperature is not None:
        settings["temperature"] = temperature
    if tokens is not None:
        settings["max_tokens"] = _within(tokens, name, remarks)
    return settings


def _within(tokens: int, name: str, remarks: list[str]) -> int:
    """Return `tokens`, or the model's limit if that is less."""
    try:
        limit = most_tokens(Model(name))
    except ValueError:  # a name that cannot be one is reported where the model is built
        return tokens
    if limit is not None and tokens > limit:
        remarks.append(f"max_tokens {tokens:,} is above what {name} gives: {limit:,} is used")
        return limit
    if limit is None and tokens > UNUSUAL_TOKENS and name.partition("/")[0] not in _SCORERS:
        remarks.append(f"max_tokens {tokens:,} is kept: no limit is listed for {name}")
    return tokens
