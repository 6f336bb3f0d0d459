"""API keys: which variables hold them, and how they are kept out of messages and logs.

A secret is known by its value (what the variables of `KEYS` hold, and whatever was registered with
`remember`), or recognised by its looks (`sk-…`, `Bearer …`).
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping

__all__ = [
    "KEYS",
    "OPTIONAL_KEYS",
    "guard_logs",
    "holds_secret",
    "names_secret",
    "redact",
    "remember",
]

KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "anthropic": (("ANTHROPIC_API_KEY",), ("ANTHROPIC_AUTH_TOKEN",)),
    "azure": (("AZURE_API_KEY",), ("AZURE_AD_TOKEN",)),
    "bedrock": (
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_PROFILE",),
        ("AWS_ROLE_ARN",),
        ("AWS_WEB_IDENTITY_TOKEN_FILE",),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
        ("AWS_BEARER_TOKEN_BEDROCK",),
    ),
    "cerebras": (("CEREBRAS_API_KEY",),),
    "cohere": (("COHERE_API_KEY",), ("CO_API_KEY",)),
    "cohere_chat": (("COHERE_API_KEY",), ("CO_API_KEY",)),
    "deepinfra": (("DEEPINFRA_API_KEY",),),
    "deepseek": (("DEEPSEEK_API_KEY",),),
    "fireworks_ai": (
        ("FIREWORKS_AI_API_KEY",),
        ("FIREWORKS_API_KEY",),
        ("FIREWORKSAI_API_KEY",),
        ("FIREWORKS_AI_TOKEN",),
    ),
    "gemini": (("GEMINI_API_KEY",), ("GOOGLE_API_KEY",)),
    "groq": (("GROQ_API_KEY",),),
    "hyperbolic": (("HYPERBOLIC_API_KEY",),),
    "lambda_ai": (("LAMBDA_API_KEY",),),
    "mistral": (("MISTRAL_API_KEY",),),
    "moonshot": (("MOONSHOT_API_KEY",),),
    "nebius": (("NEBIUS_API_KEY",),),
    "novita": (("NOVITA_API_KEY",),),
    "nvidia_nim": (("NVIDIA_NIM_API_KEY",),),
    "openai": (("OPENAI_API_KEY",),),
    "openrouter": (("OPENROUTER_API_KEY",), ("OR_API_KEY",)),
    "perplexity": (("PERPLEXITYAI_API_KEY",), ("PERPLEXITY_API_KEY",)),
    "replicate": (("REPLICATE_API_KEY",), ("REPLICATE_API_TOKEN",)),
    "sambanova": (("SAMBANOVA_API_KEY",),),
    "together_ai": (
        ("TOGETHER_API_KEY",),
        ("TOGETHERAI_API_KEY",),
        ("TOGETHER_AI_API_KEY",),
        ("TOGETHER_AI_TOKEN",),
    ),
    "xai": (("XAI_API_KEY",),),
}
"""Variables that hold a provider's key: any one of the groups is enough, the first is usual."""

OPTIONAL_KEYS: dict[str, str] = {
    "hosted_vllm": "HOSTED_VLLM_API_KEY",
    "llamacpp": "LLAMACPP_API_KEY",
    "llamafile": "LLAMAFILE_API_KEY",
    "lm_studio": "LM_STUDIO_API_KEY",
    "ollama": "OLLAMA_API_KEY",
    "sglang": "SGLANG_API_KEY",
}
"""Variables that may hold a key for servers that usually need none."""

_HOLDS = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)
_NAMES = re.compile(
    r"api_?key|(access|secret|private|signing|subscription)_?key"
    r"|(^|_)(auth|authorization|cookie|credentials?|passw(or)?d|secret)$"
    r"|(^|_)(?<!eos_)(?<!bos_)(?<!pad_)(?<!stop_)(?<!mask_)(?<!unk_)(?<!sep_)(?<!cls_)token$",
    re.IGNORECASE,
)
_LOOKS_SECRET = re.compile(
    r"(?i:\bbearer)\s+[^\s'\",}]+"
    r"|\b(?:sk|gsk|xai|pplx|nvapi|csk|fw|hf|tgp)[-_][\w\-*.]{6,}"
    r"|\bAIza[\w\-]{20,}|\bAKIA[A-Z0-9]{12,}",
)
_MARK = "[key]"
_SHORTEST = 6
"""Shorter values are no keys, and replacing them would garble messages."""

_variables: set[str] = {
    name for groups in KEYS.values() for group in groups for name in group if _HOLDS.search(name)
} | set(OPTIONAL_KEYS.values())
_values: set[str] = set()


def holds_secret(name: str) -> bool:
    """Return whether the value of a header of this name may be a secret."""
    return _HOLDS.search(name) is not None


def names_secret(name: str) -> bool:
    """Return whether a parameter of this name can only be a secret.

    >>> names_secret("api_key"), names_secret("max_tokens"), names_secret("prompt_cache_key")
    (True, False, False)
    """
    return _NAMES.search(name.replace("-", "_")) is not None


def remember(variables: Iterable[str] = (), *settings: Mapping[str, object]) -> None:
    """Register secrets to be redacted from now on.

    Args:
        variables: names of environment variables that hold one.
        settings: headers or parameters; those whose name says so are secrets.
    """
    _variables.update(variables)
    for named in settings:
        for name, value in named.items():
            if holds_secret(name) and isinstance(value, str):
                _values.update(_words(value))


def redact(text: str) -> str:
    """Take keys out of a text: known values wherever they stand, and what looks like one.

    >>> redact("wrong key sk-proj-abcdefgh12345")
    'wrong key [key]'
    """
    found = [secret for secret in _known() if secret in text]
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, _MARK)
    return _LOOKS_SECRET.sub(_MARK, text)


def _known() -> set[str]:
    """Return the secrets as they are now: a key may be exported at any time."""
    values = [value for name in _variables if (value := os.environ.get(name))]
    return _values.union(*map(_words, values))


def _words(value: str) -> set[str]:
    words = {value, *value.split()}
    return {
        word for word in words if len(word) >= _SHORTEST and word.lower() not in ("bearer", "basic")
    }


_LOGGERS = (
    "archon",
    "LiteLLM",
    "LiteLLM Router",
    "LiteLLM Proxy",
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
    "openai",
    "openai._base_client",
    "openai._response",
    "openai._legacy_response",
    "openai.audio.transcriptions",
    "openai.resources.beta.realtime",
    "aiohttp.access",
    "aiohttp.client",
    "aiohttp.internal",
    "aiohttp.server",
    "aiohttp.web",
    "aiohttp.websocket",
    "asyncio",
)
_FAMILIES = tuple(f"{name}." for name in ("archon", "httpx", "httpcore", "openai", "aiohttp"))


class _Guard(logging.Filter):
    """Takes keys out of a record before any handler sees it."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            said = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # Arguments that do not fit the message: logging itself reports that, with both.
            said = f"{record.msg} {record.args!r}"
        if (clean := redact(said)) != said:
            record.msg, record.args = clean, ()
        if record.exc_info and not record.exc_text:
            # Handlers write this text rather than formatting the exception again.
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


_guard = _Guard()


def guard_logs() -> None:
    """Redact what archon and the HTTP clients below it log; again for loggers made since.

    A filter sees only what is logged on its own logger, so every child needs it too.
    """
    made = [name for name in logging.root.manager.loggerDict if name.startswith(_FAMILIES)]
    for name in (*_LOGGERS, *made):
        logging.getLogger(name).addFilter(_guard)  # a second time is ignored
