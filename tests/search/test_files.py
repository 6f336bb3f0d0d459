from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

import archon
from archon.config import Source
from archon.errors import ConfigError
from archon.search import SearchFile, read_search
from archon.search.file_schema import json_schema
from archon.search.files import SEEDS, shipped_searches
from archon.search.reading import TAGS

SPACE = """\
space:
  models: {a: {model: fake/a, max_tokens: 50}}
  groups: {all: [a, fake/b]}
  stages: [generate: {model: !choice all, samples: !int [1, 4]}]
"""
SMALLEST = SPACE + "benchmark: arithmetic\n"


def read(text: str) -> SearchFile:
    return read_search(Source(text, "search.yaml", TAGS))


def test_the_smallest_file_has_a_default_for_everything() -> None:
    found = read(SMALLEST)
    assert len(found.space.table()) == 8
    assert (found.benchmark.name, found.benchmark.options) == ("arithmetic", {})
    assert (found.items.dev, found.items.confirm, found.items.test) == (300, 300, None)
    assert found.objective == ("score",)
    assert found.seeds == SEEDS
    assert found.searcher.name == "race"
    assert (found.reserve, found.seed, found.trials) == (0.3, 0, None)
    assert not found.budget.limits()
    assert (found.limits.max, found.limits.mean, found.limits.score) == (None, None, None)


def test_everything_said() -> None:
    found = read(
        SPACE
        + """\
name: full
description: all keys
power_ranking: {all: {role: fuse, items: 0.5, of: 3}}
benchmark: {name: arithmetic, level: 3}
items: {dev: 0.2, confirm: 100, test: null}
objective: [score, usd, latency]
limits: {max: "calls=20,usd=0.5", mean: {usd: 0.01, latency: 3}, score: 0.7}
budget: usd=20,seconds=600
trials: 50
reserve: 0.2
seeds: [single, best-of-n, general-purpose]
searcher: {name: paper, starts: 230}
concurrency: {trials: 2, items: 9}
seed: 7
"""
    )
    assert found.power_ranking["all"].of == 3
    assert found.benchmark.options == {"level": 3}
    assert found.items.dev == 0.2
    assert found.objective == ("score", "usd", "latency")
    assert found.limits.max == archon.Budget(calls=20, usd=0.5)
    assert found.limits.mean is not None
    assert found.limits.mean.latency == 3
    assert found.budget == archon.Budget(usd=20, seconds=600)
    assert found.searcher.settings == {"starts": 230}
    assert (found.concurrency.trials, found.seed) == (2, 7)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("benchmark: arithmetc", 5, "unknown benchmark 'arithmetc'; did you mean 'arithmetic'"),
        ("benchmark: {name: arithmetic, levle: 3}", 5, "no option 'levle'; did you mean 'level'"),
        ("benchmark: {level: 3}", 5, "benchmark needs 'name'"),
        ("benchmark: !choice [arithmetic]", 5, "!choice cannot stand in 'benchmark'"),
        ("", 1, "a search file needs 'benchmark'"),
        ("benchmark: arithmetic\nobjectve: score", 6, "did you mean 'objective'"),
        ("benchmark: arithmetic\nsource: x", 6, "unknown key 'source'"),
        ("benchmark: arithmetic\nobjective: speed", 6, "objective: input should be 'score'"),
        ("benchmark: arithmetic\nobjective: [score, score]", 6, "stands there twice"),
        ("benchmark: arithmetic\nobjective: []", 6, "at least 1"),
        ("benchmark: arithmetic\nlimits: {max: {calls: -1}}", 6, "limits.max.calls: .*got -1"),
        ("benchmark: arithmetic\nlimits:\n  max: {cals: 1}", 7, "unknown key 'cals' in limits.max"),
        ("benchmark: arithmetic\nlimits: {max: calls}", 6, "a budget is written like"),
        ("benchmark: arithmetic\nlimits: {max: {seconds: 1}}", 6, "no bound knows seconds"),
        ("benchmark: arithmetic\nlimits: {mean: {score: 1}}", 6, "unknown key 'score'"),
        ("benchmark: arithmetic\nlimits: {score: 2}", 6, "less than or equal to 1"),
        ("benchmark: arithmetic\nbudget: {usd: .nan}", 6, "budget.usd"),
        ("benchmark: arithmetic\nitems: {dev: 0}", 6, "items.dev"),
        ("benchmark: arithmetic\nitems: {dev: 1.5}", 6, "items.dev"),
        ("benchmark: arithmetic\ntrials: 0", 6, "trials"),
        ("benchmark: arithmetic\nreserve: 1", 6, "reserve"),
        ("benchmark: arithmetic\nseeds: [singel]", 6, "unknown seed 'singel'.*'single'"),
        ("benchmark: arithmetic\nseeds:\n  - single\n  - x.yaml", 8, "unknown seed 'x.yaml'"),
        ("benchmark: arithmetic\nsearcher: tpee", 6, "unknown searcher 'tpee'; did you mean 'tpe'"),
        ("benchmark: arithmetic\npower_ranking: {al: {role: fuse}}", 1, "no group 'al'.*'all'"),
        ("benchmark: arithmetic\npower_ranking: {all: {role: x}}", 6, "power_ranking.all.role"),
        ("benchmark: arithmetic\nseed: -1", 6, "seed"),
        ("benchmark: arithmetic\nconcurrency: {trials: 0}", 6, "concurrency.trials"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read(f"{SPACE}{text}\n")
    assert caught.value.where == f"search.yaml:{line}", caught.value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a search file is a mapping"),
        ("- x\n", "a search file is a mapping"),
        ("benchmark: arithmetic\n", "search.yaml:1: a search file needs `space`"),
        ("space: [x]\nbenchmark: arithmetic\n", "search.yaml:1: `space` is an architecture"),
        ("space: nowhere.yaml\nbenchmark: arithmetic\n", "nowhere.yaml: no such file"),
        ("space: !choice [x]\nbenchmark: arithmetic\n", "search.yaml:1: `space` is an arch"),
    ],
)
def test_no_space(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(text)


def test_a_space_and_a_seed_in_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "my-space.yaml").write_text(
        "stages: [generate: {model: fake/x, samples: !int [1, 3]}]\n"
    )
    (tmp_path / "seed.yaml").write_text("stages: [generate: {model: fake/x}]\n")
    file = tmp_path / "search.yaml"
    file.write_text("space: my-space.yaml\nbenchmark: data/mine.jsonl\nseeds: [seed.yaml]\n")
    found = read_search(file)
    assert len(found.space.table()) == 3
    assert found.benchmark.name == "data/mine.jsonl"
    (tmp_path / "my-space.yaml").write_text("stages: [generate: {sampels: 1}]\nstagse: 1\n")
    with pytest.raises(ConfigError, match=r"my-space.yaml:2: unknown key 'stagse'"):
        read_search(file)


