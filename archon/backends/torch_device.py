"""Where local models are computed, in which precision, and how they share the memory there."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from archon.errors import ConfigError, ModelError, did_you_mean

if TYPE_CHECKING:
    import torch

__all__ = ["DTYPES", "Local", "Memory", "Tenant", "device_of", "dtype_of", "is_memory_error"]

DTYPES = ("float32", "bfloat16", "float16")
_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", re.IGNORECASE)
_SHARE = 0.8
"""Of the memory that is there, when no budget is given."""
_CACHE_ON_CPU = 2**30


@dataclass(frozen=True, slots=True)
class Local:
    """How models run here.

    Attributes:
        device: `cpu`, `cuda`, `cuda:1`, `mps`; empty for the best there is.
        memory: bytes for the weights and caches of all models together; None for four fifths of
            what the device has.
        cache: bytes of each model's keys and values, half of them for texts being written and half
            for what may be read again; None for a quarter of the memory, on a CPU at most 1 GiB.
        reuse: whether what was read is kept for texts that begin alike.
        threads: that compute each model on a CPU; None for as many as torch takes, and for
            models so small that more would hinder each other one, with one more for prompts.
    """

    device: str = ""
    memory: int | None = None
    cache: int | None = None
    reuse: bool = True
    threads: int | None = None

    @classmethod
    def from_environment(cls) -> Local:
        """Read `ARCHON_DEVICE`, and `ARCHON_DEVICE_` with `MEMORY`, `CACHE` and `THREADS`.

        Raises:
            ConfigError: for what is no device, no size or no number of threads.
        """
        found = cls(
            os.environ.get("ARCHON_DEVICE", ""),
            _size("ARCHON_DEVICE_MEMORY"),
            _size("ARCHON_DEVICE_CACHE"),
            threads=_count("ARCHON_DEVICE_THREADS"),
        )
        found.check()
        return found

    def check(self) -> None:
        """Raise ConfigError for a name that no device has."""
        if self.device and not _DEVICE.fullmatch(self.device):
            known = ("cpu", "cuda", "mps")
            raise ConfigError(
                f"unknown device {self.device!r}{did_you_mean(self.device, known)}: it is cpu,"
                " cuda, mps, or a GPU by its number such as cuda:1"
            )

    def budget(self, device: torch.device) -> int:
        """Return the bytes for all models on a device."""
        return self.memory if self.memory is not None else int(_SHARE * _memory_of(device))

    def caches(self, device: torch.device) -> int:
        """Return the bytes for the keys and values of one model."""
        if self.cache is not None:
            return self.cache
        quarter = self.budget(device) // 4
        return min(quarter, _CACHE_ON_CPU) if device.type == "cpu" else quarter


def _size(variable: str) -> int | None:
    """Return the bytes that a variable of the environment names: `6GiB`, `500 MB`, `1e9` is none.

    Raises:
        ConfigError: when that is no size.
    """
    text = os.environ.get(variable, "")
    if not text:
        return None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ConfigError(f"{variable} must be a size such as '6GiB' or '500 MB', got {text!r}")
    number, unit, binary = found.groups()
    power = " KMGT".index(unit.upper() or " ")
    return int(float(number) * (1024 if binary else 1000) ** power)


def _count(variable: str) -> int | None:
    """Return the number above zero that a variable of the environment gives.

    Raises:
        ConfigError: when that is none.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ConfigError(f"{variable} must be a number from 1 on, got {text!r}")
    return int(text)


def device_of(name: str) -> torch.device:
    """Return a device by its name; without one a GPU if there is any, else the CPU.

    Raises:
        ModelError: when this machine does not have it.
    """
    import torch

    if not name:
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and torch.backends.mps.is_available():
            name = "mps"
    device = torch.device(name)
    there = {
        "cpu": True,
        "cuda": (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there[device.type]:
        raise ModelError(f"this machine has no device {name!r}", billed=False)
    return device


def dtype_of(name: str, device: torch.device, stored: str | None) -> torch.dtype:
    """Return the precision in which a model is computed.

    Args:
        name: one of `DTYPES`, or empty.
        device: on a CPU it is single precision unless said otherwise: half is slow and coarse
            there.
        stored: in which precision the weights are stored, used elsewhere; where the device has no
            bfloat16, half precision takes its place.
    """
    import torch

    if not name:
        if device.type == "cpu":
            return torch.float32
        name = stored if stored in DTYPES else "float32"
        if name == "bfloat16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
            name = "float16"
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def is_memory_error(error: BaseException) -> bool:
    """Return whether an error says that the device's memory is full."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return True
    # The CPU's allocator and Apple's raise a plain RuntimeError.
    said = str(error)
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in said or "out of memory" in said.lower()
    )


def _memory_of(device: torch.device) -> int:
    import torch

    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Tenant(Protocol):
    """What has a place in a device's memory."""

    @property
    def busy(self) -> bool:
        """Whether it is at work."""

    def leave(self) -> None:
        """Give the place back as soon as what is under way is done; returns at once."""


class Memory:
    """Divides a device's memory between models: who was used least recently gives way.

    Models that are at work give way too, when they have done what they have begun; so nobody waits
    for ever. Each enters and leaves from a thread of its own.
    """

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._held: OrderedDict[Any, int] = OrderedDict()
        self._line: list[Tenant] = []

    @property
    def held(self) -> int:
        """Bytes that are taken."""
        with self._news:
            return sum(self._held.values())

    def enter(self, tenant: Tenant, size: int, budget: int, given_up: Callable[[], bool]) -> bool:
        """Wait until there is room; False when the tenant gave up waiting.

        Raises:
            ModelError: when it would not fit if it were alone.
        """
        if size > budget:
            raise ModelError(
                f"the model needs {size / 1e9:.2f} GB with its caches, but the memory for local"
                f" models is {budget / 1e9:.2f} GB (ARCHON_DEVICE_MEMORY)",
                billed=False,
            )
        with self._news:
            self._line.append(tenant)
            try:
                while not given_up():
                    if self._line[0] is tenant:
                        self._make_room(sum(self._held.values()) + size - budget)
                        if sum(self._held.values()) + size <= budget:
                            self._held[tenant] = size
                            return True
                    self._news.wait()
                return False
            finally:
                self._line.remove(tenant)
                self._news.notify_all()

    def _make_room(self, missing: int) -> None:
        """Ask as few as needed to leave, the idle ones first."""
        for tenant in sorted(self._held, key=lambda one: one.busy):
            if missing <= 0:
                return
            missing -= self._held[tenant]
            tenant.leave()

    def used(self, tenant: Tenant) -> None:
        """Note that a tenant is at work."""
        with self._news:
            if tenant in self._held:
                self._held.move_to_end(tenant)

    def exit(self, tenant: Tenant) -> None:
        """Free a tenant's place, if it has one."""
        with self._news:
            self._held.pop(tenant, None)
            self._news.notify_all()

    def wake(self) -> None:
        """Let those who wait see whether they have given up."""
        with self._news:
            self._news.notify_all()
