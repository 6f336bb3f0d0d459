from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

import archon as package
from archon.base import LAYERS
from archon.base.bounds import QUESTION_TOKENS
from archon.cli.schema import build
from archon.config import shipped
from tests.cli.conftest import VOTED, Archon, data


def test_plan_shows_every_node_and_the_total(archon: Archon) -> None:
    found = data(archon("plan", "voted.yaml", "--json"))
    assert list(found["nodes"]) == ["generate", "vote"]
    assert found["question_tokens"] == QUESTION_TOKENS
    bound = package.loads(VOTED).bound()
    assert found["total"] == bound.to_json()
    more = data(archon("plan", "voted.yaml", "--question-tokens", "9000", "--json"))
    assert more["total"]["input_tokens"] > found["total"]["input_tokens"]
    table = archon("plan", "voted.yaml").stdout
    assert re.search(r"total +5 +0 ", table)


def test_unknown_is_a_question_mark(archon: Archon) -> None:
    Path("open.yaml").write_text("stages: [generate: {model: mystery/model}]\n")
    result = archon("plan", "open.yaml")
    assert re.search(r"total +1 +0 +[\d,]+ +\? +\? ", result.stdout)
    assert "no max_tokens" in result.stderr
    assert data(archon("plan", "open.yaml", "--json"))["total"]["usd"] is None


def test_an_estimate_from_what_is_recorded(archon: Archon) -> None:
    plan = ("plan", "voted.yaml", "--benchmark", "arithmetic", "--limit", "10", "--json")
    empty = data(archon(*plan))["estimate"]
    assert (empty["recorded"], empty["complete"], empty["tokens"]) == (0, 0, None)
    archon("eval", "one.yaml", "-b", "arithmetic", "-n", "10")
    partly = data(archon(*plan))["estimate"]
    assert (partly["recorded"], partly["complete"], partly["calls"]) == (10, 0, 50)
    measured = data(archon("eval", "voted.yaml", "-b", "arithmetic", "-n", "10", "--json"))
    found = data(archon(*plan))["estimate"]
    assert (found["recorded"], found["complete"]) == (50, 10)
    used = measured["evaluations"][0]["used"]
    assert found["tokens"] == used["input_tokens"] + used["output_tokens"]
    assert "10 items have all they need" in archon(*plan[:-1]).stdout


def test_show(archon: Archon) -> None:
    tree = archon("show", "voted.yaml").stdout
    assert "voted  at most 5 calls, $0 a question" in tree
    assert "fake/words (max_tokens=60), samples=5" in tree
    assert archon("show", "voted.yaml", "--mermaid").stdout.startswith("flowchart")
    archon("show", "voted.yaml", "--svg", "picture.svg")
    assert Path("picture.svg").read_text().startswith("<svg")


def test_show_goes_into_what_is_nested(archon: Archon) -> None:
    Path("nested.yaml").write_text(
        "stages:\n"
        "  - - [generate: {model: a/b}, refine: {model: a/b}]\n"
        "    - generate: {model: c/d}\n"
        "  - fuse: {model: a/b}\n"
    )
    tree = archon("show", "nested.yaml").stdout
    assert "in parallel" in tree
    for word in ("refine", "c/d", "fuse"):
        assert word in tree


def test_layers(archon: Archon) -> None:
    found = data(archon("layers", "--json"))
    assert [layer["name"] for layer in found] == list(LAYERS.all())
    listed = archon("layers").stdout
    assert all(name in listed for name in LAYERS.all())
    vote = data(archon("layers", "vote", "--json"))
    settings = {setting["name"]: setting for setting in vote["settings"]}
    assert settings["weight"]["type"] == "none | score"
    assert settings["weight"]["default"] == "none"
    assert settings["waves"]["type"] == "integer ≥ 1 ≤ 1000"
    assert settings["source"]["type"] == "layer or stages | none"
    model = data(archon("layers", "generate", "--json"))["settings"]
    assert {s["name"]: s["required"] for s in model}["model"] is True
    assert "did you mean 'vote'?" in archon("layers", "vot", code=2).stderr


