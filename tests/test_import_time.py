"""`import archon` loads pydantic and little else; the public names are a decision."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import archon

HEAVY = (
    "litellm", "torch", "transformers", "langgraph", "langchain_core", "optuna", "numpy", "jinja2",
    "sqlite_utils", "aiohttp", "yaml", "rich", "typer", "hypothesis",
)  # fmt: skip


def _loaded(code: str) -> list[str]:
    code = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return names


def test_import_archon_loads_nothing_heavy() -> None:
    assert not set(HEAVY) & set(_loaded("import archon"))


def test_building_an_architecture_needs_no_model_library() -> None:
    code = (
        "import archon\nfrom archon.layers import Generate\n"
        "arch = Generate(model='openai/gpt-4o', samples=2) >> Generate(model='local/nano')\n"
        "arch.bound(); arch.digest()"
    )
    assert not {"litellm", "torch", "langgraph", "optuna"} & set(_loaded(code))


def test_drawing_and_loading_need_neither_keys_nor_engines() -> None:
    code = (
        "import archon\n"
        "arch = archon.loads('stages: [generate: {model: openai/gpt-4o}]')\n"
        "arch.draw().svg; archon.dumps(arch)"
    )
    assert not {"litellm", "torch", "langgraph", "optuna"} & set(_loaded(code))


def test_public_names_are_sorted_and_resolve() -> None:
    assert archon.__all__ == sorted(archon.__all__)
    for name in archon.__all__:
        assert getattr(archon, name) is not None
    assert set(archon.__all__) <= set(dir(archon))


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="'archon' has no attribute 'nonsense'"):
        getattr(archon, "nonsense")  # noqa: B009 (mypy knows it is not there)


def test_version_is_a_version() -> None:
    assert archon.__version__[0].isdigit()
