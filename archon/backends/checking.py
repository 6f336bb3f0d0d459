"""What every backend for remote models checks before the first call."""

from __future__ import annotations

import os

from archon.errors import ConfigError, MissingKey
from archon.model import Model
from archon.redaction import KEYS, names_secret, remember

__all__ = ["RESERVED", "check_key", "check_params"]

RESERVED = frozenset(
    {"additional_drop_params", "api_base", "api_key", "base_url", "best_of", "drop_params"}
    | {"extra_headers", "fallbacks", "max_completion_tokens", "max_retries", "max_tokens"}
    | {"messages", "mock_response", "model", "n", "num_retries", "prompt", "stream"}
    | {"stream_options", "timeout"}
)
"""What `params` may not set: it would take retries, counts or keys out of archon's hands."""


def check_params(model: Model) -> None:
    """Raise ConfigError if `params` sets what archon decides, or holds a secret."""
    if secret := sorted(name for name in model.params if names_secret(name)):
        raise ConfigError(
            f"{model.model!r}: params are stored with every reply, so {', '.join(secret)} must not"
            " be among them; name the variable that holds the key in api_key_env, or use headers"
        )
    if taken := sorted(RESERVED & model.params.keys()):
        raise ConfigError(f"{model.model!r}: params must not set {', '.join(taken)}")
    remember([model.api_key_env] if model.api_key_env else [], model.headers)


def check_key(model: Model) -> None:
    """Raise MissingKey if no variable holds the key that a model needs."""
    if model.api_key_env:
        if not os.environ.get(model.api_key_env):
            raise MissingKey(
                f"{model.model!r} needs the environment variable {model.api_key_env}"
                f" (its api_key_env): export {model.api_key_env}=…"
            )
        return
    groups = KEYS.get(model.provider, ())
    if model.base_url or not groups:
        return
    if not any(all(os.environ.get(name) for name in group) for group in groups):
        usual, *others = (" and ".join(group) for group in groups)
        also = f" (or {', or '.join(others)})" if others else ""
        raise MissingKey(
            f"{model.model!r} needs the environment variable {usual}{also}:"
            f" export {groups[0][0]}=…, or name another one with api_key_env"
        )
