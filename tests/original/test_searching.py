"""Search configurations of the original, as search files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import archon
from archon import ConfigError
from archon.config import Source
from archon.original import Choices, ImportedSearch, import_search
from archon.original.importing import read_document
from archon.search import SearchFile, read_search
from archon.search.reading import TAGS
from tests.original.samples import component, generator, text_of, write

CONFIG: dict[str, Any] = {
    "models_available": ["archon/configs/one.json", "configs/two.json", "three.json"],
    "model_top_k_choices": [1, 3],
    "sample_top_k_choices": [1, 2],
    "fuser_layer_1_choices": [0, 2],
    "fuser_layer_2_choices": [3],
    "fuser_layer_3_choices": [0],
    "maximum_inference_calls": 20,
    "base_output_directory": "outputs",
    "benchmark": "mt_bench",
    "judge_model": "gpt-4-0314",
    "dataset_sample_for_power_ranking": 0.1,
    "dataset_sample_for_search": 0.2,
    "dataset_sample_for_final_ranking": 1.0,
    "search_algorithm_choice": "bayesian_optimization",
    "number_of_archon_configs_for_final_ranking": 2,
    "init_points": 3,
    "n_iter": 4,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tree as the original's: the paths are relative to a folder of another name."""
    for i, name in enumerate(("one", "two", "three")):
        text = text_of([component("generator", f"m{i}", "fake")], name=name)
        write(tmp_path, f"configs/{name}.json" if i < 2 else "configs/search/three.json", text)
    return tmp_path / "configs" / "search"


def made(
    folder: Path, choices: Choices | None = None, **changes: Any
) -> tuple[ImportedSearch, SearchFile]:
    data = {key: value for key, value in (CONFIG | changes).items() if value is not None}
    path = write(folder, "mine.json", json.dumps(data, indent=1))
    found = import_search(read_document(path)[0], choices)
    return found, read_search(Source(found.yaml, "mine.yaml", TAGS))


def test_the_space_is_what_the_original_builds(folder: Path) -> None:
    found, search = made(folder)
    table = search.space.table()
    # by hand: 1 or 3 generators, no or two fusers in the first layer, three in the second, one
    # last; each layer of fusion has a critic and a ranker: g + (0 or 2 + 2) + (2 + 3) + 1
    assert sorted(table.calls.tolist()) == sorted(g + f + 5 + 1 for g in (1, 3) for f in (0, 4))
    widest = table.architecture(int(table.calls.argmax()))
    assert str(widest) == (
        "generate | generate-2 | generate-3 > critique > rank > fuse | fuse-2"
        " > critique-2 > rank-2 > fuse-3 | fuse-4 | fuse-5 > fuse-6"
    )
    first, *_ = widest.models()
    assert first.model == "fake/m0"
    assert {m.model for p in widest.places if p.node.label in ("critique", "rank")
            for m in p.node.models()} == {"fake/m0"}  # fmt: skip
    assert any("`sample_top_k_choices` has no effect" in remark for remark in found.remarks)


def test_everything_else_has_its_place(folder: Path) -> None:
    found, search = made(folder)
    assert search.benchmark.name == "mt_bench"
    assert search.benchmark.options == {"judge": "openai/gpt-4.1"}
    assert search.limits.max is not None
    assert search.limits.max.calls == 20
    assert (search.items.dev, search.items.confirm) == (0.2, None)
    assert search.power_ranking["models"].items == 0.1
    assert (search.trials, search.searcher.name) == (7, "paper")
    assert search.searcher.settings == {"starts": 3}
    assert "# base_output_directory: outputs" in found.yaml
    assert "# number_of_archon_configs_for_final_ranking: 2" in found.yaml


def test_intended_searches_the_samples_too(folder: Path) -> None:
    plain, meant = made(folder)[1], made(folder, Choices(intended=True))[1]
    assert len(meant.space.table()) == 2 * len(plain.space.table())


@pytest.mark.parametrize(
    ("choice", "more", "searcher", "trials"),
    [
        ("random_search", {"random_search_iterations": 9}, "random", 9),
        ("grid_search", {}, "grid", None),
        (None, {}, "paper", 7),
    ],
)
def test_the_searchers(
    folder: Path, choice: str | None, more: Any, searcher: str, trials: int | None
) -> None:
    _, search = made(folder, search_algorithm_choice=choice, **more)
    assert (search.searcher.name, search.trials) == (searcher, trials)


def test_arena_hard_and_a_judge_from_a_file(folder: Path) -> None:
    _, search = made(folder, benchmark="arena_hard_auto", judge_model="configs/two.json")
    assert search.benchmark.name == "arena_hard"
    assert search.benchmark.options == {"judge": "fake/m1"}


def test_a_baseline_is_said(folder: Path) -> None:
    found, _ = made(folder, baseline_model="configs/two.json")
    assert any("the baseline configs/two.json" in remark for remark in found.remarks)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"models_available": []}, "`models_available` names at least one file"),
        ({"models_available": ["nowhere.json"]}, "there is no file 'nowhere.json' in or above"),
        ({"models_available": [3]}, "a model is the path of a file, got 3"),
        ({"model_top_k_choices": [0]}, "whole numbers of at least 1, got 0"),
        ({"model_top_k_choices": [7]}, "`model_top_k_choices` leaves no choice"),
        ({"fuser_layer_1_choices": "2"}, "`fuser_layer_1_choices` is a list, got '2'"),
        ({"maximum_inference_calls": 2.5}, "`maximum_inference_calls` is a whole number"),
        ({"benchmark": "mt-bench"}, "did you mean 'mt_bench'"),
        ({"benchmark": None}, "`benchmark` of a search is mt_bench or arena_hard_auto, got None"),
        ({"search_algorithm_choice": "greedy"}, "unknown `search_algorithm_choice` 'greedy'"),
        ({"dataset_sample_for_search": 20}, "is a share above 0 and up to 1, got 20"),
        ({"init_point": 3}, "unknown key 'init_point' in a search configuration; did you mean"),
    ],
)  # fmt: skip
def test_mistakes_have_their_line(folder: Path, changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(folder, **changes)
    assert caught.value.where.startswith(f"{folder / 'mine.json'}:")
    assert what in caught.value.message


def test_a_choice_of_more_models_than_there_are_is_left_out(folder: Path) -> None:
    found, search = made(folder, model_top_k_choices=[1, 10])
    assert any("there are 3 models, so 10 is left out" in remark for remark in found.remarks)
    assert len(search.space.table()) == 2


def test_a_file_of_several_models_is_no_model(folder: Path) -> None:
    write(folder, "many.json", text_of([generator(), generator()]))
    with pytest.raises(ConfigError, match=r"many\.json is no file of a single generator"):
        made(folder, models_available=["many.json"])


def test_it_is_no_architecture_and_says_what_to_do(folder: Path) -> None:
    made(folder)
    with pytest.raises(ConfigError, match="`archon import` makes a search file of it"):
        archon.load(folder / "mine.json")
