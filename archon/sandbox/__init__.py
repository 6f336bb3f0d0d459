"""Executing code that nobody has read: a sandbox, and verdicts that the code cannot forge.

async with Sandbox.open() as sandbox:
    report = await sandbox.check(source, ["assert f(2) == 4"], entry_point="f")
    if report.passed: ...
"""

from archon.sandbox.backends import BACKENDS, Backend
from archon.sandbox.faults import SandboxFailed, SandboxUnavailable
from archon.sandbox.ladder import CONSENT, Probed, choose, known, offered, survey
from archon.sandbox.programs import same_output
from archon.sandbox.reports import (
    OUTCOMES,
    Example,
    Limits,
    Outcome,
    ProgramRun,
    Report,
    Stamp,
    Test,
    TestFile,
    Verdict,
)
from archon.sandbox.settings import SandboxSettings
from archon.sandbox.shared import SharedSandbox, close_shared, shared
from archon.sandbox.supervisor import Sandbox

__all__ = [
    "BACKENDS",
    "CONSENT",
    "OUTCOMES",
    "Backend",
    "Example",
    "Limits",
    "Outcome",
    "Probed",
    "ProgramRun",
    "Report",
    "Sandbox",
    "SandboxFailed",
    "SandboxSettings",
    "SandboxUnavailable",
    "SharedSandbox",
    "Stamp",
    "Test",
    "TestFile",
    "Verdict",
    "choose",
    "close_shared",
    "known",
    "offered",
    "same_output",
    "shared",
    "survey",
]
