"""`archon models --local`: what is on the disk, how large it is, and what fits."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest

from archon.backends import torch_disk
from archon.backends.torch_disk import Device
from archon.backends.torch_files import folder_of
from tests.cli.conftest import Archon, data

BILLION = 10**9


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one model of 30 numbers, and one without anything but its configuration."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    whole = tmp_path / "hub" / "models--Org--Whole" / "snapshots" / "abc"
    shutil.copytree(folder_of("local/nano"), whole)
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "BF16", "shape": [4, 5], "data_offsets": [0, 40]},
        "b": {"dtype": "F32", "shape": [10], "data_offsets": [40, 80]},
    }
    text = json.dumps(header).encode()
    (whole / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(80))
    half = tmp_path / "hub" / "models--Org--Half" / "snapshots" / "abc"
    half.mkdir(parents=True)
    (half / "config.json").write_text('{"model_type": "llama"}')
    return tmp_path


def machine(monkeypatch: pytest.MonkeyPatch, *found: Device) -> None:
    monkeypatch.setattr(torch_disk, "devices", lambda: list(found))


def test_sizes_come_from_the_files_alone(
    archon: Archon, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, Device("cpu", 16 * BILLION, 143))
    found = data(archon("models", "--local", "--json"))
    assert found["devices"] == [{"name": "cpu", "memory": 16 * BILLION, "free": 143}]
    models = {model["name"]: model for model in found["models"]}
    whole = models["local/Org/Whole"]
    file = Path(whole["path"]) / "model.safetensors"
    assert (whole["parameters"], whole["bytes"]) == (30, file.stat().st_size)
    assert (whole["dtype"], whole["context"], whole["kind"]) == ("bfloat16", 1024, "text")
    # On a CPU every number takes four bytes, and a fifth comes on top: 30 * 4 * 1.2.
    assert (whole["needs"], whole["fits"], whole["problem"]) == (144, False, "")
    assert "there are no weights" in models["local/Org/Half"]["problem"]
    assert models["local/nano"]["dtype"] == "float16"
    assert models["local/nano"]["parameters"] > 900_000


def test_a_gpu_takes_weights_as_they_are_stored(
    archon: Archon, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, Device("A GPU", 8 * BILLION, BILLION), Device("cpu", BILLION, 1))
    found = data(archon("models", "--local", "--json"))
    whole = next(model for model in found["models"] if model["name"] == "local/Org/Whole")
    assert whole["needs"] == int(1.2 * whole["bytes"])
    assert whole["fits"] is True


def test_the_table_says_what_fits_and_what_is_broken(
    archon: Archon, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, Device("cpu", 16 * BILLION, 8 * BILLION))
    said = archon("models", "--local").stdout
    ends = {
        name: line.split()[-1]
        for line in said.splitlines()
        for name in ("local/nano", "local/Org/Whole", "local/Org/Half")
        if name in line.split()
    }
    assert ends == {
        "local/nano": "yes", "local/Org/Whole": "yes", "local/Org/Half": "unusable",
    }  # fmt: skip
    assert "local/Org/Half: there are no weights" in said
    assert "cpu: 16.0 GB of memory, 8.0 GB free" in said


def test_this_machine_has_a_processor_with_memory() -> None:
    cpu = torch_disk.devices()[-1]
    assert cpu.cpu
    assert 0 < cpu.free <= cpu.memory
