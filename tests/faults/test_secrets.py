"""Planted keys, every kind of fault, logging at DEBUG: the keys are found nowhere."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import archon
from archon.backends.http import HTTP
from archon.backends.litellm import LiteLLM
from archon.benchmarks.arithmetic import Arithmetic
from archon.errors import ArchonError
from archon.gateway import Gateway
from archon.layers import Critique, Generate
from archon.model import Model, Outcome
from archon.session import Session
from archon.testing.provider import FAULTS, Provider
from tests.faults.conftest import at, one, play, question, quiet_litellm

# LiteLLM's streams use what pydantic has deprecated, and types that it warns about.
pytestmark = [
    pytest.mark.filterwarnings(r"ignore:(?s).*`ReadOnly` qualifier"),
    pytest.mark.filterwarnings(r"ignore:Accessing the 'model_"),
]

KEYS = {
    "OPENAI_API_KEY": "sk-planted-one-0123456789",
    "TOGETHER_API_KEY": "planted-two-abcdefghijkl",
    "MY_OWN_VARIABLE": "planted-three-without-looks",
    "X-Api-Key": "planted-four-in-a-header",
    "Proxy-Authorization": "Basic planted-five-in-another",
}
"""Two that providers name, one by api_key_env, two in headers."""
ABSENT = ["-hang", "-slow_loris", "-stalled_stream", "-rate_limit_hour"]
"""Faults that only take time."""
SECRETS = [value.removeprefix("Basic ") for value in KEYS.values()]
HEADERS = {name: KEYS[name] for name in ("X-Api-Key", "Proxy-Authorization")}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What anybody logs at any level, as a handler of an application would write it."""
    for name in ("OPENAI_API_KEY", "TOGETHER_API_KEY", "MY_OWN_VARIABLE"):
        monkeypatch.setenv(name, KEYS[name])
    stream, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(stream), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)


def found(*texts: object) -> list[str]:
    """Return the secrets that stand in any of the texts."""
    return [s for s in SECRETS if any(s in str(text) for text in texts)]


def _files(folder: Path) -> str:
    return "".join(
        path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()
    )


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _models(provider: Provider, **rest: Any) -> list[Model]:
    """Return a model for each way to have a key."""
    return [
        at(provider, "openai/test", api_key_env="OPENAI_API_KEY", **rest),
        at(provider, "together_ai/test", api_key_env="TOGETHER_API_KEY", **rest),
        at(provider, api_key_env="MY_OWN_VARIABLE", headers=HEADERS, **rest),
    ]


def test_the_planted_keys_are_used(provider: Provider, said: io.StringIO) -> None:
    """A search for what was never there would find nothing either."""
    for model in _models(provider):
        provider.set(api_key=KEYS[model.api_key_env or ""])
        outcome = play(lambda gate, model=model: one(gate, question(model, "?")))  # type: ignore[misc]
        assert not isinstance(outcome, Exception)
        provider.set(api_key="another")
        outcome = play(lambda gate, model=model: one(gate, question(model, "!")))  # type: ignore[misc]
        assert isinstance(outcome, archon.errors.ModelError)
    logging.getLogger("somebody").debug("a control: %s", "the log is read")
    assert "the log is read" in said.getvalue()


def test_no_fault_brings_a_key_to_light(
    provider: Provider, tmp_path: Path, said: io.StringIO
) -> None:
    path = tmp_path / "pool.db"

    async def work(gate: Gateway) -> list[Outcome]:
        outcomes = []
        # The one that asks for an hour of patience comes last: it makes its gate wait.
        for name, fault in sorted(FAULTS.items(), key=lambda entry: entry[0] == "rate_limit_hour"):
            for model in _models(provider, timeout=0.3, max_tokens=None if fault.streaming else 32):
                provider.set(one_shot=[name])
                outcomes.append(await one(gate, question(model, f"once {name}")))
        # The files are read while they are open, so that the write-ahead log is among them.
        assert found(_files(tmp_path)) == []
        return outcomes

    outcomes = play(work, path)
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert len(errors) >= 20
    assert found(said.getvalue()) == []
    assert found(*outcomes, *map(repr, outcomes), *map(_trace, errors)) == []
    assert found(_files(tmp_path)) == []


def test_litellm_keeps_quiet_too(provider: Provider, tmp_path: Path, said: io.StringIO) -> None:
    quiet_litellm()
    names = ["unauthorized", "server_error", "malformed_json", "closed", "html", "quota", ""]
    backends = {"openai": LiteLLM(), "together_ai": LiteLLM()}

    async def work(gate: Gateway) -> list[Outcome]:
        outcomes = []
        for name in names:
            for model in _models(provider, timeout=2):
                provider.set(one_shot=[name])
                outcomes.append(await one(gate, question(model, f"once {name}")))
        return outcomes

    outcomes = play(work, tmp_path / "pool.db", backends)
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert len(errors) >= 6
    assert found(said.getvalue()) == []
    assert found(*outcomes, *map(repr, outcomes), *map(_trace, errors)) == []
    assert found(_files(tmp_path)) == []


def test_results_traces_and_evaluations_hold_no_key(
    provider: Provider, tmp_path: Path, said: io.StringIO
) -> None:
    provider.set(fault_share=0.3, kinds=["transient", *ABSENT, "unauthorized"])
    seen: list[object] = []
    with Session(tmp_path / "pool.db") as session:
        for model in _models(provider, timeout=5):
            arch = Generate(model=model, samples=3, on_error="drop") >> Critique(model=model)
            for question_ in ("one", "two", "three"):
                try:
                    result = archon.run(arch, question_, session=session)
                except ArchonError as error:
                    seen += [_trace(error), error]
                    continue
                seen += [json.dumps(result.to_json()), repr(result), result]
            report = archon.evaluate(arch, Arithmetic(), limit=4, session=session)
            seen += [json.dumps(report.to_json()), repr(report)]
        seen += [repr(session), vars(session)]
    assert found(*seen) == []
    assert found(said.getvalue()) == []
    assert found(_files(tmp_path)) == []


def test_models_and_backends_do_not_show_them(provider: Provider, said: io.StringIO) -> None:
    backend = HTTP()

    async def use() -> None:
        for model in _models(provider):
            backend.check(model)
            await backend.complete(question(model, "?"), (archon.model.Draw(0, 0),))
        await backend.close()

    asyncio.run(use())
    shown: list[object] = [repr(backend)]
    for model in _models(provider):
        shown += [repr(model), str(model), model.signature, repr(Generate(model=model))]
    assert found(*shown) == []
