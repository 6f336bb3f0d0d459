"""The backends of the ladder: what each puts between a model's code and this machine."""

from __future__ import annotations

import functools
import os
import platform
import secrets
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from archon.sandbox.launching import Launch

__all__ = ["BACKENDS", "Backend", "Bubblewrap", "Kernel", "Nothing", "interpreter"]

_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
_EXTRA = ("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo")
_DEVICES = ("/dev/null",)
_SOURCES = ("/dev/urandom", "/dev/zero")
_USERS = 0x70000000
"""Users from here on belong to nobody on an ordinary system; each worker gets one of its own."""


class Backend(Protocol):
    """One way of keeping code in.

    Attributes:
        name: for people and stamps.
        level: 3, 2 or 1, as in the documentation.
        about: one line.
        remedy: the command that mends its usual failure.
    """

    name: str
    level: int
    about: str
    remedy: str

    def launch(self, packages: Sequence[str] = ()) -> Launch:
        """Return how a worker is started.

        Raises:
            OSError: with the reason, where it cannot be on this machine.
        """

    def identity(self) -> Sequence[str | int]:
        """Return what a probe's answer depends on, beside the kernel and archon itself."""


@functools.cache
def interpreter() -> str:
    """Return the interpreter outside any virtual environment."""
    base = getattr(sys, "_base_executable", "") or sys.executable
    return os.path.realpath(base)


@functools.cache
def _module_paths() -> tuple[str, ...]:
    """Return the folders of the standard library."""
    names = ("stdlib", "platstdlib")
    found = [sysconfig.get_path(name, vars={"base": sys.base_prefix}) for name in names]
    base = [os.path.join(sys.base_prefix, "lib", f"python{_version()}")]
    paths = [path for path in (*base, *found) if os.path.isfile(os.path.join(path, "os.py"))]
    paths = list(dict.fromkeys(map(os.path.realpath, paths)))[:1]
    return (*paths, *(os.path.join(path, "lib-dynload") for path in paths))


def _version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


@functools.cache
def _readable() -> tuple[str, ...]:
    libraries = os.path.realpath(str(sysconfig.get_config_var("LIBDIR") or "/usr/lib"))
    own = [libraries] if libraries.startswith(sys.base_prefix) else []
    wanted = [*own, *_module_paths(), interpreter(), *_SYSTEM, *_EXTRA, *_SOURCES]
    kept: list[str] = []
    for path in wanted:  # what lies below another is there already
        if not any(path == other or path.startswith(other + "/") for other in kept):
            kept.append(path)
    return tuple(kept)


def _settings(packages: Sequence[str], *, uid: int | None, kernel: bool) -> dict[str, object]:
    return {
        "readable": [*_readable(), *packages],
        "devices": list(_DEVICES),
        "uid": uid,
        "kernel": kernel,
        "paths": [*_module_paths(), *packages],
    }


def _fresh_user() -> int | None:
    return _USERS + secrets.randbelow(1 << 24) if os.geteuid() == 0 else None


def _linux() -> None:
    if sys.platform != "linux":
        raise OSError(f"it needs Linux, and this is {platform.system()}")


class Bubblewrap:
    """Namespaces by bubblewrap, and within them Landlock, seccomp and limits.

    Where the user is root, the worker starts with the two capabilities that it takes to become
    another user, and becomes it before it forks; elsewhere a user namespace gives it an identity
    without any rights.
    """

    name = "bubblewrap"
    level = 3
    about = "own namespaces (bubblewrap), Landlock, seccomp, limits"
    remedy = "apt-get install bubblewrap   (or dnf, pacman; it also has to be allowed namespaces)"

    def launch(self, packages: Sequence[str] = ()) -> Launch:
        """Return how a worker is started.

        Raises:
            OSError: where there is no bubblewrap.
        """
        _linux()
        uid = _fresh_user()
        command = [self._binary(), *self._isolation(root=uid is not None)]
        command += self._files(packages)
        settings = _settings(packages, uid=uid, kernel=True)
        return Launch([*command, interpreter()], settings, pinned=False)

    def identity(self) -> Sequence[str | int]:
        """Return path and time of the binary."""
        try:
            binary = self._binary()
        except OSError:
            return (self.name,)
        return (self.name, binary, os.stat(binary).st_mtime_ns)

    def _binary(self) -> str:
        found = shutil.which("bwrap")
        if found is None:
            raise OSError("bwrap is not installed")
        return found

    def _isolation(self, *, root: bool) -> list[str]:
        spaces = ["ipc", "pid", "net", "uts"]
        arguments = [f"--unshare-{space}" for space in spaces] + ["--unshare-cgroup-try"]
        if root:
            arguments += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            arguments += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
            arguments += ["--cap-drop", "ALL"]
            if _takes(self._binary(), "--disable-userns"):
                arguments.append("--disable-userns")
        return [*arguments, "--die-with-parent", "--new-session", "--hostname", "sandbox"]

    def _files(self, packages: Sequence[str]) -> list[str]:
        arguments = []
        for path in (*_readable(), *packages):
            if path in _SOURCES:
                continue
            if os.path.islink(path) and path in _SYSTEM:
                arguments += ["--symlink", os.readlink(path), path]
            elif os.path.exists(path):
                # Folders on the way, which bubblewrap would make for their owner alone.
                above = reversed(Path(path).parents[:-1])
                made = [str(folder) for folder in above if str(folder) not in arguments]
                arguments += [word for folder in made for word in ("--dir", folder)]
                arguments += ["--ro-bind", path, path]
        for path in (*_DEVICES, *_SOURCES):
            arguments += ["--dev-bind", path, path]
        return [*arguments, "--remount-ro", "/", "--chdir", "/"]


@functools.cache
def _takes(binary: str, option: str) -> bool:
    done = subprocess.run(  # noqa: S603 (bubblewrap's own help)
        [binary, "--help"], capture_output=True, text=True, check=False, timeout=10
    )
    return option in done.stdout + done.stderr


class Kernel:
    """Landlock, seccomp and limits: no binary, no root, no namespaces."""

    name = "landlock"
    level = 2
    about = "Landlock, seccomp, limits"
    remedy = (
        "a kernel of 5.13 or later, started with landlock in its list of security modules (lsm=)"
    )

    def launch(self, packages: Sequence[str] = ()) -> Launch:
        """Return how a worker is started.

        Raises:
            OSError: away from Linux.
        """
        _linux()
        return Launch([interpreter()], _settings(packages, uid=_fresh_user(), kernel=True))

    def identity(self) -> Sequence[str | int]:
        """Return nothing but the name: the kernel decides."""
        return (self.name,)


class Nothing:
    """Limits and an empty environment: code can read what the user can, and do what it likes."""

    name = "limits"
    level = 1
    about = "limits and an empty environment only: UNSAFE"
    remedy = ""

    def launch(self, packages: Sequence[str] = ()) -> Launch:
        """Return how a worker is started.

        Raises:
            OSError: away from Linux.
        """
        _linux()
        return Launch([interpreter()], _settings(packages, uid=_fresh_user(), kernel=False))

    def identity(self) -> Sequence[str | int]:
        """Return nothing but the name."""
        return (self.name,)


BACKENDS: tuple[Backend, ...] = (Bubblewrap(), Kernel(), Nothing())
"""From the strongest to the weakest."""


def digest_of_code() -> str:
    """Return a digest of the code that runs inside, which decides what a verdict is worth."""
    import hashlib

    found = hashlib.sha256()
    for path in sorted((Path(__file__).parent / "inside").glob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]