@pytest.mark.parametrize("name", list(LAYERS.all()))
def test_every_layer_is_shown_with_every_setting(archon: Archon, name: str) -> None:
    shown = archon("layers", name).stdout
    described = data(archon("layers", name, "--json"))["settings"]
    assert len(described) == len(LAYERS.get(name).model_fields)
    assert all(setting["name"] in shown for setting in described)


def test_benchmarks(archon: Archon) -> None:
    assert "arithmetic" in archon("benchmarks").stdout
    found = {entry["name"]: entry for entry in data(archon("benchmarks", "--json"))}
    assert found["arithmetic"]["levels"] == [1, 2, 3, 4, 5]


def test_models_name_variables_and_never_show_a_key(
    archon: Archon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--Org--Tiny" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    result = archon("models", "--json")
    assert "sk-very-secret" not in result.stdout + archon("models").stdout
    providers = {entry["name"]: entry for entry in data(result)["providers"]}
    assert providers["openai"]["present"] is True
    assert providers["groq"]["present"] is False
    assert "local/Org/Tiny" in [entry["name"] for entry in data(result)["local"]]
    assert {"fake", "litellm", "local"} <= set(data(result)["backends"])


def test_runs(archon: Archon) -> None:
    assert data(archon("runs", "--json")) == []
    assert "nothing was run yet" in archon("runs").stderr
    answer = archon("run", "one.yaml", "q").stdout.strip()
    archon("eval", "one.yaml", "-b", "arithmetic", "-n", "2")
    evaluation, run = data(archon("runs", "--json"))
    assert (evaluation["what"], run["what"]) == ("eval", "run")
    assert run["used"]["calls"] == 1
    listed = archon("runs").stdout
    assert evaluation["id"] in listed
    assert run["id"] in listed
    assert answer in archon("runs", run["id"]).stdout
    assert "interval" in archon("runs", evaluation["id"]).stdout
    assert len(data(archon("runs", evaluation["id"], "--json"))["result"]["rows"]) == 2
    assert data(archon("runs", "--json", "--limit", "1")) == [evaluation]
    assert "did you mean" in archon("runs", run["id"][:-1], code=2).stderr


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(build())


def test_schema_is_printed(archon: Archon) -> None:
    schema = json.loads(archon("schema").stdout)
    Draft202012Validator.check_schema(schema)
    assert schema == build()


@pytest.mark.parametrize("name", list(shipped()))
def test_the_schema_accepts_what_comes_with_archon(name: str) -> None:
    found = yaml.safe_load(shipped()[name].read_text(encoding="utf-8"))
    assert list(validator().iter_errors(found)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"stages": [{"generate": {"model": "a/b", "smaples": 2}}]},
        {"stages": [{"generat": {"model": "a/b"}}]},
        {"stages": [{"generate": {"samples": 2}}]},
        {"stages": [{"generate": {"model": {"model": "a/b", "temprature": 1}}}]},
        {"stages": [{"loop": {"body": [{"generat": {}}]}}]},
        {"stages": [], "name": "x"},
        {"models": {"m": {"model": "a/b", "temperature": -1}}, "stages": ["vote"]},
        {"stages": ["vote"], "nodes": ["vote"]},
    ],
)
def test_the_schema_rejects_mistakes(wrong: object) -> None:
    assert not validator().is_valid(wrong)


def test_init_writes_a_file_that_loads(archon: Archon) -> None:
    archon("init", "mine.yaml")
    written = Path("mine.yaml").read_text()
    assert written.count("#") > 5
    assert package.load("mine.yaml").name == "mine"
    assert "--force" in archon("init", "mine.yaml", code=2).stderr
    Path("mine.yaml").write_text("x")
    archon("init", "mine.yaml", "--force")
    assert Path("mine.yaml").read_text() == written
    archon("init")
    archon("plan", "architecture.yaml")
    assert "no such file" in archon("init", "no/such/folder.yaml", code=2).stderr
