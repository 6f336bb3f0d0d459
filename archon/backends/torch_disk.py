"""Which local models are on the disk, how large they are, and which fit into this machine."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from archon.backends.torch_checks import check_folder
from archon.backends.torch_config import Kind, kind_of
from archon.backends.torch_files import local_models
from archon.errors import ConfigError

__all__ = ["Device", "OnDisk", "devices", "on_disk"]

BESIDE = 1.2
"""What a model takes in memory beside its weights, as a factor: keys, values, states."""

_SIZES = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1}
_NAMES = {
    "F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "I8": "int8", "U8": "uint8",
}  # fmt: skip
_SINGLE = 4
"""Bytes of a number on a CPU, where half precision is slow."""


@dataclass(frozen=True, slots=True)
class Device:
    """Where models can be computed.

    Attributes:
        name: `cpu`, or what the GPU is called.
        memory: bytes it has.
        free: bytes that nobody uses now.
    """

    name: str
    memory: int
    free: int

    @property
    def cpu(self) -> bool:
        """Whether it is the processor."""
        return self.name == "cpu"


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A local model.

    Attributes:
        name: as it is written in architectures.
        path: of the folder.
        kind: what it is for.
        bytes: of its files of weights.
        parameters: how many numbers these hold, if they say it.
        dtype: in which most of them are stored, if they say it.
        context: the most tokens it reads, if it says it.
        problem: what keeps it from being used; empty for nothing.
    """

    name: str
    path: str
    kind: Kind
    bytes: int
    parameters: int | None
    dtype: str
    context: int | None
    problem: str

    def needs(self, device: Device) -> int:
        """Return about how many bytes it takes on a device, weights and working memory."""
        if device.cpu and self.parameters is not None:
            return int(BESIDE * _SINGLE * self.parameters)
        return int(BESIDE * self.bytes)

    def fits(self, device: Device) -> bool:
        """Return whether there is room for it now."""
        return self.needs(device) <= device.free

    def to_json(self, device: Device) -> dict[str, Any]:
        """Return all that is known, with what follows for a device."""
        return {**asdict(self), "needs": self.needs(device), "fits": self.fits(device)}


def on_disk() -> list[OnDisk]:
    """Return the models that come with archon and those in Hugging Face's cache."""
    return [_described(f"local/{name}", folder) for name, folder in local_models()]


def devices() -> list[Device]:
    """Return where models can be computed, the one that is used first.

    Torch is asked, which takes a few seconds, only where there may be a GPU.
    """
    memory, free = _ram()
    found = [Device("cpu", memory, free)]
    maybe = sys.platform == "darwin" or shutil.which("nvidia-smi") is not None
    if maybe and find_spec("torch") is not None:
        import torch

        if torch.backends.mps.is_available():
            found.insert(0, Device("mps", memory, free))
        for number in reversed(range(torch.cuda.device_count())):
            free, memory = torch.cuda.mem_get_info(number)
            found.insert(0, Device(torch.cuda.get_device_name(number), memory, free))
    return found


def _ram() -> tuple[int, int]:
    """Return the bytes of memory, and how many of them programs can still have."""
    page = os.sysconf("SC_PAGE_SIZE")
    memory = page * os.sysconf("SC_PHYS_PAGES")
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return memory, int(kilobytes) * 1024
    except (OSError, StopIteration):
        return memory, memory


def _described(name: str, folder: Path) -> OnDisk:
    try:
        check_folder(folder)
        problem = ""
    except ConfigError as error:
        problem = str(error)
    files = sorted(folder.glob("*.safetensors"))
    try:
        stored = _stored(tuple(files)) if files else {}
    except (OSError, ValueError, KeyError):
        stored = {}  # the check has said what is wrong with the file
    files = files or sorted(folder.glob("*.bin"))
    most = max(stored, key=lambda kind: stored[kind] * _SIZES.get(kind, 1), default="")
    return OnDisk(
        name,
        str(folder),
        kind_of(folder),
        sum(file.stat().st_size for file in files if file.is_file()),
        sum(stored.values()) or None,
        _NAMES.get(most, most),
        _context(folder),
        problem,
    )


@lru_cache(maxsize=256)
def _stored(files: tuple[Path, ...]) -> dict[str, int]:
    """Return how many numbers are stored in each precision, from the files' headers alone."""
    found: dict[str, int] = {}
    for file in files:
        with file.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            if size > file.stat().st_size:
                raise ValueError("no header")
            header = json.loads(stream.read(size))
        for name, tensor in header.items():
            if name != "__metadata__":
                kind = tensor["dtype"]
                found[kind] = found.get(kind, 0) + prod(tensor["shape"])
    return found


def _context(folder: Path) -> int | None:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        size = config.get("text_config", config).get("max_position_embeddings")
    except (OSError, ValueError, AttributeError):
        return None
    return size if isinstance(size, int) else None
