"""Keys are kept out of messages and logs, whoever writes them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from archon import redaction
from archon.redaction import guard_logs, names_secret, redact, remember

KEY = "0123456789-secret-value"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that reaches the root logger, as text."""
    guard_logs()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize(
    "text",
    ["sk-proj-abcdefgh12345", "Bearer abcdefgh", "gsk_x-abcdefg", "nvapi-abcdefgh", "hf_abcdefgh"],
)
def test_what_looks_like_a_key_is_redacted(text: str) -> None:
    assert redact(f"key {text} is wrong") == "key [key] is wrong"


@pytest.mark.parametrize("text", ["", "a plain message", "task-alpha-beta", "risk-averse-person"])
def test_what_does_not_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_values_of_known_variables_are_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    monkeypatch.setenv("HOSTED_VLLM_API_KEY", "local-key-here")
    assert redact(f"{KEY} and local-key-here") == "[key] and [key]"
    monkeypatch.setenv("GROQ_API_KEY", f"{KEY}-and-more")
    assert redact(f"{KEY}-and-more") == "[key]", "the longest first"


def test_what_was_registered_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_values", set())
    monkeypatch.setattr(redaction, "_variables", set())
    monkeypatch.setenv("MY_VARIABLE", KEY)
    assert redact(KEY) == KEY
    remember(["MY_VARIABLE"], {"X-Api-Key": "abcdef123", "Accept": "anything", "token": 5})
    assert redact(f"{KEY} abcdef123 anything 5") == "[key] [key] anything 5"
    remember([], {"Authorization": "Basic zyxwvu987"})
    assert redact("Basic zyxwvu987 or zyxwvu987") == "[key] or [key]"


def test_short_values_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    assert redact("none of them") == "none of them"


@pytest.mark.parametrize(
    "name",
    [
        "api_key", "API-KEY", "apikey", "Authorization", "token", "access_token", "auth",
        "password", "client_secret", "aws_secret_access_key", "vertex_credentials",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens", "max_completion_tokens", "prompt_cache_key", "stop_token_ids", "eos_token",
        "top_k", "author", "tokenizer", "key", "secretary", "logit_bias",
    ],
)  # fmt: skip
def test_names_of_other_things(name: str) -> None:
    assert not names_secret(name)


@pytest.mark.parametrize(
    "name", ["archon", "LiteLLM", "httpx", "httpcore.http11", "openai._base_client", "asyncio"]
)
def test_logs_are_redacted(log: io.StringIO, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    logger = logging.getLogger(name)
    monkeypatch.setattr(logger, "disabled", False)
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    logger.critical("plain %s", KEY)
    logger.critical({"headers": KEY})
    logger.critical("%s", {"Authorization": f"Bearer {KEY}"}, stack_info=True)
    try:
        raise ValueError(f"wrong: {KEY}")
    except ValueError:
        logger.exception("it broke")
    said = log.getvalue()
    assert KEY not in said
    assert "plain [key]" in said
    assert "ValueError: wrong: [key]" in said


def test_what_needs_no_redaction_stays_as_it_is(log: io.StringIO) -> None:
    record = logging.LogRecord("archon", 10, "x.py", 1, "%d of %s", (1, "two"), None)
    assert logging.getLogger("archon").filter(record)
    assert (record.msg, record.args) == ("%d of %s", (1, "two"))


def test_arguments_that_do_not_fit_do_not_get_through(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    record = logging.LogRecord("archon", 10, "x.py", 1, "%d", (KEY,), None)
    logging.getLogger("archon").filter(record)
    assert KEY not in record.getMessage()


def test_loggers_made_since_are_guarded_by_the_next_call(log: io.StringIO) -> None:
    late = logging.getLogger("archon.made_later")
    guard_logs()
    guard_logs()
    assert len(late.filters) == 1
