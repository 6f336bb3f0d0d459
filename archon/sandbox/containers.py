"""A container engine as a backend, where the user names one; it is never chosen unasked.

The worker runs as the container's first process, with the image's own Python. It connects back by
a unix socket that is mounted into the container: descriptors cross it, and it is all that leads
out. When it closes, the worker leaves, and the container ends with all that is in it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence

from archon.errors import ConfigError
from archon.sandbox.launching import CONTROL, ENVIRONMENT, Launch

__all__ = ["VARIABLE", "Container", "configured"]

VARIABLE = "ARCHON_SANDBOX_CONTAINER"
"""Names an engine, with options of its own if need be, and an image that the engine has."""

_DOOR = "/archon-control"
_READABLE = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache",
    "/etc/localtime", "/usr/share/zoneinfo", "/dev/urandom", "/dev/zero",
)  # fmt: skip
_PASSED = (
    "PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "CONTAINER_HOST",
    "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF",
)  # fmt: skip
"""What an engine's client gets of our environment: keys, and addresses of proxies that engines hand
on to containers, are not among it."""

_ANSWER_SECONDS = 20.0
_ISOLATION = (
    "--rm", "--pull", "never", "--log-driver", "none",
    "--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
    "--read-only", "--user", "65534:65534", "--hostname", "sandbox", "--workdir", "/",
    "--pids-limit", "1024", "--memory", "4g",
    "--ulimit", "nofile=512:512", "--ulimit", "nproc=4096:4096", "--ulimit", "core=0:0",
)  # fmt: skip
"""Options that podman and docker share. The limits are those of a worker with all its children,
each of which has closer ones of its own."""


class Container:
    """A container of an engine such as podman or docker, and in it Landlock, seccomp and limits.

    Args:
        engine: its command, with options that go before `run`.
        image: an image that the engine has, with Python 3.11 or later as `python3`.
    """

    level = 3

    def __init__(self, engine: Sequence[str], image: str) -> None:
        self._engine = tuple(engine)
        self._image = image
        kind = os.path.basename(engine[0])
        self.name = f"container ({kind} {image})"
        self.about = f"a container of {kind}, Landlock, seccomp, limits"
        pull = shlex.join([*engine, "pull", image])
        self.remedy = f"with {kind} running: {pull}   (an image with Python 3.11 or later)"

    def launch(self, packages: Sequence[str] = ()) -> Launch:
        """Return how a worker is started.

        Raises:
            OSError: where there is no such engine or image.
        """
        self._identifier()
        mounts = [f"{CONTROL}:{_DOOR}", *(f"{path}:{path}:ro" for path in packages)]
        options = [*_ISOLATION, *_each("--volume", mounts)]
        options += _each("--env", [f"{key}={value}" for key, value in ENVIRONMENT.items()])
        settings = {
            "readable": [*_READABLE, *packages],
            "devices": ["/dev/null"],
            "uid": None,
            "kernel": True,
            "paths": list(packages),
        }
        command = [*self._engine, "run", *options, "--entrypoint", "python3", self._image]
        return Launch(command, settings, pinned=False, door=_DOOR, environment=_environment())

    def identity(self) -> Sequence[str | int]:
        """Return the engine and the image's digest, which a tag may come to mean another of."""
        try:
            return (self.name, *self._engine, self._identifier())
        except OSError:
            return (self.name,)

    def _identifier(self) -> str:
        engine = self._engine[0]
        if shutil.which(engine) is None:
            raise OSError(f"{VARIABLE} names {engine!r}, which is not installed")
        words = [*self._engine, "image", "inspect", "--format", "{{.Id}}", self._image]
        try:
            done = subprocess.run(  # noqa: S603 (the engine that the user named)
                words, capture_output=True, text=True, check=False,
                timeout=_ANSWER_SECONDS, env=_environment(), stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise OSError(f"{engine} did not answer in {_ANSWER_SECONDS:g} s") from None
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["it failed without a word"]
            raise OSError(f"{engine}: {said[-1][:300]}")
        return done.stdout.strip()


def configured() -> Container | None:
    """Return the container that the environment names; None without.

    Raises:
        ConfigError: for something else than an engine and an image.
    """
    text = os.environ.get(VARIABLE, "")
    try:
        words = shlex.split(text)
    except ValueError:
        words = [text]
    if not words:
        return None
    if len(words) < 2 or words[-1].startswith("-"):
        raise ConfigError(
            f"{VARIABLE} must name an engine and an image, such as 'podman python:3.12-slim', "
            f"got {text!r}"
        )
    return Container(words[:-1], words[-1])


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _PASSED if name in os.environ}


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
