"""What is wrong with a folder of weights, found by its files before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from archon.backends.torch_config import Kind, kind_of
from archon.backends.torch_device import DTYPES
from archon.backends.torch_heads import JOINED
from archon.errors import ConfigError, did_you_mean
from archon.model import Model

__all__ = ["check_folder", "check_params"]

_STORED = ("float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2")
_TOKENIZERS = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json",
    "vocab.txt", "tekken.json", "tiktoken.model",
)  # fmt: skip
"""Any of these files is a tokenizer's vocabulary."""
_POINTER = b"version https://git-lfs"
_WHOLE = "whole"
"""One verdict on an answer as a whole, instead of one on each of its lines."""


def check_folder(folder: Path) -> None:
    """Raise ConfigError for what keeps the weights of a folder from being used.

    Raises:
        ConfigError: for a configuration that cannot be read or names no model or an unknown
            precision; for weights, a tokenizer or a chat template that are missing; for a file
            that was not downloaded in full.
    """
    kind = kind_of(folder)
    _check_config(_read(folder / "config.json"), folder, kind)
    _check_weights(folder)
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise ConfigError(
            f"there is no tokenizer in {folder} (such as {_TOKENIZERS[0]}): copy those files of"
            " the model as well"
        )
    if kind in ("text", "steps") and not _has_template(folder):
        raise ConfigError(
            f"the model in {folder} has no chat template (chat_template.jinja, or in"
            " tokenizer_config.json): it cannot answer messages"
        )
    if kind == "embedding":
        from archon.backends.torch_embed import pooling_of

        pooling_of(folder)


def check_params(model: Model, folder: Path) -> None:
    """Raise ConfigError for `params` that the weights of a folder have no use for.

    `dtype` is the precision, `steps` how a step scorer joins its lines, `verdicts` the good and the
    bad reply of a model that was trained to judge.
    """
    kind = kind_of(folder)
    known: dict[str, tuple[str, ...]] = {"dtype": DTYPES}
    judges = kind == "text" and "verdicts" in model.params
    if kind == "steps" or judges:
        known["steps"] = (*JOINED, _WHOLE) if judges else JOINED
    for name, value in model.params.items():
        if name == "verdicts" and kind == "text":
            _check_verdicts(value)
            continue
        if name not in known:
            raise ConfigError(f"{model.model!r} runs here: it has no use for 'params: {{{name}}}'")
        if value not in known[name]:
            raise ConfigError(
                f"{name!r} must be one of {', '.join(known[name])}, got {value!r}"
                f"{did_you_mean(str(value), known[name])}"
            )


def _check_verdicts(verdicts: Any) -> None:
    fine = (
        isinstance(verdicts, list | tuple)
        and len(verdicts) == 2
        and all(isinstance(text, str) and text for text in verdicts)
        and verdicts[0] != verdicts[1]
    )
    if not fine:
        raise ConfigError(
            f"'verdicts' must be two different texts, the good one first, got {verdicts!r}"
        )


def _check_config(config: dict[str, Any], folder: Path, kind: Kind) -> None:
    where = str(folder / "config.json")
    if not config.get("model_type"):
        raise ConfigError("it names no 'model_type', so this is no model's folder", where=where)
    for name in ("dtype", "torch_dtype"):
        dtype = str(config.get(name) or _STORED[0]).removeprefix("torch.")
        if dtype not in _STORED:
            raise ConfigError(
                f"unknown {name} {dtype!r}{did_you_mean(dtype, _STORED)}: known are"
                f" {', '.join(_STORED)}",
                where=where,
            )
    if config.get("is_encoder_decoder") and kind == "text":
        raise ConfigError(
            "it is an encoder-decoder; here run decoders, which continue a text", where=where
        )


def _check_weights(folder: Path) -> None:
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    if not files:
        raise ConfigError(f"there are no weights (*.safetensors) in {folder}")
    for index in folder.glob("*.index.json"):
        wanted = set(_read(index).get("weight_map", {}).values())
        if missing := sorted(name for name in wanted if not (folder / name).is_file()):
            raise ConfigError(
                f"{len(missing)} of {len(wanted)} files of weights are missing, such as"
                f" {missing[0]}: download them again",
                where=str(index),
            )
    for file in files:
        with file.open("rb") as stream:
            start = stream.read(len(_POINTER))
        if start == _POINTER:
            raise ConfigError(
                "it holds a reference to the weights (Git LFS), not the weights: `git lfs pull`",
                where=str(file),
            )
        header = int.from_bytes(start[:8], "little")
        if file.suffix == ".safetensors" and header + 8 > file.stat().st_size:
            raise ConfigError(
                "it is cut short, or no file of weights: download it again", where=str(file)
            )


def _has_template(folder: Path) -> bool:
    names = ("chat_template.jinja", "chat_template.json", "additional_chat_templates/default.jinja")
    if any((folder / name).is_file() for name in names):
        return True
    settings = folder / "tokenizer_config.json"
    return settings.is_file() and bool(_read(settings).get("chat_template"))


def _read(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot be read as JSON: {error}", where=str(file)) from None
    if not isinstance(data, dict):
        raise ConfigError("it holds no JSON object", where=str(file))
    return data
