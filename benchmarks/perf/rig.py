"""The bench: the provider on one core, one client at a time on another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archon.benchmarks.perf.figures import Found, Group, Line
from archon.testing.provider import ProviderProcess

__all__ = ["CLIENT_CORE", "PROMPT", "Client", "Options", "Scripted", "environment", "measure"]

PROMPT = (
    "Question {}: a farmer has seventeen sheep, all but nine of which run away. He then buys twice"
    " as many as he has left and sells a third of his flock at the market. How many sheep does he"
    " have now? Explain each step of your reasoning and give the answer on the last line."
)
"""What every client asks, with a number in it that makes prompts distinct."""
MAX_TOKENS = 256
CLIENT_CORE, SERVER_CORE = 0, 1

_WORKER = Path(__file__).parent / "clients" / "worker.py"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    Attributes:
        repeat: repetitions of every line.
        quick: measure little, to see that everything works.
        scale: the number of calls as a share of the full benchmark's; for tests.
        rivals: other clients that are measured beside ours, by name.
        tell: is told what is being measured.
    """

    repeat: int = 5
    quick: bool = False
    scale: float = 1.0
    rivals: Sequence[str] = ()
    tell: Callable[[str], None] = lambda what: None

    def count(self, full: int) -> int:
        """Return how many calls to make where the full benchmark makes so many."""
        return max(4, int(full * self.scale))


@dataclass(frozen=True, slots=True)
class Client:
    """A program in `clients/`, and how it is run.

    Attributes:
        name: what the table calls it.
        program: its file.
        python: the interpreter, whose environment has what it imports.
        job: keys of the job that only this client gets.
    """

    name: str
    program: str
    python: str = sys.executable
    job: Mapping[str, Any] = field(default_factory=dict)

    def command(self) -> list[str]:
        """Return what is run."""
        return [self.python, str(_WORKER)]

    def run(self, job: Mapping[str, Any]) -> Found:
        """Do a job in a fresh process and return what was measured.

        Raises:
            RuntimeError: with what the client said, when it failed.
        """
        whole = {"prompt": PROMPT, "max_tokens": MAX_TOKENS, "core": CLIENT_CORE, **job}
        whole |= {**self.job, "client": self.program}
        done = subprocess.run(  # noqa: S603 (ours)
            self.command(),
            input=json.dumps(whole),
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
        )
        if done.returncode:
            raise RuntimeError(f"client {self.name} failed:\n{done.stderr[-3000:]}")
        found: Found = json.loads(done.stdout)
        return found


def environment() -> dict[str, str]:
    """Return the environment of a client: no keys, no proxies, nothing fetched on import."""
    secret = ("_API_KEY", "_TOKEN", "_API_BASE", "_PROXY", "_proxy")
    kept = {k: v for k, v in os.environ.items() if not k.endswith(secret)}
    return {
        **kept,
        "OPENAI_API_KEY": "none",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PYTHONWARNINGS": "ignore",
    }


def _pin(pid: int, core: int) -> None:
    if hasattr(os, "sched_setaffinity") and core in os.sched_getaffinity(0):
        os.sched_setaffinity(pid, {core})


class Scripted(ProviderProcess):
    """A provider whose replies the judging layers can read (see `judge`)."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        values = json.dumps(settings)
        self._command = [sys.executable, "-m", "archon.benchmarks.perf.judge", values]


@contextmanager
def serving(kind: type[ProviderProcess] = ProviderProcess, **settings: Any) -> Iterator[Any]:
    """Run a provider on its core."""
    with kind(**settings) as provider:
        _pin(provider.pid, SERVER_CORE)
        yield provider


def measure(
    group: str,
    clients: Sequence[Client],
    job: Mapping[str, Any],
    options: Options,
    *,
    shown: Sequence[str],
    compared: Sequence[str] = (),
    server: type[ProviderProcess] = ProviderProcess,
    **settings: Any,
) -> Group:
    """Measure clients in turn on one job, so that what slows one down slows all.

    The provider is new for each group, and its counters are for each run.
    """
    lines = [Line(client.name) for client in clients]
    with serving(server, **settings) as provider:
        for repetition in range(options.repeat):
            for client, line in zip(clients, lines, strict=True):
                options.tell(f"{group}: {client.name} ({repetition + 1} of {options.repeat})")
                line.runs.append(_once(client, job, provider))
    return Group(group, {**job, **settings}, lines, shown, compared)


def _once(client: Client, job: Mapping[str, Any], provider: ProviderProcess) -> Found:
    provider.reset()
    with tempfile.TemporaryDirectory(prefix="archon-perf-") as folder:
        found = client.run({**job, "url": f"{provider.url}/v1", "folder": folder})
    stats = provider.stats()
    return {**found, "peak": stats["peak"], "requests": stats["requests"]}
