"""What can go wrong with a sandbox itself, as opposed to the code in it."""

from __future__ import annotations

from archon.errors import ConfigError, RunError

__all__ = ["Infrastructure", "SandboxFailed", "SandboxUnavailable"]


class SandboxUnavailable(ConfigError):
    """Nothing on this machine may execute a model's code; nothing was run or paid."""


class SandboxFailed(RunError):
    """Fresh sandboxes failed again and again, harmless code included; nothing was scored."""


class Infrastructure(Exception):
    """One sandbox failed through no fault of the code in it: to be done again in a fresh one."""
