"""Small original files of our own making, one for each thing that the importer must know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from archon.original import Choices, Imported, import_document
from archon.original.json_text import Document

QWEN, GPT, CLAUDE = "Qwen/Qwen2-72B-Instruct", "gpt-4o", "claude-3-5-sonnet-20240620"


def component(kind: str, model: str = GPT, provider: str = "OpenAI_API", **more: Any) -> Any:
    """Return a component with what every one has."""
    usual = {"temperature": 0.7, "max_tokens": 2048, "samples": 1}
    return {"type": kind, "model": model, "model_type": provider, **usual, **more}


def generator(**more: Any) -> Any:
    return component("generator", **more)


def fuser(**more: Any) -> Any:
    return component("fuser", **more)


def critic(**more: Any) -> Any:
    return component("critic", **more)


def ranker(top_k: int | None = 5, **more: Any) -> Any:
    return component("ranker", **more) | ({} if top_k is None else {"top_k": top_k})


def pairrm(top_k: int = 3, provider: str = "") -> Any:
    return component(
        "ranker", "llm-blender/PairRM", provider, top_k=top_k, ranker_batch_size=16
    )  # fmt: skip


def verifier(**more: Any) -> Any:
    return component("verifier", **more)


def asserter(cap: int | None = 5) -> Any:
    return component("unit_test_generator") | ({} if cap is None else {"unit_test_cap": cap})


def evaluator(**more: Any) -> Any:
    return component("unit_test_evaluator", remove_unit_tests_from_prompt=True, **more)


def text_of(*layers: Any, name: str = "mine", **more: Any) -> str:
    """Return the JSON text of a file, indented as people write it."""
    return json.dumps({"name": name, "layers": list(layers), **more}, indent=2)


def imported(*layers: Any, choices: Choices | None = None, **more: Any) -> Imported:
    """Import a file of these layers."""
    return import_document(Document(text_of(*layers, **more), "mine.json"), choices)


def entry(what: Imported, node: str) -> dict[str, Any]:
    """Return the settings of a node that differ from their defaults."""
    [place] = [place for place in what.architecture.places if place.id == node]
    settings: dict[str, Any] = place.node.settings()  # type: ignore[attr-defined]
    return {name: value for name, value in settings.items() if name != "model"}


def write(folder: Path, name: str, text: str) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
