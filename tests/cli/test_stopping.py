"""Ctrl-C lets what is in flight end, says how to go on, and the same command does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from archon.testing.provider import ProviderProcess

ARCHON = [str(Path(sys.executable).with_name("archon"))]
EVAL = ("eval", "slow.yaml", "-b", "arithmetic", "-n", "40", "--json")


@pytest.fixture(scope="module")
def provider() -> Iterator[ProviderProcess]:
    with ProviderProcess(latency=0.4) as made:
        yield made


def _hear_interrupts() -> None:
    """Let Ctrl-C through: a test run in the background hands its children a deaf ear."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _start(folder: Path, *command: str) -> subprocess.Popen[str]:
    env = {**os.environ, "ARCHON_HOME": str(folder / "home")}
    return subprocess.Popen(
        [*ARCHON, *command], cwd=folder, env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=_hear_interrupts,
    )  # fmt: skip


def _wait_for(provider: ProviderProcess, requests: int) -> None:
    for _ in range(600):
        if provider.stats()["requests"] >= requests:
            return
        time.sleep(0.05)
    raise AssertionError("the command asked nothing")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_drains_and_the_same_command_goes_on(
    tmp_path: Path, provider: ProviderProcess, number: signal.Signals
) -> None:
    provider.reset()
    (tmp_path / "slow.yaml").write_text(
        "stages: [generate: {model: {model: openai/m, base_url: "
        f"'{provider.url}/v1', max_tokens: 64, concurrency: 4, temperature: 0.{number:d}}}}}]\n"
    )
    process = _start(tmp_path, *EVAL)
    _wait_for(provider, 6)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    asked = provider.stats()["requests"]
    [first] = json.loads(out)["evaluations"]
    assert first["cut_short"] == "stopped"
    # Everything that was asked was waited for, and stored.
    assert len(first["rows"]) == asked < 40
    assert "calls in flight may end, again cuts them" in err
    assert "archon: stopped; what was paid is stored: the same command goes on" in err

    again = _start(tmp_path, *EVAL)
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    [whole] = json.loads(out)["evaluations"]
    assert (whole["cut_short"], len(whole["rows"])) == ("", 40)
    assert whole["rows"][:asked][0]["answer"] == first["rows"][0]["answer"]
    assert provider.stats()["requests"] == 40
    assert whole["paid"]["calls"] == 40 - asked


def test_a_stopped_run_says_under_which_seed_it_goes_on(
    tmp_path: Path, provider: ProviderProcess
) -> None:
    provider.reset()
    (tmp_path / "two.yaml").write_text(
        "models: {m: {model: openai/m, base_url: "
        f"'{provider.url}/v1', max_tokens: 64}}}}\n"
        "stages: [generate: {model: m, samples: 2}, fuse: {model: m}]\n"
    )
    process = _start(tmp_path, "run", "two.yaml", "hello?")
    _wait_for(provider, 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert out.strip(), "the best candidate so far is the answer"
    seed = err.split("--seed ")[1].split()[0]
    paid = provider.stats()["requests"]
    again = _start(tmp_path, "run", "two.yaml", "hello?", "--seed", seed, "--json")
    out, err = again.communicate(timeout=60)
    assert json.loads(out)["cut_short"] == ""
    assert provider.stats()["requests"] == paid + 1, "only the fusion was missing"
