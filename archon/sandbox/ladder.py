"""Which backend may be used here: each is probed, none is assumed, and too weak is refused."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import platform
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path

from archon.errors import ConfigError
from archon.plain import canonical
from archon.sandbox import canaries
from archon.sandbox.backends import BACKENDS, Backend, digest_of_code, interpreter
from archon.sandbox.containers import configured
from archon.sandbox.faults import Infrastructure, SandboxUnavailable
from archon.sandbox.reports import Limits

__all__ = ["CONSENT", "Probed", "choose", "known", "offered", "policy", "probe", "survey"]

CONSENT = "I understand"
"""What `allow_unsafe_execution` has to say for level 1."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a backend has shown on this machine.

    Attributes:
        backend: its name.
        level: that it has where it works.
        works: whether code ran in it and no canary came through.
        reason: why not.
        remedy: the command that mends it.
        escaped: names of the canaries that came through.
    """

    backend: str
    level: int
    works: bool
    reason: str = ""
    remedy: str = ""
    escaped: tuple[str, ...] = ()


def probe(backend: Backend) -> Probed:
    """Run the canaries in a backend."""
    try:
        escaped = _run(backend)
    except (Infrastructure, OSError) as error:
        return Probed(backend.name, backend.level, False, str(error), backend.remedy)
    if escaped and backend.level > 1:
        names = ", ".join(escaped)
        reason = f"it lets code {names}"
        return Probed(backend.name, backend.level, False, reason, backend.remedy, tuple(escaped))
    return Probed(backend.name, backend.level, True, escaped=tuple(escaped))


def _run(backend: Backend) -> list[str]:
    """Run the canaries in a loop of its own, since the caller may be in one."""
    launch = backend.launch()
    found: list[list[str]] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            found.append(asyncio.run(canaries.probe(launch)))
        except BaseException as error:  # raised again in the thread that waits
            failed.append(error)

    thread = threading.Thread(target=work, name="archon-probe")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


def _key(backend: Backend) -> str:
    """Return what an answer of the probe depends on."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    parts = [
        platform.release(), platform.machine(), boot, os.geteuid(), interpreter(),
        os.stat(interpreter()).st_mtime_ns, _code(), *backend.identity(),
    ]  # fmt: skip
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


@cache
def _code() -> str:
    return digest_of_code()


_known: dict[str, Probed] = {}


def _answer(backend: Backend, cached: bool) -> Probed:
    """Return what is known of a backend, from this process or the file, else probe it.

    Only success is kept: what failed may have been mended.
    """
    key = _key(backend)
    if cached and (found := _known.get(key) or _stored().get(key)):
        _known[key] = found
        return found
    answer = probe(backend)
    if answer.works:
        _known[key] = answer
        _store(key, answer)
    return answer


def _file() -> Path | None:
    """Return where answers are kept between processes; nowhere without a home."""
    home = os.environ.get("ARCHON_HOME")
    return Path(home) / "sandbox.json" if home else None


def _stored() -> dict[str, Probed]:
    path = _file()
    if path is None:
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {
            key: Probed(**{**row, "escaped": tuple(row["escaped"])}) for key, row in rows.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # whatever it is, probing again costs a moment


def _store(key: str, answer: Probed) -> None:
    path = _file()
    if path is None or not path.parent.is_dir():
        return
    rows = {key: asdict(answer)}
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        others = {k: asdict(v) for k, v in list(_stored().items())[-8:]}
        temporary.write_text(json.dumps({**others, **rows}), encoding="utf-8")
        temporary.replace(path)
    except OSError:  # a cache only
        temporary.unlink(missing_ok=True)


def known() -> tuple[Backend, ...]:
    """Return every backend: the container that the user named, if one, then those of the ladder.

    Raises:
        ConfigError: where the container is not named as it has to be.
    """
    container = configured()
    return BACKENDS if container is None else (container, *BACKENDS)


def offered() -> tuple[Backend, ...]:
    """Return what may be chosen from: the container that the user named, else the ladder.

    Raises:
        ConfigError: where the container is not named as it has to be.
    """
    container = configured()
    return BACKENDS if container is None else (container,)


def survey(backends: Sequence[Backend] | None = None) -> list[Probed]:
    """Probe every backend now, whatever is known of it."""
    return [probe(backend) for backend in backends or known()]


def choose(
    min_level: int = 2,
    *,
    allow_unsafe_execution: str = "",
    backends: Sequence[Backend] | None = None,
    cached: bool = True,
) -> Backend:
    """Return the strongest backend that works here.

    Whoever names a container gets it or nothing: what was asked for is never replaced in silence.

    Args:
        min_level: the weakest level that will do.
        allow_unsafe_execution: `I understand` to have level 1 where there is nothing better.
        backends: those to choose from, strongest first.
        cached: whether an earlier probe of the same machine, code and user counts.

    Raises:
        SandboxUnavailable: listing each backend, why it failed, and the command that mends it.
        ConfigError: for a level that does not exist, consent in other words, or a container that
            is not named as it has to be.
    """
    if min_level not in (2, 3):
        raise ConfigError(
            f"min_level must be 2 or 3, got {min_level!r}; for level 1 set "
            f"allow_unsafe_execution={CONSENT!r}"
        )
    if allow_unsafe_execution not in ("", CONSENT):
        raise ConfigError(
            f"allow_unsafe_execution must be {CONSENT!r}, got {allow_unsafe_execution!r}"
        )
    least = 1 if allow_unsafe_execution else min_level
    tried = []
    # A test hands in its own, of which nothing is known.
    remember = cached and backends is None
    for backend in sorted(backends or offered(), key=lambda b: -b.level):
        if backend.level < least:
            continue
        answer = _answer(backend, remember) if backends is None else probe(backend)
        if answer.works:
            return backend
        tried.append(answer)
    raise SandboxUnavailable(_refusal(tried, min_level))


def _refusal(tried: Sequence[Probed], min_level: int) -> str:
    lines = [f"nothing on this machine may execute a model's code (level {min_level} or better)"]
    for answer in tried:
        lines.append(f"  {answer.backend} (level {answer.level}): {answer.reason}")
        if answer.remedy:
            lines.append(f"    mend it: {answer.remedy}")
    if not tried:
        lines.append(f"  no backend of level {min_level} is known here")
    lines.append("  see what there is: archon sandbox")
    return "\n".join(lines)


def policy(backend: Backend, limits: Limits, packages: Sequence[str] = ()) -> str:
    """Return a digest of all that decides what a verdict is worth."""
    return _policy(backend.name, backend.level, limits, tuple(packages))


@lru_cache(maxsize=64)
def _policy(name: str, level: int, limits: Limits, packages: tuple[str, ...]) -> str:
    parts = [name, level, asdict(limits), list(packages), _code()]
    return hashlib.sha256(canonical(parts).encode()).hexdigest()[:16]
