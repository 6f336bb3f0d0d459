"""What is executed, within which limits, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from archon.errors import ConfigError
from archon.types import Json

__all__ = [
    "OUTCOMES",
    "Example",
    "Limits",
    "Outcome",
    "ProgramRun",
    "Report",
    "Stamp",
    "Test",
    "TestFile",
    "Verdict",
]

Outcome = Literal["pass", "fail", "error", "timeout", "oom", "killed", "protocol", "refused"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""`pass`; `fail` (an assertion, or another output); `error` (an exception); `timeout`; `oom` (out
of memory); `killed` (the process ended before it answered: a crash, or by itself); `protocol` (the
answer is no value that can cross, or no frame at all); `refused` (not executed: too large)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a candidate may use. The defaults are strict; whatever is loosened is in the report.

    Attributes:
        seconds: wall clock for loading the candidate and for each test.
        cpu_seconds: CPU time, each.
        memory_bytes: address space of the candidate's process.
        output_bytes: what a program may write; more ends it.
        source_bytes: size of a candidate or a test file.
        threads: of one process, where they can be counted.
    """

    seconds: float = 5.0
    cpu_seconds: int = 4
    memory_bytes: int = 512 << 20
    output_bytes: int = 64 << 10
    source_bytes: int = 256 << 10
    threads: int = 64

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= 3600:
            raise ConfigError(f"seconds must be above 0 and at most 3600, got {self.seconds!r}")
        if self.memory_bytes < 64 << 20:
            raise ConfigError(
                f"memory_bytes must be at least {64 << 20:,} (an interpreter needs as much), "
                f"got {self.memory_bytes!r}"
            )
        for name in ("cpu_seconds", "output_bytes", "source_bytes", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        if self.source_bytes > 1 << 19:
            raise ConfigError(
                f"source_bytes must be at most {1 << 19:,}, got {self.source_bytes!r}"
            )


@dataclass(frozen=True, slots=True)
class Test:
    """Source that raises if the candidate is wrong, such as `assert f(2) == 3`."""

    __test__ = False  # no test of pytest

    code: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class TestFile:
    """Tests that share a setup and a process: one unit of trust.

    Attributes:
        tests: each is executed with a fresh copy of what the setup defined.
        setup: source that runs once, before any test: imports, helpers of the prompt.
    """

    __test__ = False

    tests: tuple[Test, ...]
    setup: str = ""

    @classmethod
    def of(cls, tests: Sequence[str], setup: str = "") -> TestFile:
        """Return a file of tests named by their position."""
        return cls(tuple(Test(code, str(place)) for place, code in enumerate(tests)), setup)


@dataclass(frozen=True, slots=True)
class Example:
    """What a program reads from stdin and what it must write to stdout."""

    stdin: str
    stdout: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one test.

    Attributes:
        id: the test's.
        outcome: one of `OUTCOMES`.
        detail: one line for people and for layers that repair; it may quote the candidate.
        seconds: wall clock.
    """

    id: str
    outcome: Outcome
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where something was executed.

    Attributes:
        backend: name of the backend.
        level: 3, 2, or 1 (unsafe, only by explicit consent).
        policy: digest of the limits, the rules and the guard's own code.
        packages: folders of packages that the code could import beside the standard library.
    """

    backend: str
    level: int
    policy: str
    packages: tuple[str, ...] = ()

    @property
    def unsafe(self) -> bool:
        """Whether code ran that nothing kept from harming the machine."""
        return self.level < 2


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a candidate's tests, in their order.

    Attributes:
        verdicts: one for each test.
        stamp: where they ran.
        seconds: wall clock of the whole.
        forgeable: whether candidate and tests shared a process, so that the candidate could have
            forged any of it.
        retries: how often a sandbox failed and the work was done again.
    """

    verdicts: tuple[Verdict, ...]
    stamp: Stamp
    seconds: float
    forgeable: bool = False
    retries: int = 0

    @property
    def passed(self) -> bool:
        """Whether every test passed, beyond forgery. No test at all is no pass."""
        return self.passed_if_trusted and not self.forgeable

    @property
    def passed_if_trusted(self) -> bool:
        """Whether every test passed, if the candidate is believed not to cheat."""
        return bool(self.verdicts) and all(v.outcome == "pass" for v in self.verdicts)

    def to_json(self) -> Json:
        """Return everything as JSON."""
        return {
            "passed": self.passed,
            "forgeable": self.forgeable,
            "unsafe": self.stamp.unsafe,
            "backend": self.stamp.backend,
            "level": self.stamp.level,
            "policy": self.stamp.policy,
            "seconds": self.seconds,
            "retries": self.retries,
            "verdicts": [
                {"id": v.id, "outcome": v.outcome, "detail": v.detail, "seconds": v.seconds}
                for v in self.verdicts
            ],
        }


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """What came of one run of a whole program.

    Attributes:
        outcome: `pass` means that it ran to its end; no output was compared.
        stdout: what it wrote, bad UTF-8 replaced.
        detail: how it failed.
        seconds: wall clock.
        stamp: where it ran.
    """

    outcome: Outcome
    stdout: str
    detail: str
    seconds: float
    stamp: Stamp = field(repr=False)
