"""Folders that are no whole model are refused before anything is loaded, each with its reason."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import archon
from archon.backends.torch_checks import check_folder
from archon.backends.torch_files import folder_of
from archon.errors import ConfigError, ModelError, ModelNotFound
from archon.model import Draw, Model, Request
from archon.types import Message

pytest.importorskip("torch")
pytest.importorskip("transformers")

from archon.backends.torch import Torch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the embedded model, to be damaged."""
    target = tmp_path / "mine"
    shutil.copytree(folder_of("local/nano"), target)
    return target


def edit(folder: Path, **values: object) -> None:
    """Change entries of the configuration; None takes one out."""
    file = folder / "config.json"
    data = {**json.loads(file.read_text()), **values}
    file.write_text(json.dumps({k: v for k, v in data.items() if v is not None}))


def no_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid 0\n")


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])


def shard_missing(folder: Path) -> None:
    places = {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def a_list(folder: Path) -> None:
    (folder / "config.json").write_text("[]")


DAMAGE: list[tuple[Callable[[Path], None], str]] = [
    (no_template, r"mine has no chat template \(chat_template\.jinja"),
    (no_tokenizer, r"there is no tokenizer in .*mine \(such as tokenizer\.json\)"),
    (no_weights, r"there are no weights \(\*\.safetensors\) in .*mine"),
    (pointer, r"model\.safetensors: it holds a reference to the weights \(Git LFS\)"),
    (cut, r"model\.safetensors: it is cut short"),
    (shard_missing, r"1 of 2 files of weights are missing, such as model-00002-of-00002"),
    (no_json, r"config\.json: cannot be read as JSON"),
    (a_list, r"config\.json: it holds no JSON object"),
    (lambda folder: edit(folder, model_type=None), r"config\.json: it names no 'model_type'"),
    (
        lambda folder: edit(folder, dtype="bfloat61"),
        r"unknown dtype 'bfloat61'; did you mean 'bfloat16'\?: known are float32",
    ),
    (
        lambda folder: edit(folder, torch_dtype="int7", dtype=None),
        r"unknown torch_dtype 'int7'",
    ),
    (lambda folder: edit(folder, is_encoder_decoder=True), "it is an encoder-decoder"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGE, ids=[said[:24] for _, said in DAMAGE])
def test_what_is_wrong_with_a_folder_is_said(
    folder: Path, damage: Callable[[Path], None], said: str
) -> None:
    check_folder(folder)
    damage(folder)
    with pytest.raises(ConfigError, match=said):
        Torch().check(Model(f"local/{folder}"))


def test_a_protocol_that_has_no_meaning_here_is_refused() -> None:
    with pytest.raises(ConfigError, match="by its chat template, never by 'protocol: completion'"):
        Torch().check(Model("local/nano", protocol="completion"))


def test_a_folder_that_is_no_model_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"there is no model \(config\.json\) in"):
        Torch().check(Model(f"local/{tmp_path}"))


def test_a_run_over_a_damaged_folder_ends_before_it_begins(folder: Path) -> None:
    no_template(folder)
    arch = archon.loads(f"stages: [generate: {{model: local/{folder}}}]")
    with archon.Session(pool=None) as session, pytest.raises(ConfigError, match="no chat template"):
        archon.run(arch, "Hi", session=session)


def test_no_tokens_at_all_are_refused_where_they_are_written() -> None:
    text = "models: {m: {model: local/nano, max_tokens: 0}}\nstages: [generate: {model: m}]\n"
    with pytest.raises(ConfigError, match=r"max_tokens.*greater than or equal to 1"):
        archon.loads(text)


def test_a_prompt_longer_than_the_context_is_not_read() -> None:
    async def work() -> list[object]:
        backend = Torch()
        try:
            request = Request(Model("local/nano"), (Message("user", "seven " * 3000),))
            return list(await backend.complete(request, (Draw(0, 0), Draw(0, 1))))
        finally:
            await backend.close()

    outcomes = asyncio.run(work())
    for outcome in outcomes:
        assert isinstance(outcome, ModelError)
        assert (outcome.kind, outcome.billed) == ("fatal", False)
        assert "leaves no room in the context of 1024 tokens of 'local/nano'" in str(outcome)
