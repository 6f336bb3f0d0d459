"""Servers that speak the OpenAI protocol: where they are, and which of its words they take.

Addresses and variables are those of LiteLLM, so that its users need not change anything.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from archon.backends import prices
from archon.errors import ConfigError
from archon.model import Model

__all__ = ["ENDPOINTS", "Endpoint", "endpoint_of", "takes_effort"]

Word = Literal["top_k", "min_p", "effort", "schema", "completion"]
"""What not every server takes."""

_ALL: frozenset[Word] = frozenset({"top_k", "min_p", "effort", "schema", "completion"})
_USUAL: frozenset[Word] = frozenset({"effort", "schema"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server and its dialect.

    Attributes:
        url: what stands before `/chat/completions`.
        base_env: variables that hold another address, the first that is set.
        takes: which of the words that differ between servers it honours.
        limit: what it calls the most tokens of a chat reply.
        prefix: how a last message of the assistant is continued; empty: it cannot be.
        logprobs: alternatives it shows for each token at most.
        echo: whether it shows the tokens of a prompt too (`prompt_logprobs`).
        tokens: whether it names the tokens of a reply by number (`return_token_ids`).
        choices: samples that one request may ask for.
        options: whether `stream_options` asks for the usage of a stream.
        stream_schema: whether a reply in a given schema can be streamed.
        own: whether this is the provider's own address, so that its limits are known.
        local: whether it runs on the user's machines: no key, no price.
        headers: variables whose values are sent in headers.
        instead: the provider's name in LiteLLM that takes more.
    """

    url: str
    base_env: tuple[str, ...] = ()
    takes: frozenset[Word] = _USUAL
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    prefix: Literal["", "mistral", "vllm"] = ""
    logprobs: int = 0
    echo: bool = False
    tokens: bool = False
    choices: int = 128
    options: bool = True
    stream_schema: bool = True
    own: bool = True
    local: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    instead: str = ""


def _server(url: str, name: str, **rest: object) -> Endpoint:
    """Return a program that people run themselves."""
    usual = Endpoint(url, (f"{name}_API_BASE",), _ALL, local=True)
    return replace(usual, **rest)  # type: ignore[arg-type]