def untagged(text: str) -> Any:
    """Return YAML as an editor's schema check sees it: without tags."""

    class Loader(yaml.SafeLoader):
        pass

    def value(loader: Any, _: str, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return node.value

    Loader.add_multi_constructor("!", value)
    return yaml.load(text, Loader)


SCHEMA = Draft202012Validator(json_schema())


@pytest.mark.parametrize("name", shipped_searches())
def test_the_schema_accepts_what_is_shipped(name: str) -> None:
    Draft202012Validator.check_schema(json_schema())
    SCHEMA.validate(untagged(shipped_searches()[name].read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "text",
    [
        "benchmark: arithmetic",
        f"{SMALLEST}objectve: score",
        f"{SMALLEST}budget: {{cals: 1}}",
        f"{SMALLEST}objective: speed",
        "space: {stages: [vote], hloes: {}}\nbenchmark: x",
        "space: {stages: []}\nbenchmark: x",
        "space: {stages: [vote], nodes: [vote]}\nbenchmark: x",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    assert not SCHEMA.is_valid(untagged(text))
    with pytest.raises(ConfigError):
        read(text)


@pytest.mark.parametrize(
    "text", [SMALLEST, f"{SMALLEST}budget: usd=1\nsearcher: tpe\nobjective: usd"]
)
def test_the_schema_accepts_short_forms(text: str) -> None:
    SCHEMA.validate(untagged(text))
    read(text)


KEYS = st.sampled_from([*SearchFile.model_fields, "name: x", "stages"])
VALUES = st.sampled_from(
    [
        "1",
        "-1",
        "x",
        "[]",
        "{}",
        "{max: 1}",
        "!int [1, 2]",
        "null",
        "[x, 1]",
        "true",
        "1e400",
        "{name: 5}",
    ]
)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=4))
def test_garbage_is_an_error_with_a_place(lines: list[tuple[str, str]]) -> None:
    text = SMALLEST + "".join(f"{key}: {value}\n" for key, value in lines)
    error = None
    try:
        read(text)
    except ConfigError as caught:
        error = caught
    assert error is None or error.where.startswith("search.yaml:"), error
