"""Every error archon raises, split by when it happens.

ArchonError
├── ConfigError             before anything runs: the user's file, value or setting is wrong
│   ├── ArchitectureError   a layer, port, node or edge cannot work
│   ├── ModelNotFound       no such model, or what it needs is not installed
│   ├── MissingKey          the environment variable that holds an API key is not set
│   └── SandboxUnavailable  nothing here may execute a model's code (in `archon.sandbox`)
├── BudgetError             while spending
│   ├── BudgetRefused       the budget cannot be enforced, or the first call does not fit
│   └── BudgetExceeded      a call was refused because it could overrun the budget
│       └── Stopped         or because the session is stopping
└── RunError                while running
    ├── ModelError          one call failed; `kind` says how, `retryable` whether again may help
    ├── NodeError           a layer lost more than its `on_error` policy allows
    ├── PoolMiss            `mode: only` and the reply is not in the pool
    ├── SandboxFailed       sandboxes failed again and again (in `archon.sandbox`)
    └── StoreError          the pool's file cannot be read or written

The command line prints any of them in one line; `exit_code` is 2 for the user's mistakes and 1
for failures.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal

__all__ = [
    "ArchitectureError",
    "ArchonError",
    "BudgetError",
    "BudgetExceeded",
    "BudgetRefused",
    "ConfigError",
    "FailureKind",
    "MissingKey",
    "ModelError",
    "ModelNotFound",
    "NodeError",
    "PoolMiss",
    "RunError",
    "Stopped",
    "StoreError",
    "did_you_mean",
]

FailureKind = Literal["transient", "fatal", "content", "malformed"]


class ArchonError(Exception):
    """Base class of every error archon raises."""

    exit_code = 1


class ConfigError(ArchonError, ValueError):
    """The user's file, value or setting is wrong; nothing was run or paid."""

    exit_code = 2

    def __init__(self, message: str, *, where: str = "") -> None:
        self.message = message
        self.where = where
        super().__init__(f"{where}: {message}" if where else message)

    def at(self, where: str) -> ConfigError:
        """Return the same error with a place (`file:line`) in front, unless it has one."""
        return self if self.where else type(self)(self.message, where=where)


class ArchitectureError(ConfigError):
    """A layer, port, node or edge cannot work; found when the architecture is built."""


class ModelNotFound(ConfigError):
    """No such model, or what it needs is not installed."""


class MissingKey(ConfigError):
    """The environment variable that holds an API key is not set."""


class BudgetError(ArchonError):
    """Base class of what a budget refuses."""


class BudgetRefused(BudgetError):
    """The budget cannot be enforced, or the first call does not fit; nothing was paid."""

    exit_code = 2


class BudgetExceeded(BudgetError):
    """A call was refused because its upper bound does not fit what is left.

    Attributes:
        limit: name of the limit that fired: calls, tokens, usd, seconds and so on; or `stopped`.
    """

    def __init__(self, message: str, *, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class Stopped(BudgetExceeded):
    """A call was refused because the session is stopping: what is in flight ends, no more."""

    def __init__(self) -> None:
        super().__init__("stopped: no further call is made", limit="stopped")


class RunError(ArchonError):
    """Base class of failures while running."""


class ModelError(RunError):
    """One model call failed.

    Attributes:
        kind: transient (again may help), fatal (it cannot), content (the provider will not
            answer this), malformed (the reply does not follow the protocol).
        retry_after: seconds the provider asked to wait, if it did; 0 means again at once.
        billed: False only where the provider certainly did not charge the attempt.
        limited: whether the provider said that it is asked too often.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: FailureKind = "fatal",
        retry_after: float | None = None,
        billed: bool = True,
        limited: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.retry_after = retry_after
        self.billed = billed
        self.limited = limited

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed when sent again."""
        return self.kind in ("transient", "malformed")


class NodeError(RunError):
    """A layer lost more than its `on_error` policy allows.

    Attributes:
        path: the node's place in the architecture.
        kind: how the first lost call failed, as in `ModelError`; `content` means that a provider
            would not answer, which is the architecture's outcome and not a fault of transport.
    """

    def __init__(self, message: str, *, path: str = "", kind: FailureKind = "fatal") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.kind: FailureKind = kind


class PoolMiss(RunError):
    """Mode `only` forbids calls, and the reply is not in the pool."""


class StoreError(RunError):
    """The pool's file cannot be read or written."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for a near miss, else the list of what is known.

    >>> did_you_mean("fusee", ["fuse", "rank"])
    "; did you mean 'fuse'?"
    >>> did_you_mean("zzz", ["rank", "fuse"])
    '; known: fuse, rank'
    """
    names = sorted(known)
    if near := difflib.get_close_matches(word, names, n=1):
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(names)}" if names else ""