ENDPOINTS: dict[str, Endpoint] = {
    "cerebras": Endpoint(
        "https://api.cerebras.ai/v1", ("CEREBRAS_API_BASE",), logprobs=20, choices=1
    ),
    "deepinfra": Endpoint(
        "https://api.deepinfra.com/v1/openai", ("DEEPINFRA_API_BASE",), _ALL, choices=4
    ),
    # JSON by schema and continuation are not offered at this address.
    "deepseek": Endpoint(
        "https://api.deepseek.com/v1",
        ("DEEPSEEK_API_BASE",),
        frozenset({"effort"}),
        logprobs=20,
        choices=1,
    ),
    "fireworks_ai": Endpoint(
        "https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_BASE",), _ALL, logprobs=5
    ),
    "groq": Endpoint(
        "https://api.groq.com/openai/v1", ("GROQ_API_BASE",), choices=1, stream_schema=False
    ),
    "hosted_vllm": _server(
        "http://localhost:8000/v1",
        "HOSTED_VLLM",
        prefix="vllm",
        logprobs=20,
        echo=True,
        tokens=True,
    ),
    "hyperbolic": Endpoint("https://api.hyperbolic.xyz/v1", ("HYPERBOLIC_API_BASE",), _ALL),
    "lambda_ai": Endpoint("https://api.lambda.ai/v1", ("LAMBDA_API_BASE",), _ALL),
    "llamacpp": _server(
        "http://localhost:8080/v1", "LLAMACPP", takes=_ALL - {"effort"}, logprobs=20
    ),
    "llamafile": _server("http://127.0.0.1:8080/v1", "LLAMAFILE", takes=_ALL - {"effort"}),
    "lm_studio": _server(
        "http://localhost:1234/v1", "LM_STUDIO", takes=_ALL - {"min_p", "effort"}, choices=1
    ),
    # Its API refuses what it does not know, and reports usage in streams unasked.
    "mistral": Endpoint(
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_BASE", "MISTRAL_AZURE_API_BASE"),
        prefix="mistral",
        options=False,
    ),
    "moonshot": Endpoint("https://api.moonshot.ai/v1", ("MOONSHOT_API_BASE",), choices=5),
    "nebius": Endpoint("https://api.studio.nebius.ai/v1", ("NEBIUS_API_BASE",), _ALL),
    "novita": Endpoint("https://api.novita.ai/v3/openai", ("NOVITA_API_BASE",), _ALL),
    "nvidia_nim": Endpoint("https://integrate.api.nvidia.com/v1", ("NVIDIA_NIM_API_BASE",)),
    # Its OpenAI address drops top_k and min_p silently.
    "ollama": _server(
        "http://localhost:11434/v1",
        "OLLAMA",
        takes=_ALL - {"top_k", "min_p"},
        logprobs=20,
        choices=1,
        instead="ollama_chat",
    ),
    "openai": Endpoint(
        "https://api.openai.com/v1",
        ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        _USUAL | {"completion"},
        limit="max_completion_tokens",
        logprobs=20,
        headers=(
            ("OpenAI-Organization", "OPENAI_ORG_ID"),
            ("OpenAI-Organization", "OPENAI_ORGANIZATION"),
            ("OpenAI-Project", "OPENAI_PROJECT_ID"),
        ),
    ),
    "openrouter": Endpoint(
        "https://openrouter.ai/api/v1", ("OPENROUTER_API_BASE",), _ALL, logprobs=20, choices=1
    ),
    "perplexity": Endpoint(
        "https://api.perplexity.ai",
        ("PERPLEXITY_API_BASE",),
        frozenset({"top_k", "effort", "schema"}),
        choices=1,
        options=False,
    ),
    "sambanova": Endpoint(
        "https://api.sambanova.ai/v1",
        ("SAMBANOVA_API_BASE",),
        frozenset({"top_k", "effort", "schema"}),
        choices=1,
    ),
    "sglang": _server("http://localhost:30000/v1", "SGLANG", prefix="vllm", logprobs=20),
    "together_ai": Endpoint("https://api.together.ai/v1", ("TOGETHER_AI_API_BASE",), _ALL),
    "xai": Endpoint("https://api.x.ai/v1", ("XAI_API_BASE",), logprobs=8),
}
"""Every provider that is called directly; all others go through LiteLLM."""


def endpoint_of(model: Model) -> Endpoint:
    """Return where a model is and what can be asked of it.

    At an address that is not the provider's own, any server may stand: everything is sent as it
    is, and the server decides.

    Raises:
        ConfigError: for an address that is none.
    """
    known = ENDPOINTS[model.provider]
    given = model.base_url or next(filter(None, map(os.environ.get, known.base_env)), "")
    if not given or given.rstrip("/") == known.url:
        return known
    url = _address(given, known.local)
    if known.local:
        return replace(known, url=url)
    anything = replace(known, url=url, takes=_ALL, own=False, choices=128, headers=())
    if model.provider == "openai":
        # The name that people give to any server of this protocol; most know only this word.
        return replace(anything, limit="max_tokens")
    return anything


def _address(given: str, local: bool) -> str:
    """Return an address without a slash at its end; for local servers `/v1` may be left out."""
    try:
        parts = urlsplit(given)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise ConfigError(f"a base_url is like 'http://localhost:8000/v1', got {given!r}")
    bare = given.rstrip("/")
    return f"{bare}/v1" if local and not parts.path.strip("/") else bare


def takes_effort(model: Model, endpoint: Endpoint) -> bool:
    """Return whether a reasoning effort can be honoured, as far as that is known."""
    if "effort" not in endpoint.takes:
        return False
    row = prices.row_of(model) if endpoint.own and not endpoint.local else None
    return row is None or row.reasons
