"""Folders of weights that `local/` names stand for, and the digest of what is in them."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import threading
from functools import lru_cache
from pathlib import Path

from archon.backends.torch_config import nominal_price
from archon.errors import ModelNotFound, did_you_mean
from archon.model import Model, Price

__all__ = [
    "digest",
    "flops_per_token",
    "folder_of",
    "local_models",
    "local_price",
    "weights_of",
]

LOADING = threading.Lock()
"""Held while a model is loaded: transformers imports its parts late, and builds models under
switches of the whole process, so two threads that load at once can both fail."""

_WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "spiece.model",
    "chat_template*",
    "*.safetensors.index.json",
    "*.safetensors",
)
"""What shapes a reply: the stored dtype stands in `config.json`."""
_OLD_WEIGHTS = ("*.bin.index.json", "*.bin")
_BLOB = re.compile(r"^[0-9a-f]{64}$")


def folder_of(name: str) -> Path:
    """Return the folder that holds the weights of a model named `local/…`.

    After `local/` stands one of

    - the name of a model that comes with archon: `local/nano`;
    - a path that begins with `.`, `..`, `~` or `/`: `local/./mine`, `local/~/mine`,
      `local//data/mine`;
    - a Hugging Face name whose files are in the local cache:
      `local/Qwen/Qwen2.5-0.5B-Instruct`. Nothing is ever downloaded.

    Raises:
        ModelNotFound: when there is no such folder, with the places that were tried.
    """
    rest = name.removeprefix("local/")
    if rest.startswith((".", "~", "/")):
        path = Path(rest).expanduser()
        if _is_model(path):
            return path.resolve()
        raise ModelNotFound(f"{name!r}: there is no model (config.json) in {path.absolute()}")
    shipped = _WEIGHTS / rest
    if _is_model(shipped):
        return shipped
    cached = _cache() / f"models--{rest.replace('/', '--')}"
    snapshot = _snapshot(cached)
    if snapshot is not None and _is_model(snapshot):
        return snapshot
    raise ModelNotFound(_missing(name, rest, (shipped, cached)))


def local_models() -> list[tuple[str, Path]]:
    """Return name and folder of every model that is here: shipped ones, then the hub's cache."""
    found = [
        (path.relative_to(_WEIGHTS).as_posix(), path)
        for path in sorted(_WEIGHTS.glob("*"))
        if _is_model(path)
    ]
    for cached in sorted(_cache().glob("models--*")):
        snapshot = _snapshot(cached)
        if snapshot is not None and _is_model(snapshot):
            found.append((cached.name.removeprefix("models--").replace("--", "/"), snapshot))
    return found


def flops_per_token(name: str) -> float | None:
    """Return two operations for each weight, or None where the weights cannot be counted.

    Attention over the prompt is left out: at the lengths in use it adds a few percent.
    """
    try:
        folder = folder_of(name)
        there = any(folder.glob("*.safetensors"))
        return 2.0 * weights_of(folder) if there else None
    except (ModelNotFound, OSError, ValueError):
        return None


def weights_of(folder: Path) -> int:
    """Return how many numbers the weights of a folder are.

    Of old files, which do not say it, half as many as they have bytes.
    """
    files = sorted(folder.glob("*.safetensors"))
    if files:
        return sum(_weights(file) for file in files)
    return sum(file.stat().st_size for file in folder.glob("*.bin")) // 2


def local_price(model: Model) -> Price:
    """Return what a token of a model costs that runs here: operations, and dollars if given.

    Dollars are those given with the model, or the nominal ones of its configuration.
    """
    price = model.price or _nominal(model.model) or Price(input=0, output=0)
    if price.flops is not None:
        return price
    return price.model_copy(update={"flops": flops_per_token(model.model)})


def _nominal(name: str) -> Price | None:
    try:
        return nominal_price(folder_of(name))
    except ModelNotFound:
        return None  # the check before the first call says so


@lru_cache(maxsize=256)
def _weights(file: Path) -> int:
    """Return how many numbers a file of weights holds, from its header alone."""
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    tensors = [tensor for name, tensor in header.items() if name != "__metadata__"]
    return sum(math.prod(tensor["shape"]) for tensor in tensors)


def _missing(name: str, rest: str, tried: tuple[Path, ...]) -> str:
    places = " and ".join(str(path) for path in tried)
    if "/" in rest:
        hint = f"; download it with `hf download {rest}`"
    else:
        hint = did_you_mean(rest, (p.name for p in _WEIGHTS.glob("*") if _is_model(p)))
    return (
        f"no weights for {name!r}: tried {places}{hint}"
        "; a folder of your own is written local/./folder"
    )


def _is_model(path: Path) -> bool:
    return (path / "config.json").is_file()


def _cache() -> Path:
    """Return the folder in which Hugging Face's libraries keep what they downloaded."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if path := os.environ.get(variable):
            return Path(path).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    base = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(base).expanduser() / "huggingface" / "hub"


def _snapshot(cached: Path) -> Path | None:
    """Return the revision that `main` names, or the only one there is."""
    ref = cached / "refs" / "main"
    if ref.is_file():
        return cached / "snapshots" / ref.read_text(encoding="utf-8").strip()
    found = list((cached / "snapshots").glob("*"))
    return found[0] if len(found) == 1 else None


def digest(folder: Path) -> str:
    """Return 32 hex digits of weights, configuration (with dtype), tokenizer and chat template.

    Files are read once per path, size and time of change.
    """
    files = {path for pattern in _FILES for path in folder.glob(pattern)}
    if not any(path.suffix == ".safetensors" for path in files):
        files |= {path for pattern in _OLD_WEIGHTS for path in folder.glob(pattern)}
    total = hashlib.blake2b(digest_size=16)
    for path in sorted(p for p in files if p.is_file()):
        stat = path.stat()
        total.update(f"{path.name}\0{_hash(path, stat.st_size, stat.st_mtime_ns)}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=4096)
def _hash(path: Path, size: int, changed: int) -> str:
    # In Hugging Face's cache a large file is a link to a blob named by its SHA-256: many
    # gigabytes need not be read again.
    real = path.resolve()
    if real.parent.name == "blobs" and _BLOB.match(real.name):
        return real.name
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
